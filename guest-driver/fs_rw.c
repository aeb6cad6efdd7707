// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_rw.c - reading and writing a channel
 *
 * The bytes are copied once, between the caller's buffer and the ring, and published in pieces, so
 * that the peer works on one piece while the next is copied.
 *
 * A call that has to wait notes the channel's count of wake-ups, arms (which looks again), releases
 * the lock and sleeps until the count has changed. What it would miss between the look and the
 * sleep has changed the count. A call that does not wait leaves the wake-up armed for pollers
 * (fs_poll.c).
 */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include <libfs/packet.h>

#include "compat.h"
#include "fs.h"
#include "fs_io.h"
#include "trace.h"

unsigned int okl4_spin_us;

/* How many bytes are copied before the peer is told; an atomic write fits */
static u64 piece_bytes(const struct okl4_socketpair *pair)
{
	return max_t(u64, pair->ring_bytes / 8, PIPE_BUF);
}

static bool nowait(const struct kiocb *iocb)
{
	return (iocb->ki_filp->f_flags & O_NONBLOCK) || (iocb->ki_flags & IOCB_NOWAIT);
}

/* Nobody waits for the peer while holding it */
static int lock_pipe(struct mutex *lock, const struct kiocb *iocb)
{
	if (iocb->ki_flags & IOCB_NOWAIT)
		return mutex_trylock(lock) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(lock) ? -ERESTARTSYS : 0;
}

/* Return: how many; fewer than @bytes when the caller's memory is not there */
static size_t copy_to_caller(const struct okl4_pipe_seg seg[2], size_t bytes, struct iov_iter *to)
{
	size_t first = min_t(u64, bytes, seg[0].bytes);
	size_t done = copy_to_iter(seg[0].base, first, to);

	if (done == first && first < bytes)
		done += copy_to_iter(seg[1].base, bytes - first, to);
	return done;
}

/* Return: how many; fewer than @bytes when the caller's memory is not there */
static size_t copy_from_caller(const struct okl4_pipe_seg seg[2], size_t bytes,
			       struct iov_iter *from)
{
	size_t first = min_t(u64, bytes, seg[0].bytes);
	size_t done = copy_from_iter(seg[0].base, first, from);

	if (done == first && first < bytes)
		done += copy_from_iter(seg[1].base, bytes - first, from);
	return done;
}

/* What came before a connection was lost can be read. @ch->rx_lock held */
static bool is_readable(const struct okl4_channel *ch)
{
	int failed = READ_ONCE(ch->mem->failed);

	return !failed || failed == OKL4_CONNECTION_RESET;
}

/* Return: bytes; 0: end-of-file; -EAGAIN: there is nothing; -EIO; -EFAULT. @ch->rx_lock held */
static ssize_t read_there(struct okl4_channel *ch, struct iov_iter *to)
{
	struct okl4_socketpair *pair = &ch->mem->pair;
	ssize_t done = 0;

	if (!is_readable(ch))
		return -EIO;
	if (!okl4_pipe_is_open(&pair->rx)) /* okl4_session_shutdown() */
		return 0;
	if (ch->mem->packets)
		return okl4fs_read_message(ch, to);
	while (iov_iter_count(to)) {
		struct okl4_pipe_seg seg[2];
		size_t want, copied;
		s64 n;

		/* Not peek: that would note an end-of-file which this call does not report */
		if (done && okl4_pipe_readable(&pair->rx) <= 0)
			break;
		n = okl4_pipe_peek_read(&pair->rx, seg);
		if (n == 0)
			return done;
		if (n < 0)
			return done ? done : okl4fs_to_errno(ch, n);
		want = min3((u64)n, (u64)iov_iter_count(to), piece_bytes(pair));
		copied = copy_to_caller(seg, want, to);
		okl4fs_moved(ch, &ch->rx_counts, copied, !done && copied,
			     okl4_pipe_commit_read(&pair->rx, copied));
		done += copied;
		if (copied < want)
			return done ? done : -EFAULT;
		if (fatal_signal_pending(current)) /* the host may refill the ring for ever */
			return done;
		cond_resched();
	}
	return done;
}

