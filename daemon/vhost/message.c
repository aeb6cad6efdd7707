// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/message.h"

#include <string.h>

#include <libfs/checked.h>

enum payload_kind { PAYLOAD_NONE, PAYLOAD_U64, PAYLOAD_STATE, PAYLOAD_ADDR, PAYLOAD_MEMORY };

/* What has to have been said of a queue before */
enum { NEEDS_SIZE = 1, NEEDS_ADDRESS = 2 };

/* A line of the list; one that has only a name is refused */
struct request_rule {
	const char *name;
	enum vhost_verdict verdict;
	enum payload_kind payload;
	enum vhost_fds fds;
	enum vhost_scope scope;
	bool queue; /* it is about one queue */
	unsigned int needs;
};

#define PASS(word, payload, fds, scope, queue, needs)                                       \
	[VHOST_REQ_##word] = {                                                              \
		#word, VHOST_PASS, PAYLOAD_##payload, VHOST_FDS_##fds, VHOST_SCOPE_##scope, \
		queue, needs                                                                \
	}
#define ANSWER(word)         [VHOST_REQ_##word] = { .name = #word, .verdict = VHOST_ANSWER }
#define REFUSE(number, word) [number] = { .name = word, .verdict = VHOST_REFUSE }

static const struct request_rule request_rules[] = {
	REFUSE(0, "unknown"),
	ANSWER(GET_FEATURES),
	ANSWER(GET_PROTOCOL_FEATURES),
	ANSWER(GET_QUEUE_NUM),
	PASS(SET_FEATURES, U64, NONE, NOTHING, false, 0),
	PASS(SET_PROTOCOL_FEATURES, U64, NONE, NOTHING, false, 0),
	PASS(SET_OWNER, NONE, NONE, NOTHING, false, 0),
	PASS(RESET_OWNER, NONE, NONE, MEMORY, false, 0),
	PASS(SET_MEM_TABLE, MEMORY, MEMORY, MEMORY, false, 0),
	PASS(SET_VRING_NUM, STATE, NONE, RING, true, 0),
	PASS(SET_VRING_BASE, STATE, NONE, RING, true, 0),
	PASS(SET_VRING_ADDR, ADDR, NONE, RING, true, NEEDS_SIZE),
	PASS(SET_VRING_KICK, U64, EVENT, NOTIFIER, true, NEEDS_ADDRESS),
	PASS(SET_VRING_CALL, U64, EVENT, NOTIFIER, true, 0),
	PASS(SET_VRING_ERR, U64, EVENT, NOTHING, true, 0),
	PASS(SET_VRING_ENABLE, STATE, NONE, RING, true, 0),
	PASS(GET_VRING_BASE, STATE, NONE, RING, true, 0),
	/* No feature of ours needs the rest; named for the log. */
	REFUSE(6, "SET_LOG_BASE"),
	REFUSE(7, "SET_LOG_FD"),
	REFUSE(19, "SEND_RARP"),
	REFUSE(20, "NET_SET_MTU"),
	REFUSE(21, "SET_BACKEND_REQ_FD"),
	REFUSE(22, "IOTLB_MSG"),
	REFUSE(23, "SET_VRING_ENDIAN"),
	REFUSE(24, "GET_CONFIG"),
	REFUSE(25, "SET_CONFIG"),
	REFUSE(26, "CREATE_CRYPTO_SESSION"),
	REFUSE(27, "CLOSE_CRYPTO_SESSION"),
	REFUSE(28, "POSTCOPY_ADVISE"),
	REFUSE(29, "POSTCOPY_LISTEN"),
	REFUSE(30, "POSTCOPY_END"),
	REFUSE(31, "GET_INFLIGHT_FD"),
	REFUSE(32, "SET_INFLIGHT_FD"),
	REFUSE(33, "GPU_SET_SOCKET"),
	REFUSE(34, "RESET_DEVICE"),
	REFUSE(35, "VRING_KICK"),
	REFUSE(36, "GET_MAX_MEM_SLOTS"),
	REFUSE(37, "ADD_MEM_REG"),
	REFUSE(38, "REM_MEM_REG"),
	REFUSE(39, "SET_STATUS"),
	REFUSE(40, "GET_STATUS"),
	REFUSE(41, "GET_SHARED_OBJECT"),
	REFUSE(42, "SET_DEVICE_STATE_FD"),
	REFUSE(43, "CHECK_DEVICE_STATE"),
};

