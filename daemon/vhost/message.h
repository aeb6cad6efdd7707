/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.h - vhost-user messages: what they look like, and which of them a frontend may send
 *
 * The layouts and the meaning of each request are those of docs.qemu.org, "vhost-user protocol".
 * Nothing here does I/O: a message is judged by its bytes, by what the caller found out about the
 * descriptors that came with it, and by what the connection has said before. Only messages that
 * pass go on to DPDK, whose handlers run for every message that they know, negotiated or not, and
 * trust some of what they are told.
 */
#ifndef OKL4FSD_VHOST_MESSAGE_H
#define OKL4FSD_VHOST_MESSAGE_H

#include <libfs/platform.h>

#include "vhost/memory.h"
#include "vhost/region_file.h"

/* control and 16 event queues: there are 16 bell words, and a word belongs to one queue */
#define VHOST_MAX_QUEUES 17

#define VHOST_HEADER_BYTES  12 /* request, flags, bytes */
#define VHOST_PAYLOAD_BYTES 1024 /* no message of the protocol is longer */
#define VHOST_REPLY_BYTES   20 /* every reply that is ours or DPDK's: header and 8 bytes */
#define VHOST_MAX_FDS       GUEST_MEMORY_MAX_REGIONS

/* What all frontends of a process share: its address space (128 TiB on x86), and the library's heap, of
 * which an entry of a queue takes about 40 bytes. */
#define VHOST_MAX_MAPPED_BYTES (4ULL << 40)
#define VHOST_MAX_ENTRIES      65536

/** enum vhost_request - the messages that are let through */
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

#define VHOST_FLAG_VERSION      1U
#define VHOST_FLAG_VERSION_MASK 3U
#define VHOST_FLAG_REPLY        4U
#define VHOST_FLAG_NEED_REPLY   8U
#define VHOST_VRING_IDX_MASK    0xffULL
#define VHOST_VRING_NOFD        0x100ULL

/* Feature bits: VIRTIO_F_VERSION_1 (virtio 1.2, section 6), and that protocol features exist */
#define VHOST_F_VERSION_1         (1ULL << 32)
#define VHOST_F_PROTOCOL_FEATURES (1ULL << 30)
#define VHOST_FEATURES            (VHOST_F_VERSION_1 | VHOST_F_PROTOCOL_FEATURES)
/* Protocol features: several queues, and an answer to each message that asks for one */
#define VHOST_PROTOCOL_MQ        (1ULL << 0)
#define VHOST_PROTOCOL_REPLY_ACK (1ULL << 3)
#define VHOST_PROTOCOL_FEATURES  (VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK)

/** struct vhost_msg_region - one region of SET_MEM_TABLE */
struct vhost_msg_region {
	uint64_t gpa, bytes, user_addr, mmap_offset;
};

/**
 * struct vhost_message - a message, as it is on the wire
 * @request: enum vhost_request, or anything
 * @flags: VHOST_FLAG_*
 * @bytes: of the payload
 * @payload: by request
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
		uint8_t any[VHOST_PAYLOAD_BYTES];
	} __attribute__((packed)) payload;
} __attribute__((packed));
OKL4_STATIC_ASSERT(offsetof(struct vhost_message, payload) == VHOST_HEADER_BYTES,
		   "the header on the wire");

/**
 * struct vhost_fd - what was found out about a descriptor that came with a message
 * @is_eventfd: it is an eventfd, and does not block
 * @file: what can be said of it as the file of a memory region
 */
struct vhost_fd {
	bool is_eventfd;
	struct region_file file;
};

/**
 * struct vhost_said_ring - what was said of one queue
 * @size: SET_VRING_NUM; 0: not said
 * @base: SET_VRING_BASE, or what GET_VRING_BASE answered
 * @desc: SET_VRING_ADDR, in the frontend's addresses
 * @used: likewise
 * @avail: likewise
 * @based: @base is known
 * @addressed: the addresses are known
 * @kicked: a kick descriptor was given
 * @called: SET_VRING_CALL was said
 * @enabled: the queue runs
 * @switched: SET_VRING_ENABLE was said
 */
struct vhost_said_ring {
	uint32_t size, base;
	uint64_t desc, used, avail;
	bool based, addressed, kicked, called, enabled, switched;
};

