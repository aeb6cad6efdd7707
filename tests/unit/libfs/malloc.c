// SPDX-License-Identifier: BSD-3-Clause
/*
 * malloc.c - the allocator inside a control memsection
 */
#include <stdlib.h>

#include <libfs/checked.h>
#include <libfs/memsec_malloc.h>

#include "rig.h"

#define MAX_BLOCKS 512

/* What the tests know of a heap from its calls alone */
struct model {
	struct okl4_memsec_heap heap;
	struct {
		uint32_t offset;
		uint32_t bytes;
		uint8_t mark;
	} block[MAX_BLOCKS];
	uint32_t n_blocks;
};

static void fill_block(struct model *m, uint32_t i)
{
	memset(okl4_memsec_at(m->heap.sec, m->block[i].offset, m->block[i].bytes), m->block[i].mark,
	       m->block[i].bytes);
}

static void check_block(const struct model *m, uint32_t i, uint8_t mark)
{
	const uint8_t *at = okl4_memsec_at(m->heap.sec, m->block[i].offset, m->block[i].bytes);
	uint32_t k;

	require(at);
	for (k = 0; k < m->block[i].bytes; k++)
		require_eq(at[k], mark);
}

/* All that is promised of a new block: aligned, inside, in one chunk, zeroed, and its own */
static void check_new_block(const struct model *m, uint32_t i)
{
	uint32_t offset = m->block[i].offset, bytes = m->block[i].bytes, k;

	require_eq(offset % OKL4_MEMSEC_MALLOC_ALIGN, 0);
	require(offset > m->heap.offset);
	require(okl4_range_ok(offset - m->heap.offset, bytes, m->heap.bytes));
	require(okl4_memsec_at(m->heap.sec, offset, bytes));
	check_block(m, i, 0);
	for (k = 0; k < m->n_blocks; k++)
		require(k == i ||
			!okl4_overlap(offset, bytes, m->block[k].offset, m->block[k].bytes));
}

/* Whether a block fits: at the next line that is free, or at the chunk after it */
static bool model_has_room(const struct model *m, uint32_t bytes)
{
	uint32_t at = m->heap.offset + 128;

	if (m->n_blocks)
		at = m->block[m->n_blocks - 1].offset +
		     (m->block[m->n_blocks - 1].bytes + 127) / 128 * 128;
	if (at % 4096 + bytes > 4096)
		at = (at / 4096 + 1) * 4096;
	return at <= m->heap.offset + m->heap.bytes && bytes <= m->heap.offset + m->heap.bytes - at;
}

static bool model_malloc(struct model *m, uint32_t bytes, struct rng *rng)
{
	bool has_room = model_has_room(m, bytes);
	uint32_t i = m->n_blocks;

	require(i < MAX_BLOCKS);
	require_status(okl4_memsec_malloc(&m->heap, bytes, &m->block[i].offset),
		       has_room ? 0 : -OKL4_HEAP_FULL);
	if (!has_room)
		return false;
	m->block[i].bytes = bytes;
	m->block[i].mark = (uint8_t)(1 + rng_below(rng, 255));
	m->n_blocks++;
	check_new_block(m, i);
	fill_block(m, i);
	return true;
}

/* Until ten requests have found no room */
static void random_use(uint64_t sec_bytes, enum layout layout, struct rng *rng)
{
	struct model *m = calloc(1, sizeof(*m));
	uint32_t offset, refused = 0, i;
	struct rig_sec s;

	require(m);
	rig_sec_init(&s, sec_bytes, 4096, layout, rng);
	for (i = 0; i < s.sec.n_chunks; i++)
		memset(s.chunk[i], 0xee, 4096);
	offset = 128 * (uint32_t)rng_below(rng, 8);
	require_status(okl4_memsec_malloc_create(&m->heap, &s.sec, offset,
						 (uint32_t)sec_bytes - offset),
		       0);
	while (refused < 10) {
		uint32_t most = rng_below(rng, 5) ? 600 : 4096;

		refused += !model_malloc(m, 1 + (uint32_t)rng_below(rng, most), rng);
	}
	for (i = 0; i < m->n_blocks; i++)
		check_block(m, i, m->block[i].mark);
	rig_sec_deinit(&s);
	free(m);
}

Test(libfs_malloc, random_use_against_a_model, .timeout = 120)
{
	struct rng rng;
	enum layout layout;
	int round;

	rng_init(&rng, "libfs_malloc/random_use_against_a_model");
	for (round = 0; round < 200; round++) {
		for (layout = 0; layout < N_LAYOUTS; layout++) {
			random_use(4096, layout, &rng);
			random_use(8192, layout, &rng);
			random_use(65536, layout, &rng);
		}
	}
}