/* The direction's lock held */
static void stalled(struct okl4_channel *ch, bool writes)
{
	okl4_count(writes ? &ch->tx_counts.stalls : &ch->rx_counts.stalls, 1);
	trace_okl4fs_stall(ch, writes);
}

/* @armed: what arming returned. @lock is held; when this does not return 0, it no longer is */
static int wait_armed(struct okl4_channel *ch, int armed, struct mutex *lock,
		      wait_queue_head_t *wait, int wakes)
{
	int r;

	if (armed > 0)
		return 0;
	r = armed < 0 ? okl4fs_to_errno(ch, armed) : okl4_channel_error(ch, ch->mem);
	if (!r)
		stalled(ch, wait == &ch->tx_wait);
	okl4_channel_unlock(ch, lock);
	if (r)
		return r;
	if (wait_event_interruptible(*wait, okl4_channel_woken(ch, wakes)))
		return -ERESTARTSYS;
	return mutex_lock_interruptible(lock) ? -ERESTARTSYS : 0;
}

/* A short look can cost less than a sleep, but it takes the CPU from others. @ch->rx_lock held */
static bool spin(struct okl4_channel *ch)
{
	u64 end, spin_ns = READ_ONCE(okl4_spin_us) * (u64)NSEC_PER_USEC;

	if (!spin_ns)
		return false;
	end = ktime_get_ns() + spin_ns;
	while (okl4_pipe_readable(&ch->mem->pair.rx) == 0) {
		if (need_resched() || signal_pending(current) || ktime_get_ns() >= end)
			return false;
		cpu_relax();
	}
	return true;
}

/**
 * okl4fs_read_iter() - read(2) and its relatives
 * @iocb: the call
 * @to: the caller's buffer
 *
 * Return: bytes read, 0 at end-of-file, or a negative errno.
 */
ssize_t okl4fs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct okl4_channel *ch = iocb->ki_filp->private_data;
	bool spun = false;
	ssize_t done;
	int err;

	if (!iov_iter_count(to))
		return 0;
	err = lock_pipe(&ch->rx_lock, iocb);
	if (err)
		return err;
	for (;;) {
		int wakes = atomic_read(&ch->wakes);

		done = read_there(ch, to);
		if (done != -EAGAIN)
			break;
		if (nowait(iocb)) {
			done = okl4_channel_error(ch, ch->mem) ?: -EAGAIN;
			break;
		}
		if (!spun) {
			spun = true;
			if (spin(ch))
				continue;
		}
		err = wait_armed(ch, okl4_pipe_arm_read(&ch->mem->pair.rx), &ch->rx_lock,
				 &ch->rx_wait, wakes);
		if (err)
			return err;
	}
	/* A message that is shorter than the buffer says nothing about further ones */
	okl4fs_rearm_read(ch, !ch->mem->packets && iov_iter_count(to));
	okl4_channel_unlock(ch, &ch->rx_lock);
	if (done > 0)
		file_accessed(iocb->ki_filp);
	return done;
}

