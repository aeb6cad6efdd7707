/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libfs/checked.h>
#include <libfs/platform.h>
#include <string.h>

#include "guest/virtqueue.h"

/* What <linux/virtio_ring.h> calls __virtio is little-endian since virtio 1 */
#define to_virtio16(v) ((OKL4_FORCE __virtio16)okl4_cpu_to_le16(v))
#define to_virtio32(v) ((OKL4_FORCE __virtio32)okl4_cpu_to_le32(v))

/* @align is what the standard asks for (virtio 1.2, section 2.7). */
static bool ring_part_ok(const struct guest_memory *mem, const void *part, uint64_t bytes,
			 unsigned int align)
{
	uint64_t gpa;

	return !((uintptr_t)part % align) && guest_memory_gpa(mem, part, bytes, &gpa);
}

const char *virtqueue_init(struct virtqueue *vq, const struct guest_memory *mem, unsigned int size,
			   const void *desc, const void *avail, void *used)
{
	memset(vq, 0, sizeof(*vq));
	if (!okl4_is_pow2(size) || size > VIRTQUEUE_SIZE_MAX)
		return "its size is not a power of two of at most 32768";
	if (!ring_part_ok(mem, desc, size * sizeof(struct vring_desc), 16))
		return "the descriptor table is misaligned or not in guest memory";
	if (!ring_part_ok(mem, avail, sizeof(struct vring_avail) + size * sizeof(__virtio16), 2))
		return "the available ring is misaligned or not in guest memory";
	if (!ring_part_ok(mem, used, sizeof(struct vring_used) + size * sizeof(vring_used_elem_t),
			  4))
		return "the used ring is misaligned or not in guest memory";
	vq->mem = mem;
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	vq->size = (uint16_t)size;
	vq->next = okl4_le16_to_cpu(okl4_load(&vq->used->idx));
	return NULL;
}

static int vq_fail(struct virtqueue *vq, const char *error)
{
	vq->error = error;
	return -EPROTO;
}

/* A buffer that runs on from one region into the next becomes two pieces. */
static int chain_add(struct virtqueue *vq, struct virtqueue_chain *chain, uint64_t gpa,
		     uint64_t bytes, bool in)
{
	if (!okl4_no_wrap(gpa, bytes))
		return vq_fail(vq, "a buffer wraps around the end of the address space");
	while (bytes) {
		uint64_t got = bytes;
		void *hva = guest_memory_span(vq->mem, gpa, &got);
		unsigned int n = chain->n_out + chain->n_in;

		if (!hva)
			return vq_fail(vq, "a buffer is not in guest memory");
		if (n == VIRTQUEUE_MAX_PIECES)
			return vq_fail(vq, "a chain has more pieces than any request needs");
		chain->piece[n].iov_base = hva;
		chain->piece[n].iov_len = got;
		*(in ? &chain->n_in : &chain->n_out) += 1;
		*(in ? &chain->in_bytes : &chain->out_bytes) += got;
		gpa += got;
		bytes -= got;
	}
	return 0;
}

/* @chain->head is set and checked. */
static int chain_collect(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	unsigned int i = chain->head, n = 0;
	uint16_t flags;

	do {
		const struct vring_desc *d = &vq->desc[i];
		uint64_t gpa = okl4_le64_to_cpu(okl4_load(&d->addr));
		uint32_t bytes = okl4_le32_to_cpu(okl4_load(&d->len));
		bool in;

		flags = okl4_le16_to_cpu(okl4_load(&d->flags));
		i = okl4_le16_to_cpu(okl4_load(&d->next));
		in = flags & VRING_DESC_F_WRITE;
		if (flags & VRING_DESC_F_INDIRECT)
			return vq_fail(vq, "a descriptor is indirect, which was not offered");
		if (!bytes)
			return vq_fail(vq, "a descriptor has length zero");
		if (!in && chain->n_in)
			return vq_fail(vq, "a readable descriptor follows a writable one");
		if (chain_add(vq, chain, gpa, bytes, in))
			return -EPROTO;
		if (!(flags & VRING_DESC_F_NEXT))
			return 1;
		if (i >= vq->size)
			return vq_fail(vq, "a chain goes on outside the descriptor table");
	} while (++n < vq->size);
	return vq_fail(vq, "a chain is a loop");
}

