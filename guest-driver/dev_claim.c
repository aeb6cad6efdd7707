// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_claim.c - which shared file systems are ours, and how we come to have them
 *
 * A table entry for virtio's number of a shared file system would match every share, and a driver
 * that refuses a matched device leaves FAILED in its status, from which some hosts do not recover.
 * So each device whose tag is ours is marked with a vendor of ours, and the table has that vendor
 * only. Of any other device only the tag is read.
 *
 * Linux's virtiofs matches any vendor, and where it was registered first it gets our devices first.
 * The bus tells us when that has happened, and a work item takes them over: the notifier itself
 * runs under the device's lock. A device that has no driver is left alone, since somebody may have
 * unbound it.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <uapi/linux/virtio_fs.h>

#include "dev.h"

static struct device_driver *our_driver;

static bool is_ours(struct virtio_device *vdev)
{
	char tag[sizeof_field(struct virtio_fs_config, tag)];

	if (vdev->id.device != VIRTIO_ID_FS)
		return false;
	virtio_cread_bytes(vdev, offsetof(struct virtio_fs_config, tag), tag, sizeof(tag));
	return !memcmp(tag, OKL4FS_TAG_PREFIX, strlen(OKL4FS_TAG_PREFIX));
}

static int mark(struct device *device, void *unused)
{
	struct virtio_device *vdev = dev_to_virtio(device);

	if (is_ours(vdev))
		vdev->id.vendor = OKL4_VENDOR_FS;
	return 0;
}

static bool is_marked(struct device *device)
{
	struct virtio_device *vdev = dev_to_virtio(device);

	return vdev->id.device == VIRTIO_ID_FS && vdev->id.vendor == OKL4_VENDOR_FS;
}

static int is_taken_by_another(struct device *device, const void *unused)
{
	struct device_driver *driver = READ_ONCE(device->driver);

	return driver && driver != our_driver && is_marked(device);
}

static void take_device(struct device *device)
{
	int err;

	device_release_driver(device);
	err = device_driver_attach(our_driver, device);
	/* -EBUSY: another driver was faster, and the bus has told us. -ENODEV: it was unplugged */
	if (err && err != -EBUSY && err != -ENODEV)
		dev_err_ratelimited(device, "cannot be taken over from its driver: %pe\n",
				    ERR_PTR(err));
}

static void take_devices(struct work_struct *work)
{
	struct device *device = NULL, *next;

	while ((next = bus_find_device(our_driver->bus, device, NULL, is_taken_by_another))) {
		put_device(device);
		device = next;
		take_device(device);
	}
	put_device(device);
}

static DECLARE_WORK(take_work, take_devices);

static int on_bus_event(struct notifier_block *block, unsigned long event, void *data)
{
	if (event == BUS_NOTIFY_ADD_DEVICE)
		mark(data, NULL);
	else if (event == BUS_NOTIFY_BOUND_DRIVER && is_taken_by_another(data, NULL))
		queue_work(okl4_workqueue, &take_work);
	return NOTIFY_DONE;
}

static struct notifier_block bus_block = { .notifier_call = on_bus_event };

/**
 * okl4_claim_start() - take the file systems that are ours: those that are there, and those that
 *	come later
 * @driver: our driver, registered; its table has %OKL4_VENDOR_FS
 *
 * Context: may sleep. When it returns the devices that were there have been probed.
 * Return: 0 or a negative errno.
 */
int okl4_claim_start(struct device_driver *driver)
{
	int err;

	our_driver = driver;
	err = bus_register_notifier(driver->bus, &bus_block);
	if (err)
		return err;
	bus_for_each_dev(driver->bus, NULL, NULL, mark);
	/* The devices without a driver. One that cannot be probed does not make this fail */
	err = driver_attach(driver);
	if (err) {
		okl4_claim_stop();
		return err;
	}
	queue_work(okl4_workqueue, &take_work);
	flush_work(&take_work);
	return 0;
}

/**
 * okl4_claim_stop() - take no more devices; those that we have stay ours
 *
 * Context: may sleep.
 */
void okl4_claim_stop(void)
{
	bus_unregister_notifier(our_driver->bus, &bus_block);
	cancel_work_sync(&take_work);
}