static const struct request_rule *rule_of(uint32_t request)
{
	if (request >= sizeof(request_rules) / sizeof(request_rules[0]))
		return &request_rules[0];
	return &request_rules[request];
}

const char *vhost_request_name(uint32_t request)
{
	return rule_of(request)->name;
}

enum vhost_fds vhost_request_fds(uint32_t request)
{
	return rule_of(request)->fds;
}

enum vhost_scope vhost_message_scope(const struct vhost_message *msg)
{
	/* A ring that is enabled goes on as it is. */
	if (msg->request == VHOST_REQ_SET_VRING_ENABLE && msg->payload.state.num)
		return VHOST_SCOPE_NOTIFIER;
	return rule_of(msg->request)->scope;
}

bool vhost_message_replies(const struct vhost_message *msg)
{
	return msg->request == VHOST_REQ_GET_VRING_BASE;
}

static uint64_t queue_of(const struct vhost_message *msg, enum payload_kind payload)
{
	/* state.index and addr.index are the same word. */
	return payload == PAYLOAD_U64 ? msg->payload.u64 & VHOST_VRING_IDX_MASK :
					msg->payload.state.index;
}

int vhost_message_queue(const struct vhost_message *msg)
{
	const struct request_rule *rule = rule_of(msg->request);

	return rule->queue ? (int)queue_of(msg, rule->payload) : -1;
}

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
		if (msg->bytes < 8) /* the number of regions has not come */
			return UINT64_MAX;
		return 8 +
		       (uint64_t)msg->payload.memory.n_regions * sizeof(struct vhost_msg_region);
	default:
		return 0;
	}
}

/* The library maps each file from its beginning to the end of the region. */
static const char *judge_mapped(const struct vhost_message *msg)
{
	uint64_t left = VHOST_MAX_MAPPED_BYTES;

	for (uint32_t i = 0; i < msg->payload.memory.n_regions; i++) {
		const struct vhost_msg_region r = msg->payload.memory.region[i];

		if (!okl4_range_ok(r.mmap_offset, r.bytes, left))
			return "the regions take more than 4 TiB of address space";
		left -= r.mmap_offset + r.bytes;
	}
	return NULL;
}

static const char *judge_memory(const struct vhost_message *msg, const struct vhost_fd *fds,
				unsigned int n_fds)
{
	struct guest_region region[GUEST_MEMORY_MAX_REGIONS];
	uint32_t n = msg->payload.memory.n_regions;
	const char *wrong;

	if (!n || n > GUEST_MEMORY_MAX_REGIONS)
		return "the number of regions is not 1 to 8";
	if (n_fds != n)
		return "there is not one descriptor per region";
	memset(region, 0, sizeof(region));
	for (uint32_t i = 0; i < n; i++) {
		region[i].gpa = msg->payload.memory.region[i].gpa;
		region[i].user_addr = msg->payload.memory.region[i].user_addr;
		region[i].bytes = msg->payload.memory.region[i].bytes;
	}
	wrong = guest_memory_check(region, n);
	for (uint32_t i = 0; i < n && !wrong; i++)
		wrong = region_file_check(&fds[i].file, msg->payload.memory.region[i].mmap_offset,
					  region[i].bytes);
	return wrong ? wrong : judge_mapped(msg);
}