/* Return: 0: all is written, or there is no room for more; or an errno. @ch->tx_lock held */
static int write_fitting(struct okl4_channel *ch, struct iov_iter *from, bool whole, ssize_t *done)
{
	struct okl4_socketpair *pair = &ch->mem->pair;

	while (iov_iter_count(from)) {
		size_t left = iov_iter_count(from), want, copied;
		struct okl4_pipe_seg seg[2];
		int err = okl4_channel_error(ch, ch->mem);
		s64 n;

		if (err)
			return err;
		if (!okl4_pipe_is_open(&pair->tx)) /* okl4_session_shutdown() */
			return -EPIPE;
		n = okl4_pipe_peek_write(&pair->tx, seg);
		if (n == -OKL4_AGAIN ||
		    (n > 0 && whole && okl4_pipe_writable(&pair->tx) < (s64)left))
			return 0;
		if (n < 0)
			return okl4fs_to_errno(ch, n);
		want = min3((u64)n, (u64)left, piece_bytes(pair));
		copied = copy_from_caller(seg, want, from);
		if (copied < want && whole) { /* atomic: the peer sees all of it or nothing */
			iov_iter_revert(from, copied);
			return -EFAULT;
		}
		okl4fs_moved(ch, &ch->tx_counts, copied, !*done && copied,
			     okl4_pipe_commit_write(&pair->tx, copied));
		*done += copied;
		if (copied < want)
			return -EFAULT;
		if (fatal_signal_pending(current)) /* the host may take the bytes for ever */
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Return: 0: all is written; 1: @want bytes of room are to be waited for; or an errno. As above */
static int write_some(struct okl4_channel *ch, struct iov_iter *from, bool whole, ssize_t *done,
		      u64 *want)
{
	int err = write_fitting(ch, from, whole, done);
	u64 left = iov_iter_count(from);

	if (err || !left)
		return err;
	/* A bulk stream waits for a good part of the ring */
	*want = whole ? left : min(left, ch->mem->pair.ring_bytes / 2);
	return 1;
}

/* As write_some(). @ch->tx_lock held */
static int write_whole_message(struct okl4_channel *ch, struct iov_iter *from, ssize_t *done,
			       u64 *want)
{
	int err = okl4_channel_error(ch, ch->mem);
	ssize_t n;

	if (err)
		return err;
	if (!okl4_pipe_is_open(&ch->mem->pair.tx)) /* okl4_session_shutdown() */
		return -EPIPE;
	*want = okl4_packet_ring_bytes(iov_iter_count(from));
	n = okl4fs_write_message(ch, from);
	if (n == -EAGAIN)
		return 1;
	if (n < 0)
		return (int)n;
	*done = n;
	return 0;
}

static int write_until_done(struct kiocb *iocb, struct iov_iter *from, ssize_t *done)
{
	struct okl4_channel *ch = iocb->ki_filp->private_data;
	bool whole = iov_iter_count(from) <= PIPE_BUF, packets = ch->mem->packets;
	int err = lock_pipe(&ch->tx_lock, iocb);

	if (err)
		return err;
	for (;;) {
		int wakes = atomic_read(&ch->wakes);
		u64 want;

		err = packets ? write_whole_message(ch, from, done, &want) :
				write_some(ch, from, whole, done, &want);
		if (err <= 0)
			break;
		if (nowait(iocb)) {
			err = -EAGAIN;
			break;
		}
		err = wait_armed(ch, okl4_channel_arm_write(ch, want), &ch->tx_lock, &ch->tx_wait,
				 wakes);
		if (err)
			return err;
	}
	okl4fs_rearm_write(ch, err == -EAGAIN);
	okl4_channel_unlock(ch, &ch->tx_lock);
	return err;
}

/**
 * okl4fs_write_iter() - write(2) and its relatives
 * @iocb: the call
 * @from: the caller's bytes
 *
 * Return: bytes written or a negative errno.
 */
ssize_t okl4fs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct okl4_channel *ch = file->private_data;
	ssize_t done = 0;
	int err;

	if (!ch->mem->packets && !iov_iter_count(from))
		return 0;
	if (ch->mem->packets && iov_iter_count(from) > OKL4FS_PACKET_MAX(ch->mem->pair.ring_bytes))
		return -EMSGSIZE;
	err = write_until_done(iocb, from, &done);
	/* As okl4_pipe_write(): also when something was written before */
	if (err == -EPIPE && !(iocb->ki_flags & OKL4_IOCB_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
	if (done > 0 && sb_start_write_trylock(file_inode(file)->i_sb)) {
		int e = file_update_time(file);

		sb_end_write(file_inode(file)->i_sb);
		if (e)
			err = e;
	}
	return done ? done : err;
}
