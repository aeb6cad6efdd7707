/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fs_io.h - what reading and writing of bytes and of messages have in common
 */
#ifndef OKL4FS_FS_IO_H
#define OKL4FS_FS_IO_H

#include <linux/errno.h>

#include "channel.h"

/**
 * okl4fs_to_errno() - what the caller gets for a status of libfs
 * @ch: channel; it has failed if the status says so
 * @status: negated
 *
 * Return: a negative errno.
 */
static inline int okl4fs_to_errno(struct okl4_channel *ch, s64 status)
{
	switch (status) {
	case -OKL4_AGAIN:
		return -EAGAIN;
	case -OKL4_PIPE:
		return -EPIPE;
	default:
		okl4_channel_break(ch, ch->mem, (int)status);
		return -EIO;
	}
}

/**
 * okl4fs_moved() - bytes were published or given back
 * @ch: channel
 * @counts: of the direction, whose lock is held
 * @bytes: how many
 * @messages: how many more messages that makes
 * @notify: the host must be woken
 */
static inline void okl4fs_moved(struct okl4_channel *ch, struct okl4_counts *counts, size_t bytes,
				unsigned int messages, bool notify)
{
	okl4_count(&counts->bytes, bytes);
	if (messages)
		okl4_count(&counts->messages, messages);
	if (notify) {
		okl4_count(&counts->wakes_sent, 1);
		okl4_channel_ring(ch);
	}
}

/* Messages (fs_packet.c) */
ssize_t okl4fs_read_message(struct okl4_channel *ch, struct iov_iter *to);
ssize_t okl4fs_write_message(struct okl4_channel *ch, struct iov_iter *from);

#endif /* OKL4FS_FS_IO_H */