static const char *judge_notifier(const struct vhost_message *msg, const struct vhost_fd *fds,
				  unsigned int n_fds)
{
	bool none = msg->payload.u64 & VHOST_VRING_NOFD;

	if (msg->payload.u64 & ~(VHOST_VRING_IDX_MASK | VHOST_VRING_NOFD))
		return "unknown bits are set";
	if (n_fds != !none)
		return "the number of descriptors is wrong";
	if (none)
		return msg->request == VHOST_REQ_SET_VRING_KICK ? "polling a queue is not offered" :
								  NULL;
	return fds[0].is_eventfd ? NULL : "its descriptor is not an eventfd";
}

static const char *judge_features(const struct vhost_message *msg, const struct vhost_said *said)
{
	if (msg->payload.u64 & ~VHOST_FEATURES)
		return "a feature is not offered";
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		if (vhost_ring_is_ready(said, i) && msg->payload.u64 != said->features)
			return "features do not change while a queue runs";
	}
	return NULL;
}

static const char *judge_size(const struct vhost_message *msg, const struct vhost_said *said)
{
	uint64_t entries = msg->payload.state.num;

	if (!okl4_is_pow2(entries) || entries > 32768)
		return "the size is not a power of two of at most 32768";
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		entries += i == msg->payload.state.index ? 0 : said->ring[i].size;
	return entries <= VHOST_MAX_ENTRIES ? NULL :
					      "the queues have more than 65536 entries in all";
}

/* DPDK takes a part whose end lies outside; the device would find that too, but not the message. */
static const char *judge_address(const struct vhost_message *msg, const struct vhost_said *said)
{
	uint64_t n = said->ring[msg->payload.addr.index].size;
	uint64_t at[] = { msg->payload.addr.desc, msg->payload.addr.avail, msg->payload.addr.used };
	uint64_t bytes[] = { 16 * n, 4 + 2 * n, 4 + 8 * n };
	unsigned int found = 0;

	if (msg->payload.addr.flags)
		return "logging is not offered";
	for (unsigned int i = 0; i < said->n_regions; i++) {
		const struct vhost_msg_region *r = &said->region[i];

		for (int j = 0; j < 3; j++)
			found += at[j] >= r->user_addr &&
				 okl4_range_ok(at[j] - r->user_addr, bytes[j], r->bytes);
	}
	return found == 3 ? NULL : "a part of the ring is not in guest memory";
}

static const char *judge_needs(unsigned int needs, const struct vhost_said *said, uint64_t queue)
{
	if (needs & NEEDS_SIZE && !said->ring[queue].size)
		return "the size of the queue has not been set: SET_VRING_NUM comes first";
	if (needs & NEEDS_ADDRESS && !said->ring[queue].addressed)
		return "the queue has no address: SET_VRING_ADDR comes first";
	return NULL;
}

static const char *judge_content(const struct vhost_message *msg, const struct vhost_fd *fds,
				 unsigned int n_fds, const struct vhost_said *said)
{
	switch (msg->request) {
	case VHOST_REQ_SET_FEATURES:
		return judge_features(msg, said);
	case VHOST_REQ_SET_PROTOCOL_FEATURES:
		return msg->payload.u64 & ~VHOST_PROTOCOL_FEATURES ? "a feature is not offered" :
								     NULL;
	case VHOST_REQ_SET_MEM_TABLE:
		return judge_memory(msg, fds, n_fds);
	case VHOST_REQ_SET_VRING_NUM:
		return judge_size(msg, said);
	case VHOST_REQ_SET_VRING_BASE:
		return msg->payload.state.num <= UINT16_MAX ? NULL : "the index has over 16 bits";
	case VHOST_REQ_SET_VRING_ADDR:
		return judge_address(msg, said);
	case VHOST_REQ_SET_VRING_KICK:
	case VHOST_REQ_SET_VRING_CALL:
	case VHOST_REQ_SET_VRING_ERR:
		return judge_notifier(msg, fds, n_fds);
	default:
		return NULL;
	}
}

