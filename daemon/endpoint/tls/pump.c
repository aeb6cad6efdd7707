// SPDX-License-Identifier: BSD-3-Clause
/*
 * pump.c - moving bytes over an encrypted connection, both ways
 *
 * Each direction holds one piece. While it cannot be passed on, nothing is taken, so a peer or a guest
 * that does not take stops the other one, and memory stays as it is. tls_link.c says how a connection
 * begins, and what its ends mean.
 */
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "endpoint/tls/private.h"

#define PIECES_A_TURN 16

/* What a pump says */
enum { PUMP_WAITS, PUMP_GOES_ON, PUMP_TORN };

/**
 * take_in() - have a piece of the peer's bytes, or its end
 * @l: open link whose piece is empty
 *
 * Return: PUMP_*.
 */
static int take_in(struct tls_link *l)
{
	int code;

	if (l->in_ended) {
		shutdown(l->pair, SHUT_WR);
		l->in_done = true;
		return PUMP_GOES_ON;
	}
	ERR_clear_error();
	errno = 0;
	l->in.from = 0;
	if (SSL_read_ex(l->ssl, l->in.data, sizeof(l->in.data), &l->in.to) == 1)
		return PUMP_GOES_ON;
	l->in.to = 0;
	code = tls_link_wait(l, 0);
	if (code == SSL_ERROR_ZERO_RETURN)
		l->in_ended = true;
	else if (code)
		tls_why_error(l->tls, code, errno, l->why);
	return !code ? PUMP_WAITS : l->in_ended ? PUMP_GOES_ON : PUMP_TORN;
}

/**
 * give_in() - give it to the stream
 * @l: open link whose piece is not empty
 *
 * Return: PUMP_*.
 */
static int give_in(struct tls_link *l)
{
	ssize_t n = send(l->pair, l->in.data + l->in.from, l->in.to - l->in.from, MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN) {
		event_add(l->pair_write, NULL);
		return PUMP_WAITS;
	}
	if (n < 0 && errno != EINTR)
		n = (ssize_t)(l->in.to - l->in.from); /* it has closed: nobody takes it */
	if (n > 0)
		l->in.from += (size_t)n;
	return PUMP_GOES_ON;
}

/**
 * pump_in() - a turn's share from the peer to the stream
 * @l: open link
 *
 * Return: PUMP_*.
 */
static int pump_in(struct tls_link *l)
{
	for (int i = 0; i < 2 * PIECES_A_TURN; i++) {
		int r;

		if (l->in_done)
			return PUMP_WAITS;
		r = l->in.from == l->in.to ? take_in(l) : give_in(l);
		if (r != PUMP_GOES_ON)
			return r;
	}
	return PUMP_GOES_ON;
}

void tls_pump_end_out(struct tls_link *l)
{
	l->out_done = true;
	shutdown(l->pair, SHUT_RD);
}

/**
 * take_out() - have a piece of the stream's bytes, or pass on its end
 * @l: open link whose piece is empty
 *
 * Return: PUMP_*.
 */
static int take_out(struct tls_link *l)
{
	ssize_t n;
	int r;

	if (l->out_ended) {
		ERR_clear_error();
		r = SSL_shutdown(l->ssl);
		if (r < 0 && !tls_link_wait(l, r))
			return PUMP_WAITS;
		l->out_done = true;
		return PUMP_GOES_ON;
	}
	n = recv(l->pair, l->out.data, sizeof(l->out.data), 0);
	if (n < 0 && errno == EAGAIN) {
		event_add(l->pair_read, NULL);
		return PUMP_WAITS;
	}
	l->out.from = 0;
	l->out.to = n > 0 ? (size_t)n : 0;
	/* ECONNRESET: it has closed and did not take all that it was given */
	l->out_ended = !n || (n < 0 && errno != EINTR);
	return PUMP_GOES_ON;
}

/**
 * give_out() - give it to the peer
 * @l: open link whose piece is not empty
 *
 * Return: PUMP_*.
 */
static int give_out(struct tls_link *l)
{
	size_t n;

	ERR_clear_error();
	if (SSL_write_ex(l->ssl, l->out.data + l->out.from, l->out.to - l->out.from, &n) == 1) {
		l->out.from += n;
		if (l->state == TLS_LINGER)
			tls_link_linger(l);
	} else if (!tls_link_wait(l, 0)) {
		return PUMP_WAITS;
	} else {
		tls_pump_end_out(l); /* what it wrote before may still be there, and its reason */
	}
	return PUMP_GOES_ON;
}

/**
 * pump_out() - a turn's share from the stream to the peer
 * @l: open link
 *
 * Return: PUMP_*.
 */
static int pump_out(struct tls_link *l)
{
	for (int i = 0; i < 2 * PIECES_A_TURN; i++) {
		int r;

		if (l->out_done)
			return PUMP_WAITS;
		r = l->out.from == l->out.to ? take_out(l) : give_out(l);
		if (r != PUMP_GOES_ON)
			return r;
	}
	return PUMP_GOES_ON;
}

/**
 * look_for_fin() - a peer that has ended its direction may go away
 * @l: open link whose direction in is over
 */
static void look_for_fin(struct tls_link *l)
{
	char c;
	ssize_t n = recv(l->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	if (!n || (n < 0 && errno != EAGAIN))
		tls_pump_end_out(l);
	else if (n < 0)
		event_add(l->fd_read, NULL);
}

void tls_pump(struct tls_link *l)
{
	int out = pump_out(l), in = pump_in(l);

	if (in == PUMP_TORN) {
		tls_link_fail(l);
		return;
	}
	if (l->in_done && !l->out_done)
		look_for_fin(l);
	if (l->in_done && l->out_done)
		tls_link_free(l);
	else if (in == PUMP_GOES_ON || out == PUMP_GOES_ON)
		loop_schedule(l->tls->ch->loop, &l->again);
}
