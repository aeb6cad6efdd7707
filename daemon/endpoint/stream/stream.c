// SPDX-License-Identifier: BSD-3-Clause
/*
 * stream.c - a connected stream socket and a channel: when a connection begins and ends
 *
 * way.c says what its two directions are, move.c moves the bytes.
 *
 * A client that goes away must be noticed also while the socket is neither read nor written, or
 * its successor would be turned away. For that there is a small epoll set: it holds the socket with
 * no event asked for, and so reports only hang-up and error (epoll_ctl(2)). What a client wrote
 * before it went is still taken; the direction out has ended.
 *
 * Memory that comes and goes
 * --------------------------
 * A connection that comes before the guest has attached the channel is held, and nothing of it is
 * read. It serves the channel when the memory comes. When the memory goes for good, the stream of a
 * connection that serves the channel has ended, and the connection is closed; when the memory goes
 * for a while (reset of the device, a change of the memory table), nothing is touched until it is
 * back. A tail (channel/tails.c) comes in place of the guest's memory and is served like that; if
 * bytes of the stream are lost, the connection does not end cleanly (tear.c).
 */
#include "endpoint/stream/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <sys/socket.h>

#include "endpoint/stream/move.h"
#include "endpoint/stream/packets.h"
#include "endpoint/tear.h"
#include "util/fd.h"

void stream_init(struct stream *s, struct channel *ch, void (*ended)(void *arg), void *arg)
{
	*s = (struct stream){ .ch = ch, .fd = -1, .hup_fd = -1, .ended = ended, .arg = arg };
}

bool stream_is_open(const struct stream *s)
{
	return s->fd >= 0;
}

/* A TCP socket that is closed with unread bytes loses what it has not sent (RFC 2525, section 2.17) */
static void drop_unread(int fd)
{
	int domain = AF_UNIX;
	socklen_t bytes = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
	/* On a unix socket nothing is lost, and MSG_TRUNC drops nothing */
	for (int i = 0; i < 16 && domain != AF_UNIX; i++) {
		if (recv(fd, NULL, CHANNEL_TURN_BYTES, MSG_TRUNC | MSG_DONTWAIT) <= 0)
			return;
	}
}

/* Whether the client must not take the end of the connection for that of its stream */
static bool is_client_torn(const struct stream *s)
{
	return (channel_is_torn(s->ch) || s->message_lost) && s->serves && s->out_open;
}

void stream_close(struct stream *s)
{
	bool torn = is_client_torn(s);
	struct event **ev[] = { &s->read_ev, &s->write_ev, &s->hup_ev };

	for (size_t i = 0; i < sizeof(ev) / sizeof(ev[0]); i++) {
		if (*ev[i])
			event_free(*ev[i]);
		*ev[i] = NULL;
	}
	s->hup_fd = fd_close(s->hup_fd);
	if (torn && s->tear) {
		s->tear(s->arg, s->fd);
	} else if (torn) {
		tear(s->ch->loop, s->fd);
		s->fd = -1;
	} else if (s->fd >= 0) {
		drop_unread(s->fd);
	}
	s->fd = fd_close(s->fd);
	s->broken = NULL;
	s->serves = s->hung_up = s->in_open = s->out_open = s->out_eof = s->cut_off = false;
	s->message_lost = false;
}

/* @reason: for the event of the channel */
static void end_connection(struct stream *s, const char *reason)
{
	bool torn, cut; /* cut: the client was not at its end */

	if (s->out_open)
		s->left_writer = stream_left_writer(s);
	torn = is_client_torn(s) || s->cut_off;
	reason = s->cut_off ? "the connection is torn" : reason;
	cut = s->serves && s->in_open && !s->patient;
	stream_close(s);
	channel_left(s->ch, reason, torn);
	if (cut) {
		s->taken_due = true;
		stream_settle_taken(s, false);
	}
	/* ended() decides what becomes of a patient stream's reading end */
	if (channel_usable(s->ch))
		channel_set_open(s->ch, s->patient && okl4_pipe_is_open(&s->ch->sp.rx), false);
	stream_look_taken(s);
	s->ended(s->arg);
}

/* After bytes have moved or a direction has ended */
static void settle_stream(struct stream *s)
{
	if (s->broken) {
		end_connection(s, s->broken);
		return;
	}
	if (!s->in_open && !s->out_open) {
		end_connection(s, s->hung_up ? "it has hung up" : "both directions have ended");
		return;
	}
	stream_set_open(s);
	if (s->changed)
		s->changed(s->arg);
	stream_look_taken(s);
}

static int move_in(struct stream *s)
{
	return s->ch->cfg->packets ? packets_move_in(s) : stream_move_in(s);
}

static int move_out(struct stream *s)
{
	return s->ch->cfg->packets ? packets_move_out(s) : stream_move_out(s);
}

