/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * way_counters.h - the counters of a direction of a channel, which count while streams run
 *
 * Everything that shows them is made from this list: `channel.list`, the metrics, and the rates of
 * okl4fsctl(1). What counts is a member of the same name in struct channel_way_stats.
 */
#ifndef OKL4FSD_UTIL_WAY_COUNTERS_H
#define OKL4FSD_UTIL_WAY_COUNTERS_H

/**
 * WAY_COUNTERS() - all of them
 * @X: called with the counter's name in enumerators, its name as in JSON, the unit of its metric or NULL,
 *	and its help text, a sentence without its full stop
 */
#define WAY_COUNTERS(X)                                                                     \
	X(BYTES, bytes, "bytes", "Bytes that the host has moved")                           \
	X(MESSAGES, messages, NULL, "Pieces, of any size, that the host has moved")         \
	X(WAKES_SENT, wakes_sent, NULL, "Times the host has woken the guest")               \
	X(WAKES_RECEIVED, wakes_received, NULL, "Times the guest has woken the host")       \
	X(FULL_STALLS, full_stalls, NULL, "Times the host slept because the ring was full") \
	X(EMPTY_STALLS, empty_stalls, NULL, "Times the host slept because the ring was empty")

#endif
