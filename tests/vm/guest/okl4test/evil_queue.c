// SPDX-License-Identifier: BSD-3-Clause
/*
 * evil_queue.c - nonsense on the control queue: in requests, and in the vring itself
 *
 * tests/frontend (test_hostile_requests.py, test_hostile_rings.py) has every refusal. Here is what
 * needs a real machine, such as addresses of devices, and one of each kind.
 */
#include <string.h>

#include "evil.h"
#include "pattern.h"

EVIL(hello_fields)
{
	const struct {
		unsigned int version;
		uint64_t bell_gpa;
		enum okl4_status status;
	} bad[] = {
		{ 0, dev->arena_gpa + ARENA_BELL, OKL4_REQ_VERSION },
		{ OKL4FS_ABI_VERSION, dev->arena_gpa + ARENA_BELL + 8, OKL4_BELL_ADDRESS },
		{ OKL4FS_ABI_VERSION, 0xfffffffffffff000ULL, OKL4_BELL_ADDRESS },
		{ OKL4FS_ABI_VERSION, 1ULL << 45, OKL4_BELL_ADDRESS },
		/* not memory but the interrupt controller */
		{ OKL4FS_ABI_VERSION, 0xfee00000, OKL4_BELL_ADDRESS },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct okl4fs_hello_req *req = evil_header(dev, OKL4FS_REQ_HELLO, sizeof(*req));

		req->version = bad[i].version;
		req->n_event_queues = 1;
		req->bell_gpa = bad[i].bell_gpa;
		evil_refused(evil_status(dev, sizeof(*req)), bad[i].status);
	}
}

EVIL(random_requests)
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

/*
 * The vring itself. A host may answer, or give up the queue until the next reset; it must not read
 * or write elsewhere, spin, or end. The test sees whether the device works after a reset, and
 * whether the daemon and the other guests still work.
 */

/* good_chain() - the descriptors of a good PING, to be changed and offered */
static struct vring_desc *good_chain(struct evil_dev *dev)
{
	static struct vring_desc desc[2];

	desc[0] = (struct vring_desc){ .addr = dev->arena_gpa + ARENA_REQUEST,
				       .len = sizeof(struct okl4fs_req_hdr),
				       .flags = VRING_DESC_F_NEXT,
				       .next = 1 };
	desc[1] = (struct vring_desc){ .addr = dev->arena_gpa + ARENA_REPLY,
				       .len = 64,
				       .flags = VRING_DESC_F_WRITE };
	return desc;
}

/* offer() - attach, make the chain available, @skip entries on; in the end, reset */
static void offer(struct evil_dev *dev, const struct vring_desc *desc, unsigned int skip)
{
	uint32_t bytes;

	evil_attach(dev);
	evil_header(dev, OKL4FS_REQ_PING, sizeof(struct okl4fs_req_hdr));
	memcpy(dev->vq[0].desc, desc, 2 * sizeof(*desc));
	dev->vq[0].next = (uint16_t)(dev->vq[0].next + skip);
	evil_put(&dev->vq[0], 0);
	evil_kick(dev, 0);
	evil_wait_used(&dev->vq[0], 200, &bytes); /* a moment for the host to take it */
	evil_reset(dev);
}

EVIL(chain_addresses)
{
	static const uint64_t addr[] = { 1ULL << 45, 0xffffffffffffffffULL, 0xfee00000,
					 0x20000000 - 8 };

	for (size_t i = 0; i < 2 * sizeof(addr) / sizeof(addr[0]); i++) {
		struct vring_desc *desc = good_chain(dev);

		desc[i % 2].addr = addr[i / 2];
		desc[i % 2].len = 4096;
		offer(dev, desc, 0);
	}
}

EVIL(chain_lengths)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct vring_desc *desc = good_chain(dev);

		desc[i % 2].len = i < 2 ? 0xffffffff : 0;
		offer(dev, desc, 0);
	}
}

EVIL(chain_flags)
{
	static const uint16_t flags[] = { VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT,
					  /* the reply comes first */
					  VRING_DESC_F_NEXT | VRING_DESC_F_WRITE };
	struct vring_desc *desc = good_chain(dev);

	for (size_t i = 0; i < 2; i++) {
		desc[0].flags = flags[i];
		offer(dev, desc, 0);
	}
	desc[0].flags = desc[1].flags = 0xffff;
	offer(dev, desc, 0);
}

EVIL(avail_jumps)
{
	offer(dev, good_chain(dev), dev->vq[0].size * 3);
	evil_attach(dev);
	dev->vq[1].next = (uint16_t)(dev->vq[1].next - 5); /* the event queue goes back */
	evil_put(&dev->vq[1], 0);
	evil_ring(dev);
}

EVIL(random_rings)
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
