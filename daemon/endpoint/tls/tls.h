/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tls.h - who we are and whom we trust, and connections that are encrypted
 *
 * A connection (struct tls_link) stands between a TCP socket and one end of a unix socketpair; the
 * other end is what the channel's stream works with, as if it was a client's. tls_link.c says why.
 */
#ifndef OKL4FSD_ENDPOINT_TLS_TLS_H
#define OKL4FSD_ENDPOINT_TLS_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream/tcp.h"

struct tls;
struct tls_link;

/* A handshake may take so long; and a peer so long to take the next piece of what is left to be sent
 * when the channel has closed */
#define TLS_HANDSHAKE_MS 10000U
#define TLS_LINGER_MS    10000U
/* A server that accepts our certificate need not say so: then it is taken for granted after this */
#define TLS_CONFIRM_MS 1000U

/**
 * struct tls_ops - what becomes of links
 * @opened: both ends trust one another; @fd: non-blocking stream socket, the callee's
 * @failed: they do not, or not in time; @why: a sentence without its dot. The link is gone afterwards
 * @torn: it was open and has ended without saying so; @why: likewise. It is gone afterwards, as it is
 *	after an end that was said, which nobody is told of: the stream sees that
 */
struct tls_ops {
	void (*opened)(void *arg, struct tls_link *link, int fd);
	void (*failed)(void *arg, struct tls_link *link, const char *why);
	void (*torn)(void *arg, struct tls_link *link, const char *why);
};

/**
 * tls_new() - an endpoint's credentials, and its links
 * @tls: out
 * @ch: the channel
 * @cfg: file names and the peer's name; borrowed
 * @peer_name: what the peer's certificate must be for; NULL: anything. Borrowed
 * @server: the peer connects
 * @ops: see there
 * @arg: their argument
 *
 * The files are not read here.
 *
 * Return: 0 or -ENOMEM.
 */
int tls_new(struct tls **tls, struct channel *ch, const struct endpoint_config *cfg,
	    const char *peer_name, bool server, const struct tls_ops *ops, void *arg);

/** tls_free() - with all links; NULL is allowed; Return: NULL */
struct tls *tls_free(struct tls *tls);

/**
 * tls_check() - read the files, if they are not the same as before
 * @tls: credentials
 * @why: out: what is wrong with them, as a sentence without its dot
 *
 * Return: 0 or -EINVAL.
 */
int tls_check(struct tls *tls, char why[ENDPOINT_ERROR_BYTES]);

/** tls_n_links() - links that there are, in whatever state */
unsigned int tls_n_links(const struct tls *tls);

/** tls_tear() - reset the connection behind @fd, a stream's that is open, without a close_notify */
void tls_tear(struct tls *tls, int fd);

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

#endif
