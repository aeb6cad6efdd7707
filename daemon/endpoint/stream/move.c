// SPDX-License-Identifier: BSD-3-Clause
/*
 * move.c - the bytes of a connection, between its socket and the ring
 *
 * Bytes go between the socket and the ring by readv(2) and sendmsg(2) on the ring's own memory. A
 * bufferevent would copy each byte once more, and buffer without a limit. There is no buffer but the
 * ring and the socket's. A byte is committed in the ring only as far as the system call said, so each
 * is delivered exactly once.
 *
 * Back-pressure: while bwd is full, or the guest's reader has closed, the socket is not read; while
 * the socket is full, fwd is not. A client that writes to a guest whose reader has closed waits for
 * the next reader. EV_READ is on only while there is room, EV_WRITE only while bytes wait.
 *
 * way.c says what the ends of the two directions mean.
 */
#include "endpoint/stream/move.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <libfs/checked.h>

#include "endpoint/endpoint.h"

/* @status: of the peek. Return: -OKL4_AGAIN to look again, 0: do not read the socket now; or an error */
static int wait_for_room(struct stream *s, int status)
{
	ssize_t n;
	int r = 0;
	char c;

	if (status == -OKL4_PIPE && s->ch->is_session) {
		stream_end_unread(s);
		return 0;
	}
	if (status == -OKL4_AGAIN)
		r = channel_wait_write(s->ch, s->ch->sp.ring_bytes / 2);
	else if (status != -OKL4_PIPE)
		return status;
	if (r)
		return r == 1 ? -OKL4_AGAIN : r;
	event_del(s->read_ev);
	/* A client that is at its end with nothing unread needs no room; nor does one that has left when
	 * the guest whose tail this is has gone, too. */
	n = recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR) ||
	    (s->hung_up && channel_has_tail(s->ch)))
		stream_end_in(s);
	return 0;
}

int64_t stream_read_failed(struct stream *s, ssize_t n)
{
	if (n < 0 && errno == EINTR)
		return -OKL4_AGAIN;
	if (n < 0 && errno == EFAULT) {
		channel_fail(s->ch, OKL4_MEMORY_LOST);
		return -OKL4_MEMORY_LOST;
	}
	if (n < 0 && errno == EAGAIN) {
		event_add(s->read_ev, NULL);
		return 0;
	}
	if (s->ch->is_session && (n < 0 || s->in_torn)) {
		channel_refuse(s->ch, OKL4_CONNECTION_RESET);
		return -OKL4_CONNECTION_RESET;
	}
	stream_end_in(s); /* end-of-file, or ECONNRESET */
	return 0;
}

/* @max: in: bytes at most; out: bytes asked for. Return: as move of endpoint_turn() */
static int64_t read_piece(struct stream *s, uint64_t *max)
{
	struct okl4_pipe_seg seg[2];
	struct iovec iov[2];
	int64_t room = channel_peek_write(s->ch, seg);
	ssize_t n;

	if (room < 0)
		return wait_for_room(s, (int)room);
	*max = okl4_min(*max, (uint64_t)room);
	n = readv(s->fd, iov, endpoint_segs_to_iov(seg, *max, iov));
	if (n <= 0)
		return stream_read_failed(s, n);
	if (!s->in_shown)
		stream_show(s);
	channel_commit_write(s->ch, (uint64_t)n);
	return channel_usable(s->ch) ? n : -OKL4_CHANNEL_FAILED;
}

int stream_move_in(struct stream *s)
{
	uint64_t moved = 0;

	for (unsigned int moves = 0; s->in_open; moves++) {
		uint64_t asked = CHANNEL_TURN_BYTES - moved;
		int64_t n;

		if (moves == CHANNEL_TURN_MOVES || !asked)
			break;
		n = read_piece(s, &asked);
		if (n == -OKL4_AGAIN)
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

int64_t stream_send_failed(struct stream *s)
{
	switch (errno) {
	case EINTR:
		return -OKL4_AGAIN;
	case EAGAIN:
		event_add(s->write_ev, NULL);
		return 0;
	case EFAULT:
		channel_fail(s->ch, OKL4_MEMORY_LOST);
		return -OKL4_MEMORY_LOST;
	default: /* EPIPE, ECONNRESET: the client is gone, or no longer reads */
		stream_end_out(s);
		return 0;
	}
}

static int64_t send_piece(struct stream *s, uint64_t max)
{
	struct okl4_pipe_seg seg[2];
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	int64_t filled = channel_peek_read(s->ch, seg);
	ssize_t n;
	int r;

	if (!filled) {
		stream_pass_eof(s);
		return 0;
	}
	if (filled < 0) {
		r = filled == -OKL4_AGAIN ? channel_wait_read(s->ch) : (int)filled;
		return r == 1 ? -OKL4_AGAIN : r;
	}
	msg.msg_iovlen = (size_t)endpoint_segs_to_iov(seg, okl4_min(max, (uint64_t)filled), iov);
	n = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return stream_send_failed(s);
	channel_commit_read(s->ch, (uint64_t)n);
	return channel_usable(s->ch) ? n : -OKL4_CHANNEL_FAILED;
}

static int64_t move_out_piece(void *arg, uint64_t max)
{
	struct stream *s = arg;

	return s->out_open ? send_piece(s, max) : 0;
}

int stream_move_out(struct stream *s)
{
	int r = endpoint_turn(move_out_piece, s);

	if (r == 1 && s->out_open)
		channel_again(s->ch);
	return r < 0 ? r : 0;
}
