/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * ioctl.h - ioctl(2) requests of files of okl4fs, beyond those of a fifo
 *
 * For programs in a Linux guest, and for the driver.
 */
#ifndef LIBFS_IOCTL_H
#define LIBFS_IOCTL_H

#include <linux/ioctl.h>

/**
 * OKL4FS_IOC_SHUTDOWN - end one direction of a session, or both, as shutdown(2) does
 *
 * The argument is an int: 0 (SHUT_RD), 1 (SHUT_WR) or 2 (SHUT_RDWR). ENOTTY: the file belongs to a
 * channel without sessions.
 */
#define OKL4FS_IOC_SHUTDOWN _IO('O', 1)

#endif /* LIBFS_IOCTL_H */
