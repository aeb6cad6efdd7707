// SPDX-License-Identifier: BSD-3-Clause
/*
 * packets.c - the messages of a connection, between its socket and the ring
 *
 * A SOCK_SEQPACKET socket takes and gives whole messages, as the ring does, so a message goes over by
 * one system call on the ring's own memory, and is committed after it. Before it is taken from the
 * socket, its length is looked up (MSG_PEEK, MSG_TRUNC), and there must be room for all of it:
 * back-pressure is as in move.c.
 *
 * A message that can never go over ends the connection, with a line in the log, and the client does
 * not take that for an orderly end. From the client, that is one that is longer than the ring takes: it
 * stays unread in the socket, so the client gets ECONNRESET. From the guest, one that is longer than
 * the socket takes, which twice net.core.wmem_max bounds: it is lost, and counted.
 */
#include "endpoint/stream/packets.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream/move.h"

#define MAX_PIECES 1024U /* UIO_MAXIOV: more in one system call are EMSGSIZE */

/* Return: entries of @iov, or MAX_PIECES + 1 when they are too many */
static unsigned int message_to_iov(const struct okl4_pipe *p, uint64_t bytes,
				   struct iovec iov[MAX_PIECES])
{
	struct okl4_pipe_seg seg;
	unsigned int n = 0;

	for (uint64_t done = 0; done < bytes; done += seg.bytes) {
		if (n == MAX_PIECES)
			return MAX_PIECES + 1;
		seg = okl4_packet_seg(p, done, bytes - done);
		iov[n++] = (struct iovec){ seg.base, seg.bytes };
	}
	return n;
}

void packets_make_room(const struct stream *s)
{
	int bytes = (int)s->ch->cfg->ring_bytes, now = 0;
	socklen_t size = sizeof(now);

	if (!getsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &now, &size) && now < bytes)
		setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/*
 * recv(2) gives 0 for an empty message and at the end; only a message has a sender (unix(7)).
 * Return: 1, 0, or -1 with errno
 */
static int has_sender(int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control) };
	const int on = 1, off = 0;
	int error;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	error = errno;
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	errno = error;
	return n < 0 ? -1 : CMSG_FIRSTHDR(&msg) != NULL;
}

/* Return: length of the next message; -1 with errno, which is 0 at the end */
static ssize_t peek_length(int fd)
{
	ssize_t n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	int r = n ? 1 : has_sender(fd);

	if (r > 0)
		return n;
	errno = r ? errno : 0;
	return -1;
}

/*
 * A client that hangs up with something unread leaves an error. The next call on the socket, whichever it
 * is, gets it once, before the messages that are still there.
 */
static bool is_left_error(ssize_t n)
{
	return n < 0 && errno == ECONNRESET;
}

bool packets_has_unread(int fd)
{
	ssize_t n = peek_length(fd);

	if (is_left_error(n))
		n = peek_length(fd);
	return n >= 0;
}

/* Return: 0: nothing more is moved */
static int64_t break_connection(struct stream *s, const char *why)
{
	s->broken = why;
	event_del(s->read_ev);
	event_del(s->write_ev);
	return 0;
}

static int64_t is_too_long_for_ring(struct stream *s, ssize_t bytes)
{
	channel_log(s->ch, LOG_LEVEL_WARNING,
		    "the client is disconnected: it has sent a message of %zd bytes, and at most "
		    "%" PRIu64 " fit into the ring; a larger \"ring_bytes\" helps",
		    bytes, (uint64_t)OKL4FS_PACKET_MAX(s->ch->sp.ring_bytes));
	return break_connection(s, "it has sent a message that is longer than the ring takes");
}

/* @status: of channel_message_room(). Return: as move of endpoint_turn() */
static int64_t wait_for_room(struct stream *s, int status, ssize_t bytes)
{
	int r = 0;

	if (status == -OKL4_PIPE && s->ch->is_session) {
		stream_end_unread(s);
		return 0;
	}
	if (status == -OKL4_ARG)
		return is_too_long_for_ring(s, bytes);
	if (status == -OKL4_AGAIN)
		r = channel_wait_write(s->ch, okl4_packet_ring_bytes((uint64_t)bytes));
	else if (status != -OKL4_PIPE)
		return status;
	if (r)
		return r == 1 ? -OKL4_AGAIN : r;
	event_del(s->read_ev);
	/* A client that has left needs no room when the guest whose tail this is has gone, too */
	if (s->hung_up && channel_has_tail(s->ch))
		stream_end_in(s);
	return 0;
}

