/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtqueue.h - a split virtqueue as the device sees it (virtio 1.2, section 2.7)
 *
 * The vring lies in guest memory and may change at any time: each word is loaded once, checked, and
 * only the copy is used. VIRTIO_F_EVENT_IDX and VIRTIO_F_INDIRECT_DESC are not offered. Chains are
 * taken one at a time and given back in that order, so that after a restart of the daemon the next
 * one to serve is the one at used->idx. A chain must not be given back before its request is
 * carried out. A virtqueue belongs to its guest's worker.
 */
#ifndef OKL4FSD_GUEST_VIRTQUEUE_H
#define OKL4FSD_GUEST_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "vhost/memory.h"

#define VIRTQUEUE_SIZE_MAX 32768

/* Pieces of a chain. The largest request in single pages takes 34, twice that if regions
 * interleave */
#define VIRTQUEUE_MAX_PIECES 128

/**
 * struct virtqueue - one queue; private memory
 * @mem: guest memory; borrowed
 * @desc: descriptor table
 * @avail: available ring (the driver writes)
 * @used: used ring (we write)
 * @size: entries, a power of two
 * @next: index of the next chain to take, and to give back, free-running; equal since chains are
 *	given back in order, one at a time
 * @error: what made it unusable, or NULL; static memory
 */
struct virtqueue {
	const struct guest_memory *mem;
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size, next;
	const char *error;
};

/**
 * struct virtqueue_chain - a chain of descriptors, as pieces of our own address space
 * @head: index of its first descriptor
 * @piece: readable pieces, then writable ones
 * @n_out: readable pieces
 * @n_in: writable pieces
 * @out_bytes: readable bytes
 * @in_bytes: writable bytes
 */
struct virtqueue_chain {
	uint16_t head;
	struct iovec piece[VIRTQUEUE_MAX_PIECES];
	unsigned int n_out, n_in;
	uint64_t out_bytes, in_bytes;
};

/**
 * struct virtqueue_mark - tells whether a vring is the one that was served before
 * @valid: a vring was served
 * @desc_gpa, @avail_gpa, @used_gpa, @size: where it lay
 * @next: how far it was served
 * @last: the used entry written last
 */
struct virtqueue_mark {
	bool valid;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t size, next;
	struct vring_used_elem last;
};

/**
 * virtqueue_init() - begin to serve a vring where it was left: at used->idx
 * @vq: to be filled
 * @mem: guest memory that it must lie in; borrowed
 * @size: entries
 * @desc, @avail, @used: where its parts are mapped; not yet checked
 *
 * Return: NULL, or what is wrong with it; static memory.
 */
const char *virtqueue_init(struct virtqueue *vq, const struct guest_memory *mem, unsigned int size,
			   const void *desc, const void *avail, void *used);

/**
 * virtqueue_pop() - look at the next chain
 * @vq: virtqueue
 * @chain: out
 *
 * The chain stays the next one until virtqueue_push().
 *
 * Return: 1; 0 when there is none; -EPROTO when the vring is malformed: @vq->error says how, and
 * the queue stays unusable.
 */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/**
 * virtqueue_push() - give back the chain that virtqueue_pop() gave
 * @vq: virtqueue
 * @head: its head
 * @bytes: how many were written into its writable part
 *
 * The driver sees all that was written into the chain before it sees the chain. The caller notifies
 * it afterwards.
 */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t bytes);

/** virtqueue_has_next() - whether a chain is available; it is not looked into */
bool virtqueue_has_next(const struct virtqueue *vq);

/** virtqueue_get_mark() - remember the vring, before it is stopped */
void virtqueue_get_mark(const struct virtqueue *vq, struct virtqueue_mark *mark);

/**
 * virtqueue_is_marked() - whether a vring that begins is the remembered one, served no further
 * @vq: virtqueue
 * @mark: what was remembered
 *
 * A driver that has reset the device begins at index 0 in zeroed memory. So place, index, and the
 * entry that was written last tell the two cases apart.
 *
 * Return: true when it is; then the driver does not know that the vring was stopped.
 */
bool virtqueue_is_marked(const struct virtqueue *vq, const struct virtqueue_mark *mark);

/**
 * chain_read() - copy at most @bytes from the readable part, from @offset on; Return: bytes copied
 */
size_t chain_read(const struct virtqueue_chain *chain, size_t offset, void *buf, size_t bytes);

/**
 * chain_write() - copy at most @bytes into the writable part, from its start; Return: bytes copied
 */
size_t chain_write(const struct virtqueue_chain *chain, const void *buf, size_t bytes);

#endif
