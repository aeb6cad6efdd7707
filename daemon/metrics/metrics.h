/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics.h - what the daemon, its guests and its channels have done, as text for monitoring
 *
 * The text is made from the snapshots that `guest.list` and `channel.list` use: a worker is held up only
 * for as long as it takes to copy some counters.
 */
#ifndef OKL4FSD_METRICS_METRICS_H
#define OKL4FSD_METRICS_METRICS_H

#include "metrics/format.h"
#include "server/server.h"

struct evbuffer;

struct metrics;

/**
 * metrics_new() - take a snapshot of everything, to write it piece by piece
 * @metrics: out
 * @server: has the guests; borrowed until metrics_free()
 * @format: how
 *
 * Main thread. What is written later is what the snapshot has, even if guests have gone since.
 *
 * Return: 0 or -ENOMEM.
 */
int metrics_new(struct metrics **metrics, struct server *server, enum metrics_format format);

/**
 * metrics_next() - write the next metric, with the samples of all guests or channels
 * @metrics: metrics
 * @out: where the text is appended
 *
 * Return: 1: more follow; 0: that was the last; -ENOMEM: not all of it was written.
 */
int metrics_next(struct metrics *metrics, struct evbuffer *out);

/** metrics_free() - free the snapshot; NULL is allowed; Return: NULL */
struct metrics *metrics_free(struct metrics *metrics);

/**
 * metrics_write() - write all metrics at once
 * @server: has the guests
 * @format: how
 * @out: where the text is appended
 *
 * Main thread. Return: 0, or -ENOMEM when not all was written.
 */
int metrics_write(struct server *server, enum metrics_format format, struct evbuffer *out);

#endif