bool virtqueue_has_next(const struct virtqueue *vq)
{
	/* pairs with the driver's barrier between an entry and the index (virtio 1.2, 2.7.13.3) */
	return !vq->error && okl4_le16_to_cpu(okl4_load_acquire(&vq->avail->idx)) != vq->next;
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	uint16_t n;

	if (vq->error)
		return -EPROTO;
	/* pairs with the driver's barrier between an entry and the index (virtio 1.2, 2.7.13.3) */
	n = (uint16_t)(okl4_le16_to_cpu(okl4_load_acquire(&vq->avail->idx)) - vq->next);
	if (!n)
		return 0;
	if (n > vq->size)
		return vq_fail(vq, "the available index is more than the queue's size ahead");
	chain->head = okl4_le16_to_cpu(okl4_load(&vq->avail->ring[vq->next & (vq->size - 1)]));
	chain->n_out = 0;
	chain->n_in = 0;
	chain->out_bytes = 0;
	chain->in_bytes = 0;
	if (chain->head >= vq->size)
		return vq_fail(vq, "an available entry is outside the descriptor table");
	return chain_collect(vq, chain);
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t bytes)
{
	vring_used_elem_t *e = &vq->used->ring[vq->next & (vq->size - 1)];

	okl4_store(&e->id, to_virtio32(head));
	okl4_store(&e->len, to_virtio32(bytes));
	vq->next++;
	/* pairs with the driver's barrier after it has read used->idx (virtio 1.2, 2.7.14) */
	okl4_store_release(&vq->used->idx, to_virtio16(vq->next));
}

void virtqueue_get_mark(const struct virtqueue *vq, struct virtqueue_mark *mark)
{
	const vring_used_elem_t *e = &vq->used->ring[(uint16_t)(vq->next - 1) & (vq->size - 1)];

	memset(mark, 0, sizeof(*mark));
	mark->valid = guest_memory_gpa(vq->mem, vq->desc, 1, &mark->desc_gpa) &&
		      guest_memory_gpa(vq->mem, vq->avail, 1, &mark->avail_gpa) &&
		      guest_memory_gpa(vq->mem, vq->used, 1, &mark->used_gpa);
	mark->size = vq->size;
	mark->next = vq->next;
	mark->last.id = okl4_load(&e->id);
	mark->last.len = okl4_load(&e->len);
}

bool virtqueue_is_marked(const struct virtqueue *vq, const struct virtqueue_mark *mark)
{
	struct virtqueue_mark now;

	virtqueue_get_mark(vq, &now);
	return mark->valid && now.valid && now.desc_gpa == mark->desc_gpa &&
	       now.avail_gpa == mark->avail_gpa && now.used_gpa == mark->used_gpa &&
	       now.size == mark->size && now.next == mark->next && now.last.id == mark->last.id &&
	       now.last.len == mark->last.len;
}

size_t chain_read(const struct virtqueue_chain *chain, size_t offset, void *buf, size_t bytes)
{
	size_t done = 0;

	for (unsigned int i = 0; i < chain->n_out && done < bytes; i++) {
		const struct iovec *p = &chain->piece[i];
		size_t n;

		if (offset >= p->iov_len) {
			offset -= p->iov_len;
			continue;
		}
		n = okl4_min(p->iov_len - offset, bytes - done);
		memcpy((uint8_t *)buf + done, (uint8_t *)p->iov_base + offset, n);
		done += n;
		offset = 0;
	}
	return done;
}

size_t chain_write(const struct virtqueue_chain *chain, const void *buf, size_t bytes)
{
	size_t done = 0;

	for (unsigned int i = 0; i < chain->n_in && done < bytes; i++) {
		const struct iovec *p = &chain->piece[chain->n_out + i];
		size_t n = okl4_min(p->iov_len, bytes - done);

		memcpy(p->iov_base, (const uint8_t *)buf + done, n);
		done += n;
	}
	return done;
}
