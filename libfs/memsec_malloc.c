// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * memsec_malloc.c - an allocator that only allocates, in memory that a peer can write
 *
 * The heap begins with a line (128 bytes) that says how much of it is given away; the blocks follow
 * each other behind it:
 *
 *	| head | block ...  | block | block ...    | free ...    |
 *	|<------------ used_bytes ---------------->|
 *
 * What a channel allocates it keeps until its memory goes, so there is nothing to free, and a block
 * needs no tag of its own.
 *
 * The peer can write over the head at any moment. So each word of it is copied once, the copy is
 * checked against the heap's bounds, which are private, and only the copy is used. A peer that
 * forges a consistent head can make two blocks share memory inside the heap. It could have written
 * over both anyway.
 *
 * A block does not cross the end of a chunk, since its user wants one pointer. A block that would
 * cross it begins with the next chunk, and the bytes before it stay unused.
 */
#include <libfs/abi.h>
#include <libfs/checked.h>
#include <libfs/memsec_malloc.h>
#include <libfs/status.h>

#define HEAD_BYTES 128U
#define HEAP_MAGIC 0x50414548U /* "HEAP" as bytes in memory */

/* The first line of the heap; the sum tells it from chance */
struct heap_shm {
	okl4_le32 magic;
	okl4_le32 used_bytes; /* of the heap, with this line */
	okl4_le32 sum;
	uint8_t reserved[116];
};
OKL4_STATIC_ASSERT(sizeof(struct heap_shm) == HEAD_BYTES, "the head is a line");
OKL4_STATIC_ASSERT(HEAD_BYTES == OKL4_MEMSEC_MALLOC_ALIGN, "the first block is aligned");

/* The factor is odd, so a change of any one word is seen */
static uint32_t head_sum(const struct okl4_memsec_heap *h, uint32_t used_bytes)
{
	return HEAP_MAGIC + used_bytes * 0x9e3779b1U + h->offset * 0xc2b2ae3dU;
}

static int read_head(const struct okl4_memsec_heap *h, uint32_t *used_bytes)
{
	const struct heap_shm *shm = okl4_memsec_at(h->sec, h->offset, sizeof(*shm));
	uint32_t used;

	if (!shm || okl4_le32_to_cpu(okl4_load(&shm->magic)) != HEAP_MAGIC)
		return -OKL4_HEAP_CORRUPT;
	used = okl4_le32_to_cpu(okl4_load(&shm->used_bytes));
	if (okl4_le32_to_cpu(okl4_load(&shm->sum)) != head_sum(h, used))
		return -OKL4_HEAP_CORRUPT;
	if (used < HEAD_BYTES || used > h->bytes || used % OKL4_MEMSEC_MALLOC_ALIGN)
		return -OKL4_HEAP_CORRUPT;
	*used_bytes = used;
	return 0;
}

static void write_head(const struct okl4_memsec_heap *h, uint32_t used_bytes)
{
	struct heap_shm *shm = okl4_memsec_at(h->sec, h->offset, sizeof(*shm));

	if (!shm)
		return;
	okl4_store(&shm->magic, okl4_cpu_to_le32(HEAP_MAGIC));
	okl4_store(&shm->used_bytes, okl4_cpu_to_le32(used_bytes));
	okl4_store(&shm->sum, okl4_cpu_to_le32(head_sum(h, used_bytes)));
}

int okl4_memsec_malloc_create(struct okl4_memsec_heap *h, const struct okl4_memsec *sec,
			      uint32_t offset, uint32_t bytes)
{
	if (offset % OKL4_MEMSEC_MALLOC_ALIGN || bytes % OKL4_MEMSEC_MALLOC_ALIGN ||
	    bytes < HEAD_BYTES + OKL4_MEMSEC_MALLOC_ALIGN || bytes > UINT32_MAX - offset ||
	    !okl4_range_ok(offset, bytes, sec->bytes))
		return -OKL4_HEAP_BOUNDS;

	h->sec = sec;
	h->offset = offset;
	h->bytes = bytes;
	write_head(h, HEAD_BYTES);
	return 0;
}

int okl4_memsec_malloc(struct okl4_memsec_heap *h, uint32_t bytes, uint32_t *offset)
{
	uint64_t chunk = 1ULL << h->sec->chunk_shift;
	uint64_t end = (uint64_t)h->offset + h->bytes;
	uint32_t used_bytes;
	uint64_t at;
	void *block;
	int r;

	if (!bytes)
		return -OKL4_ARG;
	if (bytes > h->bytes || bytes > chunk)
		return -OKL4_HEAP_FULL;
	/* Does not wrap: the heap, a multiple of the alignment, holds it */
	bytes = (bytes + OKL4_MEMSEC_MALLOC_ALIGN - 1) / OKL4_MEMSEC_MALLOC_ALIGN *
		OKL4_MEMSEC_MALLOC_ALIGN;

	r = read_head(h, &used_bytes);
	if (r)
		return r;
	at = (uint64_t)h->offset + used_bytes;
	if (!okl4_range_ok(at & (chunk - 1), bytes, chunk))
		at = (at | (chunk - 1)) + 1;
	block = at < end && bytes <= end - at ? okl4_memsec_at(h->sec, at, bytes) : NULL;
	if (!block)
		return -OKL4_HEAP_FULL;

	memset(block, 0, bytes);
	write_head(h, (uint32_t)(at - h->offset) + bytes);
	*offset = (uint32_t)at;
	return 0;
}
