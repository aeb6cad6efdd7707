/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - an encrypted connection
 *
 * It stands between a TCP socket and one end of a unix socketpair; the other end is what the
 * channel's stream works with, as if it was a client's. link.c says why.
 */
#ifndef OKL4FSD_ENDPOINT_TLS_LINK_H
#define OKL4FSD_ENDPOINT_TLS_LINK_H

#include "endpoint/tls/state.h"

/* Limits of a handshake, and of the time in which the peer must take the next piece of what is left to
 * be sent when the channel has closed */
#define TLS_HANDSHAKE_MS 10000U
#define TLS_LINGER_MS    10000U
/* A server that accepts our certificate need not say so: after this time it is taken for granted */
#define TLS_CONFIRM_MS 1000U

/**
 * struct tls_ops - how links begin and end
 * @opened: both ends trust one another; @fd: non-blocking stream socket, the callee's
 * @failed: they do not, or not in time; @why: a sentence without its dot. The link is gone afterwards
 * @torn: it was open and has ended without a close_notify; @why: likewise. It is gone afterwards. A
 *	link that ends with a close_notify is gone then without a call: the stream sees that end
 */
struct tls_ops {
	void (*opened)(void *arg, struct tls_link *link, int fd);
	void (*failed)(void *arg, struct tls_link *link, const char *why);
	void (*torn)(void *arg, struct tls_link *link, const char *why);
};

/**
 * tls_link_new() - begin to encrypt a connection
 * @link: out
 * @tls: credentials; tls_check() has just been called
 * @fd: connected TCP socket; owned from here on in every case
 *
 * No callback is called before this returns.
 *
 * Return: 0 or -errno.
 */
int tls_link_new(struct tls_link **link, struct tls *tls, int fd);

/** tls_link_peer() - address of the other end */
const char *tls_link_peer(const struct tls_link *link);

/** tls_link_free() - drop the connection; no callback is called */
void tls_link_free(struct tls_link *link);

/** tls_link_note_loss() - what the stream has written and the peer has not got is lost; @why: why */
void tls_link_note_loss(const struct tls_link *link, const char *why);

#endif