enum vhost_verdict vhost_judge_header(const struct vhost_message *msg, const char **why)
{
	*why = "its version is not 1, or it says that it is a reply";
	if ((msg->flags & (VHOST_FLAG_VERSION_MASK | VHOST_FLAG_REPLY)) != VHOST_FLAG_VERSION)
		return VHOST_HOSTILE;
	*why = "it is longer than any message";
	return msg->bytes > VHOST_PAYLOAD_BYTES ? VHOST_HOSTILE : VHOST_PASS;
}

enum vhost_verdict vhost_judge(const struct vhost_message *msg, const struct vhost_fd *fds,
			       unsigned int n_fds, const struct vhost_said *said, const char **why)
{
	const struct request_rule *rule = rule_of(msg->request);

	*why = "it is not offered";
	if (rule->verdict == VHOST_REFUSE)
		return VHOST_REFUSE;
	*why = "wrong length";
	if (payload_bytes(msg, rule->payload) != msg->bytes)
		return VHOST_HOSTILE;
	*why = "descriptors come with it";
	if (n_fds && rule->fds == VHOST_FDS_NONE)
		return VHOST_HOSTILE;
	*why = "no such queue: there are at most 17";
	if (rule->queue && queue_of(msg, rule->payload) >= VHOST_MAX_QUEUES)
		return VHOST_HOSTILE;
	*why = judge_content(msg, fds, n_fds, said);
	if (!*why && rule->queue)
		*why = judge_needs(rule->needs, said, queue_of(msg, rule->payload));
	return *why ? VHOST_HOSTILE : rule->verdict;
}

uint64_t vhost_answer(const struct vhost_message *msg)
{
	return msg->request == VHOST_REQ_GET_FEATURES          ? VHOST_FEATURES :
	       msg->request == VHOST_REQ_GET_PROTOCOL_FEATURES ? VHOST_PROTOCOL_FEATURES :
								 VHOST_MAX_QUEUES;
}

void vhost_said_no_memory(struct vhost_said *said)
{
	said->n_regions = 0;
	memset(said->region, 0, sizeof(said->region));
}

static void said_memory(struct vhost_said *said, const struct vhost_message *msg)
{
	vhost_said_no_memory(said);
	said->n_regions = msg->payload.memory.n_regions;
	memcpy(said->region, msg->payload.memory.region, said->n_regions * sizeof(said->region[0]));
}

static void said_of_ring(struct vhost_said_ring *ring, const struct vhost_message *msg,
			 const struct vhost_message *answer, uint64_t features)
{
	switch (msg->request) {
	case VHOST_REQ_SET_VRING_NUM:
		ring->size = msg->payload.state.num;
		break;
	case VHOST_REQ_SET_VRING_BASE:
		ring->base = msg->payload.state.num;
		ring->based = true;
		break;
	case VHOST_REQ_SET_VRING_ADDR:
		ring->desc = msg->payload.addr.desc;
		ring->used = msg->payload.addr.used;
		ring->avail = msg->payload.addr.avail;
		ring->addressed = true;
		break;
	case VHOST_REQ_SET_VRING_KICK:
		ring->kicked = true;
		/* Without protocol features a ring is enabled when it is started. */
		if (!(features & VHOST_F_PROTOCOL_FEATURES))
			ring->enabled = true;
		break;
	case VHOST_REQ_SET_VRING_CALL:
		ring->called = true;
		break;
	case VHOST_REQ_SET_VRING_ENABLE:
		ring->enabled = msg->payload.state.num;
		ring->switched = true;
		break;
	case VHOST_REQ_GET_VRING_BASE: /* stops the ring; the library forgets its descriptors */
		ring->kicked = ring->called = false;
		ring->base = answer->payload.state.num & UINT16_MAX;
		ring->based = true;
		break;
	default:
		break;
	}
}

