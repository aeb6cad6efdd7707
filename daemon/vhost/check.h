/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.h - which vhost-user messages a frontend may send, and what they may say
 *
 * DPDK's handlers run for every message they know, negotiated or not, and some of them trust what
 * they are told. So each message is judged here before one of them sees it: by a list of those that
 * our device needs, by its exact length, by the descriptors that come with it, and by its content.
 * Nothing here has state, or does more than look at those descriptors and map one for a moment.
 */
#ifndef OKL4FSD_VHOST_CHECK_H
#define OKL4FSD_VHOST_CHECK_H

#include <assert.h>
#include <libfs/platform.h>

#include "vhost/memory.h"

/* control and 16 event queues: there are 16 bell words, and a word belongs to one queue */
#define VHOST_MAX_QUEUES 17

/** enum vhost_request - the messages that are let through (docs.qemu.org, "vhost-user protocol") */
enum vhost_request {
	VHOST_REQ_GET_FEATURES = 1,
	VHOST_REQ_SET_FEATURES = 2,
	VHOST_REQ_SET_OWNER = 3,
	VHOST_REQ_RESET_OWNER = 4,
	VHOST_REQ_SET_MEM_TABLE = 5,
	VHOST_REQ_SET_VRING_NUM = 8,
	VHOST_REQ_SET_VRING_ADDR = 9,
	VHOST_REQ_SET_VRING_BASE = 10,
	VHOST_REQ_GET_VRING_BASE = 11,
	VHOST_REQ_SET_VRING_KICK = 12,
	VHOST_REQ_SET_VRING_CALL = 13,
	VHOST_REQ_SET_VRING_ERR = 14,
	VHOST_REQ_GET_PROTOCOL_FEATURES = 15,
	VHOST_REQ_SET_PROTOCOL_FEATURES = 16,
	VHOST_REQ_GET_QUEUE_NUM = 17,
	VHOST_REQ_SET_VRING_ENABLE = 18,
};

#define VHOST_FLAG_NEED_REPLY 8U
#define VHOST_VRING_IDX_MASK  0xffULL
#define VHOST_VRING_NOFD      0x100ULL

/** struct vhost_msg_region - one region of SET_MEM_TABLE */
struct vhost_msg_region {
	uint64_t gpa, bytes, user_addr, mmap_offset;
};

/**
 * struct vhost_message - a message with its descriptors, as DPDK 22.11 hands it to pre_msg_handle()
 * @request: enum vhost_request, or anything
 * @flags: VHOST_FLAG_*
 * @bytes: of the payload that was read; the rest of @payload is what the stack held
 * @payload: by kind of message; as large as DPDK's largest member (a crypto session)
 * @fd: descriptors; -1 beyond @n_fds
 * @n_fds: how many came
 *
 * The layout is DPDK's own (struct vhu_msg_context, not in an installed header, and promised to
 * external message handlers not to change carelessly); vhost_backend checks the version at run
 * time.
 */
struct vhost_message {
	uint32_t request, flags, bytes;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t n_regions, padding;
			struct vhost_msg_region region[GUEST_MEMORY_MAX_REGIONS];
		} memory;
		uint8_t largest[632];
	} __attribute__((packed)) payload;
	int fd[GUEST_MEMORY_MAX_REGIONS];
	int n_fds;
} __attribute__((packed));
static_assert(offsetof(struct vhost_message, payload) == 12, "DPDK 22.11, VhostUserMsg");
static_assert(offsetof(struct vhost_message, fd) == 644, "DPDK 22.11, vhu_msg_context");

/** enum vhost_judgement - what becomes of a message */
enum vhost_judgement {
	VHOST_PASS, /* DPDK may have it */
	VHOST_REFUSE, /* not one of ours: its sender is told, and may go on */
	VHOST_HOSTILE, /* one of ours, but nonsense: the connection ends */
};

/**
 * vhost_check_message() - judge a message
 * @msg: message; read only, but for its descriptors' O_NONBLOCK
 * @why: out: when it is not passed, what is wrong; static memory
 *
 * Return: the judgement.
 */
enum vhost_judgement vhost_check_message(const struct vhost_message *msg, const char **why);

/** vhost_request_name() - "SET_MEM_TABLE"; NULL for a request that is in no list. Static memory */
const char *vhost_request_name(uint32_t request);

/** vhost_request_queue() - the queue that a message is about; -1: none */
int vhost_request_queue(const struct vhost_message *msg);

/** vhost_request_takes_fds() - whether a request may come with descriptors */
bool vhost_request_takes_fds(uint32_t request);

/** enum vhost_scope - what may be different after a message, and must not be in use meanwhile */
enum vhost_scope {
	VHOST_SCOPE_NOTHING,
	VHOST_SCOPE_NOTIFIER, /* how one queue is kicked or called */
	VHOST_SCOPE_RING, /* where one queue lies, or whether it runs */
	VHOST_SCOPE_MEMORY, /* everything */
};

/** vhost_message_scope() - what a message that was passed may change: quiesce that before */
enum vhost_scope vhost_message_scope(const struct vhost_message *msg);

#endif
