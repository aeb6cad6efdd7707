// SPDX-License-Identifier: BSD-3-Clause
/*
 * fuzz_message.c - a frontend that says anything, message after message
 *
 * The input is a list of messages as they are on the wire, each with four bytes before it: how many
 * descriptors come with it, what they are (two bytes), and whether the library carries it out. A
 * second account of what was said is kept here, from the messages that passed; it must agree with
 * what the judge goes by. Of a message that passed, everything that the library trusts is checked
 * once more, with other arithmetic.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vhost/message.h"

#define N_FACTS 4 /* bytes before each message */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__extension__ typedef unsigned __int128 wide;

/* What was said, as told by the messages that passed */
struct account {
	uint64_t features;
	struct vhost_msg_region region[GUEST_MEMORY_MAX_REGIONS];
	unsigned int n_regions;
	struct {
		unsigned int size;
		bool addressed, kicked, called, enabled;
	} ring[VHOST_MAX_QUEUES];
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool apart(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return (wide)a + a_bytes <= b || (wide)b + b_bytes <= a;
}

static void check_memory(const struct vhost_message *msg, const struct vhost_fd *fds,
			 unsigned int n_fds)
{
	unsigned int n = msg->payload.memory.n_regions;
	wide mapped = 0;

	must(n && n <= GUEST_MEMORY_MAX_REGIONS && n == n_fds);
	for (unsigned int i = 0; i < n; i++) {
		struct vhost_msg_region a = msg->payload.memory.region[i];

		must(a.bytes && (a.gpa | a.user_addr | a.bytes | a.mmap_offset) % 4096 == 0);
		must((wide)a.gpa + a.bytes <= (wide)1 << 64);
		must((wide)a.user_addr + a.bytes <= (wide)1 << 64);
		must(!fds[i].file.wrong);
		must((wide)a.mmap_offset + a.bytes <= fds[i].file.bytes);
		mapped += (wide)a.mmap_offset + a.bytes;
		for (unsigned int j = 0; j < i; j++) {
			struct vhost_msg_region b = msg->payload.memory.region[j];

			must(apart(a.gpa, a.bytes, b.gpa, b.bytes));
			must(apart(a.user_addr, a.bytes, b.user_addr, b.bytes));
		}
	}
	must(mapped <= VHOST_MAX_MAPPED_BYTES);
}

static void check_part(const struct account *account, uint64_t at, uint64_t bytes)
{
	bool inside = false;

	for (unsigned int i = 0; i < account->n_regions; i++) {
		struct vhost_msg_region r = account->region[i];

		inside |= at >= r.user_addr && (wide)at + bytes <= (wide)r.user_addr + r.bytes;
	}
	must(inside);
}

static void check_address(const struct account *account, const struct vhost_message *msg)
{
	unsigned int size = account->ring[msg->payload.addr.index].size;

	must(size);
	must(!msg->payload.addr.flags);
	check_part(account, msg->payload.addr.desc, 16ULL * size);
	check_part(account, msg->payload.addr.avail, 4 + 2ULL * size);
	check_part(account, msg->payload.addr.used, 4 + 8ULL * size);
}

static void check_size(const struct account *account, const struct vhost_message *msg)
{
	uint64_t size = msg->payload.state.num, sum = size;

	must(size && size <= 32768 && __builtin_popcountll(size) == 1);
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		sum += i == msg->payload.state.index ? 0 : account->ring[i].size;
	must(sum <= VHOST_MAX_ENTRIES);
}

static void check_notifier(const struct vhost_message *msg, const struct vhost_fd *fds,
			   unsigned int n_fds)
{
	must(!(msg->payload.u64 >> 9));
	must(n_fds == !(msg->payload.u64 & VHOST_VRING_NOFD));
	must(!n_fds || fds[0].is_eventfd);
}

/* A message that passed: the library may trust it. */
static void check_passed(const struct account *account, const struct vhost_message *msg,
			 const struct vhost_fd *fds, unsigned int n_fds)
{
	int queue = vhost_message_queue(msg);

	must(queue >= -1 && queue < VHOST_MAX_QUEUES);
	must(!n_fds || vhost_request_fds(msg->request) != VHOST_FDS_NONE);
	switch (msg->request) {
	case VHOST_REQ_SET_MEM_TABLE:
		check_memory(msg, fds, n_fds);
		break;
	case VHOST_REQ_SET_VRING_ADDR:
		check_address(account, msg);
		break;
	case VHOST_REQ_SET_VRING_NUM:
		check_size(account, msg);
		break;
	case VHOST_REQ_SET_VRING_BASE:
		must(msg->payload.state.num < 65536);
		break;
	case VHOST_REQ_SET_VRING_KICK:
		must(account->ring[queue].addressed && n_fds);
		/* fall through */
	case VHOST_REQ_SET_VRING_CALL:
	case VHOST_REQ_SET_VRING_ERR:
		check_notifier(msg, fds, n_fds);
		break;
	case VHOST_REQ_SET_FEATURES:
		must(!(msg->payload.u64 & ~VHOST_FEATURES));
		break;
	case VHOST_REQ_SET_PROTOCOL_FEATURES:
		must(!(msg->payload.u64 & ~VHOST_PROTOCOL_FEATURES));
		break;
	case VHOST_REQ_SET_OWNER:
	case VHOST_REQ_RESET_OWNER:
	case VHOST_REQ_GET_VRING_BASE:
	case VHOST_REQ_SET_VRING_ENABLE:
		break;
	default:
		abort(); /* not one that the library may have */
	}
}

static void account_for(struct account *account, const struct vhost_message *msg)
{
	int queue = vhost_message_queue(msg);

	switch (msg->request) {
	case VHOST_REQ_SET_FEATURES:
		account->features = msg->payload.u64;
		break;
	case VHOST_REQ_RESET_OWNER:
		*account = (struct account){ 0 };
		break;
	case VHOST_REQ_SET_MEM_TABLE:
		account->n_regions = msg->payload.memory.n_regions;
		memcpy(account->region, msg->payload.memory.region, sizeof(account->region));
		break;
	case VHOST_REQ_SET_VRING_NUM:
		account->ring[queue].size = msg->payload.state.num;
		break;
	case VHOST_REQ_SET_VRING_ADDR:
		account->ring[queue].addressed = true;
		break;
	case VHOST_REQ_SET_VRING_KICK:
		account->ring[queue].kicked = true;
		account->ring[queue].enabled |= !(account->features & VHOST_F_PROTOCOL_FEATURES);
		break;
	case VHOST_REQ_SET_VRING_CALL:
		account->ring[queue].called = true;
		break;
	case VHOST_REQ_SET_VRING_ENABLE:
		account->ring[queue].enabled = msg->payload.state.num != 0;
		break;
	case VHOST_REQ_GET_VRING_BASE:
		account->ring[queue].kicked = account->ring[queue].called = false;
		break;
	}
}

static void check_agreement(const struct account *account, const struct vhost_said *said)
{
	must(said->features == account->features && said->n_regions == account->n_regions);
	for (unsigned int i = 0; i < said->n_regions; i++) {
		must(said->region[i].gpa == account->region[i].gpa);
		must(said->region[i].user_addr == account->region[i].user_addr);
		must(said->region[i].bytes == account->region[i].bytes);
	}
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		must(said->ring[i].size == account->ring[i].size);
		must(!said->ring[i].addressed || said->ring[i].size);
		must(vhost_ring_is_ready(said, i) ==
		     (account->n_regions && account->ring[i].addressed && account->ring[i].kicked &&
		      account->ring[i].called && account->ring[i].enabled));
	}
}

