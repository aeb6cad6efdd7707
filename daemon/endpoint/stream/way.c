// SPDX-License-Identifier: BSD-3-Clause
/*
 * way.c - a connection's two directions, and what they are to the channel's ends
 *
 *	in	client to guest, bwd. Ends when the client has shut down writing (read gives 0): the
 *		host's writing end closes, and the guest's reader sees end-of-file behind the bytes.
 *	out	guest to client, fwd. Ends when the guest's writers have closed and fwd is empty: the
 *		connection is shut down for writing, so the client sees end-of-file. Ends too when
 *		the client is gone. The host's reading end closes: a later write in the guest gets
 *		EPIPE, until the next connection.
 * When both have ended the connection is closed. What lies in the rings stays there: bytes of the
 * guest that no client took are for the next one.
 *
 * In a session an end that has closed stays closed. So when the guest's reader has closed, the
 * direction in ends, too: the client of a unix socket gets EPIPE. When a connection is reset, or TLS is
 * torn, the session fails (CONNECTION_RESET), so that its reader does not take that for the end.
 *
 * A patient stream is that of an endpoint which connects (dial.c): when the guest's writers have
 * closed, the host's reading end stays open, and the next writer's bytes wait in fwd for the next
 * connection.
 */
#include "endpoint/stream/way.h"

#include <event2/event.h>
#include <sys/socket.h>

#define UNREAD_PIECES 256 /* that are dropped at once when the guest's reader has closed */

void stream_set_open(struct stream *s)
{
	channel_set_open(s->ch, s->out_open || (s->patient && s->out_eof),
			 s->in_open && s->in_shown);
}

void stream_show(struct stream *s)
{
	s->in_shown = true;
	stream_set_open(s);
}

uint64_t stream_left_writer(const struct stream *s)
{
	uint64_t phase = s->ch->sp.rx.peer_phase;

	return phase & 1 ? phase : 0;
}

void stream_end_in(struct stream *s)
{
	event_del(s->read_ev);
	if (!s->in_shown && s->ch->sp.tx.peer_phase & 1)
		stream_show(s); /* for a reader that is there: it must see the end */
	s->in_open = false;
	s->in_end_writer = s->ch->sp.rx.peer_phase;
	s->taken_due = !s->patient;
}

void stream_end_unread(struct stream *s)
{
	char dropped[4096];

	shutdown(s->fd, SHUT_RD);
	/* A client that waits for room sees EPIPE only when there is room. Over TCP more may follow. */
	for (int i = 0; i < UNREAD_PIECES; i++) {
		if (recv(s->fd, dropped, sizeof(dropped), MSG_DONTWAIT) <= 0)
			break;
	}
	stream_end_in(s);
}

void stream_settle_taken(struct stream *s, bool all)
{
	if (!s->taken_due)
		return;
	s->taken_due = false;
	channel_taken(s->ch, all, s->ch->sp.rx.peer_phase & 1);
}

void stream_look_taken(struct stream *s)
{
	struct okl4_pipe *tx = &s->ch->sp.tx;
	struct channel_peer reader;
	int64_t room;

	if (!s->taken_due || !channel_usable(s->ch) || channel_has_tail(s->ch) ||
	    okl4_pipe_is_open(tx) || channel_guest_reader(s->ch, &reader))
		return;
	room = channel_writable(s->ch);
	if (room < 0)
		return;
	if (channel_eof_taken(s->ch) ||
	    (channel_write_pos(s->ch) != s->in_from && reader.state == OKL4_PIPE_CLOSED &&
	     (uint64_t)room == s->ch->sp.ring_bytes))
		stream_settle_taken(s, true);
}

void stream_end_out(struct stream *s)
{
	s->out_open = false;
	s->left_writer = stream_left_writer(s);
}

void stream_pass_eof(struct stream *s)
{
	uint64_t phase = s->ch->sp.rx.peer_phase;

	if (phase == s->eof_phase)
		return; /* it was a former connection's, or no writer's; the next writer wakes us */
	shutdown(s->fd, SHUT_WR);
	s->out_open = false;
	s->out_eof = true;
	s->eof_phase = phase;
}
