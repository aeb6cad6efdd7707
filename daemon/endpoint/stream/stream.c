// SPDX-License-Identifier: BSD-3-Clause
/*
 * stream.c - a connected stream socket joined to a channel
 *
 * When a connection begins and ends, and what its two directions are to the channel's ends.
 * stream_move.c moves the bytes.
 *
 * The two directions
 * ------------------
 *	in	client to guest, bwd. Ends when the client has shut down writing (read gives 0): the
 *		host's writing end closes, and the guest's reader sees end-of-file behind the bytes.
 *	out	guest to client, fwd. Ends when the guest's writers have closed and fwd is empty: the
 *		connection is shut down for writing, so the client sees end-of-file. Ends too when
 *		the client is gone. The host's reading end closes: a later write in the guest gets
 *		EPIPE, until the next connection.
 * When both have ended the connection is closed. What lies in the rings stays there: bytes of the
 * guest that no client took are the next one's.
 *
 * A client that goes away must be noticed also while the socket is neither read nor written, or
 * its successor would be turned away. That is what a small epoll set beside is for: it holds the
 * socket with no event asked for, and so tells of hang-up and error only (epoll_ctl(2)). What a
 * client wrote before it went is still taken; the direction out has ended.
 *
 * A patient stream is that of an endpoint which connects (dial.c): when the guest's writers have
 * closed, the host's reading end stays open, and the next writer's bytes wait in fwd for the next
 * connection.
 *
 * Memory that comes and goes
 * --------------------------
 * A connection that comes before the guest has attached the channel is held, and nothing of it is
 * read. It is joined when the memory comes. When the memory goes for good the stream of a joined
 * connection has ended, and it is closed; when the memory goes for a while (reset of the device,
 * a change of the memory table) nothing is touched until it is back. A tail (channel_tail.c) comes in
 * place of the guest's memory and is served like that; if bytes of the stream are lost, the end of the
 * connection is no clean one (tear.c).
 */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "endpoint/stream/private.h"
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

/**
 * drop_unread() - take what nobody will take
 * @fd: the connection
 *
 * A TCP socket that is closed with unread bytes resets the connection, and what it has not sent yet is
 * lost (RFC 2525, section 2.17). On a unix socket nothing is lost, and MSG_TRUNC drops nothing.
 */
static void drop_unread(int fd)
{
	int domain = AF_UNIX;
	socklen_t bytes = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
	for (int i = 0; i < 16 && domain != AF_UNIX; i++) {
		if (recv(fd, NULL, CHANNEL_TURN_BYTES, MSG_TRUNC | MSG_DONTWAIT) <= 0)
			return;
	}
}

/* Whether the client must not take the end of the connection for that of its stream */
static bool is_torn(const struct stream *s)
{
	return channel_is_torn(s->ch) && s->joined && s->out_open;
}

void stream_close(struct stream *s)
{
	bool torn = is_torn(s);
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
	s->joined = s->hung_up = s->in_open = s->out_open = s->out_eof = false;
}

/**
 * left_writer() - the guest's writer that the direction out leaves behind
 * @s: joined stream
 *
 * Return: its phase as last seen, if it is open, or 0.
 */
static uint64_t left_writer(const struct stream *s)
{
	uint64_t phase = s->ch->sp.rx.peer_phase;

	return phase & 1 ? phase : 0;
}

/**
 * end() - the connection is over; its ends of the channel close
 * @s: open stream
 * @reason: why, for those who watch
 */
static void end(struct stream *s, const char *reason)
{
	if (s->out_open)
		s->left_writer = left_writer(s);
	stream_close(s);
	channel_left(s->ch, reason);
	/* What becomes of a patient stream's reading end, ended() knows */
	if (channel_usable(s->ch))
		channel_set_open(s->ch, s->patient && pipe_is_open(&s->ch->sp.rx), false);
	s->ended(s->arg);
}

/**
 * set_open() - bring the host's ends to what the directions are
 * @s: joined stream with a usable channel
 */
static void set_open(struct stream *s)
{
	channel_set_open(s->ch, s->out_open || (s->patient && s->out_eof),
			 s->in_open && s->in_shown);
}

void stream_show(struct stream *s)
{
	s->in_shown = true;
	set_open(s);
}

/**
 * settle() - what follows after bytes have moved or a direction has ended
 * @s: joined stream with a usable channel
 */
static void settle(struct stream *s)
{
	if (!s->in_open && !s->out_open) {
		end(s, s->hung_up ? "it has hung up" : "both directions have ended");
		return;
	}
	set_open(s);
	if (s->changed)
		s->changed(s->arg);
}

void stream_hang_up(struct stream *s)
{
	s->out_open = false; /* a writer that is there now is the next connection's */
	end(s, "the guest has closed the channel");
}

void stream_end_in(struct stream *s)
{
	event_del(s->read_ev);
	if (!s->in_shown && s->ch->sp.tx.peer_phase & 1)
		stream_show(s); /* a reader is there, who is to see the end */
	s->in_open = false;
	s->in_end_writer = s->ch->sp.rx.peer_phase;
}

