// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_manage.c - all of a device that needs patience, in one work item
 *
 * It sets the device up, does what events ask for, takes memory back, and minds that the host is
 * alive. Nothing tells us that a host has died. But while somebody waits (sleeps on a channel, or
 * rang a bell that nobody answers, or has left bytes that nobody takes) and nothing has come for
 * ping_ms, the host is asked with PING. If it does not answer, the device is reset and set up again,
 * each time with more patience for HELLO's answer, until there is one; then the host gets the
 * memory of all channels again, and what lies in them says where to go on. When nobody waits,
 * nothing is asked and nothing runs.
 *
 * A fragile carrier is not reset, since that would end the whole machine: its host is waited for.
 */
#include <linux/jiffies.h>

#include "trace.h"
#include "dev.h"

/* How long the first HELLO after a reset waits; it doubles up to request_ms */
#define FIRST_HELLO_MS 500

/**
 * lost() - no good answer came: the device must be reset
 * @dev: device
 * @why: negative errno of the request
 *
 * Context: @dev->mutex held.
 */
static void lost(struct okl4_dev *dev, int why)
{
	unsigned int delay_ms = 0;

	trace_okl4fs_reset(dev_name(&dev->vdev->dev), why);
	okl4_count(&dev->losses, dev->up);
	if (dev->up && why != -ENODEV)
		dev_warn_ratelimited(&dev->vdev->dev, "the host %s; %s\n",
				     why == -ETIMEDOUT ? "does not answer" :
				     why == -ESTALE    ? "has forgotten us" :
							 "does not answer properly",
				     dev->carrier->fragile ? "waiting for it" : "setting up again");
	WRITE_ONCE(dev->up, false);
	/* A time limit has been a pause already; whatever fails at once must not do so all the time */
	if (why != -ETIMEDOUT)
		delay_ms = FIRST_HELLO_MS * min(dev->n_failures, 8U);
	mod_delayed_work(okl4_workqueue, &dev->manage, msecs_to_jiffies(delay_ms));
}

/**
 * refusal() - what an opener gets when the host refuses memory
 * @status: enum fs_status
 *
 * Return: negative errno.
 */
