/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watchdog.h - whether every thread makes progress
 *
 * Twice per period main asks each worker and DPDK's vhost thread for a sign of life; main itself
 * gives one by asking. No thread waits: an answer comes back as a post. Only when all have answered
 * is alive() called, which feeds the service manager's watchdog (sd_watchdog_enabled(3)). The log
 * names a thread that does not answer, a quarter of a period or more before the service manager
 * acts.
 */
#ifndef OKL4FSD_SERVICE_WATCHDOG_H
#define OKL4FSD_SERVICE_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"

struct watchdog;

/**
 * struct watchdog_ops - the threads to ask, and what follows; all called on main
 * @worker: the @idx-th worker's loop; NULL: there are no more. Workers come, and stay
 * @ask_vhost: have the vhost thread post @answer to @main; Return: false: it does not run yet
 * @unask_vhost: @answer is no longer to be posted
 * @alive: all threads have answered
 */
struct watchdog_ops {
	struct loop *(*worker)(void *arg, unsigned int idx);
	bool (*ask_vhost)(struct loop *main, struct loop_post *answer);
	void (*unask_vhost)(struct loop *main, struct loop_post *answer);
	void (*alive)(void *arg);
};

/**
 * watchdog_new() - begin to ask
 * @watchdog: out
 * @main_loop: loop of the calling thread
 * @period_us: the time within which alive() is to be called
 * @ops: borrowed until watchdog_free()
 * @arg: their argument
 *
 * Main. Return: 0 or -ENOMEM.
 */
int watchdog_new(struct watchdog **watchdog, struct loop *main_loop, uint64_t period_us,
		 const struct watchdog_ops *ops, void *arg);

/**
 * watchdog_ask() - ask now instead of at the next tick
 * @watchdog: watchdog
 *
 * alive() is called when all have answered; a caller that then waits for a worker (loop_call())
 * does not wait for one that is stuck. Nothing is done while answers are still missing. Main.
 */
void watchdog_ask(struct watchdog *watchdog);

/** watchdog_free() - stop asking; the workers still run; main; NULL is allowed; Return: NULL */
struct watchdog *watchdog_free(struct watchdog *watchdog);

#endif
