/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * events.h - clients that want to be told what happens (private to control)
 *
 * Each event becomes a line, a JSON-RPC notification `event`, for every client whose filter lets it
 * through. What a client has not taken is bounded: what does not fit is counted, and when the client
 * has taken all, it is told how many it missed (`lost`), and goes on from there.
 */
#ifndef OKL4FSD_CONTROL_EVENTS_H
#define OKL4FSD_CONTROL_EVENTS_H

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
 * struct control_subscriber - what a client wants to be told
 * @bev: its connection; borrowed
 * @queue: lines that wait until the answer that is being told is whole; the client's
 * @held: they wait
 * @on: it wants events
 * @guest: of this guest only; "" for all
 * @kinds: of these only, a bit each
 * @lost: events that there was no room for, and that it was not yet told of
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

/** control_subscriber_off() - it wants no events any more; no-op when it wants none */
void control_subscriber_off(struct control_subscriber *sub);

/** control_subscriber_hold() - an answer is being told, in pieces: events wait until it is whole */
void control_subscriber_hold(struct control_subscriber *sub);

/** control_subscriber_release() - the answer is whole: events follow it */
void control_subscriber_release(struct control_subscriber *sub);

/** control_subscriber_written() - it has taken all there was: it can be told what it missed */
void control_subscriber_written(struct control_subscriber *sub);

/* `events.subscribe` */
int control_subscribe(struct control_request *req, struct json_object **result);
extern const struct control_field control_subscribe_params[];

#endif
