/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics.h - what the daemon, its guests and its channels have done, as text for monitoring
 *
 * Built from the snapshots that `guest.list` and `channel.list` are built from: a worker is held up
 * for as long as it takes to copy some counters.
 */
#ifndef OKL4FSD_METRICS_METRICS_H
#define OKL4FSD_METRICS_METRICS_H

#include "metrics/format.h"
#include "server/server.h"

struct evbuffer;

struct metrics;

/**
 * metrics_new() - look at everything, to write it piece by piece
 * @metrics: out
 * @server: of what; borrowed until metrics_free()
 * @format: how
 *
 * Main thread. What is written later is what was seen here, whatever has gone since.
 *
 * Return: 0 or -ENOMEM.
 */
int metrics_new(struct metrics **metrics, struct server *server, enum metrics_format format);

/**
 * metrics_next() - write the next metric, with the samples of all guests or channels
 * @metrics: what was seen
 * @out: where to
 *
 * Return: 1: more follow; 0: that was all; -ENOMEM: not all of it was written.
 */
int metrics_next(struct metrics *metrics, struct evbuffer *out);

/** metrics_free() - let it go; NULL is allowed; Return: NULL */
struct metrics *metrics_free(struct metrics *metrics);

/**
 * metrics_write() - write all metrics at once
 * @server: of what
 * @format: how
 * @out: where to
 *
 * Main thread. Return: 0, or -ENOMEM when not all was written.
 */
int metrics_write(struct server *server, enum metrics_format format, struct evbuffer *out);

#endif
