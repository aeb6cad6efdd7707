/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * memsec_malloc.h - the allocator inside a control memsection
 *
 * The creator of a channel (the guest) allocates the channel's shared structures from a heap that
 * lies in the memsection itself. A block is named by its offset, never by a pointer. It is never
 * freed: it lives as long as the memsection. The peer can write over the heap, so each use checks
 * the words that describe it: a damaged heap is an error, never a crash, a hang or an access
 * outside the memsection. Only the creator's side calls this, one thread at a time.
 */
#ifndef LIBFS_MEMSEC_MALLOC_H
#define LIBFS_MEMSEC_MALLOC_H

#include <libfs/memsec.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks begin at multiples of this and take a multiple of it (one line of an okl4_pipe_shm) */
#define OKL4_MEMSEC_MALLOC_ALIGN 128

/**
 * struct okl4_memsec_heap - handle of a heap; private, so the peer cannot change it
 * @sec: the memsection; borrowed
 * @offset: first byte of the heap, a multiple of OKL4_MEMSEC_MALLOC_ALIGN
 * @bytes: its bytes, a multiple of OKL4_MEMSEC_MALLOC_ALIGN
 */
struct okl4_memsec_heap {
	const struct okl4_memsec *sec;
	uint32_t offset;
	uint32_t bytes;
};

/**
 * okl4_memsec_malloc_create() - make an empty heap in a part of a memsection
 * @h: handle to be filled
 * @sec: memsection; borrowed while @h is used
 * @offset: first byte, a multiple of OKL4_MEMSEC_MALLOC_ALIGN
 * @bytes: bytes of the heap, a multiple of OKL4_MEMSEC_MALLOC_ALIGN, which the heap's first
 *	OKL4_MEMSEC_MALLOC_ALIGN bytes are part of; room for one block at least
 *
 * Return: 0 or -OKL4_HEAP_BOUNDS.
 */
int okl4_memsec_malloc_create(struct okl4_memsec_heap *h, const struct okl4_memsec *sec,
			      uint32_t offset, uint32_t bytes);

/**
 * okl4_memsec_malloc() - allocate a block
 * @h: heap
 * @bytes: how many; 0 is an error
 * @offset: out: the block's offset in the memsection, a multiple of OKL4_MEMSEC_MALLOC_ALIGN. The
 *	block is zeroed and does not cross the end of a chunk. Unchanged on an error
 *
 * Return: 0, -OKL4_ARG (no bytes asked for), -OKL4_HEAP_FULL or -OKL4_HEAP_CORRUPT.
 */
int okl4_memsec_malloc(struct okl4_memsec_heap *h, uint32_t bytes, uint32_t *offset);

#ifdef __cplusplus
}
#endif

#endif /* LIBFS_MEMSEC_MALLOC_H */
