// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_drain.c - waiting until the host has taken what was written
 *
 * fsync(2) waits for what was written before it. Shutdown, reboot and kexec wait for drain_ms at
 * most, and only where a reader is there to take it. Both share the writers' wake value, of which
 * the nearest stands in the ring (libfs/pipe.h); a sleeper that is woken too early asks again.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/reboot.h>

#include "channel.h"

unsigned int okl4_drain_ms = 2000;

/* Return: 1: all up to @target is taken; 0: sleep; or an errno. @ch->tx_lock held */
static int taken_or_arm(struct okl4_channel *ch, u64 target)
{
	struct okl4_pipe *tx = &ch->mem->pair.tx;
	u64 ring_bytes = ch->mem->pair.ring_bytes, since = okl4_pipe_written(tx) - target;
	int armed, err;

	do {
		enum okl4_pipe_state reader;
		s64 room = okl4_pipe_writable(tx);

		if (room >= 0 && (since >= ring_bytes || room >= (s64)(ring_bytes - since)))
			return 1;
		err = okl4_channel_error(ch, ch->mem);
		if (err)
			return err;
		if (!okl4_pipe_producer_peer(tx, &reader) && reader == OKL4_PIPE_CLOSED)
			return -EPIPE;
		armed = okl4_channel_arm_write(ch, ring_bytes - since);
	} while (armed > 0);
	if (armed < 0)
		okl4_channel_break(ch, ch->mem, armed);
	return armed < 0 ? -EIO : 0;
}

/**
 * okl4_channel_sync() - wait until the host has taken what was written before
 * @ch: channel that is open, in either direction
 *
 * Return: 0; -EPIPE: the host's reader has closed without taking all; -EIO; -ECONNRESET;
 * -ERESTARTSYS.
 */
int okl4_channel_sync(struct okl4_channel *ch)
{
	bool begun = false;
	u64 target = 0;

	for (;;) {
		int wakes, r;

		if (mutex_lock_interruptible(&ch->tx_lock))
			return -ERESTARTSYS;
		if (!begun)
			target = okl4_pipe_written(&ch->mem->pair.tx);
		begun = true;
		wakes = atomic_read(&ch->wakes);
		r = taken_or_arm(ch, target);
		okl4_channel_unlock(ch, &ch->tx_lock);
		if (r)
			return min(r, 0);
		if (wait_event_interruptible(ch->tx_wait, okl4_channel_woken(ch, wakes)))
			return -ERESTARTSYS;
	}
}

/* Whether a reader is there that has not taken everything yet. @ch is pinned */
static bool undrained(struct okl4_channel *ch)
{
	struct okl4_pipe_glance out = okl4_pipe_glance_write(&ch->mem->pair.tx);

	return out.peer == OKL4_PIPE_OPEN && out.bytes >= 0 &&
	       out.bytes < (s64)ch->mem->pair.ring_bytes && !okl4_channel_error(ch, ch->mem);
}

/* Waits until the host has taken everything, or until @end, in jiffies */
static void drain(struct okl4_channel *ch, unsigned long end)
{
	mutex_lock(&ch->lock);
	if (!ch->mem) {
		mutex_unlock(&ch->lock);
		return;
	}
	ch->n_pins++;
	mutex_unlock(&ch->lock);

	while (undrained(ch)) {
		int wakes = atomic_read(&ch->wakes);
		long left = (long)(end - jiffies);

		if (left <= 0)
			break;
		if (okl4_channel_trylock(ch, &ch->tx_lock)) {
			okl4_channel_arm_write(ch, ch->mem->pair.ring_bytes);
			okl4_channel_unlock(ch, &ch->tx_lock);
		}
		if (undrained(ch) &&
		    wait_event_interruptible_timeout(ch->tx_wait, atomic_read(&ch->wakes) != wakes,
						     left) <= 0)
			break;
	}
	okl4_channel_unpin(ch);
}

static void drain_sessions(struct okl4_channel *of, unsigned long end)
{
	struct okl4_channel **list;
	unsigned int n;

	okl4_sessions_list(of, &list, &n);
	while (n--) {
		drain(list[n], end);
		okl4_channel_put(list[n]);
	}
	kvfree(list);
}

/* Shutdown, reboot and kexec alike */
static int before_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	unsigned long end = jiffies + msecs_to_jiffies(READ_ONCE(okl4_drain_ms));
	struct okl4_channel **list;
	unsigned int n;

	okl4_channel_list(&list, &n);
	while (n--) {
		drain(list[n], end);
		drain_sessions(list[n], end);
		okl4_channel_put(list[n]);
	}
	kvfree(list);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = { .notifier_call = before_reboot };

/**
 * okl4_drain_init() - wait for the host before the machine goes down
 *
 * Return: 0 or a negative errno.
 */
int okl4_drain_init(void)
{
	return register_reboot_notifier(&reboot_notifier);
}

/**
 * okl4_drain_exit() - undo okl4_drain_init()
 */
void okl4_drain_exit(void)
{
	unregister_reboot_notifier(&reboot_notifier);
}
