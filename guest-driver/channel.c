// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel.c - what devices and nodes do to a channel
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/poll.h>

#include "channel.h"
#include "trace.h"

void (*okl4_channel_has_news)(void);

/**
 * tell() - a channel came or went
 * @ch: channel
 */
static void tell(struct okl4_channel *ch)
{
	atomic_set(&ch->news, true);
	if (okl4_channel_has_news)
		okl4_channel_has_news();
}

/* Whether the nodes have to be told anew. Under @ch->lock, before @ch->removed is forgotten */
static bool take_access(struct okl4_channel *ch, const struct okl4_access *access)
{
	if (ch->access_serial && !ch->removed && !memcmp(&ch->access, access, sizeof(*access)))
		return false;
	ch->access = *access;
	WRITE_ONCE(ch->access_serial, ch->access_serial + 1 ?: 1);
	return true;
}

/**
 * take_offer() - note what a device says of a channel
 * @ch: channel
 * @port: device
 * @offer: what it says
 *
 * Context: @ch->lock held.
 * Return: 0, or -EBUSY when another device offers this name.
 */
static int take_offer(struct okl4_channel *ch, struct okl4_port *port,
		      const struct okl4_offer *offer)
{
	struct okl4_port *now = rcu_dereference_protected(ch->port, lockdep_is_held(&ch->lock));
	bool news = !now;

	if (now && now != port)
		return -EBUSY;
	if (ch->mem && ch->mem->pair.ring_bytes != offer->ring_bytes) {
		if (!okl4_channel_idle(ch))
			okl4_channel_break(ch, ch->mem, FS_SEC_BYTES);
		else
			okl4_channel_drop_mem(ch);
	}
	WRITE_ONCE(ch->id, offer->id);
	ch->generation = offer->generation;
	news |= take_access(ch, &offer->access);
	WRITE_ONCE(ch->removed, false);
	ch->exclusive = offer->exclusive;
	ch->ring_bytes = offer->ring_bytes;
	rcu_assign_pointer(ch->port, port);
	if (news)
		tell(ch);
	return 0;
}

/**
 * okl4_channel_offer() - a device offers a channel, or does so again
 * @port: device
 * @offer: what it says of the channel
 *
 * Context: may sleep.
 * Return: the channel with a reference for the caller, or an error pointer: -EBUSY when another
 * device offers this name, -ENOMEM.
 */
struct okl4_channel *okl4_channel_offer(struct okl4_port *port, const struct okl4_offer *offer)
{
	struct okl4_channel *ch = okl4_channel_get(offer->name, offer->name_bytes);
	int err;

	if (!ch)
		return ERR_PTR(-ENOMEM);

	mutex_lock(&ch->lock);
	err = take_offer(ch, port, offer);
	mutex_unlock(&ch->lock);
	if (err) {
		okl4_channel_put(ch);
		return ERR_PTR(err);
	}
	return ch;
}

/**
 * okl4_channel_withdraw() - a device does not offer a channel any more
 * @ch: channel
 * @port: device
 * @id: the number it had there; nothing is done when it has another one meanwhile
 *
 * Sleepers wake up. After an RCU grace period no ring() or watch() of @port runs for @ch.
 */
void okl4_channel_withdraw(struct okl4_channel *ch, struct okl4_port *port, u32 id)
{
	mutex_lock(&ch->lock);
	if (rcu_access_pointer(ch->port) == port && ch->id == id)
		RCU_INIT_POINTER(ch->port, NULL);
	mutex_unlock(&ch->lock);
	okl4_channel_wake(ch);
}

/**
 * okl4_channel_remove() - the host has removed a channel: it is not coming back by itself
 * @ch: channel; the host has not its memory
 * @port: device that offered it
 * @id: the number it had there; nothing is done when it has another one meanwhile
 *
 * Files that are open go on as if the device was gone. Who opens the channel after it was added again
 * finds nothing of what was in it, unless somebody kept it open all the while.
 */
void okl4_channel_remove(struct okl4_channel *ch, struct okl4_port *port, u32 id)
{
	bool gone;

	mutex_lock(&ch->lock);
	gone = rcu_access_pointer(ch->port) == port && ch->id == id;
	if (gone) {
		RCU_INIT_POINTER(ch->port, NULL);
		WRITE_ONCE(ch->removed, true);
		if (ch->mem && okl4_channel_idle(ch))
			okl4_channel_drop_mem(ch);
	}
	mutex_unlock(&ch->lock);
	if (!gone)
		return;
	okl4_channel_wake(ch);
	tell(ch);
}

/**
 * okl4_channel_returned() - a device has no channel's memory any more: it was reset or answered
 * @ch: channel
 * @port: device
 */
void okl4_channel_returned(struct okl4_channel *ch, struct okl4_port *port)
{
	mutex_lock(&ch->lock);
	if (ch->mem && ch->mem->holder == port)
		ch->mem->holder = NULL;
	mutex_unlock(&ch->lock);
}

