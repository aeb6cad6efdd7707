// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_driver.c - the virtio driver: carriers, coming and going
 *
 * Any virtio device that has a queue for requests and one that can be kicked and called can carry
 * the protocol. The carrier `fs` has virtio's number of a shared file system, and a device of that
 * number is ours if its tag says so: dev_claim.c marks those, and this driver matches no others.
 */
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <uapi/linux/virtio_fs.h>

#include "compat.h"
#include "dev.h"

/* A virtio id without a driver in Linux: QEMU's generic vhost-user device gets this one */
#define OKL4_VIRTIO_ID_GENERIC 38

/* More event queues than bell words are of no use, but a device may have them */
#define OKL4_MAX_EVENT_QUEUES 1023

/* How long a new device waits for the host's answers */
#define GREETING_MS 1000

/* Its first queue is our control queue, its request queues are our event queues */
static unsigned int fs_n_event_queues(struct virtio_device *vdev)
{
	u32 n;

	virtio_cread_le(vdev, struct virtio_fs_config, num_request_queues, &n);
	return n;
}

/* It has no configuration that could tell */
static unsigned int generic_n_event_queues(struct virtio_device *vdev)
{
	return 1;
}

static const struct okl4_carrier fs_carrier = { "fs", fs_n_event_queues, false, false };
/* QEMU (11.1) aborts at DRIVER_OK when the device has lost its backend */
static const struct okl4_carrier generic_carrier = { "generic", generic_n_event_queues, true,
						     true };

static const struct virtio_device_id id_table[] = {
	{ VIRTIO_ID_FS, OKL4_VENDOR_FS },
	{ OKL4_VIRTIO_ID_GENERIC, VIRTIO_DEV_ANY_ID },
	{},
};
MODULE_DEVICE_TABLE(virtio, id_table);

/* Before FEATURES_OK */
static int okl4_validate(struct virtio_device *vdev)
{
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "is not a virtio 1 device\n");
		return -ENODEV;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		dev_err(&vdev->dev,
			"cannot be used: this guest's memory is encrypted (SEV, TDX), so the host cannot see the rings\n");
		return -ENODEV;
	}
	/* The host finds our rings by guest-physical addresses: nothing translates them */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static void dev_release(struct kref *ref)
{
	struct okl4_dev *dev = container_of(ref, struct okl4_dev, port.ref);
	unsigned int i;

	for (i = 0; dev->event && i < dev->n_event; i++)
		kfree(dev->event[i].buffer);
	kfree(dev->event);
	kvfree(dev->slot);
	free_page((unsigned long)dev->bell);
	kfree(dev);
}

static const struct okl4_port_ops port_ops = {
	.ring = okl4_dev_ring,
	.watch = okl4_dev_watch,
	.attach = okl4_dev_attach,
	.open = okl4_dev_open,
	.is_up = okl4_dev_is_up,
	.retire = okl4_dev_retire,
	.release_idle = okl4_slot_release_idle,
	.release = dev_release,
};

static void init_dev(struct okl4_dev *dev, struct virtio_device *vdev)
{
	dev->port.ops = &port_ops;
	kref_init(&dev->port.ref);
	dev->vdev = vdev;
	dev->carrier = vdev->id.device == VIRTIO_ID_FS ? &fs_carrier : &generic_carrier;
	mutex_init(&dev->mutex);
	INIT_DELAYED_WORK(&dev->manage, okl4_dev_manage);
	INIT_WORK(&dev->more, okl4_queues_take_more);
	init_completion(&dev->tried);
	INIT_WORK(&dev->let_go, okl4_dev_let_go_work);
	spin_lock_init(&dev->ctl_lock);
	init_waitqueue_head(&dev->ctl_wait);
	INIT_LIST_HEAD(&dev->ctl_abandoned);
	spin_lock_init(&dev->slot_lock);
	spin_lock_init(&dev->retired_lock);
	INIT_LIST_HEAD(&dev->retired);
	dev->heard = jiffies;
	dev->watched = jiffies;
}

/* Return: the device or an error pointer */
static struct okl4_dev *new_dev(struct virtio_device *vdev)
{
	struct okl4_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	unsigned int i, n;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	init_dev(dev, vdev);
	n = dev->carrier->n_event_queues(vdev);
	if (!n || n > OKL4_MAX_EVENT_QUEUES) {
		dev_err(&vdev->dev, "has %u event queues; the driver can use 1 to %u\n", n,
			OKL4_MAX_EVENT_QUEUES);
		kref_put(&dev->port.ref, dev_release);
		return ERR_PTR(-EINVAL);
	}

	dev->event = kcalloc(n, sizeof(*dev->event), GFP_KERNEL);
	dev->slot = kvcalloc(OKL4FS_MAX_CHANNELS, sizeof(*dev->slot), GFP_KERNEL);
	dev->bell = (void *)get_zeroed_page(GFP_KERNEL);
	if (!dev->event || !dev->slot || !dev->bell) {
		kref_put(&dev->port.ref, dev_release);
		return ERR_PTR(-ENOMEM);
	}
	dev->n_event = n;
	dev->n_bells = min_t(unsigned int, n, OKL4FS_BELL_WORDS);
	for (i = 0; i < n; i++) {
		dev->event[i].dev = dev;
		dev->event[i].index = i;
		spin_lock_init(&dev->event[i].lock);
	}
	for (i = 0; i < OKL4FS_MAX_CHANNELS; i++)
		dev->slot[i].dev = dev;
	return dev;
}