static bool has_unread(const struct stream *s)
{
	char c;

	if (s->ch->cfg->packets)
		return packets_has_unread(s->fd);
	return recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void stream_hang_up(struct stream *s)
{
	s->out_open = false; /* a writer that is there now is the next connection's */
	end_connection(s, "the guest has closed the channel");
}

/* While the client is silent, nothing else asks whether the guest still reads. Return: 0 or an error */
static int look_at_reader(struct stream *s)
{
	struct channel_peer reader;
	int r = channel_guest_reader(s->ch, &reader);

	if (!r && reader.state == OKL4_PIPE_CLOSED)
		stream_end_unread(s);
	return r;
}

void stream_woken(void *arg)
{
	struct stream *s = arg;

	if (!s->serves || !channel_usable(s->ch)) {
		stream_look_taken(s);
		return;
	}
	if (s->ch->is_session && s->in_open && look_at_reader(s))
		return;
	/* What waits for the socket goes on with the socket's event. */
	if (!event_pending(s->write_ev, EV_WRITE, NULL) && move_out(s))
		return;
	if (!event_pending(s->read_ev, EV_READ, NULL) && move_in(s))
		return;
	settle_stream(s);
}

void stream_look(struct stream *s)
{
	struct pollfd p = { .fd = s->fd };

	if (s->fd < 0 || s->hung_up || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR)))
		return;
	s->hung_up = true;
	event_del(s->hup_ev);
	if (s->serves) {
		event_del(s->write_ev);
		if (s->out_open)
			stream_end_out(s);
		if (channel_usable(s->ch) && !move_in(s))
			settle_stream(s);
	} else if (!has_unread(s)) {
		/* Nothing is unread: what a client has written before it left is still for the guest */
		end_connection(s, "it has hung up");
	}
}

static void on_client_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	if (!move_in(s))
		settle_stream(s);
}

static void on_client_write(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	channel_begin_turn(s->ch);
	if (!move_out(s))
		settle_stream(s);
}

static void on_client_hup(evutil_socket_t fd, short what, void *arg)
{
	stream_look(arg);
}

/* A writer that came and went between two connections got EPIPE: its end is not for the next one */
static void pass_over_refused(struct stream *s)
{
	const struct okl4_pipe *rx = &s->ch->sp.rx;
	struct channel_peer writer;

	s->eof_phase = 0;
	if (!channel_read_phase(s->ch) || okl4_pipe_is_open(rx) ||
	    channel_guest_writer(s->ch, &writer))
		return;
	if (writer.state == OKL4_PIPE_CLOSED && writer.phase != rx->left_phase &&
	    !channel_readable(s->ch))
		s->eof_phase = writer.phase;
}

static void begin_to_serve(struct stream *s)
{
	if (!s->patient)
		pass_over_refused(s);
	if (!channel_usable(s->ch))
		return;
	s->serves = true;
	s->in_open = true;
	s->out_open = !s->hung_up;
	s->left_writer = 0;
	s->in_from = channel_write_pos(s->ch);
	s->in_shown = !s->patient;
	stream_set_open(s);
	stream_woken(s);
}

int stream_open(struct stream *s, int fd)
{
	struct event_base *base = loop_base(s->ch->loop);

	stream_settle_taken(s, false); /* what the former one sent is no longer alone in the ring */
	s->fd = fd;
	if (s->ch->cfg->packets)
		packets_make_room(s);
	s->hup_fd = fd_hang_up_set(fd);
	if (s->hup_fd >= 0) {
		s->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_client_read, s);
		s->write_ev = event_new(base, fd, EV_WRITE, on_client_write, s);
		s->hup_ev = event_new(base, s->hup_fd, EV_READ | EV_PERSIST, on_client_hup, s);
	}
	if (!s->read_ev || !s->write_ev || !s->hup_ev || event_add(s->hup_ev, NULL)) {
		int r = errno ? -errno : -ENOMEM;

		stream_close(s);
		return r;
	}
	channel_connected(s->ch);
	if (channel_usable(s->ch))
		begin_to_serve(s);
	return 0;
}

void stream_up(void *arg, bool fresh)
{
	struct stream *s = arg;

	if (s->fd < 0) {
		channel_set_open(s->ch, false, false);
	} else if (!s->serves) {
		begin_to_serve(s);
	} else {
		stream_set_open(s);
		stream_woken(s);
	}
}

void stream_down(void *arg, bool gone)
{
	struct stream *s = arg;

	if (gone)
		stream_settle_taken(s, false);
	if (s->fd < 0 || !s->serves)
		return;
	if (gone) {
		end_connection(s, "the guest's stream has ended");
		return;
	}
	event_del(s->read_ev);
	event_del(s->write_ev);
}

const struct channel_endpoint_ops stream_channel_ops = {
	.up = stream_up,
	.down = stream_down,
	.woken = stream_woken,
	.delivers = true,
};