/**
 * okl4_channel_fail() - the host says that it uses some memory no longer
 * @ch: channel
 * @instance: which memory; if it is not the present one, nothing happens
 * @status: why
 */
void okl4_channel_fail(struct okl4_channel *ch, u64 instance, int status)
{
	mutex_lock(&ch->lock);
	if (ch->mem && ch->mem->instance == instance) {
		okl4_channel_break(ch, ch->mem, status ? status : FS_CHANNEL_FAILED);
		if (okl4_channel_idle(ch))
			okl4_channel_drop_mem(ch);
	}
	mutex_unlock(&ch->lock);
}

/**
 * okl4_channel_break() - a channel's memory has failed: files get EIO from here on
 * @ch: channel
 * @mem: its memory
 * @status: why (enum fs_status), either sign
 *
 * Context: any lock of the channel may be held.
 */
void okl4_channel_break(struct okl4_channel *ch, struct okl4_mem *mem, int status)
{
	if (cmpxchg(&mem->failed, 0, abs(status)))
		return;
	trace_okl4fs_fail(ch, abs(status));
	if (abs(status) < FS_STATUS_END)
		atomic_inc(&ch->failures[abs(status)]);
	pr_warn_ratelimited("channel %*pE failed: %s\n", (int)ch->name_bytes, ch->name,
			    fs_status_text(status));
	okl4_channel_wake(ch);
}

/**
 * okl4_channel_trylock() - take the lock of a direction, or have its holder wake who waits
 * @ch: channel
 * @lock: its rx_lock or tx_lock
 *
 * For callers that must not sleep. The holder may be in a page fault for any time.
 *
 * Return: true when it is taken; else all who are on the wait queues by now are woken after the
 * holder has let go of it.
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
 * okl4_channel_unlock() - let go of the lock of a direction
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
 * okl4_channel_arm_write() - ask to be woken when there is room, before sleeping
 * @ch: channel with memory
 * @bytes: room that is waited for
 *
 * As pipe_arm_write(). Several may sleep on the guest's writing end, so when this takes the place
 * of another's wake value, all of them look again.
 *
 * Context: @ch->tx_lock held.
 * Return: as pipe_arm_write().
 */
int okl4_channel_arm_write(struct okl4_channel *ch, u64 bytes)
{
	struct pipe *tx = &ch->mem->pair.tx;
	int r = pipe_arm_write(tx, bytes);

	if (pipe_take_overdue(tx))
		okl4_channel_wake(ch);
	return r;
}

/**
 * okl4_channel_add_node() - a node names a channel
 * @ch: channel; the caller's reference becomes the node's
 */
void okl4_channel_add_node(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	ch->n_nodes++;
	mutex_unlock(&ch->lock);
}

/**
 * okl4_channel_drop_node() - a node is gone: unlinked and closed, or unmounted
 * @ch: channel; the node's reference is given back
 */
void okl4_channel_drop_node(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	ch->n_nodes--;
	mutex_unlock(&ch->lock);
	okl4_channel_settle(ch);
	okl4_channel_put(ch);
}

/**
 * okl4_channel_nudge() - let everybody who waits on a channel look again, in case there is something
 * @ch: channel
 *
 * Who is sent signals is not told, since he cannot look first.
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
 * okl4_channel_wake() - something has changed: let everybody who waits on a channel look again
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
 * okl4_channel_waited_for() - whether somebody waits for the host on a channel
 * @ch: channel
 *
 * Bytes that the host has not taken wait, too: who wrote them may be gone, but they are to be
 * delivered. A writer that is at work is taken for one that waits: it may be held up for any time,
 * where its own memory has to be fetched first, and a device must not wait for that.
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
			waits = pipe_writable(&mem->pair.tx) < (s64)mem->pair.ring_bytes;
			okl4_channel_unlock(ch, &ch->tx_lock);
		}
	}
	mutex_unlock(&ch->lock);
	return waits;
}

/**
 * okl4_channel_ring() - tell the host to look after a channel
 * @ch: channel
 */
void okl4_channel_ring(struct okl4_channel *ch)
{
	struct okl4_port *port;

	trace_okl4fs_wake_sent(ch);
	rcu_read_lock();
	port = rcu_dereference(ch->port);
	if (port)
		port->ops->ring(port, READ_ONCE(ch->id));
	rcu_read_unlock();
}

/**
 * okl4_channel_watch() - somebody waits on a channel: see that the host is alive
 * @ch: channel
 *
 * Call it when already on the wait queue.
 */
void okl4_channel_watch(struct okl4_channel *ch)
{
	struct okl4_port *port;

	rcu_read_lock();
	port = rcu_dereference(ch->port);
	if (port)
		port->ops->watch(port);
	rcu_read_unlock();
}
