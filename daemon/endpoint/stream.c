// SPDX-License-Identifier: BSD-3-Clause
/*
 * stream.c - a connected stream socket joined to a channel
 *
 * Bytes go between the socket and the ring by readv(2) and sendmsg(2) on the ring's own memory,
 * which is why there is no bufferevent here: it would copy each byte once more, and buffer without
 * a bound of ours. There is no buffer but the ring and the socket's. A byte is committed in the
 * ring only as far as the system call said, so each is delivered exactly once.
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
 * Back-pressure: while bwd is full, or the guest's reader has closed, the socket is not read; while
 * the socket is full, fwd is not. A client that writes to a guest whose reader has closed waits for
 * the next reader. EV_READ is on only while there is room, EV_WRITE only while bytes wait.
 *
 * A client that goes away must be noticed also while neither is on, or its successor would be
 * turned away. That is what a small epoll set beside is for: it holds the socket with no event
 * asked for, and so tells of hang-up and error only (epoll_ctl(2)). What a client wrote before it
 * went is still taken; the direction out has ended.
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
 * a change of the memory table) nothing is touched until it is back.
 */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <libfs/checked.h>

#include "endpoint/stream.h"
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

void stream_close(struct stream *s)
{
	struct event **ev[] = { &s->read_ev, &s->write_ev, &s->hup_ev };

	for (size_t i = 0; i < sizeof(ev) / sizeof(ev[0]); i++) {
		if (*ev[i])
			event_free(*ev[i]);
		*ev[i] = NULL;
	}
	s->hup_fd = fd_close(s->hup_fd);
	if (s->fd >= 0)
		drop_unread(s->fd);
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

/**
 * end_in() - the direction in has ended
 * @s: joined stream
 */
static void end_in(struct stream *s)
{
	event_del(s->read_ev);
	s->in_open = false;
	s->in_end_writer = s->ch->sp.rx.peer_phase;
}

/**
 * end_out() - the direction out has ended, since the client takes nothing any more
 * @s: joined stream
 */
static void end_out(struct stream *s)
{
	s->out_open = false;
	s->left_writer = left_writer(s);
}

/**
 * pass_eof() - the guest's writers have closed and nothing is left
 * @s: joined stream
 */
static void pass_eof(struct stream *s)
{
	uint64_t phase = s->ch->sp.rx.peer_phase;

	if (s->patient && phase == s->eof_phase)
		return; /* a former connection's; the next writer wakes us */
	shutdown(s->fd, SHUT_WR);
	s->out_open = false;
	s->out_eof = true;
	s->eof_phase = phase;
}

/**
 * to_iov() - a part of the ring for a system call
 * @seg: the ring's pieces
 * @bytes: how many of their bytes
 * @iov: out
 *
 * Return: entries of @iov.
 */
static int to_iov(const struct pipe_seg seg[2], uint64_t bytes, struct iovec iov[2])
{
	uint64_t first = fs_min(bytes, seg[0].bytes);

	iov[0] = (struct iovec){ seg[0].base, first };
	iov[1] = (struct iovec){ seg[1].base, bytes - first };
	return bytes > first ? 2 : 1;
}

/**
 * no_room() - bwd takes nothing now: stop reading, and ask to be woken
 * @s: joined stream
 * @status: -FS_AGAIN or -FS_PIPE, or an error
 *
 * Return: -FS_AGAIN to look again, 0 when the socket is not to be read, or an error.
 */
static int no_room(struct stream *s, int status)
{
	int r = 0;
	char c;

	if (status == -FS_AGAIN)
		r = channel_wait_write(s->ch, s->ch->sp.ring_bytes / 2);
	else if (status != -FS_PIPE)
		return status;
	if (r)
		return r == 1 ? -FS_AGAIN : r;
	event_del(s->read_ev);
	/* A client that is at its end with nothing unread needs no room. */
	if (!recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT))
		end_in(s);
	return 0;
}

/**
 * read_failed() - what readv(2) means that did not read
 * @s: joined stream
 * @n: what it returned, 0 or -1
 *
 * Return: as read_piece().
 */
static int64_t read_failed(struct stream *s, ssize_t n)
{
	if (n < 0 && errno == EINTR)
		return -FS_AGAIN;
	if (n < 0 && errno == EFAULT) {
		channel_fail(s->ch, FS_MEMORY_LOST);
		return -FS_MEMORY_LOST;
	}
	if (n < 0 && errno == EAGAIN)
		event_add(s->read_ev, NULL);
	else
		end_in(s); /* end-of-file, or ECONNRESET */
	return 0;
}

