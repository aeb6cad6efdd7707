/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pace.h - how fast a peer is served
 *
 * A token bucket that may be overdrawn: what has come is paid for at once, and then the peer rests
 * until it has paid. So nothing that has come waits half done, and a peer that floods is served at
 * the rate, not dropped.
 */
#ifndef OKL4FSD_UTIL_PACE_H
#define OKL4FSD_UTIL_PACE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct pace - what a peer has spent; all zero: nothing
 * @per_s: tokens per second
 * @burst: how many at once after a quiet time
 * @spent_us: what is not paid yet, in microseconds of the rate
 * @last_us: time of the last call
 * @rested: it had to rest since it last had nothing to pay
 */
struct pace {
	unsigned int per_s, burst;
	uint64_t spent_us, last_us;
	bool rested;
};

/** PACE_REST_MS - the shortest rest: a timer that runs out more often costs more than it saves */
#define PACE_REST_MS 20

/**
 * pace_spend() - a peer has cost something
 * @pace: the peer
 * @tokens: how much
 * @now_us: a monotonic clock
 * @first: out: it has to rest for the first time since it last had nothing to pay
 *
 * Return: for how many milliseconds it has to rest; 0: not at all.
 */
unsigned int pace_spend(struct pace *pace, unsigned int tokens, uint64_t now_us, bool *first);

#endif
