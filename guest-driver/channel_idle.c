// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_idle.c - when a channel's memory is given back
 *
 * When nobody has the channel open, both rings are empty and the host's end is closed: a peer that is
 * connected stays so when a guest's program ends and the next one opens. Whether it is closed only the
 * host knows for certain, so the device asks it to let the memory go (RELEASE), and it may refuse.
 * Without a node (an open file holds its node) only what the host has yet to take keeps the memory.
 * When it has failed or the host has removed the channel, it goes at the last close. Memory that a
 * device holds goes through that device's retire(), which takes it from the host first. What is looked
 * for after the last close is looked for again at each wake-up from the host.
 */
#include <linux/err.h>

#include "channel.h"

/**
 * okl4_channel_idle() - whether a channel's memory may be taken away
 * @ch: channel
 *
 * Context: @ch->lock held.
 * Return: true when nobody has it open, or is about to.
 */
bool okl4_channel_idle(const struct okl4_channel *ch)
{
	return !ch->n_readers && !ch->n_writers && !ch->n_pins;
}

/**
 * okl4_channel_drop_mem() - let go of a channel's memory
 * @ch: channel that has memory and is not open
 *
 * Context: @ch->lock held.
 */
void okl4_channel_drop_mem(struct okl4_channel *ch)
{
	struct okl4_mem *mem = ch->mem;

	ch->mem = NULL;
	if (mem->holder)
		mem->holder->ops->retire(mem->holder, mem);
	else
		okl4_mem_free(mem);
}

/**
 * undelivered() - whether the host still has something to take, and ask to be woken when it has not
 * @ch: channel that is not open
 *
 * Context: @ch->lock held.
 * Return: true when written bytes are left that the host can take and may want.
 */
static bool undelivered(struct okl4_channel *ch)
{
	struct okl4_mem *mem = ch->mem;
	bool left;

	if (okl4_channel_error(ch, mem))
		return false;
	mutex_lock(&ch->tx_lock);
	left = okl4_channel_arm_write(ch, mem->pair.ring_bytes) == 0;
	okl4_channel_unlock(ch, &ch->tx_lock);
	return left;
}

/**
 * peer_stays() - whether the host's end is open, or has left something to be read
 * @mem: memory of a channel that is not open
 *
 * Return: true when memory made afresh would not do as well.
 */
static bool peer_stays(const struct okl4_mem *mem)
{
	struct pipe_glance in = pipe_glance_read(&mem->pair.rx);
	struct pipe_glance out = pipe_glance_write(&mem->pair.tx);

	return in.bytes > 0 || in.peer == PIPE_OPEN || out.peer == PIPE_OPEN;
}

/**
 * settle() - give memory back that is of no use any more
 * @ch: channel
 *
 * Context: @ch->lock held.
 */
static void settle(struct okl4_channel *ch)
{
	WRITE_ONCE(ch->lingering, false);
	if (!ch->mem || !okl4_channel_idle(ch))
		return;
	/* Seen by okl4_channel_wake()'s callers from before the wake-up is asked for */
	WRITE_ONCE(ch->lingering, true);
	if (undelivered(ch))
		return;
	if (ch->n_nodes && ch->mem->holder && !okl4_channel_error(ch, ch->mem)) {
		if (!peer_stays(ch->mem))
			ch->mem->holder->ops->release_idle(ch->mem->holder, ch->mem->holder_id);
		return;
	}
	WRITE_ONCE(ch->lingering, false);
	okl4_channel_drop_mem(ch);
}

/**
 * okl4_channel_to_release() - the memory that a device may ask the host to let go
 * @ch: channel
 * @port: device
 *
 * Context: the device's mutex held until okl4_channel_released(), so an opener that comes meanwhile,
 * and needs the memory, waits in attach().
 * Return: its instance, or 0 when it is needed again.
 */
u64 okl4_channel_to_release(struct okl4_channel *ch, struct okl4_port *port)
{
	u64 instance = 0;

	mutex_lock(&ch->lock);
	if (ch->mem && ch->mem->holder == port && okl4_channel_idle(ch) && !undelivered(ch))
		instance = ch->mem->instance;
	mutex_unlock(&ch->lock);
	return instance;
}

/**
 * okl4_channel_released() - the host has let the memory go
 * @ch: channel
 * @instance: which
 *
 * An opener that has come meanwhile keeps it, and attaches it again.
 */
void okl4_channel_released(struct okl4_channel *ch, u64 instance)
{
	mutex_lock(&ch->lock);
	if (ch->mem && ch->mem->instance == instance) {
		ch->mem->holder = NULL;
		if (okl4_channel_idle(ch)) {
			WRITE_ONCE(ch->lingering, false);
			okl4_channel_drop_mem(ch);
		}
	}
	mutex_unlock(&ch->lock);
}

/**
 * okl4_channel_unpin() - a call needs a channel's memory no longer
 * @ch: channel whose n_pins the call has raised
 */
void okl4_channel_unpin(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	ch->n_pins--;
	settle(ch);
	mutex_unlock(&ch->lock);
}

/**
 * okl4_channel_settle() - look again whether a lingering channel's memory can be given back
 * @ch: channel
 */
void okl4_channel_settle(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	settle(ch);
	mutex_unlock(&ch->lock);
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