/**
 * struct vhost_said - what a connection has said so far
 * @features: SET_FEATURES
 * @protocol_features: SET_PROTOCOL_FEATURES
 * @chose: SET_FEATURES was said
 * @chose_protocol: SET_PROTOCOL_FEATURES was said
 * @n_regions: regions in use
 * @region: they
 * @ring: the queues
 *
 * Together with the descriptors this is all that it takes to say it again: vhost_repeat().
 */
struct vhost_said {
	uint64_t features, protocol_features;
	bool chose, chose_protocol;
	uint32_t n_regions;
	struct vhost_msg_region region[GUEST_MEMORY_MAX_REGIONS];
	struct vhost_said_ring ring[VHOST_MAX_QUEUES];
};

/** enum vhost_verdict - what becomes of a message */
enum vhost_verdict {
	VHOST_PASS, /* the library may have it */
	VHOST_ANSWER, /* it is answered without the library: vhost_answer() */
	VHOST_REFUSE, /* not one of ours: its sender is told, and may go on */
	VHOST_HOSTILE, /* nonsense: the connection ends */
};

/**
 * vhost_judge_header() - whether a message is worth reading
 * @msg: message of which the header has come
 * @why: out: when it is not, what is wrong; static memory
 *
 * Return: VHOST_PASS: read on; or VHOST_HOSTILE.
 */
enum vhost_verdict vhost_judge_header(const struct vhost_message *msg, const char **why);

/**
 * vhost_judge() - judge a message
 * @msg: message, whole
 * @fds: what came with it
 * @n_fds: how many; only VHOST_MAX_FDS of them are looked at
 * @said: what the connection has said before
 * @why: out: when it does not pass, what is wrong; static memory
 */
enum vhost_verdict vhost_judge(const struct vhost_message *msg, const struct vhost_fd *fds,
			       unsigned int n_fds, const struct vhost_said *said, const char **why);

/** vhost_answer() - the 8 bytes that answer a message of VHOST_ANSWER */
uint64_t vhost_answer(const struct vhost_message *msg);

/**
 * vhost_said_more() - a message that passed was carried out
 * @said: what was said before; changed
 * @msg: message
 * @answer: the library's
 */
void vhost_said_more(struct vhost_said *said, const struct vhost_message *msg,
		     const struct vhost_message *answer);

/** vhost_said_no_memory() - a SET_MEM_TABLE has failed: there is no memory now */
void vhost_said_no_memory(struct vhost_said *said);

#define VHOST_REPEAT_STEPS (4 + 6 * VHOST_MAX_QUEUES)

/**
 * vhost_repeat() - the messages that say to another library what was said
 * @said: what was said
 * @step: from 0 to VHOST_REPEAT_STEPS - 1, in this order
 * @msg: out
 *
 * Return: false: nothing was said that belongs to this step.
 */
bool vhost_repeat(const struct vhost_said *said, unsigned int step, struct vhost_message *msg);

/** vhost_ring_is_ready() - a queue is complete and enabled, so the library knows where it lies */
bool vhost_ring_is_ready(const struct vhost_said *said, unsigned int queue);

/** vhost_request_name() - "SET_MEM_TABLE"; "unknown" for a request that is in no list */
const char *vhost_request_name(uint32_t request);

/** vhost_request_fds() - whether a request may come with descriptors, for the sake of memory or not */
enum vhost_fds { VHOST_FDS_NONE, VHOST_FDS_MEMORY, VHOST_FDS_EVENT };
enum vhost_fds vhost_request_fds(uint32_t request);

/** vhost_message_queue() - the queue that a message that passed is about; -1: none */
int vhost_message_queue(const struct vhost_message *msg);

/** vhost_message_replies() - whether the library's answer is the frontend's, not a mere 0 or 1 */
bool vhost_message_replies(const struct vhost_message *msg);

/** enum vhost_scope - what may be different after a message, and must not be in use meanwhile */
enum vhost_scope {
	VHOST_SCOPE_NOTHING,
	VHOST_SCOPE_NOTIFIER, /* how one queue is kicked or called */
	VHOST_SCOPE_RING, /* where one queue lies, or whether it runs */
	VHOST_SCOPE_MEMORY, /* everything */
};

/** vhost_message_scope() - what a message that passed may change: quiesce that before */
enum vhost_scope vhost_message_scope(const struct vhost_message *msg);

#endif
