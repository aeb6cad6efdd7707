/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - every difference between the kernels this driver is built for (6.1 to 7.x)
 *
 * The other files are written for the newest kernel; what an older one lacks is defined here, with
 * a name that begins with okl4_compat_ or OKL4_.
 */
#ifndef OKL4FS_COMPAT_H
#define OKL4FS_COMPAT_H

#include <linux/fs.h>
#include <linux/mmzone.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

/* 6.3: inode operations take a mount's id map instead of its user namespace */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
typedef struct mnt_idmap okl4_idmap;
#else
typedef struct user_namespace okl4_idmap;
#endif

/* 6.5: the splice_read for files that only have a read_iter has another name */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define okl4_compat_splice_read copy_splice_read
#else
#define okl4_compat_splice_read generic_file_splice_read
#endif

/* 6.18: a write may ask for EPIPE without the signal */
#ifdef IOCB_NOSIGNAL
#define OKL4_IOCB_NOSIGNAL IOCB_NOSIGNAL
#else
#define OKL4_IOCB_NOSIGNAL 0
#endif

/* 6.4 made MAX_ORDER the largest order (it was one more), 6.8 gave it its present name */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define OKL4_MAX_ORDER MAX_PAGE_ORDER
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define OKL4_MAX_ORDER MAX_ORDER
#else
#define OKL4_MAX_ORDER (MAX_ORDER - 1)
#endif

/* 6.19: dentries of file systems that live in the dcache are marked, not merely referenced */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define okl4_compat_kill_sb kill_anon_super
#else
#define okl4_compat_kill_sb kill_litter_super
#endif

/* 6.19: "do not cache an inode that nobody uses" has another name */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define okl4_compat_drop_inode inode_just_drop
#else
#define okl4_compat_drop_inode generic_delete_inode
#endif

/* 6.10: in a tracepoint, a string's source is named where it is declared only */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define okl4_compat_assign_str(field, source) __assign_str(field)
#else
#define okl4_compat_assign_str(field, source) __assign_str(field, source)
#endif

/*
 * 6.15: a virtio driver can have a shutdown of its own (without one, virtio resets the device and
 * does not tell the driver); before that it is the device model's
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
#define OKL4_COMPAT_SHUTDOWN     shutdown
#define okl4_compat_vdev(device) (device)
typedef struct virtio_device okl4_shutdown_arg;
#else
#define OKL4_COMPAT_SHUTDOWN     driver.shutdown
#define okl4_compat_vdev(device) dev_to_virtio(device)
typedef struct device okl4_shutdown_arg;
#endif

/**
 * okl4_compat_create_eperm() - refuse to make a regular file
 * @idmap: of the mount
 * @dir: directory
 * @dentry: name
 * @mode: permissions
 *
 * Without such an operation open(O_CREAT) says EACCES. In 7.0 it lost a last argument, "must not
 * exist yet", which was always true.
 *
 * Return: -EPERM.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
static inline int okl4_compat_create_eperm(okl4_idmap *idmap, struct inode *dir,
					   struct dentry *dentry, umode_t mode)
#else
static inline int okl4_compat_create_eperm(okl4_idmap *idmap, struct inode *dir,
					   struct dentry *dentry, umode_t mode, bool excl)
#endif
{
	return -EPERM;
}

/**
 * okl4_compat_init_times() - set all three times of a new inode to now
 * @inode: new inode
 */
static inline void okl4_compat_init_times(struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	simple_inode_init_ts(inode);
#else
	inode->i_ctime = current_time(inode);
	inode->i_mtime = inode->i_ctime;
	inode->i_atime = inode->i_ctime;
#endif
}

/**
 * okl4_compat_dir_changed() - note that a directory has a new entry
 * @dir: directory, locked
 */
static inline void okl4_compat_dir_changed(struct inode *dir)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
#else
	dir->i_ctime = current_time(dir);
	dir->i_mtime = dir->i_ctime;
#endif
}

/**
 * okl4_compat_pin() - tie a new node to its name, until it is unlinked
 * @dentry: negative dentry; the caller's reference stays the caller's
 * @inode: node; its reference passes to the dentry
 */
static inline void okl4_compat_pin(struct dentry *dentry, struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	d_make_persistent(dentry, inode);
#else
	if (d_unhashed(dentry))
		d_add(dentry, inode);
	else
		d_instantiate(dentry, inode);
	dget(dentry);
#endif
}

/**
 * okl4_compat_find_vqs() - set up the queues of a device
 * @vdev: device
 * @n: how many queues
 * @vqs: out: @n queues
 * @callback: @n interrupt handlers
 * @name: @n names; they must outlive the queues
 *
 * Return: 0 or a negative errno.
 */
static inline int okl4_compat_find_vqs(struct virtio_device *vdev, unsigned int n,
				       struct virtqueue **vqs, vq_callback_t **callback,
				       const char **name)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct virtqueue_info *info = kcalloc(n, sizeof(*info), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!info)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		info[i].name = name[i];
		info[i].callback = callback[i];
	}
	err = virtio_find_vqs(vdev, n, vqs, info, NULL);
	kfree(info);
	return err;
#else
	return virtio_find_vqs(vdev, n, vqs, callback, (const char *const *)name, NULL);
#endif
}

#endif /* OKL4FS_COMPAT_H */
