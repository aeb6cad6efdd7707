/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <libfs/abi.h>
#include <libfs/checked.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost/region_file.h"
#include "vhost/check.h"

/** enum payload_kind - what a message carries */
enum payload_kind { PAYLOAD_NONE, PAYLOAD_U64, PAYLOAD_STATE, PAYLOAD_ADDR, PAYLOAD_MEMORY };

/**
 * struct request_rule - a line of the list
 * @name: its name; NULL: a request that nobody knows
 * @ours: it is let through
 * @queue: it is about one queue
 * @scope: what may be different after it
 * @payload: what it carries
 */
struct request_rule {
	const char *name;
	bool ours, queue;
	enum vhost_scope scope;
	enum payload_kind payload;
};

#define RULE(word, queue, scope, payload) \
	[VHOST_REQ_##word] = { #word, true, queue, VHOST_SCOPE_##scope, payload }
#define REFUSED(number, word) [number] = { .name = word }

static const struct request_rule rules[] = {
	RULE(GET_FEATURES, false, NOTHING, PAYLOAD_NONE),
	RULE(SET_FEATURES, false, NOTHING, PAYLOAD_U64),
	RULE(SET_OWNER, false, NOTHING, PAYLOAD_NONE),
	RULE(RESET_OWNER, false, MEMORY, PAYLOAD_NONE),
	RULE(SET_MEM_TABLE, false, MEMORY, PAYLOAD_MEMORY),
	RULE(SET_VRING_NUM, true, RING, PAYLOAD_STATE),
	RULE(SET_VRING_ADDR, true, RING, PAYLOAD_ADDR),
	RULE(SET_VRING_BASE, true, RING, PAYLOAD_STATE),
	RULE(GET_VRING_BASE, true, RING, PAYLOAD_STATE),
	RULE(SET_VRING_KICK, true, NOTIFIER, PAYLOAD_U64),
	RULE(SET_VRING_CALL, true, NOTIFIER, PAYLOAD_U64),
	RULE(SET_VRING_ERR, true, NOTHING, PAYLOAD_U64),
	RULE(GET_PROTOCOL_FEATURES, false, NOTHING, PAYLOAD_NONE),
	RULE(SET_PROTOCOL_FEATURES, false, NOTHING, PAYLOAD_U64),
	RULE(GET_QUEUE_NUM, false, NOTHING, PAYLOAD_NONE),
	RULE(SET_VRING_ENABLE, true, RING, PAYLOAD_STATE),
	/* No feature of ours needs the rest; named for the log. */
	REFUSED(6, "SET_LOG_BASE"),
	REFUSED(7, "SET_LOG_FD"),
	REFUSED(19, "SEND_RARP"),
	REFUSED(20, "NET_SET_MTU"),
	REFUSED(21, "SET_BACKEND_REQ_FD"),
	REFUSED(22, "IOTLB_MSG"),
	REFUSED(23, "SET_VRING_ENDIAN"),
	REFUSED(24, "GET_CONFIG"),
	REFUSED(25, "SET_CONFIG"),
	REFUSED(26, "CREATE_CRYPTO_SESSION"),
	REFUSED(27, "CLOSE_CRYPTO_SESSION"),
	REFUSED(28, "POSTCOPY_ADVISE"),
	REFUSED(29, "POSTCOPY_LISTEN"),
	REFUSED(30, "POSTCOPY_END"),
	REFUSED(31, "GET_INFLIGHT_FD"),
	REFUSED(32, "SET_INFLIGHT_FD"),
	REFUSED(33, "GPU_SET_SOCKET"),
	REFUSED(34, "RESET_DEVICE"),
	REFUSED(35, "VRING_KICK"),
	REFUSED(36, "GET_MAX_MEM_SLOTS"),
	REFUSED(37, "ADD_MEM_REG"),
	REFUSED(38, "REM_MEM_REG"),
	REFUSED(39, "SET_STATUS"),
	REFUSED(40, "GET_STATUS"),
	REFUSED(41, "GET_SHARED_OBJECT"),
	REFUSED(42, "SET_DEVICE_STATE_FD"),
	REFUSED(43, "CHECK_DEVICE_STATE"),
};

/**
 * rule_of() - the rule for a request
 * @request: request
 *
 * Return: the rule; that of "nobody knows it" when there is none.
 */
static const struct request_rule *rule_of(uint32_t request)
{
	return request < sizeof(rules) / sizeof(rules[0]) ? &rules[request] : &rules[0];
}

const char *vhost_request_name(uint32_t request)
{
	return rule_of(request)->name;
}

enum vhost_scope vhost_message_scope(const struct vhost_message *msg)
{
	/* A ring that is enabled goes on as it is. */
	if (msg->request == VHOST_REQ_SET_VRING_ENABLE && msg->payload.state.num)
		return VHOST_SCOPE_NOTIFIER;
	return rule_of(msg->request)->scope;
}

bool vhost_request_takes_fds(uint32_t request)
{
	return request == VHOST_REQ_SET_MEM_TABLE || request == VHOST_REQ_SET_VRING_KICK ||
	       request == VHOST_REQ_SET_VRING_CALL || request == VHOST_REQ_SET_VRING_ERR;
}

int vhost_request_queue(const struct vhost_message *msg)
{
	const struct request_rule *rule = rule_of(msg->request);

	if (!rule->queue)
		return -1;
	/* state.index and addr.index are the same word */
	return rule->payload == PAYLOAD_U64 ? (int)(msg->payload.u64 & VHOST_VRING_IDX_MASK) :
	       msg->payload.state.index > VHOST_VRING_IDX_MASK ? (int)VHOST_VRING_IDX_MASK :
								 (int)msg->payload.state.index;
}

/**
 * payload_bytes() - how long a message must be
 * @msg: message
 * @kind: what it carries
 *
 * Return: bytes of its payload.
 */
static uint64_t payload_bytes(const struct vhost_message *msg, enum payload_kind kind)
{
	switch (kind) {
	case PAYLOAD_U64:
		return sizeof(msg->payload.u64);
	case PAYLOAD_STATE:
		return sizeof(msg->payload.state);
	case PAYLOAD_ADDR:
		return sizeof(msg->payload.addr);
	case PAYLOAD_MEMORY:
		/* the count itself must have been read, else it is what the stack held */
		if (msg->bytes < offsetof(struct vhost_message, payload.memory.region) -
					 offsetof(struct vhost_message, payload))
			return UINT64_MAX;
		return 8 +
		       (uint64_t)msg->payload.memory.n_regions * sizeof(struct vhost_msg_region);
	default:
		return 0;
	}
}

/**
 * check_mapping() - whether a region can be mapped as DPDK will map it
 * @fd: its file, checked
 * @bytes: offset and size, checked
 *
 * When DPDK's own mmap(2) fails (the file is sealed, say), it loses the descriptor.
 *
 * Return: NULL, or what is wrong.
 */
static const char *check_mapping(int fd, uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return "a region's file cannot be mapped for writing";
	munmap(at, bytes);
	return NULL;
}

/**
 * check_mem_table() - SET_MEM_TABLE
 * @msg: message of the right length
 *
 * Return: NULL, or what is wrong.
 */
static const char *check_mem_table(const struct vhost_message *msg)
{
	struct guest_region region[GUEST_MEMORY_MAX_REGIONS];
	uint32_t n = msg->payload.memory.n_regions;
	const char *wrong;

	if (!n || n > GUEST_MEMORY_MAX_REGIONS)
		return "the number of regions is not 1 to 8";
	if (msg->n_fds != (int)n)
		return "there is not one descriptor a region";
	memset(region, 0, sizeof(region));
	for (uint32_t i = 0; i < n; i++) {
		region[i].gpa = msg->payload.memory.region[i].gpa;
		region[i].user_addr = msg->payload.memory.region[i].user_addr;
		region[i].bytes = msg->payload.memory.region[i].bytes;
	}
	wrong = guest_memory_check(region, n);
	for (uint32_t i = 0; i < n && !wrong; i++) {
		uint64_t offset = msg->payload.memory.region[i].mmap_offset;

		wrong = region_file_check(msg->fd[i], offset, region[i].bytes, NULL);
		if (!wrong)
			wrong = check_mapping(msg->fd[i], offset + region[i].bytes);
	}
	return wrong;
}

/*
 * Whether a descriptor is that of an eventfd; where /proc does not show this process, as in a container
 * or another process namespace, whether it belongs to no file system: a write to such a one that has
 * O_NONBLOCK never waits. The attributes are those that the kernel has, so no file server is asked.
 */
static bool is_eventfd(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(eventfd) + 1];
	struct statx st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	if (n >= 0)
		return n == sizeof(eventfd) - 1 && !memcmp(target, eventfd, (size_t)n);
	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
	       !(st.stx_mode & S_IFMT);
}

