// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_file.c - opening and closing, and the small calls on an open file
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <asm/ioctls.h>

#include <libfs/ioctl.h>
#include <libfs/packet.h>

#include "compat.h"
#include "fs.h"

/* FIONREAD: how many bytes a read returns now, if there is room for them */
static long okl4fs_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct okl4_channel *ch = file->private_data;
	s64 n;

	if (cmd == OKL4FS_IOC_SHUTDOWN)
		return okl4_session_shutdown(ch, arg);
	if (cmd != FIONREAD)
		return -ENOIOCTLCMD;
	if (ch->mem->packets)
		n = okl4_packet_glance(&ch->mem->pair.rx);
	else
		n = okl4_pipe_glance_read(&ch->mem->pair.rx).bytes;
	if (n < 0)
		return -EIO;
	return put_user((int)n, (int __user *)arg);
}

static const struct file_operations packet_file_ops;

static int okl4fs_open(struct inode *inode, struct file *file)
{
	bool reads = file->f_mode & FMODE_READ, writes = file->f_mode & FMODE_WRITE;
	struct okl4_channel *ch = inode->i_private;
	int err;

	/* Access mode 3: neither a reader nor a writer, so nothing would keep the memory */
	if (!reads && !writes)
		return -EINVAL;
	if (READ_ONCE(ch->max_sessions))
		err = okl4_session_open(ch, reads, writes, file->f_flags & O_NONBLOCK, &ch);
	else
		err = okl4_channel_open(ch, reads, writes);
	if (err)
		return err;
	file->private_data = ch;
	/* A stream has no position: lseek, pread and pwrite are ESPIPE */
	stream_open(inode, file);
	file->f_mode |= FMODE_NOWAIT;
	if (ch->mem->packets) {
		file->f_mode |= FMODE_CAN_ODIRECT;
		file->f_op = &packet_file_ops; /* of the same module, so its reference stays */
	}
	return 0;
}

static int okl4fs_release(struct inode *inode, struct file *file)
{
	bool reads = file->f_mode & FMODE_READ, writes = file->f_mode & FMODE_WRITE;
	struct okl4_channel *ch = file->private_data;

	if (ch->of)
		okl4_session_close(ch, reads, writes);
	else
		okl4_channel_close(ch, reads, writes);
	return 0;
}

/* The kernel lets every fifo have O_DIRECT, which makes packets of writes; these carry bytes */
static int okl4fs_check_flags(int flags)
{
	return flags & O_DIRECT ? -EINVAL : 0;
}

/* O_ASYNC: begin or cease to send SIGIO */
static int okl4fs_fasync(int fd, struct file *file, int on)
{
	struct okl4_channel *ch = file->private_data;
	int err = 0;

	if (file->f_mode & FMODE_READ)
		err = fasync_helper(fd, file, on, &ch->rx_async);
	if (err >= 0 && (file->f_mode & FMODE_WRITE)) {
		err = fasync_helper(fd, file, on, &ch->tx_async);
		if (err < 0 && (file->f_mode & FMODE_READ))
			fasync_helper(-1, file, 0, &ch->rx_async);
	}
	if (err > 0 && on)
		okl4fs_poll(file, NULL); /* arms what is not ready */
	return min(err, 0);
}

static int okl4fs_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return okl4_channel_sync(file->private_data);
}

/*
 * Of an open file whose channel carries messages. O_DIRECT changes nothing there: it asks for what
 * the file does anyway. Without splice operations, splice(2) and sendfile(2) are refused: what they
 * move has no marks between messages.
 */
static const struct file_operations packet_file_ops = {
	.owner = THIS_MODULE,
	.release = okl4fs_release,
	.read_iter = okl4fs_read_iter,
	.write_iter = okl4fs_write_iter,
	.poll = okl4fs_poll,
	.fsync = okl4fs_fsync,
	.fasync = okl4fs_fasync,
	.unlocked_ioctl = okl4fs_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

const struct file_operations okl4fs_file_ops = {
	.owner = THIS_MODULE,
	.open = okl4fs_open,
	.release = okl4fs_release,
	.read_iter = okl4fs_read_iter,
	.write_iter = okl4fs_write_iter,
	.poll = okl4fs_poll,
	.fsync = okl4fs_fsync,
	.fasync = okl4fs_fasync,
	.check_flags = okl4fs_check_flags,
	.unlocked_ioctl = okl4fs_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.splice_read = okl4_compat_splice_read,
	.splice_write = iter_file_splice_write,
};
