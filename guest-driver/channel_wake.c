// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_wake.c - a channel's sleepers, its bell, and the locks of its two directions
 *
 * Whatever changes something that a sleeper waits for calls okl4_channel_wake(), also when the
 * memory fails. In the other direction, okl4_channel_ring() has the device ring the host's bell,
 * and okl4_channel_watch() has it check that the host is alive.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/poll.h>

#include "channel.h"
#include "trace.h"

/**
 * okl4_channel_nudge() - have everybody who waits on a channel look again, just in case
 * @ch: channel
 *
 * No SIGIO is sent: a program that gets one does not look first.
 *
 * Context: any.
 */
void okl4_channel_nudge(struct okl4_channel *ch)
{
	atomic_inc(&ch->wakes);
	/* The count before the look at the wait queues. Pairs with prepare_to_wait() */
	smp_mb__after_atomic();
	/* No key: io_uring takes it for what poll() says */
	if (waitqueue_active(&ch->rx_wait))
		wake_up_interruptible(&ch->rx_wait);
	if (waitqueue_active(&ch->tx_wait))
		wake_up_interruptible(&ch->tx_wait);
}

/**
 * okl4_channel_wake() - something has changed: have everybody who waits on a channel look again
 * @ch: channel
 *
 * Context: any.
 */
void okl4_channel_wake(struct okl4_channel *ch)
{
	okl4_channel_nudge(ch);
	kill_fasync(&ch->rx_async, SIGIO, POLL_IN);
	kill_fasync(&ch->tx_async, SIGIO, POLL_OUT);
}

/**
 * okl4_channel_trylock() - take the lock of a direction, or have its holder wake the sleepers
 * @ch: channel
 * @lock: its rx_lock or tx_lock
 *
 * For callers that must not sleep: the holder may be in a page fault for any length of time.
 *
 * Return: true when the lock is taken; else everybody who is on a wait queue by now is woken when
 * the holder has released it.
 */
bool okl4_channel_trylock(struct okl4_channel *ch, struct mutex *lock)
{
	if (mutex_trylock(lock))
		return true;
	atomic_set(&ch->missed, true);
	/* The note before the second try. Pairs with okl4_channel_unlock() */
	smp_mb();
	return mutex_trylock(lock);
}

/**
 * okl4_channel_unlock() - release the lock of a direction
 * @ch: channel
 * @lock: its rx_lock or tx_lock
 *
 * Context: may be called with the channel's other locks held.
 */
void okl4_channel_unlock(struct okl4_channel *ch, struct mutex *lock)
{
	mutex_unlock(lock);
	/* The lock before the look at the note. Pairs with okl4_channel_trylock() */
	smp_mb();
	if (atomic_read(&ch->missed) && atomic_xchg(&ch->missed, false))
		okl4_channel_wake(ch);
}

/**
 * okl4_channel_break() - a channel's memory has failed: files get EIO from here on
 * @ch: channel
 * @mem: its memory
 * @status: why (enum okl4_status), either sign
 *
 * Context: any lock of the channel may be held.
 */
void okl4_channel_break(struct okl4_channel *ch, struct okl4_mem *mem, int status)
{
	if (cmpxchg(&mem->failed, 0, abs(status)))
		return;
	trace_okl4fs_fail(ch, abs(status));
	if (abs(status) < OKL4_STATUS_END)
		atomic_inc(&(ch->of ? ch->of : ch)->failures[abs(status)]);
	/* That connections end is nothing unusual */
	if (!ch->of || abs(status) != OKL4_CONNECTION_RESET)
		pr_warn_ratelimited("channel %*pE%s failed: %s\n", (int)ch->name_bytes, ch->name,
				    ch->of ? ": a session" : "", okl4_status_text(status));
	okl4_channel_wake(ch);
}

/**
 * okl4_channel_arm_write() - ask to be woken when there is room, before sleeping
 * @ch: channel with memory
 * @bytes: room that is waited for
 *
 * As okl4_pipe_arm_write(). Several may sleep on the guest's writing end, so when this takes the
 * place of another's wake value, all of them look again.
 *
 * Context: @ch->tx_lock held.
 * Return: as okl4_pipe_arm_write().
 */
int okl4_channel_arm_write(struct okl4_channel *ch, u64 bytes)
{
	struct okl4_pipe *tx = &ch->mem->pair.tx;
	int r = okl4_pipe_arm_write(tx, bytes);

	if (okl4_pipe_take_overdue(tx))
		okl4_channel_wake(ch);
	return r;
}

/**
 * okl4_channel_waited_for() - whether somebody waits for the host on a channel
 * @ch: channel
 *
 * Bytes that the host has not taken count, too: their writer may be gone, but they must be
 * delivered. A writer at work counts as one that waits: a page fault in its own memory may hold it
 * up for any length of time, and a device must not wait for that.
 *
 * Context: may sleep.
 * Return: true when a reader, a writer, a poller or bytes wait.
 */
bool okl4_channel_waited_for(struct okl4_channel *ch)
{
	struct okl4_mem *mem;
	bool waits = waitqueue_active(&ch->rx_wait) || waitqueue_active(&ch->tx_wait) ||
		     READ_ONCE(ch->rx_async) || READ_ONCE(ch->tx_async);

	if (waits)
		return true;
	mutex_lock(&ch->lock);
	mem = ch->mem;
	if (mem && !READ_ONCE(mem->failed)) {
		waits = !mutex_trylock(&ch->tx_lock);
		if (!waits) {
			waits = okl4_pipe_writable(&mem->pair.tx) < (s64)mem->pair.ring_bytes;
			okl4_channel_unlock(ch, &ch->tx_lock);
		}
	}
	mutex_unlock(&ch->lock);
	return waits;
}

/**
 * okl4_channel_ring() - ring the host's bell for a channel
 * @ch: channel
 */
void okl4_channel_ring(struct okl4_channel *ch)
{
	struct okl4_port *port;
	u32 id;

	trace_okl4fs_wake_sent(ch);
	rcu_read_lock();
	port = rcu_dereference(*okl4_channel_port(ch));
	id = READ_ONCE(ch->id);
	if (port && id != OKL4_NO_ID)
		port->ops->ring(port, id);
	rcu_read_unlock();
}

/**
 * okl4_channel_watch() - a caller waits on a channel: check that the host is alive
 * @ch: channel
 *
 * Context: the caller is on the wait queue already.
 */
void okl4_channel_watch(struct okl4_channel *ch)
{
	struct okl4_port *port;

	rcu_read_lock();
	port = rcu_dereference(*okl4_channel_port(ch));
	if (port)
		port->ops->watch(port);
	rcu_read_unlock();
}

/**
 * okl4_channel_woken() - whether a wake-up came since a sleeper looked last
 * @ch: channel
 * @wakes: the count of wake-ups then
 *
 * If none came, it has the device check that the host is alive.
 *
 * Return: true when one came.
 */
bool okl4_channel_woken(struct okl4_channel *ch, int wakes)
{
	if (atomic_read(&ch->wakes) != wakes)
		return true;
	okl4_channel_watch(ch);
	return false;
}
