// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_manage.c - everything that may have to wait for the host, in one work item
 *
 * The work item sets the device up, does what events ask for, takes memory back, and checks that
 * the host is alive. Nothing tells us that a host has died. But while somebody waits (sleeps on a
 * channel, has rung a bell that nobody answers, or has left bytes that nobody takes) and nothing
 * has come for ping_ms, the driver sends a PING. If the host does not answer, the driver resets the
 * device and sets it up again, each time waiting longer for the answer to HELLO, until one comes.
 * Then it hands the memory of all channels to the host again, and the cursors in that memory say
 * where to go on. When nobody waits, nothing is asked and nothing runs.
 *
 * A host that is another process and has taken up the rings says so, with the event GREET or by
 * refusing a request (REQ_NO_HELLO). It is greeted at once, and the device is not reset.
 *
 * A fragile carrier is not reset, since that would end the whole machine: the driver waits for its
 * host.
 */
#include <linux/jiffies.h>

#include "trace.h"
#include "dev.h"

/* How long the first HELLO after a reset waits; it doubles up to request_ms */
#define FIRST_HELLO_MS 500

/* How many hosts in a row may end between HELLO and the last ATTACH before the device is reset */
#define MAX_MEETINGS 8

/* Another host has our rings. @dev->mutex held */
static void meet_host(struct okl4_dev *dev)
{
	WRITE_ONCE(dev->up, false);
	dev->same_rings = true;
}

/* No good answer came: the device must be reset. @dev->mutex held */
static void lost_host(struct okl4_dev *dev, int why)
{
	unsigned int delay_ms = 0;

	/* It is greeted at once, but not over and over */
	if (why == -ESTALE && dev->n_failures < MAX_MEETINGS) {
		meet_host(dev);
		okl4_dev_poke(dev);
		return;
	}
	trace_okl4fs_reset(dev_name(&dev->vdev->dev), why);
	okl4_count(&dev->losses, dev->up);
	if (dev->up && why != -ENODEV)
		dev_warn_ratelimited(&dev->vdev->dev, "the host %s; %s\n",
				     why == -ETIMEDOUT ? "does not answer" :
				     why == -ESTALE    ? "no longer knows this device" :
							 "does not answer properly",
				     dev->carrier->fragile ? "waiting for it" : "setting up again");
	WRITE_ONCE(dev->up, false);
	dev->lost = true;
	/* A time limit was a pause already; what fails at once must not be tried all the time */
	if (why != -ETIMEDOUT)
		delay_ms = FIRST_HELLO_MS * min(dev->n_failures, 8U);
	if (atomic_read(&dev->greeting))
		delay_ms = 0;
	mod_delayed_work(okl4_workqueue, &dev->manage, msecs_to_jiffies(delay_ms));
}

/* Return: as @request, but 0 also when the host does not answer; -ERESTARTSYS */
static int ask_now(struct okl4_port *port, struct okl4_channel *ch,
		   int (*request)(struct okl4_dev *dev, struct okl4_channel *ch))
{
	struct okl4_dev *dev = okl4_dev_of(port);
	int r = 0;

	/* A device that is down here finds the memory, published before, when it comes up */
	smp_mb();
	if (!READ_ONCE(dev->up))
		return 0;
	if (mutex_lock_interruptible(&dev->mutex))
		return -ERESTARTSYS;
	if (dev->up) {
		r = okl4_retired_take_back(dev);
		if (!r)
			r = request(dev, ch);
	}
	if (r < 0 && r != -ENOMEM) {
		lost_host(dev, r);
		r = 0;
	}
	mutex_unlock(&dev->mutex);
	return r;
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
	int r = ask_now(port, ch, okl4_ctl_attach);

	return r > 0 ? okl4_refused_errno(r) : r;
}

static int open_if_noted(struct okl4_dev *dev, struct okl4_channel *ch)
{
	return okl4_session_take_ask(ch) ? okl4_ctl_open(dev, ch) : 0;
}

/**
 * okl4_dev_open() - have the host begin a session
 * @port: device
 * @ch: session
 *
 * Return: 0, also when the host does not answer: it is asked when it is back; -ENOMEM or
 * -ERESTARTSYS.
 */
int okl4_dev_open(struct okl4_port *port, struct okl4_channel *ch)
{
	return ask_now(port, ch, open_if_noted);
}

/**
 * okl4_dev_is_up() - whether the host was there a moment ago
 * @port: device
 *
 * Return: true when it was.
 */
bool okl4_dev_is_up(struct okl4_port *port)
{
	return READ_ONCE(okl4_dev_of(port)->up);
}

/* Return: 0 also when the host refuses one: that channel has failed then. @dev->mutex held */
static int attach_slots(struct okl4_dev *dev)
{
	u32 id;

	for (id = 0; id < dev->n_slots; id++) {
		struct okl4_channel *ch = dev->slot[id].ch;
		int r = ch ? okl4_ctl_attach(dev, ch) : 0;

		if (r >= 0 && ch)
			r = okl4_sessions_resume(dev, ch);
		if (r < 0)
			return r;
	}
	return 0;
}

