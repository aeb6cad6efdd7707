/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_attempt.h - one attempt to connect: a host's addresses one after the other, and the TLS handshake
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_TCP_ATTEMPT_H
#define OKL4FSD_ENDPOINT_STREAM_TCP_ATTEMPT_H

#include "endpoint/tls/tls.h"

/**
 * struct tcp_addresses - what a look-up has found, for all attempts that want it
 * @n_refs: holders
 * @list: the addresses
 */
struct tcp_addresses {
	unsigned int n_refs;
	struct addrinfo *list;
};

/** tcp_addresses_new() - held by the caller; @list: owned from here on in every case; Return: NULL: no memory */
struct tcp_addresses *tcp_addresses_new(struct addrinfo *list);

/** tcp_addresses_let_go() - NULL is allowed; Return: NULL */
struct tcp_addresses *tcp_addresses_let_go(struct tcp_addresses *addresses);

/**
 * struct tcp_attempt - an attempt; the first fields are set by the owner
 * @ch: the channel
 * @target: what is configured; borrowed
 * @tls: credentials that were just checked; NULL: none. Its owner hands on what becomes of links
 * @connected: called with the connection, which is the callee's
 * @failed: called when no address is left; @why says why the last one did not work
 * @arg: their argument
 * @addresses: while they are tried
 * @at: the one that is tried
 * @fd: a socket that connects; -1: none
 * @ev: tells when it has, or has taken too long
 * @link: a handshake; NULL: none
 * @timed_out: the last address did not answer in time
 * @why: why the last address did not work
 */
struct tcp_attempt {
	struct channel *ch;
	const char *target;
	struct tls *tls;
	void (*connected)(void *arg, int fd);
	void (*failed)(void *arg);
	void *arg;
	struct tcp_addresses *addresses;
	const struct addrinfo *at;
	int fd;
	struct event *ev;
	struct tls_link *link;
	bool timed_out;
	char why[ENDPOINT_ERROR_BYTES];
};

/** tcp_attempt_start() - @addresses: one more holder; callbacks may be called before this returns */
void tcp_attempt_start(struct tcp_attempt *a, struct tcp_addresses *addresses);

/** tcp_attempt_end() - nothing of it is left; no callback is called */
void tcp_attempt_end(struct tcp_attempt *a);

/** tcp_attempt_link_opened() - the handshake was made; @fd: as in struct tls_ops */
void tcp_attempt_link_opened(struct tcp_attempt *a, int fd);

/** tcp_attempt_link_failed() - it was not, and the link is gone soon */
void tcp_attempt_link_failed(struct tcp_attempt *a, const char *why);

#endif
