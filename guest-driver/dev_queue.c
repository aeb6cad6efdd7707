// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_queue.c - queues, events, and the bell
 *
 * Wake-ups from the host are taken in the interrupt itself, in this order: take the event, post its
 * buffer again, then exchange the bell words that belong to this queue. The host writes a bit
 * first and looks whether it has a buffer afterwards, so a wake-up for which it found none is
 * among the bits that are taken here.
 *
 * Our own bell: set the bit, and kick only if its word was zero. A kick needs no lock: the
 * queues are deleted only after an RCU grace period that follows the clearing of @live.
 */
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "compat.h"
#include "dev.h"

/*
 * How many events one run takes from a queue. A host that returns each buffer as soon as it is
 * posted would keep the interrupt busy for ever. A work item, which the scheduler can stop, takes
 * the rest.
 */
#define EVENT_BUDGET (4 * OKL4_EVENT_BUFFERS)

/* @q->lock held, or nobody else uses the queue yet */
static int post_buffer(struct okl4_event_queue *q, struct okl4fs_event *event)
{
	struct scatterlist sg;

	memset(event, 0, sizeof(*event));
	sg_init_one(&sg, event, sizeof(*event));
	return virtqueue_add_inbuf(q->vq, &sg, 1, event, GFP_ATOMIC);
}

/* Return: true: the budget is used up, and no interrupt comes until this is called again */
static bool take_events(struct okl4_event_queue *q)
{
	struct okl4fs_event *buffer, event;
	bool notify = false, more = false;
	unsigned int len, taken = 0;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	if (!q->vq)
		goto out; /* the interrupt came late: the queues are being taken down */
	do {
		virtqueue_disable_cb(q->vq);
		while (!(more = taken >= EVENT_BUDGET) &&
		       (buffer = virtqueue_get_buf(q->vq, &len)) != NULL) {
			event = *buffer;
			if (len < sizeof(event))
				memset(&event, 0, sizeof(event));
			if (post_buffer(q, buffer))
				break;
			taken++;
			if (le16_to_cpu(event.type) != OKL4FS_EVENT_WAKE) {
				okl4_slot_event(q->dev, &event);
				notify = true;
			}
		}
	} while (!more && !virtqueue_enable_cb(q->vq));
	/* The host may wait for buffers: it had too few, or an event was not in the bell page */
	if (notify || taken + 1 >= q->n_buffers)
		virtqueue_notify(q->vq);
out:
	spin_unlock_irqrestore(&q->lock, flags);
	return more;
}

static void answer_bell(struct okl4_event_queue *q)
{
	struct okl4_dev *dev = q->dev;
	unsigned int word;

	for (word = q->index; word < OKL4FS_BELL_WORDS; word += dev->n_bells) {
		okl4_le64 *to_guest = &dev->bell->to_guest[word];

		if (!okl4_load(to_guest))
			continue;
		/* A full barrier: those that are woken see what the host wrote before it rang */
		okl4_slots_wake(dev, word, le64_to_cpu(okl4_xchg64(to_guest, 0)), true);
	}
}

static void event_done(struct virtqueue *vq)
{
	struct okl4_dev *dev = vq->vdev->priv;
	struct okl4_event_queue *q = &dev->event[vq->index - OKL4FS_QUEUE_EVENT];

	WRITE_ONCE(dev->heard, jiffies);
	if (take_events(q))
		queue_work(okl4_workqueue, &dev->more);
	answer_bell(q);
}

/**
 * okl4_queues_take_more() - the work item that takes the events that an interrupt has left
 * @work: the device's more
 */
void okl4_queues_take_more(struct work_struct *work)
{
	struct okl4_dev *dev = container_of(work, struct okl4_dev, more);
	bool more = false;
	unsigned int i;

	for (i = 0; i < dev->n_event; i++) {
		more |= take_events(&dev->event[i]);
		answer_bell(&dev->event[i]);
	}
	if (more)
		queue_work(okl4_workqueue, work);
}

/**
 * okl4_queues_look() - have everybody look again, in case an interrupt or a bell was lost
 * @dev: device whose queues run
 *
 * Interrupts can be lost where a frontend changes them, and bells where guest and host do not see
 * each other's atomics and barriers: QEMU's TCG leaves those out for a machine of one CPU.
 *
 * Context: @dev->mutex held.
 */
void okl4_queues_look(struct okl4_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->n_event; i++) {
		if (take_events(&dev->event[i]))
			queue_work(okl4_workqueue, &dev->more);
		answer_bell(&dev->event[i]);
	}
	for (i = 0; i < OKL4FS_BELL_WORDS; i++)
		okl4_slots_wake(dev, i, U64_MAX, false);
}

/**
 * okl4_dev_ring() - ring the host's bell for a channel
 * @port: device
 * @id: channel
 *
 * Context: inside an RCU read section.
 */
void okl4_dev_ring(struct okl4_port *port, u32 id)
{
	struct okl4_dev *dev = okl4_dev_of(port);
	unsigned int word = id % OKL4FS_BELL_WORDS;
	okl4_le64 bit = cpu_to_le64(BIT_ULL(id / OKL4FS_BELL_WORDS));

	/* A full barrier: when the host takes the bit it sees what was written before */
	if (okl4_fetch_or64(&dev->bell->to_host[word], bit))
		return;
	/* Pairs with okl4_queues_start() */
	if (smp_load_acquire(&dev->live))
		virtqueue_notify(dev->event[word % dev->n_bells].vq);
	/* A bell that is not answered is a sign of a dead host */
	okl4_dev_watch(port);
}

