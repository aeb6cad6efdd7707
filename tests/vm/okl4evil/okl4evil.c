// SPDX-License-Identifier: GPL-2.0-only
/*
 * okl4evil.c - hands the bare virtio device to a program, so that it can misbehave
 *
 * For tests only. Loaded in place of okl4fs.ko, it takes the device with our tag, sets up its
 * queues and then leaves everything to the program that opens /dev/okl4evil: the vrings themselves,
 * memory whose guest-physical address is known, the doorbells and the reset. All that is hostile is
 * in that program (tests/vm/guest/okl4test/evil*.c).
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "okl4evil.h"

/* The one device. @lock protects everything here */
struct evil {
	struct virtio_device *vdev;
	struct virtqueue *vq[EVIL_N_QUEUES];
	void *arena; /* memory for the program */
	struct mutex lock;
};

static struct evil evil = { .lock = __MUTEX_INITIALIZER(evil.lock) };

static void evil_ignore(struct virtqueue *vq)
{
}

static int evil_find_vqs(struct virtio_device *vdev)
{
	int err;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct virtqueue_info info[EVIL_N_QUEUES] = {
		{ .name = "control", .callback = evil_ignore },
		{ .name = "event", .callback = evil_ignore },
	};

	err = virtio_find_vqs(vdev, EVIL_N_QUEUES, evil.vq, info, NULL);
#else
	vq_callback_t *callbacks[EVIL_N_QUEUES] = { evil_ignore, evil_ignore };
	static const char *const names[EVIL_N_QUEUES] = { "control", "event" };

	err = virtio_find_vqs(vdev, EVIL_N_QUEUES, evil.vq, callbacks, names, NULL);
#endif
	if (!err)
		virtio_device_ready(vdev);
	return err;
}

/* The parts of a vring follow each other in one allocation */
static void evil_queue_fill(struct evil_queue *queue, struct virtqueue *vq)
{
	u64 desc = virtqueue_get_desc_addr(vq), avail = virtqueue_get_avail_addr(vq);
	u64 used = virtqueue_get_used_addr(vq), base = desc & PAGE_MASK;

	queue->size = virtqueue_get_vring_size(vq);
	queue->gpa = base;
	queue->desc = desc - base;
	queue->avail = avail - base;
	queue->used = used - base;
	queue->map_bytes = PAGE_ALIGN(queue->used + 6 + 8 * queue->size);
}

static int evil_info(struct evil_info *info)
{
	int i;

	info->arena_gpa = virt_to_phys(evil.arena);
	for (i = 0; i < EVIL_N_QUEUES; i++)
		evil_queue_fill(&info->queue[i], evil.vq[i]);
	return 0;
}

/* As a driver does that begins anew; mappings of the old vrings are no longer valid */
static int evil_reset(void)
{
	struct virtio_device *vdev = evil.vdev;
	int err;

	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
	virtio_add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_add_status(vdev, VIRTIO_CONFIG_S_DRIVER);
	err = vdev->config->finalize_features(vdev);
	if (err)
		return err;
	virtio_add_status(vdev, VIRTIO_CONFIG_S_FEATURES_OK);
	return evil_find_vqs(vdev);
}

static long evil_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct evil_info info = {};
	long ret = -ENOTTY;

	mutex_lock(&evil.lock);
	if (!evil.vdev)
		ret = -ENODEV;
	else if (cmd == EVIL_INFO)
		ret = evil_info(&info);
	else if (cmd == EVIL_KICK && arg < EVIL_N_QUEUES)
		ret = virtqueue_notify(evil.vq[arg]) ? 0 : -EIO;
	else if (cmd == EVIL_RESET)
		ret = evil_reset();
	mutex_unlock(&evil.lock);
	/* mmap() comes with the mmap lock held, so user memory must not be touched under ours */
	if (!ret && cmd == EVIL_INFO && copy_to_user((void __user *)arg, &info, sizeof(info)))
		ret = -EFAULT;
	return ret;
}

static int evil_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long bytes = vma->vm_end - vma->vm_start,
		      queue = vma->vm_pgoff >> (32 - PAGE_SHIFT);
	struct evil_queue where = { .map_bytes = EVIL_ARENA_BYTES };
	int ret = -EINVAL;

	mutex_lock(&evil.lock);
	if (!evil.vdev) {
		ret = -ENODEV;
	} else if (queue <= EVIL_N_QUEUES) {
		if (queue)
			evil_queue_fill(&where, evil.vq[queue - 1]);
		else
			where.gpa = virt_to_phys(evil.arena);
		if (bytes <= where.map_bytes)
			ret = remap_pfn_range(vma, vma->vm_start, where.gpa >> PAGE_SHIFT, bytes,
					      vma->vm_page_prot);
	}
	mutex_unlock(&evil.lock);
	return ret;
}

static const struct file_operations evil_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = evil_ioctl,
	.mmap = evil_mmap,
};

static struct miscdevice evil_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "okl4evil",
	.mode = 0600,
	.fops = &evil_fops,
};

static int evil_probe(struct virtio_device *vdev)
{
	int err = -EBUSY;

	mutex_lock(&evil.lock);
	if (!evil.vdev)
		err = evil_find_vqs(vdev);
	if (!err)
		evil.vdev = vdev;
	mutex_unlock(&evil.lock);
	return err;
}

static void evil_remove(struct virtio_device *vdev)
{
	mutex_lock(&evil.lock);
	evil.vdev = NULL;
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
	mutex_unlock(&evil.lock);
}

static const struct virtio_device_id evil_ids[] = {
	{ VIRTIO_ID_FS, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static struct virtio_driver evil_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = evil_ids,
	.probe = evil_probe,
	.remove = evil_remove,
};

static int __init evil_init(void)
{
	int err;

	evil.arena = alloc_pages_exact(EVIL_ARENA_BYTES, GFP_KERNEL | __GFP_ZERO);
	if (!evil.arena)
		return -ENOMEM;
	err = register_virtio_driver(&evil_driver);
	if (err)
		goto free_arena;
	err = misc_register(&evil_misc);
	if (!err)
		return 0;
	unregister_virtio_driver(&evil_driver);
free_arena:
	free_pages_exact(evil.arena, EVIL_ARENA_BYTES);
	return err;
}

static void __exit evil_exit(void)
{
	misc_deregister(&evil_misc);
	unregister_virtio_driver(&evil_driver);
	free_pages_exact(evil.arena, EVIL_ARENA_BYTES);
}

module_init(evil_init);
module_exit(evil_exit);

MODULE_DESCRIPTION("Hands the bare okl4fs device to a test program");
MODULE_LICENSE("GPL");
