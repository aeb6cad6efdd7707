/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * okl4evil.h - what okl4evil.ko offers a program: the bare device
 *
 * mmap(2) of /dev/okl4evil: at offset 0 an arena of EVIL_ARENA_BYTES that lies in one piece in guest
 * memory; at EVIL_QUEUE_OFFSET(q) the pages of queue q's vring.
 */
#ifndef OKL4EVIL_H
#define OKL4EVIL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define EVIL_N_QUEUES        2
#define EVIL_ARENA_BYTES     (4UL << 20)
#define EVIL_QUEUE_OFFSET(q) ((1UL + (q)) << 32)

/**
 * struct evil_queue - where the parts of a vring lie
 * @size: entries
 * @map_bytes: length to mmap at EVIL_QUEUE_OFFSET()
 * @desc, @avail, @used: offsets in that mapping
 * @gpa: guest-physical address of the mapping's first byte
 */
struct evil_queue {
	__u32 size, map_bytes, desc, avail, used, reserved;
	__u64 gpa;
};

/**
 * struct evil_info - the device as it was set up
 * @arena_gpa: guest-physical address of the arena
 * @queue: the queues
 */
struct evil_info {
	__u64 arena_gpa;
	struct evil_queue queue[EVIL_N_QUEUES];
};

#define EVIL_INFO  _IOR('e', 1, struct evil_info) /* tell where all lies */
#define EVIL_KICK  _IO('e', 2) /* notify queue ARG */
#define EVIL_RESET _IO('e', 3) /* reset the device, set it up again */

#endif
