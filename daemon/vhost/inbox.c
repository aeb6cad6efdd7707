// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/stranger.h"

/* Without room for descriptors, none are made. Return: whether all bytes came; *@end: no more will */
static bool peek(struct inbox *in, int fd, unsigned int want, bool *end)
{
	ssize_t n = 1;

	while (in->n_bytes < want && n > 0) {
		n = recv(fd, (uint8_t *)&in->msg + in->n_bytes, want - in->n_bytes,
			 MSG_PEEK | MSG_DONTWAIT);
		if (n > 0)
			in->n_bytes += (unsigned int)n;
	}
	*end = !n || (n < 0 && errno != EAGAIN && errno != EINTR);
	return in->n_bytes == want;
}

static void keep_fds(struct inbox *in, const int *fds, size_t n)
{
	in->n_fds_came += (unsigned int)n;
	for (size_t i = 0; i < n; i++) {
		if (in->n_fds < VHOST_MAX_FDS)
			in->fds[in->n_fds++] = fds[i];
		else
			stranger_give(fds[i]);
	}
}

static bool set_peek_offset(int fd, unsigned int bytes)
{
	int offset = (int)bytes;

	return !setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
}

/*
 * All of the message is there. A call ends with the first piece that has descriptors. If the
 * message has none, the call brings those of the next message that has, even when it takes no byte
 * of that. So one byte more than the message is asked for: if that comes, the descriptors are not
 * the message's.
 */
static ssize_t peek_more(struct inbox *in, int fd, unsigned int want)
{
	uint8_t next;
	struct iovec iov[] = { { (uint8_t *)&in->msg + in->n_bytes, want - in->n_bytes },
			       { &next, 1 } };
	struct msghdr head = { .msg_iov = iov, .msg_iovlen = 2 };
	int fds[STRANGER_MAX_FDS];
	size_t n_fds;
	ssize_t n = stranger_recvmsg(fd, &head, MSG_PEEK | MSG_DONTWAIT, fds, &n_fds);

	if (n <= (ssize_t)iov[0].iov_len) {
		keep_fds(in, fds, n_fds);
		in->no_room |= n > 0 && head.msg_flags & MSG_CTRUNC;
		return n;
	}
	for (size_t i = 0; i < n_fds; i++)
		stranger_give(fds[i]);
	return n - 1;
}

static enum inbox_look peek_with_fds(struct inbox *in, int fd, unsigned int want)
{
	in->n_bytes = 0;
	if (!set_peek_offset(fd, 0))
		return INBOX_END;
	while (in->n_bytes < want) {
		ssize_t n = peek_more(in, fd, want);

		if (n <= 0)
			return INBOX_END;
		in->n_bytes += (unsigned int)n;
	}
	if (!set_peek_offset(fd, want))
		return INBOX_END;
	return in->no_room ? INBOX_NO_FDS : INBOX_WHOLE;
}

enum inbox_look inbox_look(struct inbox *in, int fd, const char **why)
{
	unsigned int want = VHOST_HEADER_BYTES;
	bool end = false;

	memset(in, 0, sizeof(*in));
	if (!set_peek_offset(fd, 0))
		return INBOX_END;
	if (!peek(in, fd, want, &end))
		return end ? INBOX_END : in->n_bytes ? INBOX_PART : INBOX_NOTHING;
	if (vhost_judge_header(&in->msg, why) != VHOST_PASS)
		return INBOX_BAD;
	want += in->msg.bytes;
	if (!peek(in, fd, want, &end))
		return end ? INBOX_END : INBOX_PART;
	return peek_with_fds(in, fd, want);
}

void inbox_give_fds(struct inbox *in)
{
	for (unsigned int i = 0; i < in->n_fds; i++)
		stranger_give(in->fds[i]);
	in->n_fds = 0;
}

uint32_t inbox_left(int fd)
{
	socklen_t bytes = sizeof(int);
	int left = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &left, &bytes) || left < 0)
		return 0;
	return (uint32_t)left;
}

/* Without room for descriptors, the kernel closes them here. */
static ssize_t take_out(int fd, struct iovec *iov, bool strange)
{
	struct msghdr head = { .msg_iov = iov, .msg_iovlen = 1 };
	int fds[STRANGER_MAX_FDS];
	size_t n_fds;
	ssize_t n;

	if (!strange)
		return recv(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT);
	n = stranger_recvmsg(fd, &head, MSG_DONTWAIT, fds, &n_fds);
	for (size_t i = 0; n >= 0 && i < n_fds; i++)
		stranger_give(fds[i]);
	return n;
}

void inbox_drop(int fd, uint32_t bytes, bool strange)
{
	uint8_t buf[VHOST_PAYLOAD_BYTES];

	while (bytes) {
		struct iovec iov = { buf, bytes < sizeof(buf) ? bytes : sizeof(buf) };
		ssize_t n = take_out(fd, &iov, strange);

		if (n <= 0)
			return;
		bytes -= (uint32_t)n;
	}
}
