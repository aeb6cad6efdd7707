// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_work.c - what makes a device's work items run
 *
 * One of them does all that may wait for the host (dev_manage.c): at once when there is something
 * to do for it, and after ping_ms while a caller waits for the host. Another unbinds the driver
 * from a device that turns out not to be ours.
 */
#include "dev.h"

unsigned int okl4_ping_ms = 1000;
struct workqueue_struct *okl4_workqueue;

/**
 * okl4_dev_poke() - have the work item run now
 * @dev: device
 *
 * Context: any.
 */
void okl4_dev_poke(struct okl4_dev *dev)
{
	mod_delayed_work(okl4_workqueue, &dev->manage, 0);
}

/**
 * okl4_dev_watch() - a caller waits for the host, or will: check that it is alive
 * @port: device
 *
 * Context: any.
 */
void okl4_dev_watch(struct okl4_port *port)
{
	struct okl4_dev *dev = okl4_dev_of(port);
	unsigned int ms = READ_ONCE(okl4_ping_ms);

	if (ms && queue_delayed_work(okl4_workqueue, &dev->manage, msecs_to_jiffies(ms)))
		WRITE_ONCE(dev->watched, jiffies);
}

/**
 * okl4_dev_let_go() - the device is not ours: use it no longer
 * @dev: device
 *
 * Context: @dev->mutex held. The device is unbound later, by a work item.
 */
void okl4_dev_let_go(struct okl4_dev *dev)
{
	struct device *device = &dev->vdev->dev;

	WRITE_ONCE(dev->stopped, true);
	kref_get(&dev->port.ref);
	get_device(device);
	if (!queue_work(okl4_workqueue, &dev->let_go)) {
		put_device(device);
		kref_put(&dev->port.ref, dev->port.ops->release);
	}
}

/**
 * okl4_dev_let_go_work() - the work item that okl4_dev_let_go() queues
 * @work: the device's let_go
 *
 * It has references to the device and to virtio's, since either may have gone meanwhile.
 */
void okl4_dev_let_go_work(struct work_struct *work)
{
	struct okl4_dev *dev = container_of(work, struct okl4_dev, let_go);
	struct device *device = &dev->vdev->dev;
	bool still_bound;

	device_lock(device);
	still_bound = dev->vdev->priv == dev;
	device_unlock(device);
	if (still_bound) {
		dev_info_ratelimited(device, "released: its first answer is not that of an okl4fs "
					     "host\n");
		device_release_driver(device);
	}
	put_device(device);
	kref_put(&dev->port.ref, dev->port.ops->release);
}