Test(libfs_malloc, refuses_heaps_that_do_not_fit)
{
	static const struct {
		uint32_t offset, bytes;
		int want;
	} c[] = {
		{ 0, 8192, 0 },
		{ 128, 8064, 0 },
		{ 7936, 256, 0 },
		{ 128, 8192, -OKL4_HEAP_BOUNDS },
		{ 8192, 256, -OKL4_HEAP_BOUNDS },
		{ 8064, 256, -OKL4_HEAP_BOUNDS },
		{ 0, 128, -OKL4_HEAP_BOUNDS },
		{ 0, 0, -OKL4_HEAP_BOUNDS },
		{ 1, 256, -OKL4_HEAP_BOUNDS },
		{ 64, 256, -OKL4_HEAP_BOUNDS },
		{ 0, 300, -OKL4_HEAP_BOUNDS },
		{ 0xffffff80, 256, -OKL4_HEAP_BOUNDS },
		{ 128, 0xffffff80, -OKL4_HEAP_BOUNDS },
		{ 0x80000000, 0x80000000, -OKL4_HEAP_BOUNDS },
	};
	struct okl4_memsec_heap h;
	struct rig_sec s;
	size_t i;

	rig_sec_plain(&s, 8192);
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		require_status(okl4_memsec_malloc_create(&h, &s.sec, c[i].offset, c[i].bytes),
			       c[i].want);
	rig_sec_deinit(&s);
}

Test(libfs_malloc, exhaustion_and_odd_sizes)
{
	struct okl4_memsec_heap h;
	struct rig_sec s;
	uint32_t offset, none = 77, n = 0;

	rig_sec_plain(&s, 4096);
	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
	require_status(okl4_memsec_malloc(&h, 0, &none), -OKL4_ARG);
	require_status(okl4_memsec_malloc(&h, UINT32_MAX, &none), -OKL4_HEAP_FULL);
	require_status(okl4_memsec_malloc(&h, UINT32_MAX - 127, &none), -OKL4_HEAP_FULL);
	require_status(okl4_memsec_malloc(&h, 3841, &none), -OKL4_HEAP_FULL);
	require_status(okl4_memsec_malloc(&h, 3840, &offset), 0);
	cr_assert_eq(offset, 256U);
	require_status(okl4_memsec_malloc(&h, 1, &none), -OKL4_HEAP_FULL);

	/* A new heap in the same place is empty, and a page has room for fifteen pipes */
	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
	while (!okl4_memsec_malloc(&h, sizeof(struct okl4_pipe_shm), &offset))
		n++;
	cr_assert_eq(n, 15U);
	/* A request that finds no room leaves the heap as it was */
	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
	require_status(okl4_memsec_malloc(&h, 3000, &offset), 0);
	require_status(okl4_memsec_malloc(&h, 769, &none), -OKL4_HEAP_FULL);
	require_status(okl4_memsec_malloc(&h, 768, &offset), 0);
	require_status(okl4_memsec_malloc(&h, 1, &none), -OKL4_HEAP_FULL);
	cr_assert_eq(none, 77U);
	rig_sec_deinit(&s);
}

Test(libfs_malloc, a_block_stays_in_one_chunk)
{
	struct rng rng = { 1 };
	struct okl4_memsec_heap h;
	struct rig_sec s;
	uint32_t a, b, c, d;

	rig_sec_init(&s, 16384, 4096, LAYOUT_REVERSED, &rng);
	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 16384 - 128), 0);
	require_status(okl4_memsec_malloc(&h, 4097, &a), -OKL4_HEAP_FULL);
	require_status(okl4_memsec_malloc(&h, 4096, &a), 0);
	cr_assert_eq(a, 4096U);
	require_status(okl4_memsec_malloc(&h, 1, &b), 0);
	cr_assert_eq(b, 8192U);
	require_status(okl4_memsec_malloc(&h, 4096, &c), 0);
	cr_assert_eq(c, 12288U);
	require_status(okl4_memsec_malloc(&h, 1, &d), -OKL4_HEAP_FULL);

	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 16384 - 128), 0);
	require_status(okl4_memsec_malloc(&h, 3712, &c), 0);
	cr_assert_eq(c, 256U);
	require_status(okl4_memsec_malloc(&h, 128, &d), 0);
	cr_assert_eq(d, 3968U);
	require_status(okl4_memsec_malloc(&h, 3840, &d), 0);
	cr_assert_eq(d, 4096U);
	require_status(okl4_memsec_malloc(&h, 257, &d), 0);
	cr_assert_eq(d, 8192U);
	rig_sec_deinit(&s);
}

/* Allocate from a heap that may be damaged: each call returns 0 or a status of the heap */
static void use_damaged(struct okl4_memsec_heap *h)
{
	uint32_t got;
	int i;

	for (i = 0; i < 4; i++) {
		int r = okl4_memsec_malloc(h, 200 + 300 * (uint32_t)i, &got);

		require(!r || r == -OKL4_HEAP_CORRUPT || r == -OKL4_HEAP_FULL, "%s",
			okl4_status_name(r));
		require(r || (got > h->offset &&
			      okl4_range_ok(got - h->offset, 200 + 300 * (uint32_t)i, h->bytes)));
		require(r || okl4_memsec_at(h->sec, got, 200 + 300 * (uint32_t)i));
	}
}

