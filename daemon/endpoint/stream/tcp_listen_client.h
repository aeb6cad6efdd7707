/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_listen_client.h - the clients of an endpoint tcp-listen
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_TCP_LISTEN_CLIENT_H
#define OKL4FSD_ENDPOINT_STREAM_TCP_LISTEN_CLIENT_H

#include "endpoint/endpoint.h"
#include "endpoint/stream/stream.h"
#include "endpoint/stream/tcp_place.h"
#include "endpoint/tls/tls.h"

/**
 * struct tcp_listen - endpoint
 * @ep: common part
 * @place: where clients come
 * @tls: credentials and encrypted connections; NULL: none
 * @client: the one that is there
 * @clients: as in struct endpoint_info, and so on
 */
struct tcp_listen {
	struct endpoint ep;
	struct tcp_place place;
	struct tls *tls;
	struct stream client;
	uint64_t clients, refused, handshakes_failed, torn;
	char error[ENDPOINT_ERROR_BYTES];
};

/** tcp_listen_complain() - log that something is wrong with the connection of @peer; @why: a sentence */
void tcp_listen_complain(struct tcp_listen *tl, const char *peer, const char *why);

/** tcp_listen_client_ended() - the client has left; @arg: endpoint */
void tcp_listen_client_ended(void *arg);

/** tcp_listen_come() - a client connects; @arg: endpoint; @fd: the connection, owned from here on */
void tcp_listen_come(void *arg, int fd);

/* What follows a handshake; the argument is the endpoint */
extern const struct tls_ops tcp_listen_tls_ops;

#endif
