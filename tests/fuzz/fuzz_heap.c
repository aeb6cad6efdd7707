// SPDX-License-Identifier: BSD-3-Clause
/*
 * fuzz_heap.c - memsec_malloc while a peer writes over its heap
 *
 * The input is a list of steps: allocations, frees of what was given and of anything else, walks,
 * and stores into any word. Nothing may crash, hang or reach beyond the memsection; what is given
 * must be a block of the heap, aligned, in one chunk, and zeroed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libfs/checked.h>
#include <libfs/memsec_malloc.h>
#include <libfs/status.h>

#define CHUNK    4096
#define N_CHUNKS 3
#define OFFSET   128
#define N_GIVEN  32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void allocate(struct memsec_heap *h, uint32_t bytes, uint32_t *given)
{
	uint32_t offset, i;
	int r = memsec_malloc(h, bytes, &offset);
	const uint8_t *at;

	must(!r || r == -FS_ARG || r == -FS_HEAP_FULL || r == -FS_HEAP_CORRUPT);
	if (r)
		return;
	at = memsec_at(h->sec, offset, bytes);
	must(at && offset % MEMSEC_MALLOC_ALIGN == 0 && offset > h->offset);
	must(fs_range_ok(offset - h->offset, bytes, h->bytes));
	for (i = 0; i < bytes; i++)
		must(!at[i]);
	*given = offset;
}

static void release(struct memsec_heap *h, uint32_t offset)
{
	int r = memsec_free(h, offset);

	must(!r || r == -FS_HEAP_FREE_TWICE || r == -FS_HEAP_FREE_WILD || r == -FS_HEAP_CORRUPT);
}

static void step(struct memsec_heap *h, uint32_t given[N_GIVEN], const uint8_t op[6])
{
	uint64_t free_bytes = 0;
	uint16_t where;
	uint32_t word;
	int r;

	memcpy(&where, op, 2);
	memcpy(&word, op + 2, 4);
	switch (word % 8) {
	case 0:
	case 1:
	case 2:
		allocate(h, where % (CHUNK + 200), &given[word / 8 % N_GIVEN]);
		break;
	case 3:
	case 4:
		release(h, given[where % N_GIVEN]);
		break;
	case 5:
		release(h, word & 8 ? where : where / 128 * 128U);
		break;
	case 6:
		r = memsec_malloc_check(h, &free_bytes);
		must(!r || r == -FS_HEAP_CORRUPT);
		must(free_bytes <= h->bytes);
		break;
	default:
		*(uint32_t *)memsec_at(h->sec, where % (CHUNK * N_CHUNKS) / 4 * 4, 4) = word / 8;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t given[N_GIVEN] = { 0 };
	struct memsec_heap h;
	void *chunk[N_CHUNKS];
	struct memsec sec;
	int i;

	for (i = 0; i < N_CHUNKS; i++) {
		chunk[i] = aligned_alloc(CHUNK, CHUNK);
		must(chunk[i]);
		memset(chunk[i], 0xee, CHUNK);
	}
	must(!memsec_init(&sec, chunk, N_CHUNKS, CHUNK));
	must(!memsec_malloc_create(&h, &sec, OFFSET, N_CHUNKS * CHUNK - OFFSET));
	for (; size >= 6; data += 6, size -= 6)
		step(&h, given, data);
	for (i = 0; i < N_CHUNKS; i++)
		free(chunk[i]);
	return 0;
}
