// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_slot.c - the channels of a device, by their ids
 *
 * Interrupts look channels up here to wake who sleeps on them, so the table has a spinlock; it is
 * written under the device's mutex only, whose holder may therefore read it without the spinlock.
 * What an event says that needs a request is noted in the slot, to be done by the device's work.
 */
#include <linux/slab.h>

#include "trace.h"
#include "dev.h"

/**
 * okl4_slot_set() - put a channel into a slot
 * @dev: device
 * @id: slot
 * @ch: channel, whose reference passes to the slot; NULL empties it
 *
 * Context: @dev->mutex held.
 * Return: what was there, with its reference, or NULL.
 */
struct okl4_channel *okl4_slot_set(struct okl4_dev *dev, u32 id, struct okl4_channel *ch)
{
	struct okl4_channel *old;

	spin_lock_irq(&dev->slot_lock);
	old = dev->slot[id].ch;
	dev->slot[id].ch = ch;
	dev->slot[id].generation = ch ? ch->generation : 0;
	if (ch && id >= dev->n_slots)
		dev->n_slots = id + 1;
	spin_unlock_irq(&dev->slot_lock);
	return old;
}

/**
 * okl4_slot_vacate() - a channel is not offered any more under some id; the host has not its memory
 * @dev: device
 * @id: id
 * @removed: the host has removed it; else the device goes
 *
 * Context: @dev->mutex held.
 */
void okl4_slot_vacate(struct okl4_dev *dev, u32 id, bool removed)
{
	struct okl4_channel *ch = okl4_slot_set(dev, id, NULL);

	if (!ch)
		return;
	if (removed)
		okl4_channel_remove(ch, &dev->port, id);
	else
		okl4_channel_withdraw(ch, &dev->port, id);
	okl4_channel_put(ch);
}

/**
 * note() - note that something is to be done about a slot
 * @dev: device
 * @id: slot
 * @what: OKL4_SLOT_*
 *
 * Context: @dev->slot_lock held; any.
 */
static void note(struct okl4_dev *dev, u32 id, u16 what)
{
	dev->slot[id].todo |= what;
	set_bit(id, dev->todo);
	okl4_dev_poke(dev);
}

/**
 * okl4_slot_changed() - the host is to be asked what a channel is now
 * @dev: device
 * @id: slot
 */
void okl4_slot_changed(struct okl4_dev *dev, u32 id)
{
	spin_lock_irq(&dev->slot_lock);
	note(dev, id, OKL4_SLOT_CHANGED);
	spin_unlock_irq(&dev->slot_lock);
}

/**
 * okl4_slot_release_idle() - ask the host, in the device's work, to let go of a channel's memory
 * @port: device
 * @id: slot
 */
void okl4_slot_release_idle(struct okl4_port *port, u32 id)
{
	struct okl4_dev *dev = okl4_dev_of(port);

	spin_lock_irq(&dev->slot_lock);
	note(dev, id, OKL4_SLOT_IDLE);
	spin_unlock_irq(&dev->slot_lock);
}

/* Context: @dev->mutex held. Return: 0 or a negative errno, after which the device must be reset. */
static int release_idle(struct okl4_dev *dev, u32 id, const struct okl4_slot *slot)
{
	u64 instance = okl4_channel_to_release(slot->ch, &dev->port);
	int r = instance ? okl4_ctl_release(dev, id, slot->generation) : -ENOENT;

	if (!r)
		okl4_channel_released(slot->ch, instance);
	/* Refused: a client is there. It is asked again when that has gone and the host rings */
	return r == -ENOENT || r == -ENOMEM ? 0 : min(r, 0);
}

/**
 * tend_slot() - do what is to be done about a slot
 * @dev: device
 * @id: slot
 * @changed: out: the host may offer another channel there; else untouched
 *
 * Context: @dev->mutex held.
 * Return: 0; -ENOMEM, with what could not be done noted again; or another negative errno, after
 * which the device must be reset.
 */
static int tend_slot(struct okl4_dev *dev, u32 id, bool *changed)
{
	struct okl4_slot todo;
	int err = 0;

	spin_lock_irq(&dev->slot_lock);
	todo = dev->slot[id];
	dev->slot[id].todo = 0;
	spin_unlock_irq(&dev->slot_lock);

	if ((todo.todo & OKL4_SLOT_FAILED) && todo.ch)
		okl4_channel_fail(todo.ch, todo.failed_instance, todo.failed_status);
	if ((todo.todo & OKL4_SLOT_DRAINED) && todo.ch)
		okl4_channel_settle(todo.ch);
	if ((todo.todo & OKL4_SLOT_IDLE) && todo.ch)
		err = release_idle(dev, id, &todo);
	if (err || !(todo.todo & OKL4_SLOT_CHANGED))
		return err;
	*changed = true;
	err = okl4_offers_ask_again(dev, id);
	if (err == -ENOMEM)
		okl4_slot_changed(dev, id);
	return err;
}

/**
 * okl4_slots_tend() - do what events have asked for
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0; -ENOMEM: to be called again; or another negative errno, after which the device must be
 * reset.
 */
