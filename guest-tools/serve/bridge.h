/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.h - bytes between a session and a socket, both ways
 *
 * Each direction ends by itself: an end of file goes on as a half-close, and when the receiver no
 * longer reads, the sender is told that, too. At most one piece for each direction is held here.
 */
#ifndef OKL4FS_SERVE_BRIDGE_H
#define OKL4FS_SERVE_BRIDGE_H

#include <event2/event.h>

struct bridge;

/**
 * bridge_new() - begin
 * @base: loop
 * @session: descriptor of a session; taken in any case
 * @other: a connected socket; taken in any case
 * @ended: both directions have ended; the bridge is gone. @error: 0, or the errno that ended it
 * @arg: for it
 *
 * Return: the bridge, or NULL without memory.
 */
struct bridge *bridge_new(struct event_base *base, int session, int other,
			  void (*ended)(void *arg, int error), void *arg);

/** bridge_free() - end it as if it had failed; @ended is not called; NULL is allowed */
void bridge_free(struct bridge *b);

#endif