/**
 * check_eventfd() - whether a kick or call descriptor cannot make us wait
 * @fd: descriptor
 *
 * It is shared with the frontend. O_NONBLOCK, which QEMU sets itself, lets a write fail rather than
 * wait when the counter is full.
 *
 * Return: NULL, or what is wrong.
 */
static const char *check_eventfd(int fd)
{
	int flags;

	if (!is_eventfd(fd))
		return "its descriptor is not an eventfd";
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return "its descriptor cannot be made non-blocking";
	return NULL;
}

/**
 * check_vring_fd() - SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR
 * @msg: message of the right length
 *
 * Return: NULL, or what is wrong.
 */
static const char *check_vring_fd(const struct vhost_message *msg)
{
	bool none = msg->payload.u64 & VHOST_VRING_NOFD;

	if (msg->payload.u64 & ~(VHOST_VRING_IDX_MASK | VHOST_VRING_NOFD))
		return "unknown bits are set";
	if (msg->n_fds != (none ? 0 : 1))
		return "the number of descriptors is wrong";
	if (none)
		return msg->request == VHOST_REQ_SET_VRING_KICK ? "polling a queue is not offered" :
								  NULL;
	return check_eventfd(msg->fd[0]);
}

/**
 * check_content() - what a message says
 * @msg: message of ours, of the right length
 *
 * Return: NULL, or what is wrong.
 */