int okl4_slots_tend(struct okl4_dev *dev)
{
	bool changed = false;
	unsigned long id;
	int err;

	/* Bits are set meanwhile. Whether they are seen now does not matter: who sets one pokes us */
	for (id = data_race(find_first_bit(dev->todo, OKL4FS_MAX_CHANNELS));
	     id < OKL4FS_MAX_CHANNELS;
	     id = data_race(find_next_bit(dev->todo, OKL4FS_MAX_CHANNELS, id + 1))) {
		clear_bit(id, dev->todo);
		/* What is noted after this is seen, or sets the bit again */
		smp_mb__after_atomic();
		err = tend_slot(dev, id, &changed);
		if (err)
			return err;
	}
	if (!changed)
		return 0;
	okl4_debugfs_sync(dev);
	/* A channel that came back may have kept its memory, and sleepers */
	return okl4_slots_attach(dev);
}

/**
 * okl4_slots_attach() - hand the memory of all channels that have some to the host
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0, also when the host refuses one (that channel has failed then), or a negative errno.
 */
int okl4_slots_attach(struct okl4_dev *dev)
{
	u32 id;

	for (id = 0; id < dev->n_slots; id++) {
		struct okl4_channel *ch = dev->slot[id].ch;
		int r = ch ? okl4_ctl_attach(dev, ch) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/**
 * okl4_slots_returned() - the device was reset: the host has no memory of ours
 * @dev: device
 *
 * Context: @dev->mutex held.
 */
void okl4_slots_returned(struct okl4_dev *dev)
{
	u32 id;

	for (id = 0; id < dev->n_slots; id++) {
		if (dev->slot[id].ch)
			okl4_channel_returned(dev->slot[id].ch, &dev->port);
	}
}

/**
 * okl4_slots_withdraw() - the device goes: its channels are not offered any more
 * @dev: device
 *
 * Context: @dev->mutex held.
 */
void okl4_slots_withdraw(struct okl4_dev *dev)
{
	u32 id;

	for (id = 0; id < dev->n_slots; id++) {
		if (dev->slot[id].ch)
			okl4_channel_withdraw(dev->slot[id].ch, &dev->port, id);
	}
}

/**
 * okl4_slots_clear() - forget all channels
 * @dev: device that was reset, its memory returned
 *
 * Context: @dev->mutex held.
 */
void okl4_slots_clear(struct okl4_dev *dev)
{
	u32 id;

	for (id = 0; id < dev->n_slots; id++)
		okl4_slot_vacate(dev, id, false);
	okl4_debugfs_sync(dev);
}

/**
 * okl4_slots_count() - how many channels a device offers
 * @dev: device
 *
 * Context: @dev->mutex or @dev->slot_lock held.
 * Return: how many.
 */
unsigned int okl4_slots_count(struct okl4_dev *dev)
{
	unsigned int n = 0;
	u32 id;

	for (id = 0; id < dev->n_slots; id++)
		n += dev->slot[id].ch != NULL;
	return n;
}

/**
 * okl4_slots_waited_for() - whether somebody waits for the host on any channel
 * @dev: device
 *
 * Asked once in ping_ms while somebody waits. Who was found waiting is asked first the next time, so
 * that mostly one channel is looked at, however many there are.
 *
 * Context: @dev->mutex held.
 * Return: true when somebody does.
 */
bool okl4_slots_waited_for(struct okl4_dev *dev)
{
	u32 i, id = dev->waiter;

	for (i = 0; i < dev->n_slots; i++, id++) {
		if (id >= dev->n_slots)
			id = 0;
		if (dev->slot[id].ch && okl4_channel_waited_for(dev->slot[id].ch)) {
			dev->waiter = id;
			return true;
		}
	}
	return false;
}

/**
 * okl4_slot_event() - take note of an event that is no WAKE
 * @dev: device
 * @event: private copy of the event
 *
 * Context: interrupt.
 */
void okl4_slot_event(struct okl4_dev *dev, const struct okl4fs_event *event)
{
	u32 id = le32_to_cpu(event->channel);
	unsigned long flags;

	if (id >= OKL4FS_MAX_CHANNELS)
		return;
	spin_lock_irqsave(&dev->slot_lock, flags);
	switch (le16_to_cpu(event->type)) {
	case OKL4FS_EVENT_CHANNEL_ADDED:
	case OKL4FS_EVENT_CHANNEL_REMOVED:
		note(dev, id, OKL4_SLOT_CHANGED);
		break;
	case OKL4FS_EVENT_CHANNEL_FAILED:
		dev->slot[id].failed_instance = le64_to_cpu(event->arg);
		dev->slot[id].failed_status = le16_to_cpu(event->status);
		note(dev, id, OKL4_SLOT_FAILED);
		break;
	}
	spin_unlock_irqrestore(&dev->slot_lock, flags);
}

/**
 * okl4_slots_wake() - wake who sleeps on the channels that a bell word names
 * @dev: device
 * @word: which word
 * @bits: what was in it
 * @rung: the host rang; else it is only to be on the safe side
 *
 * Context: interrupt.
 */
void okl4_slots_wake(struct okl4_dev *dev, unsigned int word, u64 bits, bool rung)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->slot_lock, flags);
	while (bits) {
		u32 id = __ffs64(bits) * OKL4FS_BELL_WORDS + word;
		struct okl4_channel *ch = dev->slot[id].ch;

		bits &= bits - 1;
		if (!ch)
			continue;
		if (rung) {
			okl4_count(&ch->wakes_received, 1);
			trace_okl4fs_wake_received(ch);
			okl4_channel_wake(ch);
		} else {
			okl4_channel_nudge(ch);
		}
		if (READ_ONCE(ch->lingering))
			note(dev, id, OKL4_SLOT_DRAINED);
	}
	spin_unlock_irqrestore(&dev->slot_lock, flags);
}
