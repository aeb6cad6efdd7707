// SPDX-License-Identifier: BSD-3-Clause
/*
 * evil_queue.c - nonsense on the control queue: in requests, and in the vring itself
 */
#include <string.h>

#include "evil.h"
#include "pattern.h"

/* refuse() - the prepared request is answered with a status */
static void refuse(struct evil_dev *dev, uint32_t bytes, enum okl4_status wanted)
{
	evil_refused(evil_status(dev, bytes), wanted);
}

static void no_hello(struct evil_dev *dev)
{
	evil_lay_out(dev);
	evil_attach_request(dev);
	refuse(dev, ATTACH_BYTES, OKL4_REQ_NO_HELLO);
	evil_header(dev, OKL4FS_REQ_DETACH, sizeof(struct okl4fs_detach_req));
	refuse(dev, sizeof(struct okl4fs_detach_req), OKL4_REQ_NO_HELLO);
}

static void headers(struct evil_dev *dev)
{
	const uint32_t bytes = sizeof(struct okl4fs_req_hdr);
	struct okl4fs_req_hdr *hdr;

	evil_hello(dev);
	evil_header(dev, 99, bytes);
	refuse(dev, bytes, OKL4_REQ_TYPE);
	hdr = evil_header(dev, OKL4FS_REQ_PING, bytes);
	hdr->reserved = 1;
	refuse(dev, bytes, OKL4_REQ_RESERVED);
	evil_header(dev, OKL4FS_REQ_PING, bytes + 8);
	refuse(dev, bytes + 8, OKL4_REQ_LENGTH);
	evil_header(dev, OKL4FS_REQ_PING, 1000); /* more than the chain has */
	refuse(dev, bytes, OKL4_REQ_LENGTH);
	evil_header(dev, OKL4FS_REQ_ATTACH, bytes);
	refuse(dev, bytes, OKL4_REQ_LENGTH);
}

static void hello_fields(struct evil_dev *dev)
{
	struct okl4fs_hello_req *req;

	for (unsigned int i = 0; i < 5; i++) {
		req = evil_header(dev, OKL4FS_REQ_HELLO, sizeof(*req));
		req->version = i == 0 ? 0 : OKL4FS_ABI_VERSION;
		req->n_event_queues = 1;
		req->bell_gpa = dev->arena_gpa + ARENA_BELL;
		if (i == 1)
			req->bell_gpa += 8;
		if (i == 2)
			req->bell_gpa = 0xfffffffffffff000ULL;
		if (i == 3)
			req->bell_gpa = 1ULL << 45;
		if (i == 4)
			req->bell_gpa = 0xfee00000; /* not memory but the interrupt controller */
		refuse(dev, sizeof(*req), i == 0 ? OKL4_REQ_VERSION : OKL4_BELL_ADDRESS);
	}
}

static void attach_fields(struct evil_dev *dev)
{
	struct okl4fs_attach_req *req;

	evil_hello(dev);
	evil_lay_out(dev);
	evil_attach_request(dev)->channel = 1000;
	refuse(dev, ATTACH_BYTES, OKL4_NO_CHANNEL);
	evil_attach_request(dev)->channel = 0xffffffff;
	refuse(dev, ATTACH_BYTES, OKL4_NO_CHANNEL);
	evil_attach_request(dev)->chunk_gpa[1] += 512;
	refuse(dev, ATTACH_BYTES, OKL4_CHUNK_ALIGN);
	evil_attach_request(dev)->chunk_gpa[1] = 1ULL << 45;
	refuse(dev, ATTACH_BYTES, OKL4_CHUNK_UNMAPPED);
	evil_attach_request(dev)->chunk_gpa[2] = 0xfffffffffffff000ULL;
	refuse(dev, ATTACH_BYTES, OKL4_CHUNK_UNMAPPED);
	req = evil_attach_request(dev);
	req->chunk_gpa[2] = req->chunk_gpa[1] + 4096;
	refuse(dev, ATTACH_BYTES, OKL4_CHUNK_OVERLAP);
	evil_attach_request(dev)->chunk_gpa[0] = dev->arena_gpa + ARENA_BELL;
	refuse(dev, ATTACH_BYTES, OKL4_CHUNK_OVERLAP);
	req = evil_attach_request(dev);
	req->sec[1].bytes = req->sec[1].chunk_bytes = EVIL_RING_BYTES / 2;
	refuse(dev, ATTACH_BYTES, OKL4_SEC_BYTES);
}

static void no_room_for_the_reply(struct evil_dev *dev)
{
	const uint32_t bytes = sizeof(struct okl4fs_req_hdr);
	uint32_t got;

	evil_header(dev, OKL4FS_REQ_PING, bytes);
	got = evil_send(dev, bytes, 0);
	expect(got == 0, "%u bytes were written where there is no room", got);
	evil_header(dev, OKL4FS_REQ_PING, bytes);
	got = evil_send(dev, bytes, 8);
	expect(got <= 8, "%u bytes were written into 8", got);
	evil_hello(dev); /* the device goes on */
}

static void random_requests(struct evil_dev *dev)
{
	uint8_t *request = dev->arena + ARENA_REQUEST;

	evil_hello(dev);
	for (unsigned int i = 0; i < 500; i++) {
		uint32_t bytes = 16 + (uint32_t)(random_next(&dev->random) % 400);

		pattern_fill(request, random_next(&dev->random), 0, bytes);
		if (i % 4) { /* get past the first checks */
			struct okl4fs_req_hdr *hdr = (void *)request;

			hdr->magic = OKL4FS_MAGIC;
			hdr->type = (okl4_le16)(random_next(&dev->random) % 7);
			hdr->reserved = 0;
			hdr->bytes = bytes;
		}
		evil_send(dev, bytes, (uint32_t)(random_next(&dev->random) % 200));
	}
}

