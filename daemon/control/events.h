/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * events.h - clients that want to be told what happens (private to rpc)
 *
 * Each event becomes a line, a JSON-RPC notification `event`, for every client whose filter lets it
 * through. What a client has not taken is bounded: what does not fit is counted, and when the client
 * has taken all, it is told how many it missed (`lost`), and goes on from there.
 */
#ifndef OKL4FS_RPC_EVENTS_H
#define OKL4FS_RPC_EVENTS_H

#include <sys/queue.h>

#include "loop/events.h"
#include "control/field.h"

#define RPC_MAX_SUBSCRIBERS       32 /* of 64 clients, so that others find room */
#define RPC_SUBSCRIBER_MAX_QUEUED (256UL << 10)

struct bufferevent;
struct evbuffer;
struct json_object;
struct rpc_request;

/**
 * struct rpc_subscriber - what a client wants to be told
 * @bev: its connection; borrowed
 * @queue: lines that wait until the answer that is being told is whole; the client's
 * @held: they wait
 * @on: it wants events
 * @guest: of this guest only; "" for all
 * @kinds: of these only, a bit each
 * @lost: events that there was no room for, and that it was not yet told of
 * @entry: in the list of all
 */
struct rpc_subscriber {
	struct bufferevent *bev;
	struct evbuffer *queue;
	bool held, on;
	char guest[OKL4FS_NAME_MAX + 1];
	uint32_t kinds;
	uint64_t lost;
	LIST_ENTRY(rpc_subscriber) entry;
};

/** rpc_subscriber_off() - it wants no events any more; no-op when it wants none */
void rpc_subscriber_off(struct rpc_subscriber *sub);

/** rpc_subscriber_hold() - an answer is being told, in pieces: events wait until it is whole */
void rpc_subscriber_hold(struct rpc_subscriber *sub);

/** rpc_subscriber_release() - the answer is whole: events follow it */
void rpc_subscriber_release(struct rpc_subscriber *sub);

/** rpc_subscriber_written() - it has taken all there was: it can be told what it missed */
void rpc_subscriber_written(struct rpc_subscriber *sub);

/* `events.subscribe` */
int rpc_events_subscribe(struct rpc_request *req, struct json_object **result);
extern const struct rpc_field rpc_events_subscribe_params[], rpc_events_subscribe_result[];

/** rpc_events_describe() - for `rpc.discover`: the notification, and all kinds; Return: a new object */
struct json_object *rpc_events_describe(void);

#endif
