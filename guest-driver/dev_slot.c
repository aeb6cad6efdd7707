// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_slot.c - the channels of a device, by their ids
 *
 * Interrupts look channels up here to wake their sleepers, so the table has a spinlock. It is
 * written under the device's mutex only, so the holder of the mutex may read it without the
 * spinlock. An event that needs a request is noted in the slot, and the device's work makes the
 * request.
 */
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
 * okl4_slot_vacate() - a channel is no longer offered under an id; the host does not have its
 *	memory
 * @dev: device
 * @id: id
 * @removed: the host has removed it; else the device goes away
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
 * okl4_slot_leave() - the host no longer has a session: its id is free
 * @dev: device
 * @ch: session; the caller has a reference
 *
 * Context: @dev->mutex held.
 */
void okl4_slot_leave(struct okl4_dev *dev, struct okl4_channel *ch)
{
	u32 id = READ_ONCE(ch->id);

	if (id == OKL4_NO_ID || dev->slot[id].ch != ch)
		return;
	okl4_slot_set(dev, id, NULL);
	okl4_channel_put(ch);
}

/* @dev->slot_lock held */
static void note_todo(struct okl4_dev *dev, u32 id, u16 what)
{
	dev->slot[id].todo |= what;
	set_bit(id, dev->todo);
	okl4_dev_poke(dev);
}

/**
 * okl4_slot_changed() - have the device's work ask the host what a channel is now
 * @dev: device
 * @id: slot
 */
void okl4_slot_changed(struct okl4_dev *dev, u32 id)
{
	spin_lock_irq(&dev->slot_lock);
	note_todo(dev, id, OKL4_SLOT_CHANGED);
	spin_unlock_irq(&dev->slot_lock);
}

/**
 * okl4_slot_drained() - have the device's work look whether memory can be given back
 * @dev: device
 * @id: slot of a lingering channel or session
 */
void okl4_slot_drained(struct okl4_dev *dev, u32 id)
{
	spin_lock_irq(&dev->slot_lock);
	note_todo(dev, id, OKL4_SLOT_DRAINED);
	spin_unlock_irq(&dev->slot_lock);
}

/**
 * okl4_slot_release_idle() - have the device's work ask the host to release a channel's memory
 * @port: device
 * @id: slot
 */
void okl4_slot_release_idle(struct okl4_port *port, u32 id)
{
	struct okl4_dev *dev = okl4_dev_of(port);

	spin_lock_irq(&dev->slot_lock);
	note_todo(dev, id, OKL4_SLOT_IDLE);
	spin_unlock_irq(&dev->slot_lock);
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
	if (dev->unanswered) {
		okl4_channel_returned(dev->unanswered, &dev->port);
		okl4_channel_put(dev->unanswered);
		dev->unanswered = NULL;
	}
}

/**
 * okl4_slots_withdraw() - the device goes away: it no longer offers its channels
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
}

/**
 * okl4_slots_count() - how many channels or sessions a device has
 * @dev: device
 * @sessions: count sessions, not channels
 *
 * Context: @dev->mutex or @dev->slot_lock held.
 * Return: how many.
 */
unsigned int okl4_slots_count(struct okl4_dev *dev, bool sessions)
{
	unsigned int n = 0;
	u32 id;

	for (id = 0; id < dev->n_slots; id++)
		n += dev->slot[id].ch && !dev->slot[id].ch->of == !sessions;
	return n;
}

/**
 * okl4_slots_waited_for() - whether somebody waits for the host on any channel
 * @dev: device
 *
 * Called once per ping_ms while somebody waits. It begins with the channel that was waited for the
 * last time, so mostly it looks at one channel, however many there are.
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
 * okl4_slot_event() - take note of an event other than WAKE
 * @dev: device
 * @event: private copy of the event
 *
 * Context: interrupt.
 */
void okl4_slot_event(struct okl4_dev *dev, const struct okl4fs_event *event)
{
	u32 id = le32_to_cpu(event->channel);
	unsigned long flags;

	if (le16_to_cpu(event->type) == OKL4FS_EVENT_GREET) {
		atomic_set(&dev->greeting, 1);
		okl4_dev_poke(dev);
		return;
	}
	if (id >= OKL4FS_MAX_CHANNELS)
		return;
	spin_lock_irqsave(&dev->slot_lock, flags);
	switch (le16_to_cpu(event->type)) {
	case OKL4FS_EVENT_CHANNEL_ADDED:
	case OKL4FS_EVENT_CHANNEL_REMOVED:
		note_todo(dev, id, OKL4_SLOT_CHANGED);
		break;
	case OKL4FS_EVENT_CHANNEL_FAILED:
		dev->slot[id].failed_instance = le64_to_cpu(event->arg);
		dev->slot[id].failed_status = le16_to_cpu(event->status);
		note_todo(dev, id, OKL4_SLOT_FAILED);
		break;
	case OKL4FS_EVENT_SESSION:
		dev->slot[id].answer_instance = le64_to_cpu(event->arg);
		dev->slot[id].answer = le16_to_cpu(event->status);
		note_todo(dev, id, OKL4_SLOT_SESSION);
		break;
	}
	spin_unlock_irqrestore(&dev->slot_lock, flags);
}

/**
 * okl4_slots_wake() - wake those that sleep on the channels that a bell word names
 * @dev: device
 * @word: which word
 * @bits: what was in it
 * @rung: the host rang; else they only look again, in case a bell was lost
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
			note_todo(dev, id, OKL4_SLOT_DRAINED);
	}
	spin_unlock_irqrestore(&dev->slot_lock, flags);
}
