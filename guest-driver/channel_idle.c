// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_idle.c - when a channel's memory is given back
 *
 * That is when nobody has the channel open, both rings are empty, and the host's end is closed. So
 * a peer that is connected stays connected when one program in the guest ends and the next one
 * opens the channel. Only the host knows for certain whether its end is closed, so the device asks
 * it to release the memory (RELEASE), and the host may refuse. What is checked after the last close
 * is checked again at each wake-up from the host.
 *
 * Without a node (an open file holds its node) the memory is kept only for bytes that the host has
 * not taken yet. Memory that has failed, or whose channel the host has removed, goes at the last
 * close. That of a session goes at the last close, or when the host has taken what was written: a
 * session has no node. Memory that a device holds goes through that device's retire(), which takes
 * it back from the host.
 */
#include <linux/err.h>

#include "channel.h"

/**
 * okl4_channel_idle() - whether a channel's memory may be taken away
 * @ch: channel
 *
 * Context: @ch->lock held.
 * Return: true when nobody has it open or is about to open it.
 */
bool okl4_channel_idle(const struct okl4_channel *ch)
{
	return !ch->n_readers && !ch->n_writers && !ch->n_pins;
}

/**
 * okl4_channel_drop_mem() - give up a channel's memory
 * @ch: channel that has memory and is not open; the caller has a reference to a session
 *
 * A session ends with it: here if no device has the memory, else when the device has it back.
 *
 * Context: @ch->lock held.
 */
void okl4_channel_drop_mem(struct okl4_channel *ch)
{
	struct okl4_mem *mem = ch->mem;

	ch->mem = NULL;
	if (mem->holder) {
		if (ch->of) {
			kref_get(&ch->ref);
			mem->session = ch;
		}
		mem->holder->ops->retire(mem->holder, mem);
	} else if (ch->of) {
		okl4_mem_recycle(mem);
		okl4_session_finish(ch);
	} else {
		okl4_mem_free(mem);
	}
}

/* Whether bytes are left for the host; then it wakes us when they are taken. @ch->lock held */
static bool undelivered(struct okl4_channel *ch)
{
	struct okl4_mem *mem = ch->mem;
	bool left;

	/* The mark "lingering" before the look at the device. Pairs with okl4_sessions_settle() */
	smp_mb();
	if (okl4_channel_error(ch, mem))
		return false;
	mutex_lock(&ch->tx_lock);
	left = okl4_channel_arm_write(ch, mem->pair.ring_bytes) == 0;
	okl4_channel_unlock(ch, &ch->tx_lock);
	return left;
}

/* Whether the host's end is open or left bytes to read, so that new memory would not do as well */
static bool peer_stays(const struct okl4_mem *mem)
{
	struct okl4_pipe_glance in = okl4_pipe_glance_read(&mem->pair.rx);
	struct okl4_pipe_glance out = okl4_pipe_glance_write(&mem->pair.tx);

	return in.bytes > 0 || in.peer == OKL4_PIPE_OPEN || out.peer == OKL4_PIPE_OPEN;
}

/* @ch->lock held */
static void settle_memory(struct okl4_channel *ch)
{
	WRITE_ONCE(ch->lingering, false);
	if (!ch->mem || !okl4_channel_idle(ch))
		return;
	/* Set before the wake-up is asked for, so that the device sees it when that comes */
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
 * okl4_channel_to_release() - the memory that a device may ask the host to release
 * @ch: channel
 * @port: device
 *
 * Context: the device's mutex held until okl4_channel_released(), so an opener that comes
 * meanwhile, and needs the memory, waits in attach().
 * Return: the memory's instance, or 0 when it is needed again.
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
 * okl4_channel_released() - the host has released the memory
 * @ch: channel
 * @instance: which memory
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
 * okl4_channel_unpin() - a call no longer needs a channel's memory
 * @ch: channel whose n_pins the call has raised
 */
void okl4_channel_unpin(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	ch->n_pins--;
	settle_memory(ch);
	mutex_unlock(&ch->lock);
}

/**
 * okl4_channel_settle() - look again whether a lingering channel's memory can be given back
 * @ch: channel
 */
void okl4_channel_settle(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	settle_memory(ch);
	mutex_unlock(&ch->lock);
}

/**
 * okl4_sessions_settle() - a channel has no device: drop its sessions that nobody has open
 * @of: channel
 */
void okl4_sessions_settle(struct okl4_channel *of)
{
	struct okl4_channel *ch;

	/* The device before the look at the marks. Pairs with undelivered() */
	smp_mb();
	while ((ch = okl4_session_next_lingering(of))) {
		okl4_channel_settle(ch);
		okl4_channel_put(ch);
	}
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
	bool was_last;

	mutex_lock(&ch->lock);
	was_last = !--ch->n_nodes;
	mutex_unlock(&ch->lock);
	if (was_last && READ_ONCE(ch->max_sessions))
		okl4_mem_empty_cache();
	okl4_channel_settle(ch);
	okl4_channel_put(ch);
}
