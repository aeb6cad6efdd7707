// SPDX-License-Identifier: BSD-3-Clause
/*
 * pump.c - moving bytes over an encrypted connection, both ways
 *
 * Each direction holds one piece. While it cannot be passed on, no other one is taken, so a peer or a
 * guest that takes nothing stops the other one, and no memory is used up. link.c says how a connection
 * begins, and what its ends mean.
 */
#include "endpoint/tls/pump.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "endpoint/tls/why.h"

#define PIECES_PER_TURN 16

int tls_pump_wait(struct tls_link *l, int r)
{
	int code = SSL_get_error(l->ssl, r);

	if (code == SSL_ERROR_WANT_READ)
		event_add(l->fd_read, NULL);
	else if (code == SSL_ERROR_WANT_WRITE)
		event_add(l->fd_write, NULL);
	else
		return code;
	return 0;
}

/* The piece is empty. Have one, or the peer's end */
static enum tls_verdict take_from_peer(struct tls_link *l)
{
	int code;

	if (l->in_ended) {
		shutdown(l->pair, SHUT_WR);
		l->in_done = true;
		return TLS_GOES_ON;
	}
	ERR_clear_error();
	errno = 0;
	l->in.from = 0;
	if (SSL_read_ex(l->ssl, l->in.data, sizeof(l->in.data), &l->in.to) == 1)
		return TLS_GOES_ON;
	l->in.to = 0;
	code = tls_pump_wait(l, 0);
	if (code == SSL_ERROR_ZERO_RETURN)
		l->in_ended = true;
	else if (code)
		tls_why_error(l->tls, code, errno, l->why);
	return !code ? TLS_WAITS : l->in_ended ? TLS_GOES_ON : TLS_TORN;
}

static enum tls_verdict give_to_stream(struct tls_link *l)
{
	ssize_t n = send(l->pair, l->in.data + l->in.from, l->in.to - l->in.from, MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN) {
		event_add(l->pair_write, NULL);
		return TLS_WAITS;
	}
	if (n < 0 && errno != EINTR)
		n = (ssize_t)(l->in.to -
			      l->in.from); /* the stream has closed: the bytes are dropped */
	if (n > 0)
		l->in.from += (size_t)n;
	return TLS_GOES_ON;
}

static enum tls_verdict pump_in(struct tls_link *l)
{
	for (int i = 0; i < 2 * PIECES_PER_TURN; i++) {
		enum tls_verdict r;

		if (l->in_done)
			return TLS_WAITS;
		r = l->in.from == l->in.to ? take_from_peer(l) : give_to_stream(l);
		if (r != TLS_GOES_ON)
			return r;
	}
	return TLS_GOES_ON;
}

void tls_pump_end_out(struct tls_link *l)
{
	l->out_done = true;
	shutdown(l->pair, SHUT_RD);
}

/* The piece is empty. Have one, or pass on the stream's end */
static enum tls_verdict take_from_stream(struct tls_link *l)
{
	ssize_t n;
	int r;

	if (l->out_ended) {
		ERR_clear_error();
		r = SSL_shutdown(l->ssl);
		if (r < 0 && !tls_pump_wait(l, r))
			return TLS_WAITS;
		l->out_done = true;
		return TLS_GOES_ON;
	}
	n = recv(l->pair, l->out.data, sizeof(l->out.data), 0);
	if (n < 0 && errno == EAGAIN) {
		event_add(l->pair_read, NULL);
		return TLS_WAITS;
	}
	l->out.from = 0;
	l->out.to = n > 0 ? (size_t)n : 0;
	/* ECONNRESET: the stream has closed and did not take all that it was given */
	l->out_ended = !n || (n < 0 && errno != EINTR);
	return TLS_GOES_ON;
}

static enum tls_verdict give_to_peer(struct tls_link *l)
{
	size_t n;

	ERR_clear_error();
	if (SSL_write_ex(l->ssl, l->out.data + l->out.from, l->out.to - l->out.from, &n) == 1) {
		l->out.from += n;
		l->sent = true;
	} else if (!tls_pump_wait(l, 0)) {
		return TLS_WAITS;
	} else {
		tls_pump_end_out(
			l); /* what the peer wrote before, and its reason, may still be there */
	}
	return TLS_GOES_ON;
}

static enum tls_verdict pump_out(struct tls_link *l)
{
	for (int i = 0; i < 2 * PIECES_PER_TURN; i++) {
		enum tls_verdict r;

		if (l->out_done)
			return TLS_WAITS;
		r = l->out.from == l->out.to ? take_from_stream(l) : give_to_peer(l);
		if (r != TLS_GOES_ON)
			return r;
	}
	return TLS_GOES_ON;
}

/* A peer that has ended its direction may go away */
static void look_for_fin(struct tls_link *l)
{
	char c;
	ssize_t n = recv(l->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	if (!n || (n < 0 && errno != EAGAIN))
		tls_pump_end_out(l);
	else if (n < 0)
		event_add(l->fd_read, NULL);
}

enum tls_verdict tls_pump(struct tls_link *l)
{
	enum tls_verdict out, in;

	l->sent = false;
	out = pump_out(l);
	in = pump_in(l);
	if (in == TLS_TORN)
		return in;
	if (l->in_done && !l->out_done)
		look_for_fin(l);
	if (l->in_done && l->out_done)
		return TLS_OVER;
	return in == TLS_GOES_ON || out == TLS_GOES_ON ? TLS_GOES_ON : TLS_WAITS;
}
