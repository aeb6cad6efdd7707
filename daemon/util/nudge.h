/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nudge.h - cut short the sleeps of a library that this thread has to call
 */
#ifndef OKL4FSD_UTIL_NUDGE_H
#define OKL4FSD_UTIL_NUDGE_H

#include <signal.h>
#include <time.h>

/**
 * struct nudge - what is put back afterwards
 * @timer: sends SIGALRM to this thread
 * @action: of SIGALRM
 * @mask: of this thread
 * @on: it is running
 */
struct nudge {
	timer_t timer;
	struct sigaction action;
	sigset_t mask;
	int on;
};

/**
 * nudge_begin() - from here on, a nanosleep(2) of this thread ends after @ms at the latest
 * @n: for nudge_end()
 * @ms: milliseconds
 *
 * Other calls are restarted by the kernel. Without a timer, nothing happens.
 */
void nudge_begin(struct nudge *n, unsigned int ms);

/** nudge_end() - no longer; on the same thread */
void nudge_end(struct nudge *n);

#endif
