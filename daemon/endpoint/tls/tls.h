/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tls.h - an endpoint's credentials, and its encrypted connections
 *
 * The files of this folder, from low to high; each one uses only those before it:
 *
 *	state  the structures
 *	why    why a connection failed, in sentences
 *	pump   moving the bytes of a connection
 *	link   a connection: its beginning, its end
 *	tls    files and contexts
 */
#ifndef OKL4FSD_ENDPOINT_TLS_TLS_H
#define OKL4FSD_ENDPOINT_TLS_TLS_H

#include "endpoint/tls/link.h"

/**
 * tls_new() - an endpoint's credentials, and its links
 * @tls: out
 * @ch: the channel
 * @cfg: file names and the peer's name; borrowed
 * @peer_name: what the peer's certificate must be for; NULL: anything. Borrowed
 * @server: the peer connects
 * @ops: what follows; see there
 * @arg: their argument
 *
 * The files are not read here.
 *
 * Return: 0 or -ENOMEM.
 */
int tls_new(struct tls **tls, struct channel *ch, const struct endpoint_config *cfg,
	    const char *peer_name, bool server, const struct tls_ops *ops, void *arg);

/**
 * tls_share() - the same credentials for one connection that is to live on its own
 * @tls: out
 * @from: credentials; tls_check() has just been called
 * @ch: the channel
 * @ops: as tls_new()
 * @arg: likewise
 *
 * Return: 0 or -ENOMEM.
 */
int tls_share(struct tls **tls, const struct tls *from, struct channel *ch,
	      const struct tls_ops *ops, void *arg);

/** tls_move() - its connection is another channel's from here on */
void tls_move(struct tls *tls, struct channel *ch, const struct tls_ops *ops, void *arg);

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

/** tls_n_links() - how many links there are, in whatever state */
unsigned int tls_n_links(const struct tls *tls);

/** tls_tear() - reset the connection behind @fd, a stream's that is open, without a close_notify */
void tls_tear(struct tls *tls, int fd);

#endif