void vhost_said_more(struct vhost_said *said, const struct vhost_message *msg,
		     const struct vhost_message *answer)
{
	int queue = vhost_message_queue(msg);

	if (queue >= 0)
		said_of_ring(&said->ring[queue], msg, answer, said->features);
	switch (msg->request) {
	case VHOST_REQ_SET_FEATURES:
		said->features = msg->payload.u64;
		said->chose = true;
		break;
	case VHOST_REQ_SET_PROTOCOL_FEATURES:
		said->protocol_features = msg->payload.u64;
		said->chose_protocol = true;
		break;
	case VHOST_REQ_RESET_OWNER:
		memset(said, 0, sizeof(*said));
		break;
	case VHOST_REQ_SET_MEM_TABLE:
		said_memory(said, msg);
		break;
	default:
		break;
	}
}

static bool repeat_u64(struct vhost_message *msg, uint32_t request, uint64_t word, bool said)
{
	msg->request = request;
	msg->bytes = sizeof(msg->payload.u64);
	msg->payload.u64 = word;
	return said;
}

static bool repeat_state(struct vhost_message *msg, uint32_t request, uint32_t queue, uint32_t num,
			 bool said)
{
	msg->request = request;
	msg->bytes = sizeof(msg->payload.state);
	msg->payload.state.index = queue;
	msg->payload.state.num = num;
	return said;
}

static bool repeat_address(struct vhost_message *msg, uint32_t queue,
			   const struct vhost_said_ring *ring)
{
	msg->request = VHOST_REQ_SET_VRING_ADDR;
	msg->bytes = sizeof(msg->payload.addr);
	msg->payload.addr.index = queue;
	msg->payload.addr.desc = ring->desc;
	msg->payload.addr.used = ring->used;
	msg->payload.addr.avail = ring->avail;
	return ring->addressed;
}

static bool repeat_memory(struct vhost_message *msg, const struct vhost_said *said)
{
	size_t bytes = said->n_regions * sizeof(said->region[0]);

	msg->request = VHOST_REQ_SET_MEM_TABLE;
	msg->bytes = 8 + (uint32_t)bytes;
	msg->payload.memory.n_regions = said->n_regions;
	memcpy(msg->payload.memory.region, said->region, bytes);
	return said->n_regions;
}

bool vhost_repeat(const struct vhost_said *said, unsigned int step, struct vhost_message *msg)
{
	uint32_t queue = step < 4 ? 0 : (step - 4) / 6;
	const struct vhost_said_ring *ring = &said->ring[queue];

	memset(msg, 0, sizeof(*msg));
	msg->flags = VHOST_FLAG_VERSION;
	switch (step < 4 ? step : 4 + (step - 4) % 6) {
	case 0:
		msg->request = VHOST_REQ_SET_OWNER;
		return true;
	case 1:
		return repeat_u64(msg, VHOST_REQ_SET_PROTOCOL_FEATURES, said->protocol_features,
				  said->chose_protocol);
	case 2:
		return repeat_u64(msg, VHOST_REQ_SET_FEATURES, said->features, said->chose);
	case 3:
		return repeat_memory(msg, said);
	case 4:
		return repeat_state(msg, VHOST_REQ_SET_VRING_NUM, queue, ring->size, ring->size);
	case 5:
		return repeat_state(msg, VHOST_REQ_SET_VRING_BASE, queue, ring->base, ring->based);
	case 6:
		return repeat_address(msg, queue, ring);
	case 7:
		return repeat_u64(msg, VHOST_REQ_SET_VRING_CALL, queue, ring->called);
	case 8:
		return repeat_u64(msg, VHOST_REQ_SET_VRING_KICK, queue, ring->kicked);
	default:
		return repeat_state(msg, VHOST_REQ_SET_VRING_ENABLE, queue, ring->enabled,
				    ring->switched);
	}
}

bool vhost_ring_is_ready(const struct vhost_said *said, unsigned int queue)
{
	return said->n_regions && said->ring[queue].addressed && said->ring[queue].kicked &&
	       said->ring[queue].called && said->ring[queue].enabled;
}
