/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.h - the numbers of guests and channels, in tables
 *
 * `guest.list`, `channel.list` and the metrics walk the same tables, so a number that is added here is in
 * both.
 */
#ifndef OKL4FSD_METRICS_COUNTERS_H
#define OKL4FSD_METRICS_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "metrics/text.h"

/** enum counter_type - how a number lies in a snapshot */
enum counter_type { COUNTER_U64, COUNTER_U32, COUNTER_BOOL };

/** enum counter_of - for which endpoints `channel.list` shows a number; metrics show it for all */
enum counter_of { COUNTER_OF_ANY, COUNTER_OF_LISTEN, COUNTER_OF_CONNECT, COUNTER_OF_TLS };

/**
 * struct counter - a number of a snapshot
 * @name: its name in JSON; NULL: JSON shows it in another way
 * @metric: its metric; no name: it has none
 * @at: where in the snapshot it lies; of a number that each direction has: to the host, to the guest
 * @type: how it lies there
 * @of: for which endpoints JSON shows it
 */
struct counter {
	const char *name;
	struct metric metric;
	size_t at[2];
	enum counter_type type;
	enum counter_of of;
};

/** guest_counters - of a struct guest_snapshot; this table and the others end with counter_is_end() */
extern const struct counter guest_counters[];

/** channel_counters - of a struct channel_snapshot */
extern const struct counter channel_counters[];

/** endpoint_counters - of a struct channel_snapshot, about the host's end */
extern const struct counter endpoint_counters[];

/** session_counters - of a struct channel_snapshot of a channel that has sessions */
extern const struct counter session_counters[];

/** way_counters - of a struct channel_snapshot, for each direction */
extern const struct counter way_counters[];

/** counter_is_end() - whether a table ends here */
bool counter_is_end(const struct counter *c);

/** counter_read() - the number in a snapshot; @way: 0: to the host, or no direction; 1: to the guest */
uint64_t counter_read(const struct counter *c, const void *snap, int way);

/** counter_fits() - whether `channel.list` shows the number for an endpoint */
bool counter_fits(const struct counter *c, const struct endpoint_config *cfg);

#endif