/**
 * read_piece() - from the socket into bwd
 * @s: joined stream
 * @max: in: bytes at most; out: bytes asked for
 *
 * Return: bytes; 0 when there is nothing to do before the next event or wake-up; -FS_AGAIN to
 * look again; or another negated status when the channel has failed.
 */
static int64_t read_piece(struct stream *s, uint64_t *max)
{
	struct pipe_seg seg[2];
	struct iovec iov[2];
	int64_t room = channel_peek_write(s->ch, seg);
	ssize_t n;

	if (room < 0)
		return no_room(s, (int)room);
	*max = fs_min(*max, (uint64_t)room);
	n = readv(s->fd, iov, to_iov(seg, *max, iov));
	if (n <= 0)
		return read_failed(s, n);
	if (!s->in_shown)
		stream_show(s);
	channel_commit_write(s->ch, (uint64_t)n);
	return channel_usable(s->ch) ? n : -FS_CHANNEL_FAILED;
}

/**
 * pump_in() - a turn's share from the client to the guest
 * @s: joined stream with a usable channel
 *
 * Return: 0, or an error after which the channel is not usable.
 */
static int pump_in(struct stream *s)
{
	uint64_t moved = 0;

	for (unsigned int moves = 0; s->in_open; moves++) {
		uint64_t asked = CHANNEL_TURN_BYTES - moved;
		int64_t n;

		if (moves == CHANNEL_TURN_MOVES || !asked)
			break;
		n = read_piece(s, &asked);
		if (n == -FS_AGAIN)
			continue;
		if (n <= 0)
			return (int)n;
		moved += (uint64_t)n;
		if ((uint64_t)n < asked)
			break;
	}
	/* The event tells when there is more, at once if there is more already. */
	if (s->in_open)
		event_add(s->read_ev, NULL);
	return 0;
}

/**
 * send_failed() - what a failed sendmsg(2) means
 * @s: joined stream
 *
 * Return: as send_piece().
 */
static int64_t send_failed(struct stream *s)
{
	switch (errno) {
	case EINTR:
		return -FS_AGAIN;
	case EAGAIN:
		event_add(s->write_ev, NULL);
		return 0;
	case EFAULT:
		channel_fail(s->ch, FS_MEMORY_LOST);
		return -FS_MEMORY_LOST;
	default: /* EPIPE, ECONNRESET: the client is gone, or does not read any more */
		end_out(s);
		return 0;
	}
}

/**
 * send_piece() - from fwd into the socket
 * @s: joined stream
 * @max: bytes at most
 *
 * Return: as read_piece().
 */
static int64_t send_piece(struct stream *s, uint64_t max)
{
	struct pipe_seg seg[2];
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	int64_t filled = channel_peek_read(s->ch, seg);
	ssize_t n;
	int r;

	if (!filled) {
		pass_eof(s);
		return 0;
	}
	if (filled < 0) {
		r = filled == -FS_AGAIN ? channel_wait_read(s->ch) : (int)filled;
		return r == 1 ? -FS_AGAIN : r;
	}
	msg.msg_iovlen = (size_t)to_iov(seg, fs_min(max, (uint64_t)filled), iov);
	n = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return send_failed(s);
	channel_commit_read(s->ch, (uint64_t)n);
	return channel_usable(s->ch) ? n : -FS_CHANNEL_FAILED;
}

/**
 * pump_out() - a turn's share from the guest to the client
 * @s: joined stream with a usable channel
 *
 * Return: 0, or an error after which the channel is not usable.
 */
static int pump_out(struct stream *s)
{
	uint64_t moved = 0;

	for (unsigned int moves = 0; s->out_open; moves++) {
		int64_t n;

		if (moves == CHANNEL_TURN_MOVES || moved == CHANNEL_TURN_BYTES) {
			channel_again(s->ch);
			return 0;
		}
		n = send_piece(s, CHANNEL_TURN_BYTES - moved);
		if (n > 0)
			moved += (uint64_t)n;
		else if (n != -FS_AGAIN)
			return (int)n;
	}
	return 0;
}

void stream_woken(struct stream *s)
{
	if (!s->joined || !channel_usable(s->ch))
		return;
	/* What waits for the socket goes on with the socket's event. */
	if (!event_pending(s->write_ev, EV_WRITE, NULL) && pump_out(s))
		return;
	if (!event_pending(s->read_ev, EV_READ, NULL) && pump_in(s))
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
			end_out(s);
		if (channel_usable(s->ch) && !pump_in(s))
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

	if (!pump_in(s))
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
	if (!pump_out(s))
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
 * join() - the channel's ends become the connection's
 * @s: open stream with a usable channel
 */
static void join(struct stream *s)
{
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
	channel_joined(s->ch);
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
