// SPDX-License-Identifier: BSD-3-Clause
/*
 * fuzz_heap.c - okl4_memsec_malloc while a peer writes over its heap
 *
 * The input is a list of steps: allocations, new heaps, and stores into any word, plain or so that
 * the heap's head becomes consistent again. Nothing may crash, hang or reach beyond the memsection;
 * what is allocated must be a block of the heap, aligned, in one chunk, and zeroed.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void allocate(struct okl4_memsec_heap *h, uint32_t bytes)
{
	uint32_t offset, i;
	int r = okl4_memsec_malloc(h, bytes, &offset);
	const uint8_t *at;

	must(!r || r == -OKL4_ARG || r == -OKL4_HEAP_FULL || r == -OKL4_HEAP_CORRUPT);
	if (r)
		return;
	at = okl4_memsec_at(h->sec, offset, bytes);
	must(at && offset % OKL4_MEMSEC_MALLOC_ALIGN == 0 && offset > h->offset);
	must(okl4_range_ok(offset - h->offset, bytes, h->bytes));
	for (i = 0; i < bytes; i++)
		must(!at[i]);
}

/* What a peer writes that knows the format of the head, including its sum */
static void forge(const struct okl4_memsec_heap *h, uint32_t used_bytes)
{
	uint32_t *word = okl4_memsec_at(h->sec, h->offset, 12);

	word[0] = okl4_cpu_to_le32(0x50414548);
	word[1] = okl4_cpu_to_le32(used_bytes);
	word[2] = okl4_cpu_to_le32(0x50414548 + used_bytes * 0x9e3779b1U + h->offset * 0xc2b2ae3dU);
}

static void step(struct okl4_memsec_heap *h, const uint8_t op[6])
{
	uint16_t where;
	uint32_t word;

	memcpy(&where, op, 2);
	memcpy(&word, op + 2, 4);
	switch (word % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		allocate(h, where % (CHUNK + 200));
		break;
	case 4:
		must(!okl4_memsec_malloc_create(h, h->sec, h->offset, h->bytes));
		break;
	case 5:
		forge(h, word & 8 ? word / 16 : where / 128 * 128U);
		break;
	default:
		*(uint32_t *)okl4_memsec_at(h->sec, where % (CHUNK * N_CHUNKS) / 4 * 4, 4) =
			word / 8;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct okl4_memsec_heap h;
	void *chunk[N_CHUNKS];
	struct okl4_memsec sec;
	int i;

	for (i = 0; i < N_CHUNKS; i++) {
		chunk[i] = aligned_alloc(CHUNK, CHUNK);
		must(chunk[i]);
		memset(chunk[i], 0xee, CHUNK);
	}
	must(!okl4_memsec_init(&sec, chunk, N_CHUNKS, CHUNK));
	must(!okl4_memsec_malloc_create(&h, &sec, OFFSET, N_CHUNKS * CHUNK - OFFSET));
	for (; size >= 6; data += 6, size -= 6)
		step(&h, data);
	for (i = 0; i < N_CHUNKS; i++)
		free(chunk[i]);
	return 0;
}
