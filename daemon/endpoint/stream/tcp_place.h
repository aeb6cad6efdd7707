/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_place.h - the sockets where the clients of a tcp-listen endpoint come
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_TCP_PLACE_H
#define OKL4FSD_ENDPOINT_STREAM_TCP_PLACE_H

#include "endpoint/stream/resolver.h"
#include "endpoint/endpoint.h"
#include "loop/listener.h"

#define TCP_PLACE_MAX_ADDRESSES 8U

/**
 * struct tcp_place - the listening sockets
 * @ch: the channel, for log lines and its loop
 * @target: what is configured; borrowed
 * @error: (the owner's) what went wrong last: ENDPOINT_ERROR_BYTES
 * @has_tls: other addresses than loopback are allowed
 * @address: @target, read
 * @resolver: looks the host up
 * @listener: where clients come
 * @n_listeners: how many
 * @listen_error: why there is none, -errno
 * @retry_ev: begins to listen, if that failed
 * @is_paused: no client is accepted now
 * @come: called for each client, as in struct listener
 * @arg: its argument
 */
struct tcp_place {
	struct channel *ch;
	const char *target;
	char *error;
	bool has_tls;
	struct address address;
	struct resolver resolver;
	struct listener listener[TCP_PLACE_MAX_ADDRESSES];
	unsigned int n_listeners;
	int listen_error;
	struct event *retry_ev;
	bool is_paused;
	void (*come)(void *arg, int fd);
	void *arg;
};

/**
 * tcp_place_listen() - begin to listen
 * @place: the place, with @ch, @target, @error, @has_tls, @come and @arg filled in
 *
 * If a name has several addresses (localhost), that is on all of them. If it cannot be found, or an
 * address is in use, it is tried again every few seconds; with a numeric address that is an error.
 *
 * Return: 0 or -errno, with a log line.
 */
int tcp_place_listen(struct tcp_place *place);

/** tcp_place_pause() - accept no client (@yes), or accept them again */
void tcp_place_pause(struct tcp_place *place, bool yes);

/** tcp_place_leave() - close all sockets, and try no longer; tcp_place_deinit() follows */
void tcp_place_leave(struct tcp_place *place);

/** tcp_place_deinit() - leave, and free what it has; one that is all zero is allowed */
void tcp_place_deinit(struct tcp_place *place);

#endif