static const char *check_content(const struct vhost_message *msg)
{
	switch (msg->request) {
	case VHOST_REQ_SET_MEM_TABLE:
		return check_mem_table(msg);
	case VHOST_REQ_SET_VRING_NUM:
		return okl4_is_pow2(msg->payload.state.num) && msg->payload.state.num <= 32768 ?
			       NULL :
			       "the size is not a power of two of at most 32768";
	case VHOST_REQ_SET_VRING_BASE:
		return msg->payload.state.num <= UINT16_MAX ? NULL : "the index has over 16 bits";
	case VHOST_REQ_SET_VRING_ADDR:
		return msg->payload.addr.flags ? "logging is not offered" : NULL;
	case VHOST_REQ_SET_VRING_KICK:
	case VHOST_REQ_SET_VRING_CALL:
	case VHOST_REQ_SET_VRING_ERR:
		return check_vring_fd(msg);
	default:
		return NULL;
	}
}

enum vhost_judgement vhost_check_message(const struct vhost_message *msg, const char **why)
{
	const struct request_rule *rule = rule_of(msg->request);

	*why = "it is not offered";
	if (!rule->ours)
		return VHOST_REFUSE;
	*why = "wrong length";
	if (payload_bytes(msg, rule->payload) != msg->bytes)
		return VHOST_HOSTILE;
	*why = "descriptors come with it";
	if (msg->n_fds && !vhost_request_takes_fds(msg->request))
		return VHOST_HOSTILE;
	*why = "no such queue: there are at most 17";
	if (vhost_request_queue(msg) >= VHOST_MAX_QUEUES)
		return VHOST_HOSTILE;
	*why = check_content(msg);
	return *why ? VHOST_HOSTILE : VHOST_PASS;
}
