/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog: fed when all threads have answered, and only then. Workers get stuck on a semaphore.
 */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "service/watchdog.h"

#define PERIOD_US  40000
#define N_WORKERS  3
#define MANY_TICKS 10

static struct loop *main_loop, *worker_loop[N_WORKERS];
static struct event *limit_event;
static unsigned int n_workers, n_alive, stop_at_alive;
static uint64_t vhost_stuck; /* ms for which the vhost thread owes an answer */
static sem_t held;

static struct loop *worker(void *arg, unsigned int idx)
{
	return idx < n_workers ? worker_loop[idx] : NULL;
}

static uint64_t vhost_stuck_ms(void)
{
	return vhost_stuck;
}

static void alive(void *arg)
{
	if (++n_alive == stop_at_alive)
		loop_stop(main_loop);
}

static const struct watchdog_ops ops = {
	.worker = worker,
	.vhost_stuck_ms = vhost_stuck_ms,
	.alive = alive,
};

static void set_up(void)
{
	cr_assert_eq(loop_new(&main_loop, "main"), 0);
	for (int i = 0; i < N_WORKERS; i++) {
		cr_assert_eq(loop_new(&worker_loop[i], "worker"), 0);
		cr_assert_eq(loop_start(worker_loop[i]), 0);
	}
	sem_init(&held, 0, 0);
	n_workers = 2;
}

static void take_down(void)
{
	for (int i = 0; i < N_WORKERS; i++) {
		loop_stop(worker_loop[i]);
		loop_free(worker_loop[i]);
	}
	loop_free(main_loop);
}

TestSuite(daemon_watchdog, .init = set_up, .fini = take_down);

static void run_until_alive(unsigned int n)
{
	stop_at_alive = n_alive + n;
	cr_assert_eq(loop_run(main_loop), 0);
}

static void time_is_over(evutil_socket_t fd, short what, void *arg)
{
	loop_stop(main_loop);
}

/* Let a number of ticks pass, whoever answers. */
static void run_ticks(int n)
{
	struct timeval limit = { .tv_usec = n * PERIOD_US / 2 };

	stop_at_alive = 0;
	limit_event = evtimer_new(loop_base(main_loop), time_is_over, NULL);
	event_add(limit_event, &limit);
	cr_assert_eq(loop_run(main_loop), 0);
	event_free(limit_event);
}

static void hold(void *arg)
{
	sem_wait(&held);
}

Test(daemon_watchdog, all_answer)
{
	struct watchdog *w;

	cr_assert_eq(watchdog_new(&w, main_loop, PERIOD_US, &ops, NULL), 0);
	run_until_alive(3);
	cr_assert_null(watchdog_free(w));
	cr_assert_null(watchdog_free(NULL));
}

Test(daemon_watchdog, asked_at_once)
{
	struct watchdog *w;

	cr_assert_eq(watchdog_new(&w, main_loop, 3600ULL * 1000000, &ops, NULL), 0);
	watchdog_ask(w);
	watchdog_ask(w); /* answers are missing: nothing more is asked */
	run_until_alive(1);
	cr_assert_eq(n_alive, 1);
	watchdog_ask(w);
	run_until_alive(1);
	cr_assert_eq(n_alive, 2);
	watchdog_free(w);
}

Test(daemon_watchdog, without_workers)
{
	struct watchdog *w;

	n_workers = 0;
	cr_assert_eq(watchdog_new(&w, main_loop, PERIOD_US, &ops, NULL), 0);
	run_until_alive(2);
	watchdog_free(w);
}

Test(daemon_watchdog, a_stuck_worker)
{
	struct loop_post stuck = { .fn = hold };
	struct watchdog *w;
	unsigned int before;

	cr_assert_eq(watchdog_new(&w, main_loop, PERIOD_US, &ops, NULL), 0);
	run_until_alive(1);
	loop_post(worker_loop[1], &stuck);
	before = n_alive;
	run_ticks(MANY_TICKS);
	cr_assert_eq(n_alive, before, "fed while a worker was stuck");
	sem_post(&held);
	run_until_alive(2);
	watchdog_free(w);
}

Test(daemon_watchdog, a_stuck_vhost_thread)
{
	struct watchdog *w;

	cr_assert_eq(watchdog_new(&w, main_loop, PERIOD_US, &ops, NULL), 0);
	vhost_stuck = PERIOD_US / 2000 - 1; /* it may take half a period */
	run_until_alive(2);
	vhost_stuck++;
	run_ticks(MANY_TICKS);
	cr_assert_eq(n_alive, 2, "fed while the vhost thread was stuck");
	vhost_stuck = 0;
	run_until_alive(2);
	watchdog_free(w);
}

Test(daemon_watchdog, a_worker_that_comes_later)
{
	struct loop_post stuck = { .fn = hold };
	struct watchdog *w;
	unsigned int before;

	cr_assert_eq(watchdog_new(&w, main_loop, PERIOD_US, &ops, NULL), 0);
	run_until_alive(1);
	loop_post(worker_loop[2], &stuck);
	run_until_alive(1); /* it is not watched yet */
	n_workers = 3;
	before = n_alive;
	run_ticks(MANY_TICKS);
	cr_assert_eq(n_alive, before, "the new worker is not watched");
	sem_post(&held);
	run_until_alive(1);
	watchdog_free(w);
}

Test(daemon_watchdog, freed_while_a_thread_has_not_answered)
{
	struct loop_post stuck = { .fn = hold };
	struct watchdog *w;

	loop_post(worker_loop[1], &stuck);
	cr_assert_eq(watchdog_new(&w, main_loop, PERIOD_US, &ops, NULL), 0);
	run_ticks(2);
	sem_post(&held);
	watchdog_free(w); /* waits for the worker */
	run_ticks(1);
	cr_assert_eq(n_alive, 0);
}
