/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - the structures of the files in this folder
 */
#ifndef OKL4FSD_ENDPOINT_TLS_STATE_H
#define OKL4FSD_ENDPOINT_TLS_STATE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream/tcp.h"

struct tls_ops;

#define TLS_N_FILES 3 /* certificate, key, CA */

/**
 * struct tls - an endpoint's credentials
 * @ch: the channel
 * @cfg: file names; borrowed
 * @peer_name: as tls_new()
 * @server: likewise
 * @ops: likewise
 * @arg: likewise
 * @ctx: made of the files as they were; NULL: they could not be used
 * @stat: what stat(2) said of them then
 * @why: what was wrong with them; empty: nothing
 * @links: all connections, the latest first
 */
struct tls {
	struct channel *ch;
	const struct endpoint_config *cfg;
	const char *peer_name;
	bool server;
	const struct tls_ops *ops;
	void *arg;
	SSL_CTX *ctx;
	struct stat stat[TLS_N_FILES];
	char why[ENDPOINT_ERROR_BYTES];
	LIST_HEAD(, tls_link) links;
};

/** enum tls_state - of a link */
enum tls_state {
	TLS_HANDSHAKE,
	TLS_CONFIRM, /* (client) done on our side; does the server accept our certificate? */
	TLS_OPEN,
	TLS_LINGER, /* the stream has closed; what it wrote goes out, what comes in is dropped */
};

#define TLS_PIECE_BYTES 16384U /* of a record (RFC 8446, section 5.1) */

/**
 * struct tls_piece - bytes on their way
 * @data: the bytes
 * @from: the first that is left
 * @to: behind the last
 */
struct tls_piece {
	size_t from, to;
	unsigned char data[TLS_PIECE_BYTES];
};

/**
 * struct tls_link - a connection
 * @tls: credentials, and the list that it is in
 * @next: in the list
 * @state: state
 * @ssl: OpenSSL's part of it
 * @fd: TCP
 * @pair: our end of the socketpair
 * @stream_fd: the other end; -1 when it was handed over
 * @given_fd: what @stream_fd was when it was handed over
 * @hup_fd: epoll set that tells when one of the two has hung up
 * @fd_read: the peer has written
 * @fd_write: the peer takes more
 * @pair_read: the stream has written
 * @pair_write: the stream takes more
 * @hup: one of them has hung up
 * @timer: limit of the handshake, or of lingering
 * @watch: look whether the peer's machine still answers; runs while something is to be sent
 * @again: go on after others had their turn
 * @in: from the peer to the stream
 * @out: from the stream to the peer
 * @in_ended: the peer has ended its direction (close_notify)
 * @in_done: and that was passed on, or the stream takes nothing
 * @out_ended: the stream has ended its direction
 * @out_done: and that was passed on, or the peer no longer takes anything
 * @confirmed: (client) the server has accepted our certificate
 * @sent: the peer has taken bytes in this turn of the pump
 * @peer: address of the other end
 * @why: what is wrong with the peer's certificate; empty: nothing
 */
struct tls_link {
	struct tls *tls;
	LIST_ENTRY(tls_link) next;
	enum tls_state state;
	SSL *ssl;
	int fd, pair, stream_fd, given_fd, hup_fd;
	struct event *fd_read, *fd_write, *pair_read, *pair_write, *hup, *timer, *watch;
	struct loop_task again;
	struct tls_piece in, out;
	bool in_ended, in_done, out_ended, out_done, confirmed, sent;
	char peer[TCP_NAME_BYTES];
	char why[ENDPOINT_ERROR_BYTES];
};

#endif
