// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_poll.c - readiness, and the wake-ups of callers that wait for it
 *
 * The host wakes us only for what was asked for. So a direction that is reported as not ready is
 * armed first. Edge-triggered epoll and SIGIO do not ask again before the next wake-up, and so
 * poll() cannot arm for them; instead every read or write that leaves its direction not ready arms
 * it, if somebody watches. A call that moved less than was asked for has told its caller that the
 * direction is not ready, so if it is ready again by then, the watchers are woken at once.
 *
 * poll() never sleeps for a lock: its holder may be in a page fault that lasts. Where a direction
 * is locked, poll() reports what a glance at the shared words shows, and the holder wakes the
 * pollers when it releases the lock (okl4_channel_trylock()).
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/poll.h>

#include <libfs/packet.h>

#include "fs.h"

/* Room for an atomic write, or for a message of that length. No ring is smaller than PIPE_BUF */
static s64 write_room(const struct okl4_mem *mem)
{
	if (!mem->packets)
		return PIPE_BUF;
	return min_t(u64, okl4_packet_ring_bytes(PIPE_BUF), mem->pair.ring_bytes);
}

/* Whether an atomic write would not wait */
static bool may_write(struct okl4_mem *mem)
{
	return okl4_pipe_writable(&mem->pair.tx) >= write_room(mem);
}

static bool is_watched(wait_queue_head_t *wait, struct fasync_struct **async)
{
	/* The full barrier in it serves for both. Pairs with poll_wait() and okl4fs_fasync() */
	return wq_has_sleeper(wait) || READ_ONCE(*async);
}

/**
 * okl4fs_rearm_read() - after a read: see that watchers learn of the next byte
 * @ch: channel
 * @short_of: less was read than asked for
 *
 * The host does not tell of bytes that came between the read and the arming. An end-of-file needs
 * no arming: the host rings for it in any case.
 *
 * Context: @ch->rx_lock held.
 */
void okl4fs_rearm_read(struct okl4_channel *ch, bool short_of)
{
	struct okl4_pipe *rx = &ch->mem->pair.rx;

	if (!is_watched(&ch->rx_wait, &ch->rx_async))
		return;
	if (okl4_pipe_readable(rx) > 0 ? short_of :
					 okl4_pipe_arm_read(rx) > 0 && okl4_pipe_readable(rx) > 0)
		okl4_channel_wake(ch);
}

/**
 * okl4fs_rearm_write() - after a write: see that watchers learn when there is room again
 * @ch: channel
 * @short_of: less was written than asked for, for want of room
 *
 * Context: @ch->tx_lock held.
 */
void okl4fs_rearm_write(struct okl4_channel *ch, bool short_of)
{
	struct okl4_pipe *tx = &ch->mem->pair.tx;

	if (!is_watched(&ch->tx_wait, &ch->tx_async) || okl4_pipe_error(tx))
		return;
	if (may_write(ch->mem) ?
		    short_of :
		    okl4_channel_arm_write(ch, write_room(ch->mem)) > 0 && may_write(ch->mem))
		okl4_channel_wake(ch);
}

/* In place of poll_read() when another call holds the direction */
static __poll_t glance_read(const struct okl4_pipe *rx)
{
	struct okl4_pipe_glance seen = okl4_pipe_glance_read(rx);
	__poll_t mask = seen.bytes > 0 ? EPOLLIN | EPOLLRDNORM : 0;

	if ((seen.bytes > 0 || seen.at_eof) && seen.peer == OKL4_PIPE_CLOSED)
		mask |= EPOLLHUP;
	return mask;
}

/* In place of poll_write() when another call holds the direction */
static __poll_t glance_write(const struct okl4_mem *mem)
{
	struct okl4_pipe_glance seen = okl4_pipe_glance_write(&mem->pair.tx);
	__poll_t mask = seen.bytes >= write_room(mem) ? EPOLLOUT | EPOLLWRNORM : 0;

	return seen.peer == OKL4_PIPE_CLOSED ? mask | EPOLLERR : mask;
}

/* As with a fifo, HUP: the writer has gone. An end-of-file that was taken before does not count */
static __poll_t poll_read(struct okl4_channel *ch)
{
	struct okl4_pipe *rx = &ch->mem->pair.rx;
	enum okl4_pipe_state writer;
	__poll_t mask = 0;
	int ready;

	if (!okl4_channel_trylock(ch, &ch->rx_lock))
		return glance_read(rx);
	if (!okl4_pipe_is_open(rx)) { /* okl4_session_shutdown(): a read does not wait */
		okl4_channel_unlock(ch, &ch->rx_lock);
		return EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	}
	ready = okl4_pipe_readable(rx) > 0 ? 1 : okl4_pipe_arm_read(rx);
	if (ready > 0) {
		if (okl4_pipe_readable(rx) > 0)
			mask |= EPOLLIN | EPOLLRDNORM;
		if (!okl4_pipe_consumer_peer(rx, &writer) && writer == OKL4_PIPE_CLOSED)
			mask |= EPOLLHUP;
	}
	if (okl4_pipe_error(rx))
		okl4_channel_break(ch, ch->mem, okl4_pipe_error(rx));
	okl4_channel_unlock(ch, &ch->rx_lock);
	return mask;
}

/* As with a fifo, ERR: the reader has gone */
static __poll_t poll_write(struct okl4_channel *ch)
{
	struct okl4_pipe *tx = &ch->mem->pair.tx;
	enum okl4_pipe_state reader;
	__poll_t mask = 0;

	if (!okl4_channel_trylock(ch, &ch->tx_lock))
		return glance_write(ch->mem);
	if (!okl4_pipe_is_open(tx)) {
		okl4_channel_unlock(ch, &ch->tx_lock);
		return EPOLLOUT | EPOLLWRNORM;
	}
	if (!okl4_pipe_error(tx) &&
	    (may_write(ch->mem) || okl4_channel_arm_write(ch, write_room(ch->mem)) > 0)) {
		if (may_write(ch->mem))
			mask |= EPOLLOUT | EPOLLWRNORM;
		if (!okl4_pipe_producer_peer(tx, &reader) && reader == OKL4_PIPE_CLOSED)
			mask |= EPOLLERR;
	}
	if (okl4_pipe_error(tx))
		okl4_channel_break(ch, ch->mem, okl4_pipe_error(tx));
	okl4_channel_unlock(ch, &ch->tx_lock);
	return mask;
}

/**
 * okl4fs_poll() - poll(2) and its relatives
 * @file: file
 * @table: of the caller that waits, or NULL
 *
 * Return: mask of what would not wait.
 */
__poll_t okl4fs_poll(struct file *file, struct poll_table_struct *table)
{
	struct okl4_channel *ch = file->private_data;
	__poll_t mask = 0;

	if (file->f_mode & FMODE_READ)
		poll_wait(file, &ch->rx_wait, table);
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &ch->tx_wait, table);

	if (file->f_mode & FMODE_READ)
		mask |= poll_read(ch);
	if (file->f_mode & FMODE_WRITE)
		mask |= poll_write(ch);
	if (okl4_channel_error(ch, ch->mem))
		mask = (mask & ~(EPOLLOUT | EPOLLWRNORM)) | EPOLLHUP | EPOLLERR;
	else
		okl4_channel_watch(ch);
	return mask;
}