/* After a negative errno the device must be reset. @dev->mutex held */
static int release_idle(struct okl4_dev *dev, u32 id, const struct okl4_slot *slot)
{
	u64 instance = okl4_channel_to_release(slot->ch, &dev->port);
	int r = instance ? okl4_ctl_release(dev, id, slot->generation) : -ENOENT;

	if (!r)
		okl4_channel_released(slot->ch, instance);
	/* Refused: a client is there. When it has gone the host rings, and is asked again */
	return r == -ENOENT || r == -ENOMEM ? 0 : min(r, 0);
}

/* What the host has said of the memory of @todo->ch, to which the caller has a reference */
static void take_news(struct okl4_dev *dev, const struct okl4_slot *todo)
{
	struct okl4_channel *ch = todo->ch;
	bool is_over = false;

	if (todo->todo & OKL4_SLOT_SESSION && ch->of)
		is_over = okl4_session_answered(ch, todo->answer_instance, todo->answer);
	if (todo->todo & OKL4_SLOT_FAILED)
		is_over |= okl4_channel_fail(ch, todo->failed_instance, todo->failed_status);
	if (is_over && ch->of)
		okl4_slot_leave(dev, ch);
	if (todo->todo & OKL4_SLOT_DRAINED)
		okl4_channel_settle(ch);
}

/* Return: -ENOMEM: it is noted again. After another errno the device must be reset */
static int tend_slot(struct okl4_dev *dev, u32 id, bool *changed)
{
	struct okl4_slot todo;
	int err = 0;

	spin_lock_irq(&dev->slot_lock);
	todo = dev->slot[id];
	dev->slot[id].todo = 0;
	if (todo.ch)
		kref_get(&todo.ch->ref);
	spin_unlock_irq(&dev->slot_lock);

	if (todo.ch) {
		take_news(dev, &todo);
		if (todo.todo & OKL4_SLOT_IDLE)
			err = release_idle(dev, id, &todo);
		okl4_channel_put(todo.ch);
	}
	if (err || !(todo.todo & OKL4_SLOT_CHANGED))
		return err;
	*changed = true;
	err = okl4_offers_ask_again(dev, id);
	if (err == -ENOMEM)
		okl4_slot_changed(dev, id);
	return err;
}

/* Return: -ENOMEM: call it again. After another errno the device must be reset */
static int tend_slots(struct okl4_dev *dev)
{
	bool changed = false;
	unsigned long id;
	int err;

	/* Bits may be set meanwhile, and seen or not: each setter has this run again */
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

/* @dev->mutex held */
static int greet(struct okl4_dev *dev)
{
	unsigned int limit_ms = READ_ONCE(okl4_request_ms);
	u32 max_channels;
	int r;

	/* A host that was there before has probably gone, and needs a new set-up when it is back */
	if (dev->greeted && dev->n_failures < 8)
		limit_ms = min_t(unsigned int, limit_ms, FIRST_HELLO_MS << dev->n_failures);
	r = okl4_ctl_hello(dev, limit_ms, &max_channels);
	if (r == -ESTALE)
		r = -EPROTO; /* only other requests can come too early */
	if (r > 0)
		dev_err_ratelimited(&dev->vdev->dev, "the host refuses us: %s\n",
				    okl4_status_text(r));
	if (r)
		return r > 0 ? -EPROTO : r;
	dev->greeted = true;
	/* The host has forgotten all memory that it had */
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
	if (!r)
		r = okl4_sessions_settled(dev);
	if (r) {
		WRITE_ONCE(dev->up, false);
		return r;
	}
	okl4_queues_kick(dev);
	/* A host that has ended may have left bits without an event, which hold up later ones */
	okl4_queues_look(dev);
	return 0;
}

/* @dev->mutex held */
static int set_up_again(struct okl4_dev *dev)
{
	int err;

	okl4_queues_stop(dev);
	okl4_slots_returned(dev);
	okl4_retired_free(dev);
	err = okl4_queues_renew(dev);
	return err ? err : okl4_queues_start(dev);
}

/* After an errno it must be tried again. @dev->mutex held */
static int bring_up(struct okl4_dev *dev)
{
	int err = 0;

	/*
	 * A fragile carrier keeps its queues: the host is greeted again when everything is
	 * answered, be it by the old host, which was slow, or by a new one that has the same rings.
	 */
	if (!dev->fresh && dev->live && (dev->carrier->fragile || dev->same_rings))
		err = okl4_ctl_overdue(dev);
	else if (!dev->fresh)
		err = set_up_again(dev);
	dev->fresh = false;
	dev->rejoins = dev->same_rings;
	dev->same_rings = false;
	if (!err)
		err = greet(dev);
	dev->rejoins = false;
	if (err) {
		dev->n_failures++;
		return err;
	}
	trace_okl4fs_up(dev_name(&dev->vdev->dev), dev->n_failures);
	okl4_count(&dev->set_ups, 1);
	if (dev->lost)
		dev_info_ratelimited(&dev->vdev->dev, "the host is there\n");
	dev->lost = false;
	dev->n_failures = 0;
	return 0;
}

/* After an errno the device must be reset. @dev->mutex held */
static int tend(struct okl4_dev *dev)
{
	int r = okl4_retired_take_back(dev);

	return r ? r : tend_slots(dev);
}

/* After an errno the device must be reset. @dev->mutex held */
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
	if (atomic_xchg(&dev->greeting, 0))
		meet_host(dev);
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
		lost_host(dev, err);
out:
	mutex_unlock(&dev->mutex);
}