const struct evil_entry evil_requests[] = {
	{ "no_hello", no_hello },
	{ "headers", headers },
	{ "hello_fields", hello_fields },
	{ "attach_fields", attach_fields },
	{ "no_room_for_the_reply", no_room_for_the_reply },
	{ "random_requests", random_requests },
	{ NULL, NULL },
};

/*
 * The vring itself. A host may answer, or give up the queue until the next reset; it must not read
 * or write elsewhere, spin, or end. The test sees whether the device works after a reset, and
 * whether the daemon and the other guests still work.
 */

/* ping_chain() - a good PING in descriptors 0 and 1, not yet available */
static struct vring_desc *ping_chain(struct evil_dev *dev)
{
	struct vring_desc *desc = dev->vq[0].desc;

	evil_header(dev, OKL4FS_REQ_PING, sizeof(struct okl4fs_req_hdr));
	desc[0] = (struct vring_desc){ .addr = dev->arena_gpa + ARENA_REQUEST,
				       .len = sizeof(struct okl4fs_req_hdr),
				       .flags = VRING_DESC_F_NEXT,
				       .next = 1 };
	desc[1] = (struct vring_desc){ .addr = dev->arena_gpa + ARENA_REPLY,
				       .len = 64,
				       .flags = VRING_DESC_F_WRITE };
	return desc;
}

/* offer() - make the chain at @head available, and give the host a moment to take it */
static void offer(struct evil_dev *dev, uint16_t head)
{
	uint32_t bytes;

	evil_put(&dev->vq[0], head);
	evil_kick(dev, 0);
	evil_wait_used(&dev->vq[0], 200, &bytes);
}

static void chain_loop(struct evil_dev *dev)
{
	struct vring_desc *desc;

	evil_attach(dev);
	desc = ping_chain(dev);
	desc[0].next = 0;
	offer(dev, 0);
	evil_reset(dev);
	evil_attach(dev);
	desc = ping_chain(dev);
	desc[1].flags |= VRING_DESC_F_NEXT;
	desc[1].next = 0;
	offer(dev, 0);
}

static void chain_indices(struct evil_dev *dev)
{
	struct vring_desc *desc;

	evil_attach(dev);
	desc = ping_chain(dev);
	desc[0].next = 0xffff;
	offer(dev, 0);
	evil_reset(dev);
	evil_attach(dev);
	offer(dev, 0xffff);
	evil_reset(dev);
	evil_attach(dev);
	offer(dev, (uint16_t)dev->vq[0].size);
}

static void chain_addresses(struct evil_dev *dev)
{
	static const uint64_t addr[] = { 1ULL << 45, 0xffffffffffffffffULL, 0xfee00000,
					 0x20000000 - 8 };

	for (size_t i = 0; i < 2 * sizeof(addr) / sizeof(addr[0]); i++) {
		struct vring_desc *desc;

		evil_attach(dev);
		desc = ping_chain(dev);
		desc[i % 2].addr = addr[i / 2];
		desc[i % 2].len = 4096;
		offer(dev, 0);
		evil_reset(dev);
	}
}

static void chain_lengths(struct evil_dev *dev)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct vring_desc *desc;

		evil_attach(dev);
		desc = ping_chain(dev);
		desc[i % 2].len = i < 2 ? 0xffffffff : 0;
		offer(dev, 0);
		evil_reset(dev);
	}
}

static void chain_flags(struct evil_dev *dev)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct vring_desc *desc;

		evil_attach(dev);
		desc = ping_chain(dev);
		if (i == 0)
			desc[0].flags |= VRING_DESC_F_INDIRECT;
		if (i == 1)
			desc[0].flags |= VRING_DESC_F_WRITE; /* the reply comes first */
		if (i == 2)
			desc[0].flags = desc[1].flags = 0xffff;
		offer(dev, 0);
		evil_reset(dev);
	}
}

static void avail_jumps(struct evil_dev *dev)
{
	evil_attach(dev);
	ping_chain(dev);
	dev->vq[0].next = (uint16_t)(dev->vq[0].next + dev->vq[0].size * 3);
	offer(dev, 0);
	evil_reset(dev);
	evil_attach(dev);
	dev->vq[1].next = (uint16_t)(dev->vq[1].next - 5); /* the event queue goes back */
	evil_put(&dev->vq[1], 0);
	evil_ring(dev);
}

static void random_rings(struct evil_dev *dev)
{
	for (unsigned int i = 0; i < 60; i++) {
		struct evil_vq *vq = &dev->vq[random_next(&dev->random) % EVIL_N_QUEUES];

		evil_attach(dev);
		for (unsigned int k = 0; k < vq->size; k++) {
			if (random_next(&dev->random) % 4 == 0)
				pattern_fill(&vq->desc[k], random_next(&dev->random), 0,
					     sizeof(vq->desc[k]));
		}
		for (unsigned int k = 0; k < 8; k++)
			evil_put(vq, (uint16_t)(random_next(&dev->random) % (vq->size + 4)));
		evil_kick(dev, 0);
		evil_ring(dev);
		evil_reset(dev);
	}
}

const struct evil_entry evil_rings[] = {
	{ "chain_loop", chain_loop },           { "chain_indices", chain_indices },
	{ "chain_addresses", chain_addresses }, { "chain_lengths", chain_lengths },
	{ "chain_flags", chain_flags },         { "avail_jumps", avail_jumps },
	{ "random_rings", random_rings },       { NULL, NULL },
};
