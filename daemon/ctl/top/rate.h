/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rate.h - what happened between two looks at the daemon
 */
#ifndef OKL4FSD_CTL_TOP_RATE_H
#define OKL4FSD_CTL_TOP_RATE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/connection.h"
#include "util/way_counters.h"

struct json_object;

/**
 * struct look - the daemon at one moment
 * @status: result of `status`; owned
 * @channels: result of `channel.list`; owned
 * @at_us: when, by the monotonic clock
 */
struct look {
	struct json_object *status, *channels;
	unsigned long long at_us;
};

/**
 * look_take() - ask the daemon
 * @look: out; look_drop() it in any case
 * @c: connection
 * @guest: only this guest; NULL: all
 *
 * Return: ctl_exit, with the error in @c.
 */
enum ctl_exit look_take(struct look *look, struct connection *c, const char *guest);

/** look_drop() - free what a look owns */
void look_drop(struct look *look);

#define RATE_ENUMERATOR(upper, name, unit, help) RATE_##upper,
/** enum rate_counter - RATE_BYTES and so on: the counters of a direction (WAY_COUNTERS()) */
enum rate_counter { WAY_COUNTERS(RATE_ENUMERATOR) N_RATE_COUNTERS };
#undef RATE_ENUMERATOR

/** rate_counter_name() - what a counter is called in results; static memory */
const char *rate_counter_name(enum rate_counter counter);

/**
 * struct way_rates - one direction
 * @per_s: of each counter
 * @fill_bytes: bytes in the ring now
 */
struct way_rates {
	double per_s[N_RATE_COUNTERS];
	unsigned long long fill_bytes;
};

/**
 * struct rates - one channel
 * @guest: name of its guest; borrowed from the second look
 * @name: its own; likewise
 * @state: its state; likewise
 * @idx: its place in the daemon's list
 * @ring_bytes: size of each ring
 * @tail_bytes: bytes of a guest that has gone, still to be delivered
 * @lost_bytes: bytes that were lost
 * @max_sessions: how many sessions it may have; 0: it has none
 * @sessions: how many there are
 * @known: there are rates: the channel was there at the first look, and is the same
 * @to_host: fwd
 * @to_guest: bwd
 */
struct rates {
	const char *guest, *name, *state;
	size_t idx;
	unsigned long long ring_bytes, tail_bytes, lost_bytes, max_sessions, sessions;
	bool known;
	struct way_rates to_host, to_guest;
};

/** rates_same_daemon() - whether the process is the same at both looks */
bool rates_same_daemon(const struct look *before, const struct look *now);

/**
 * rates_between() - the channels of the second look, with what happened since the first
 * @before: first look; may be empty
 * @now: second look
 * @list: out: to be freed
 *
 * A counter that went back belongs to another channel of the same name, or to another daemon; then
 * there are no rates.
 *
 * Return: how many.
 */
size_t rates_between(const struct look *before, const struct look *now, struct rates **list);

#endif