static int64_t read_message(struct stream *s)
{
	ssize_t bytes = peek_length(s->fd), n;
	struct iovec iov[MAX_PIECES];
	unsigned int n_iov;
	char nothing;
	int r;

	if (is_left_error(bytes)) {
		s->in_torn = true;
		return -OKL4_AGAIN;
	}
	if (bytes < 0)
		return stream_read_failed(s, errno ? bytes : 0);
	r = channel_message_room(s->ch, (uint64_t)bytes);
	if (r)
		return wait_for_room(s, r, bytes);
	n_iov = message_to_iov(&s->ch->sp.tx, (uint64_t)bytes, iov);
	if (n_iov > MAX_PIECES)
		return is_too_long_for_ring(s, bytes);
	if (!n_iov) /* without any room, readv(2) would leave it there */
		iov[n_iov++] = (struct iovec){ &nothing, sizeof(nothing) };
	n = readv(s->fd, iov, (int)n_iov);
	if (is_left_error(n)) {
		s->in_torn = true;
		return -OKL4_AGAIN;
	}
	if (n != bytes)
		return stream_read_failed(s, n);
	if (!s->in_shown)
		stream_show(s);
	channel_put_message(s->ch, (uint64_t)bytes);
	return channel_usable(s->ch) ? (int64_t)okl4_packet_ring_bytes((uint64_t)bytes) :
				       -OKL4_CHANNEL_FAILED;
}

static int64_t move_in_message(void *arg, uint64_t max)
{
	struct stream *s = arg;

	return s->in_open && !s->broken ? read_message(s) : 0;
}

int packets_move_in(struct stream *s)
{
	int r = endpoint_turn(move_in_message, s);

	/* The event tells when there is more, at once if there is more already */
	if (r == 1 && s->in_open && !s->broken)
		event_add(s->read_ev, NULL);
	return r < 0 ? r : 0;
}

static int64_t is_too_long_for_socket(struct stream *s, uint64_t bytes)
{
	channel_note_loss(s->ch, bytes,
			  "a message is longer than a socket takes (net.core.wmem_max), and the "
			  "client is disconnected");
	s->message_lost = true;
	break_connection(s, "the guest has sent a message that is longer than the socket takes");
	channel_take_message(s->ch, bytes);
	return channel_usable(s->ch) ? 0 : -OKL4_CHANNEL_FAILED;
}

static int64_t send_message(struct stream *s)
{
	struct iovec iov[MAX_PIECES];
	struct msghdr msg = { .msg_iov = iov };
	uint64_t bytes;
	int r = channel_next_message(s->ch, &bytes);

	if (!r) {
		stream_pass_eof(s);
		return 0;
	}
	if (r < 0) {
		r = r == -OKL4_AGAIN ? channel_wait_read(s->ch) : r;
		return r == 1 ? -OKL4_AGAIN : r;
	}
	msg.msg_iovlen = message_to_iov(&s->ch->sp.rx, bytes, iov);
	if (sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		s->in_torn |= is_left_error(-1);
		return errno == EMSGSIZE ? is_too_long_for_socket(s, bytes) : stream_send_failed(s);
	}
	channel_take_message(s->ch, bytes);
	return channel_usable(s->ch) ? (int64_t)okl4_packet_ring_bytes(bytes) :
				       -OKL4_CHANNEL_FAILED;
}

static int64_t move_out_message(void *arg, uint64_t max)
{
	struct stream *s = arg;

	return s->out_open && !s->broken ? send_message(s) : 0;
}

int packets_move_out(struct stream *s)
{
	int r = endpoint_turn(move_out_message, s);

	if (r == 1 && s->out_open)
		channel_again(s->ch);
	return r < 0 ? r : 0;
}