static int refusal(int status)
{
	switch (status) {
	case FS_NO_CHANNEL:
		return -ENXIO;
	case FS_NO_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/**
 * okl4_dev_attach() - hand a channel's memory to the host, unless it has it
 * @port: device
 * @ch: channel
 *
 * Return: 0, also when the host does not answer; why it refuses; -ENOMEM or -ERESTARTSYS.
 */
int okl4_dev_attach(struct okl4_port *port, struct okl4_channel *ch)
{
	struct okl4_dev *dev = okl4_dev_of(port);
	int r = 0;

	/* Seen as down here, it will find the memory, published before, when it comes up */
	smp_mb();
	if (!READ_ONCE(dev->up))
		return 0;
	if (mutex_lock_interruptible(&dev->mutex))
		return -ERESTARTSYS;
	if (dev->up) {
		r = okl4_retired_take_back(dev);
		if (!r)
			r = okl4_ctl_attach(dev, ch);
	}
	if (r < 0 && r != -ENOMEM) {
		lost(dev, r);
		r = 0;
	}
	mutex_unlock(&dev->mutex);
	return r > 0 ? refusal(r) : r;
}

/**
 * attach_slots() - hand the memory of all channels that have some to the host
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0, also when the host refuses one (that channel has failed then), or a negative errno.
 */
static int attach_slots(struct okl4_dev *dev)
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
 * tend_slots() - do what events have asked for
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0; -ENOMEM: to be called again; or another negative errno, after which the device must be
 * reset.
 */
static int tend_slots(struct okl4_dev *dev)
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
	return attach_slots(dev);
}

/**
 * greet() - introduce ourselves to the host and give it all it needs
 * @dev: device whose queues run
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno.
 */
static int greet(struct okl4_dev *dev)
{
	unsigned int limit_ms = READ_ONCE(okl4_request_ms);
	u32 max_channels;
	int r;

	/* Once it was there, it is probably gone now, and then comes back with queues to be set up */
	if (dev->greeted && dev->n_failures < 8)
		limit_ms = min_t(unsigned int, limit_ms, FIRST_HELLO_MS << dev->n_failures);
	r = okl4_ctl_hello(dev, limit_ms, &max_channels);
	if (r > 0)
		dev_err_ratelimited(&dev->vdev->dev, "the host refuses us: %s\n",
				    fs_status_text(r));
	if (r)
		return r > 0 ? -EPROTO : r;
	dev->greeted = true;
	/* It has forgotten whatever memory it had of us */
	okl4_slots_returned(dev);
	okl4_retired_free(dev);
	r = okl4_offers_enumerate(dev, max_channels);
	if (r)
		return r;
	/* From here on openers attach by themselves, if they come too late for this round */
	WRITE_ONCE(dev->up, true);
	/* Pairs with okl4_dev_attach() */
	smp_mb();
	r = attach_slots(dev);
	if (r) {
		WRITE_ONCE(dev->up, false);
		return r;
	}
	okl4_queues_kick(dev);
	return 0;
}

/**
 * set_up_again() - reset the device and have the queues run anew
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno.
 */
static int set_up_again(struct okl4_dev *dev)
{
	int err;

	okl4_queues_stop(dev);
	okl4_slots_returned(dev);
	okl4_retired_free(dev);
	err = okl4_queues_renew(dev);
	return err ? err : okl4_queues_start(dev);
}

/**
 * bring_up() - have the host know us: at first, or after it was lost
 * @dev: device that is not up; unless it is fresh, it is reset
 *
 * A fragile carrier keeps its queues: the host is greeted again when it has answered all that it
 * was asked, be it the old one that was slow or a new one that was given the same rings.
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno; then it is to be tried again.
 */
static int bring_up(struct okl4_dev *dev)
{
	int err = 0;

	if (!dev->fresh && dev->live && dev->carrier->fragile)
		err = okl4_ctl_overdue(dev);
	else if (!dev->fresh)
		err = set_up_again(dev);
	dev->fresh = false;
	if (!err)
		err = greet(dev);
	if (err) {
		dev->n_failures++;
		return err;
	}
	trace_okl4fs_up(dev_name(&dev->vdev->dev), dev->n_failures);
	okl4_count(&dev->set_ups, 1);
	if (dev->n_failures)
		dev_info_ratelimited(&dev->vdev->dev, "the host is there\n");
	dev->n_failures = 0;
	return 0;
}

/**
 * tend() - do what is to be done for a device that is up
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno, after which the device must be reset.
 */
static int tend(struct okl4_dev *dev)
{
	int r = okl4_retired_take_back(dev);

	return r ? r : tend_slots(dev);
}

/**
 * mind() - see that the host is alive, if somebody waits for it
 * @dev: device that is up
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno, after which the device must be reset.
 */
static int mind(struct okl4_dev *dev)
{
	unsigned long since = READ_ONCE(dev->watched), heard = READ_ONCE(dev->heard);
	unsigned long patience = msecs_to_jiffies(READ_ONCE(okl4_ping_ms));
	int r = 0;

	if (!patience || !(okl4_bell_unanswered(dev) || okl4_slots_waited_for(dev)))
		return 0;
	if (time_after(heard, since))
		since = heard;
	if (time_after_eq(jiffies, since + patience)) {
		r = okl4_ctl_ping(dev);
		okl4_queues_look(dev);
		since = jiffies;
		WRITE_ONCE(dev->watched, since);
	}
	if (r == -ENOMEM)
		r = 0;
	if (r)
		return r > 0 ? -EPROTO : r;
	queue_delayed_work(okl4_workqueue, &dev->manage, since + patience - jiffies + 1);
	return 0;
}

/**
 * okl4_dev_manage() - the work item
 * @work: the device's manage
 */
void okl4_dev_manage(struct work_struct *work)
{
	struct okl4_dev *dev = container_of(to_delayed_work(work), struct okl4_dev, manage);
	int err = 0;

	mutex_lock(&dev->mutex);
	if (dev->stopped)
		goto out;
	if (!dev->up)
		err = bring_up(dev);
	complete_all(&dev->tried);
	if (!err)
		err = tend(dev);
	if (!err)
		err = mind(dev);
	if (err == -ENOMEM)
		mod_delayed_work(okl4_workqueue, &dev->manage, HZ);
	else if (err)
		lost(dev, err);
out:
	mutex_unlock(&dev->mutex);
}
