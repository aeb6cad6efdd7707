/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opening.h - sessions that are being opened
 *
 * open(2) of a channel with sessions waits for the other side, and connect(2) waits for a server. A
 * thread does both for one session and ends. What it has found comes through a pipe into the event
 * loop, so all other code runs in one thread.
 */
#ifndef OKL4FS_SERVE_OPENING_H
#define OKL4FS_SERVE_OPENING_H

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "serve/place.h"

/**
 * struct opening - one of them
 * @path: node of the channel
 * @to: where to connect once the session is open, or NULL
 * @session: descriptor of the session, or -1; the loop takes it
 * @other: descriptor that belongs to it: given to opening_start(), or the connection to @to
 * @open_error: errno of open(2), or 0. ENOTTY: the channel has no sessions
 * @connect_error: errno of the connection to @to, or 0
 * @is_open: the session is open; only the loop's thread uses it
 */
struct opening {
	const char *path;
	const struct place *to;
	int session, other;
	int open_error, connect_error;
	bool is_open;
	pthread_t thread;
	LIST_ENTRY(opening) next;
};

/**
 * struct opening_ops - what the loop is told
 * @opened: the session is open, and its connection is still being made
 * @ended: all is done, or has failed. Descriptors that are left in @o are closed afterwards
 */
struct opening_ops {
	void (*opened)(struct opening *o);
	void (*ended)(struct opening *o);
};

/** opening_setup() - @ops is kept; Return: 0 or -errno */
int opening_setup(struct event_base *base, const struct opening_ops *ops);

/**
 * opening_start() - open a session
 * @path: node of the channel; kept
 * @to: see struct opening; kept
 * @other: a descriptor that belongs to it, or -1; taken in any case
 *
 * Return: 0 or -errno.
 */
int opening_start(const char *path, const struct place *to, int other);

/** opening_stop() - from now on nothing waits for the other side: what waits ends with EINTR */
void opening_stop(void);

#endif