/* The order: unpublish, stop, reset, detach buffers, delete queues, end the work */
static void stop_device(struct okl4_dev *dev, bool withdraw)
{
	/* A request that waits for an answer gives up, so the mutex is free soon */
	WRITE_ONCE(dev->stopped, true);
	wake_up_all(&dev->ctl_wait);

	mutex_lock(&dev->mutex);
	WRITE_ONCE(dev->up, false);
	if (withdraw)
		okl4_slots_withdraw(dev);
	okl4_queues_stop(dev);
	okl4_slots_returned(dev);
	okl4_retired_free(dev);
	if (withdraw) {
		okl4_slots_clear(dev);
		okl4_debugfs_sync(dev);
	}
	mutex_unlock(&dev->mutex);
	cancel_delayed_work_sync(&dev->manage);
	cancel_work_sync(&dev->more);
}

/* Waits for the host for GREETING_MS at most, so that channels are there when insmod returns */
static int okl4_probe(struct virtio_device *vdev)
{
	struct okl4_dev *dev = new_dev(vdev);
	unsigned int n;
	int err;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	vdev->priv = dev;
	okl4_debugfs_add(dev);

	mutex_lock(&dev->mutex);
	err = okl4_queues_start(dev);
	dev->fresh = !err;
	mutex_unlock(&dev->mutex);
	if (err && !dev->has_queues) {
		stop_device(dev, true);
		okl4_debugfs_remove(dev);
		vdev->priv = NULL;
		kref_put(&dev->port.ref, dev_release);
		return err;
	}
	okl4_dev_poke(dev);
	wait_for_completion_timeout(&dev->tried, msecs_to_jiffies(GREETING_MS));
	spin_lock_irq(&dev->slot_lock);
	n = okl4_slots_count(dev, false);
	spin_unlock_irq(&dev->slot_lock);
	dev_info(&vdev->dev, "%s carrier, %u queues, %u channels%s\n", dev->carrier->name,
		 OKL4FS_QUEUE_EVENT + dev->n_event, n,
		 READ_ONCE(dev->up) ? "" : "; the host does not answer yet");
	return 0;
}

static void okl4_remove(struct virtio_device *vdev)
{
	struct okl4_dev *dev = vdev->priv;

	stop_device(dev, true);
	okl4_debugfs_remove(dev);
	vdev->priv = NULL;
	kref_put(&dev->port.ref, dev_release);
}

#ifdef CONFIG_PM_SLEEP
/* Files stay open and sleepers asleep */
static int okl4_freeze(struct virtio_device *vdev)
{
	stop_device(vdev->priv, false);
	return 0;
}

/* The device's work greets the host, which may be silent, and sets up again what fails here */
static int okl4_restore(struct virtio_device *vdev)
{
	struct okl4_dev *dev = vdev->priv;

	mutex_lock(&dev->mutex);
	dev->fresh = !okl4_queues_start(dev);
	WRITE_ONCE(dev->stopped, false);
	mutex_unlock(&dev->mutex);
	okl4_dev_poke(dev);
	return 0;
}
#endif

/* The host must not write to the next kernel's memory, and our work must not undo the reset */
static void okl4_shutdown(okl4_shutdown_arg *device)
{
	stop_device(okl4_compat_vdev(device)->priv, true);
}

static struct virtio_driver okl4_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = id_table,
	.validate = okl4_validate,
	.probe = okl4_probe,
	.remove = okl4_remove,
	.OKL4_COMPAT_SHUTDOWN = okl4_shutdown,
#ifdef CONFIG_PM_SLEEP
	.freeze = okl4_freeze,
	.restore = okl4_restore,
#endif
};

/**
 * okl4_virtio_register() - take the devices that are there, and those that come later
 *
 * Return: 0 or a negative errno.
 */
int okl4_virtio_register(void)
{
	int err;

	okl4_driver_instance = get_random_u64();
	okl4_workqueue = alloc_workqueue("okl4fs", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!okl4_workqueue)
		return -ENOMEM;
	err = register_virtio_driver(&okl4_driver);
	if (err)
		goto no_driver;
	err = okl4_claim_start(&okl4_driver.driver);
	if (err)
		goto no_claim;
	return 0;

no_claim:
	unregister_virtio_driver(&okl4_driver);
no_driver:
	destroy_workqueue(okl4_workqueue);
	return err;
}

/**
 * okl4_virtio_unregister() - release all devices
 */
void okl4_virtio_unregister(void)
{
	okl4_claim_stop();
	unregister_virtio_driver(&okl4_driver);
	destroy_workqueue(okl4_workqueue);
}
