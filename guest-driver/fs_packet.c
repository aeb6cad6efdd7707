// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_packet.c - reading and writing a message
 *
 * A message is copied once, between the caller's buffer and the ring, and published when all of it
 * is there. So a call that fails or is killed on the way has not moved anything.
 */
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include <libfs/packet.h>

#include "fs_io.h"

/* A large message is copied in pieces, so that other programs get the CPU, and signals are seen */
#define PIECE_BYTES (256U << 10)

/* Return: 0; -EFAULT: the caller's memory is not there; -EINTR: the caller is killed */
static int copy_message(struct okl4_pipe *p, size_t bytes, struct iov_iter *caller, bool writes)
{
	struct okl4_pipe_seg seg;
	size_t done = 0, copied;

	while (done < bytes) {
		seg = okl4_packet_seg(p, done, min_t(size_t, bytes - done, PIECE_BYTES));
		copied = writes ? copy_from_iter(seg.base, seg.bytes, caller) :
				  copy_to_iter(seg.base, seg.bytes, caller);
		done += copied;
		if (copied < seg.bytes) {
			iov_iter_revert(caller, done);
			return -EFAULT;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * okl4fs_read_message() - take the next message
 * @ch: channel whose rings hold messages
 * @to: the caller's buffer; what does not fit is dropped
 *
 * Context: @ch->rx_lock held.
 * Return: bytes that were copied, 0 also for an empty message and at end-of-file; -EAGAIN; -EFAULT,
 * and the message is still there; -EINTR, likewise; -EIO.
 */
ssize_t okl4fs_read_message(struct okl4_channel *ch, struct iov_iter *to)
{
	struct okl4_pipe *rx = &ch->mem->pair.rx;
	size_t fits;
	u64 bytes;
	int r = okl4_packet_next(rx, &bytes);

	if (r <= 0)
		return r ? okl4fs_to_errno(ch, r) : 0;
	fits = min_t(u64, bytes, iov_iter_count(to));
	r = copy_message(rx, fits, to, false);
	if (r)
		return r;
	okl4fs_moved(ch, &ch->rx_counts, bytes, 1, okl4_packet_commit_read(rx, bytes));
	return (ssize_t)fits;
}

/**
 * okl4fs_write_message() - write a message
 * @ch: channel whose rings hold messages
 * @from: the caller's bytes: all of them are the message, which is not longer than the ring takes
 *
 * Context: @ch->tx_lock held.
 * Return: its bytes; or -EAGAIN (there is no room for all of it), -EPIPE, -EFAULT, -EINTR, -EIO, and
 * nothing was written.
 */
ssize_t okl4fs_write_message(struct okl4_channel *ch, struct iov_iter *from)
{
	struct okl4_pipe *tx = &ch->mem->pair.tx;
	size_t bytes = iov_iter_count(from);
	int r = okl4_packet_room(tx, bytes);

	if (r)
		return okl4fs_to_errno(ch, r);
	r = copy_message(tx, bytes, from, true);
	if (r)
		return r;
	okl4fs_moved(ch, &ch->tx_counts, bytes, 1, okl4_packet_commit_write(tx, bytes));
	return (ssize_t)bytes;
}