/**
 * okl4_bell_unanswered() - whether the host has not taken a bell yet
 * @dev: device
 *
 * Return: true when a word is not zero.
 */
bool okl4_bell_unanswered(struct okl4_dev *dev)
{
	unsigned int word;

	for (word = 0; word < OKL4FS_BELL_WORDS; word++) {
		if (okl4_load(&dev->bell->to_host[word]))
			return true;
	}
	return false;
}

static int fill_queue(struct okl4_event_queue *q)
{
	unsigned int i;
	int err = 0;

	q->n_buffers = min_t(unsigned int, OKL4_EVENT_BUFFERS, virtqueue_get_vring_size(q->vq));
	if (!q->buffer)
		q->buffer = kcalloc(OKL4_EVENT_BUFFERS, sizeof(*q->buffer), GFP_KERNEL);
	if (!q->buffer)
		return -ENOMEM;
	for (i = 0; i < q->n_buffers && !err; i++)
		err = post_buffer(q, &q->buffer[i]);
	return err;
}

static int find_queues(struct okl4_dev *dev)
{
	unsigned int i, n = OKL4FS_QUEUE_EVENT + dev->n_event;
	vq_callback_t **callback = kcalloc(n, sizeof(*callback), GFP_KERNEL);
	struct virtqueue **vqs = kcalloc(n, sizeof(*vqs), GFP_KERNEL);
	const char **name = kcalloc(n, sizeof(*name), GFP_KERNEL);
	int err = -ENOMEM;

	if (!callback || !vqs || !name)
		goto out;
	for (i = 0; i < n; i++) {
		callback[i] = i == OKL4FS_QUEUE_CONTROL ? okl4_ctl_done : event_done;
		name[i] = i == OKL4FS_QUEUE_CONTROL ? "control" : "event";
	}
	err = okl4_compat_find_vqs(dev->vdev, n, vqs, callback, name);
	if (err)
		goto out;
	dev->has_queues = true;
	for (i = 0; i < dev->n_event; i++) {
		spin_lock_irq(&dev->event[i].lock);
		dev->event[i].vq = vqs[OKL4FS_QUEUE_EVENT + i];
		spin_unlock_irq(&dev->event[i].lock);
	}
	spin_lock_irq(&dev->ctl_lock);
	dev->ctl_vq = vqs[OKL4FS_QUEUE_CONTROL];
	spin_unlock_irq(&dev->ctl_lock);
out:
	kfree(callback);
	kfree(vqs);
	kfree(name);
	return err;
}

/**
 * okl4_queues_start() - set up the queues and let the device run
 * @dev: device whose features are negotiated
 *
 * Context: @dev->mutex held.
 * Return: 0; or a negative errno: okl4_queues_stop() then undoes what was done.
 */
int okl4_queues_start(struct okl4_dev *dev)
{
	unsigned int i;
	int err;

	/* No event can come yet, and old bits mean nothing to the host that comes now */
	memset(dev->bell, 0, sizeof(*dev->bell));
	err = find_queues(dev);
	for (i = 0; i < dev->n_event && !err; i++)
		err = fill_queue(&dev->event[i]);
	if (err)
		return err;
	virtio_device_ready(dev->vdev);
	/* After the queues are known. Pairs with okl4_dev_ring() */
	smp_store_release(&dev->live, true);
	return 0;
}

/**
 * okl4_queues_kick() - have the host look at all bells
 * @dev: device whose host has answered HELLO
 *
 * Bits that were set before the host knew the bell page have not been announced, and would keep
 * later ones from being announced.
 *
 * Context: @dev->mutex held.
 */
void okl4_queues_kick(struct okl4_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->n_bells; i++)
		virtqueue_notify(dev->event[i].vq);
}

/**
 * okl4_queues_stop() - reset the device and take its queues down
 * @dev: device; it may be stopped already
 *
 * Afterwards the host has no memory of ours, no interrupt comes, and nobody kicks.
 *
 * Context: @dev->mutex held; sleeps for an RCU grace period.
 */
void okl4_queues_stop(struct okl4_dev *dev)
{
	unsigned int i;

	WRITE_ONCE(dev->live, false);
	synchronize_rcu();
	virtio_reset_device(dev->vdev);

	spin_lock_irq(&dev->ctl_lock);
	dev->ctl_vq = NULL;
	spin_unlock_irq(&dev->ctl_lock);
	/* Until del_vqs() an interrupt can come that was on its way when the device was reset */
	for (i = 0; i < dev->n_event; i++) {
		struct okl4_event_queue *q = &dev->event[i];

		spin_lock_irq(&q->lock);
		while (q->vq && virtqueue_detach_unused_buf(q->vq))
			;
		q->vq = NULL;
		spin_unlock_irq(&q->lock);
	}
	if (dev->has_queues)
		dev->vdev->config->del_vqs(dev->vdev);
	dev->has_queues = false;
	okl4_ctl_reclaim(dev);
}

/**
 * okl4_queues_renew() - go through virtio's initialisation again after a reset
 * @dev: device that was reset
 *
 * Context: @dev->mutex held.
 * Return: 0, or -ENODEV when the device no longer accepts the features.
 */
int okl4_queues_renew(struct okl4_dev *dev)
{
	struct virtio_device *vdev = dev->vdev;
	int err;

	/* virtio 1.2, section 3.1.1, steps 2 to 6 */
	virtio_add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_add_status(vdev, VIRTIO_CONFIG_S_DRIVER);
	err = vdev->config->finalize_features(vdev);
	if (err)
		return err;
	virtio_add_status(vdev, VIRTIO_CONFIG_S_FEATURES_OK);
	return vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -ENODEV;
}