static void some_blocks(struct okl4_memsec_heap *h, const struct okl4_memsec *sec)
{
	uint32_t offset;

	require_status(okl4_memsec_malloc_create(h, sec, 128, 8192 - 128), 0);
	require_status(okl4_memsec_malloc(h, 256, &offset), 0);
	require_status(okl4_memsec_malloc(h, 100, &offset), 0);
	require_status(okl4_memsec_malloc(h, 3000, &offset), 0);
	require_status(okl4_memsec_malloc(h, 2000, &offset), 0);
}

Test(libfs_malloc, any_word_of_the_head_damaged, .timeout = 60)
{
	static const uint32_t value[] = { 0,          1,          127,        128,
					  129,        256,        4096,       8064,
					  8192,       0x7fffff80, 0x80000000, 0xffffff00,
					  0xffffff80, 0xffffffff, 0x50414548 };
	struct rng rng = { 1 };
	struct okl4_memsec_heap h;
	struct rig_sec s;
	uint32_t offset;
	size_t k, w;

	rig_sec_init(&s, 8192, 4096, LAYOUT_SCATTERED, &rng);
	for (w = 0; w < 3; w++) {
		for (k = 0; k < sizeof(value) / sizeof(value[0]) + 32; k++) {
			okl4_le32 *word = (okl4_le32 *)okl4_memsec_at(&s.sec, 128, 128) + w;
			uint32_t was;

			some_blocks(&h, &s.sec);
			was = okl4_le32_to_cpu(*word);
			*word = okl4_cpu_to_le32(k < 32 ? was ^ 1U << k : value[k - 32]);
			/* No single word can be changed unseen */
			require_status(okl4_memsec_malloc(&h, 1, &offset),
				       okl4_le32_to_cpu(*word) == was ? 0 : -OKL4_HEAP_CORRUPT);
			use_damaged(&h);
		}
	}
	rig_sec_deinit(&s);
}

Test(libfs_malloc, any_word_at_all_damaged, .timeout = 60)
{
	struct rng rng;
	struct okl4_memsec_heap h;
	struct rig_sec s;
	uint32_t at;
	int round;

	rng_init(&rng, "libfs_malloc/any_word_at_all_damaged");
	rig_sec_init(&s, 8192, 4096, LAYOUT_SCATTERED, &rng);
	for (at = 0; at < 8192; at += 4) {
		for (round = 0; round < 4; round++) {
			okl4_le32 *word = okl4_memsec_at(&s.sec, at, 4);

			some_blocks(&h, &s.sec);
			*word = (okl4_le32)rng_next(&rng);
			use_damaged(&h);
		}
	}
	/* Many words at once */
	for (round = 0; round < 2000; round++) {
		some_blocks(&h, &s.sec);
		for (at = 0; at < 64; at++)
			*(okl4_le32 *)okl4_memsec_at(&s.sec, 4 * (uint32_t)rng_below(&rng, 2048),
						     4) = (okl4_le32)rng_next(&rng);
		use_damaged(&h);
	}
	rig_sec_deinit(&s);
}

/* Write a head as a peer does that knows the format, its sum included */
static void forge_head(const struct okl4_memsec *sec, uint32_t at, uint32_t used_bytes)
{
	okl4_le32 *word = okl4_memsec_at(sec, at, 12);

	word[0] = okl4_cpu_to_le32(0x50414548);
	word[1] = okl4_cpu_to_le32(used_bytes);
	word[2] = okl4_cpu_to_le32(0x50414548 + used_bytes * 0x9e3779b1U + at * 0xc2b2ae3dU);
}

Test(libfs_malloc, a_forged_head_does_not_lead_out_of_the_heap)
{
	static const uint32_t used_bytes[] = { 0,          64,         127,        129,
					       3967,       4096,       8064,       16384,
					       0x80000000, 0xffffff00, 0xffffff80, 0xffffffff };
	struct okl4_memsec_heap h;
	struct rig_sec s;
	uint32_t offset;
	size_t i;

	/* The heap ends in the middle of the memsection: 128 to 4096 of 8192 */
	rig_sec_plain(&s, 8192);
	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
	for (i = 0; i < sizeof(used_bytes) / sizeof(used_bytes[0]); i++) {
		forge_head(&s.sec, 128, used_bytes[i]);
		require_status(okl4_memsec_malloc(&h, 128, &offset), -OKL4_HEAP_CORRUPT);
	}
	/* A consistent forgery is believed */
	forge_head(&s.sec, 128, 3968);
	require_status(okl4_memsec_malloc(&h, 128, &offset), -OKL4_HEAP_FULL);
	forge_head(&s.sec, 128, 3840);
	require_status(okl4_memsec_malloc(&h, 129, &offset), -OKL4_HEAP_FULL);
	require_status(okl4_memsec_malloc(&h, 128, &offset), 0);
	cr_assert_eq(offset, 3968U);
	/* A head is believed only in its own place */
	require_status(okl4_memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
	memcpy(okl4_memsec_at(&s.sec, 4096, 128), okl4_memsec_at(&s.sec, 128, 128), 128);
	h.offset = 4096;
	require_status(okl4_memsec_malloc(&h, 128, &offset), -OKL4_HEAP_CORRUPT);
	rig_sec_deinit(&s);
}