/* What came with a message: eventfds or not, files of 0 to 2^63 bytes */
static unsigned int make_fds(const uint8_t *facts, struct vhost_fd fds[VHOST_MAX_FDS])
{
	for (unsigned int i = 0; i < VHOST_MAX_FDS; i++) {
		bool good = facts[2] >> i & 1;

		fds[i] = (struct vhost_fd){
			.is_eventfd = good,
			.file = { .wrong = good ? NULL : "not a file",
				  .bytes = good ? 1ULL << facts[1] % 64 : 0,
				  .page_bytes = 4096 },
		};
	}
	return facts[0] % (VHOST_MAX_FDS + 2);
}

/* Return: whether the connection goes on */
static bool message(struct account *account, struct vhost_said *said,
		    const struct vhost_message *msg, const uint8_t *facts)
{
	struct vhost_fd fds[VHOST_MAX_FDS];
	unsigned int n_fds = make_fds(facts, fds);
	const char *why = "";
	enum vhost_verdict verdict = vhost_judge(msg, fds, n_fds, said, &why);

	must(verdict == VHOST_PASS || verdict == VHOST_ANSWER ? !why : why && why[0]);
	must(vhost_request_name(msg->request)[0]);
	if (verdict == VHOST_ANSWER)
		must(vhost_answer(msg) && !n_fds && !msg->bytes);
	if (verdict != VHOST_PASS)
		return verdict != VHOST_HOSTILE;
	check_passed(account, msg, fds, n_fds);
	must(vhost_message_scope(msg) <= VHOST_SCOPE_MEMORY);
	if (facts[3] & 1) { /* the library fails, as front.c sees it */
		if (msg->request == VHOST_REQ_SET_MEM_TABLE)
			said->n_regions = account->n_regions = 0;
	} else {
		vhost_said_more(said, msg, msg);
		account_for(account, msg);
	}
	check_agreement(account, said);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct account account = { 0 };
	struct vhost_said said = { 0 };

	while (size >= N_FACTS + VHOST_HEADER_BYTES) {
		struct vhost_message msg = { 0 };
		const uint8_t *facts = data;
		const char *why = NULL;

		memcpy(&msg, data + N_FACTS, VHOST_HEADER_BYTES);
		data += N_FACTS + VHOST_HEADER_BYTES;
		size -= N_FACTS + VHOST_HEADER_BYTES;
		if (vhost_judge_header(&msg, &why) != VHOST_PASS) {
			must(why && why[0]);
			return 0;
		}
		must(msg.bytes <= VHOST_PAYLOAD_BYTES);
		if (size < msg.bytes)
			return 0;
		memcpy(&msg.payload, data, msg.bytes);
		data += msg.bytes;
		size -= msg.bytes;
		if (!message(&account, &said, &msg, facts))
			return 0;
	}
	return 0;
}