void stream_end_out(struct stream *s)
{
	s->out_open = false;
	s->left_writer = left_writer(s);
}

void stream_pass_eof(struct stream *s)
{
	uint64_t phase = s->ch->sp.rx.peer_phase;

	if (phase == s->eof_phase)
		return; /* a former connection's, or nobody's; the next writer wakes us */
	shutdown(s->fd, SHUT_WR);
	s->out_open = false;
	s->out_eof = true;
	s->eof_phase = phase;
}

void stream_woken(struct stream *s)
{
	if (!s->joined || !channel_usable(s->ch))
		return;
	/* What waits for the socket goes on with the socket's event. */
	if (!event_pending(s->write_ev, EV_WRITE, NULL) && stream_move_out(s))
		return;
	if (!event_pending(s->read_ev, EV_READ, NULL) && stream_move_in(s))
		return;
	settle(s);
}

void stream_look(struct stream *s)
{
	struct pollfd p = { .fd = s->fd };
	char c;

	if (s->fd < 0 || s->hung_up || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR)))
		return;
	s->hung_up = true;
	event_del(s->hup_ev);
	if (s->joined) {
		event_del(s->write_ev);
		if (s->out_open)
			stream_end_out(s);
		if (channel_usable(s->ch) && !stream_move_in(s))
			settle(s);
	} else if (recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
		end(s,
		    "it has hung up"); /* it had nothing to say; otherwise the guest is still to hear it */
	}
}

/**
 * on_read() - the client has written, or is at its end
 * @fd: not used
 * @what: not used
 * @arg: stream
 */
static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	if (!stream_move_in(s))
		settle(s);
}

/**
 * on_write() - the client has taken something
 * @fd: not used
 * @what: not used
 * @arg: stream
 */
static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	channel_begin_turn(s->ch);
	if (!stream_move_out(s))
		settle(s);
}

/**
 * on_hup() - the client has hung up
 * @fd: not used
 * @what: not used
 * @arg: stream
 */
static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	stream_look(arg);
}

/**
 * pass_over_refused() - of a writer that came and went between two connections nothing is told
 * @s: stream that is to be joined, with a usable channel
 *
 * All that it wrote was EPIPE. Its end would be taken for that of a writer who comes now.
 */
static void pass_over_refused(struct stream *s)
{
	const struct pipe *rx = &s->ch->sp.rx;
	struct channel_peer writer;

	s->eof_phase = 0;
	if (!channel_read_phase(s->ch) || pipe_is_open(rx) || channel_guest_writer(s->ch, &writer))
		return;
	if (writer.state == PIPE_CLOSED && writer.phase != rx->left_phase &&
	    !channel_readable(s->ch))
		s->eof_phase = writer.phase;
}

/**
 * join() - the channel's ends become the connection's
 * @s: open stream with a usable channel
 */
static void join(struct stream *s)
{
	if (!s->patient)
		pass_over_refused(s);
	if (!channel_usable(s->ch))
		return;
	s->joined = true;
	s->in_open = true;
	s->out_open = !s->hung_up;
	s->left_writer = 0;
	s->in_shown = !s->patient;
	set_open(s);
	stream_woken(s);
}

/**
 * hang_up_set() - an epoll set that is readable when a socket has hung up
 * @fd: the socket
 *
 * Return: its descriptor or -1.
 */
static int hang_up_set(int fd)
{
	struct epoll_event nothing = { .events = 0 };
	_cleanup_fd_ int set = epoll_create1(EPOLL_CLOEXEC);
	int r;

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &nothing))
		return -1;
	r = set;
	set = -1;
	return r;
}

int stream_open(struct stream *s, int fd)
{
	struct event_base *base = loop_base(s->ch->loop);

	s->fd = fd;
	s->hup_fd = hang_up_set(fd);
	if (s->hup_fd >= 0) {
		s->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_read, s);
		s->write_ev = event_new(base, fd, EV_WRITE, on_write, s);
		s->hup_ev = event_new(base, s->hup_fd, EV_READ | EV_PERSIST, on_hup, s);
	}
	if (!s->read_ev || !s->write_ev || !s->hup_ev || event_add(s->hup_ev, NULL)) {
		int r = errno ? -errno : -ENOMEM;

		stream_close(s);
		return r;
	}
	channel_connected(s->ch);
	if (channel_usable(s->ch))
		join(s);
	return 0;
}

void stream_up(struct stream *s)
{
	if (s->fd < 0) {
		channel_set_open(s->ch, false, false);
	} else if (!s->joined) {
		join(s);
	} else {
		set_open(s);
		stream_woken(s);
	}
}

void stream_down(struct stream *s, bool gone)
{
	if (s->fd < 0 || !s->joined)
		return;
	if (gone) {
		end(s, "the guest's stream has ended");
		return;
	}
	event_del(s->read_ev);
	event_del(s->write_ev);
}
