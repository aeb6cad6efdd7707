/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subscribers.h - clients that want events (private to control)
 *
 * Each event becomes a line, a JSON-RPC notification `event`, for every client whose filter lets it
 * through. What a client has not taken is bounded. Events that do not fit are counted; when the client
 * has taken everything, it is told how many it has missed (`lost`), and gets those that follow.
 */
#ifndef OKL4FSD_CONTROL_SUBSCRIBERS_H
#define OKL4FSD_CONTROL_SUBSCRIBERS_H

#include <sys/queue.h>

#include "loop/events.h"
#include "control/field.h"

#define CONTROL_MAX_SUBSCRIBERS       32 /* of 64 clients, so that others find room */
#define CONTROL_SUBSCRIBER_MAX_QUEUED (256UL << 10)

struct bufferevent;
struct evbuffer;
struct json_object;
struct control_request;

/**
 * struct control_subscriber - which events a client wants
 * @bev: its connection; borrowed
 * @queue: lines that wait until the answer that is being sent is complete; owned by the client
 * @held: lines go to @queue
 * @on: it wants events
 * @guest: only those of this guest; "": of all guests
 * @kinds: only those of these kinds, one bit per kind
 * @lost: events that did not fit, and that the client has not been told of
 * @entry: in the list of all
 */
struct control_subscriber {
	struct bufferevent *bev;
	struct evbuffer *queue;
	bool held, on;
	char guest[OKL4FS_NAME_MAX + 1];
	uint32_t kinds;
	uint64_t lost;
	LIST_ENTRY(control_subscriber) entry;
};

/** control_subscribers_open() - take events from now on, and keep the last ones; after events_open() */
void control_subscribers_open(void);

/** control_subscribers_close() - no longer take them */
void control_subscribers_close(void);

/** control_subscriber_off() - the client no longer wants events; no-op if it wants none */
void control_subscriber_off(struct control_subscriber *sub);

/** control_subscriber_hold() - an answer is being sent in pieces: events wait until it is complete */
void control_subscriber_hold(struct control_subscriber *sub);

/** control_subscriber_release() - the answer is complete: events follow it */
void control_subscriber_release(struct control_subscriber *sub);

/** control_subscriber_written() - the client has taken everything: tell it how many events it has missed */
void control_subscriber_written(struct control_subscriber *sub);

/* `events.subscribe` */
int control_subscribe(struct control_request *req, struct json_object **result);
extern const struct control_field control_subscribe_params[];

#endif
