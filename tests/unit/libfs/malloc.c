// SPDX-License-Identifier: BSD-3-Clause
/*
 * malloc.c - the allocator inside a control memsection
 */
#include <stdlib.h>

#include <libfs/checked.h>
#include <libfs/memsec_malloc.h>

#include "rig.h"

#define MAX_BLOCKS 512

/* What the tests know of a heap, told by nothing but its calls */
struct model {
	struct memsec_heap heap;
	struct {
		uint32_t offset;
		uint32_t bytes;
		uint8_t mark;
	} block[MAX_BLOCKS];
	uint32_t n_blocks;
};

/* Bytes that an allocation takes of the heap */
static uint64_t cost(uint32_t bytes)
{
	return (bytes + 127ULL) / 128 * 128 + 128;
}

static void fill_block(struct model *m, uint32_t i)
{
	memset(memsec_at(m->heap.sec, m->block[i].offset, m->block[i].bytes), m->block[i].mark,
	       m->block[i].bytes);
}

static void check_block(const struct model *m, uint32_t i, uint8_t mark)
{
	const uint8_t *at = memsec_at(m->heap.sec, m->block[i].offset, m->block[i].bytes);
	uint32_t k;

	require(at);
	for (k = 0; k < m->block[i].bytes; k++)
		require_eq(at[k], mark);
}

/* All that is promised of a new block: aligned, inside, in one chunk, zeroed, apart from others */
static void check_new_block(const struct model *m, uint32_t i)
{
	uint32_t offset = m->block[i].offset, bytes = m->block[i].bytes, k;

	require_eq(offset % MEMSEC_MALLOC_ALIGN, 0);
	require(offset >= m->heap.offset);
	require(fs_range_ok(offset - m->heap.offset, bytes, m->heap.bytes));
	require(memsec_at(m->heap.sec, offset, bytes));
	check_block(m, i, 0);
	for (k = 0; k < m->n_blocks; k++)
		require(k == i ||
			!fs_overlap(offset, bytes, m->block[k].offset, m->block[k].bytes));
}

static void check_accounts(struct model *m)
{
	uint64_t used = 0, free_bytes = 0;
	uint32_t i;

	for (i = 0; i < m->n_blocks; i++)
		used += cost(m->block[i].bytes);
	require_status(memsec_malloc_check(&m->heap, &free_bytes), 0);
	require_eq(used + free_bytes, m->heap.bytes);
}

static bool model_malloc(struct model *m, uint32_t bytes, struct rng *rng)
{
	uint32_t i = m->n_blocks;
	int r;

	require(i < MAX_BLOCKS);
	r = memsec_malloc(&m->heap, bytes, &m->block[i].offset);
	if (r) {
		require_status(r, -FS_HEAP_FULL);
		return false;
	}
	m->block[i].bytes = bytes;
	m->block[i].mark = (uint8_t)(1 + rng_below(rng, 255));
	m->n_blocks++;
	check_new_block(m, i);
	fill_block(m, i);
	return true;
}

static void model_free(struct model *m, uint32_t i)
{
	uint32_t offset = m->block[i].offset;

	check_block(m, i, m->block[i].mark);
	require_status(memsec_free(&m->heap, offset), 0);
	require_status(memsec_free(&m->heap, offset), -FS_HEAP_FREE_TWICE);
	m->block[i] = m->block[--m->n_blocks];
}

/* An offset that is not a block's: what must the heap say? */
static void model_free_wild(struct model *m, struct rng *rng)
{
	uint32_t offset = (uint32_t)rng_below(rng, m->heap.offset + m->heap.bytes + 1000ULL);
	int want = -FS_HEAP_FREE_TWICE;
	uint32_t i;

	if (rng_below(rng, 2))
		offset = offset / 128 * 128;
	if (offset % 128 || offset < m->heap.offset || offset - m->heap.offset >= m->heap.bytes)
		want = -FS_HEAP_FREE_WILD;
	for (i = 0; i < m->n_blocks; i++) {
		if (offset == m->block[i].offset)
			return;
		if (offset >= m->block[i].offset - 128 &&
		    offset - (m->block[i].offset - 128) < cost(m->block[i].bytes))
			want = -FS_HEAP_FREE_WILD;
	}
	require_status(memsec_free(&m->heap, offset), want);
}

static void random_use(uint64_t sec_bytes, enum layout layout, struct rng *rng)
{
	struct model *m = calloc(1, sizeof(*m));
	struct rig_sec s;
	uint32_t offset, steps;
	uint64_t free_bytes;

	require(m);
	rig_sec_init(&s, sec_bytes, 4096, layout, rng);
	offset = 128 * (uint32_t)rng_below(rng, 8);
	require_status(memsec_malloc_create(&m->heap, &s.sec, offset, (uint32_t)sec_bytes - offset),
		       0);
	for (steps = 0; steps < 3000; steps++) {
		uint64_t dice = rng_below(rng, 100);

		if (dice < 50 && m->n_blocks < MAX_BLOCKS)
			model_malloc(m, 1 + (uint32_t)rng_below(rng, dice < 40 ? 600 : 4096), rng);
		else if (dice < 95 && m->n_blocks)
			model_free(m, (uint32_t)rng_below(rng, m->n_blocks));
		else
			model_free_wild(m, rng);
		check_accounts(m);
	}
	while (m->n_blocks)
		model_free(m, m->n_blocks - 1);
	/* All came together again: one block, and as much room as at first */
	require_status(memsec_malloc_check(&m->heap, &free_bytes), 0);
	require_eq(free_bytes, m->heap.bytes);
	rig_sec_deinit(&s);
	free(m);
}

Test(libfs_malloc, random_use_against_a_model, .timeout = 120)
{
	struct rng rng;
	enum layout layout;

	rng_init(&rng, "libfs_malloc/random_use_against_a_model");
	for (layout = 0; layout < N_LAYOUTS; layout++) {
		random_use(4096, layout, &rng);
		random_use(8192, layout, &rng);
		random_use(65536, layout, &rng);
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
		{ 128, 8192, -FS_HEAP_BOUNDS },
		{ 8192, 256, -FS_HEAP_BOUNDS },
		{ 8064, 256, -FS_HEAP_BOUNDS },
		{ 0, 128, -FS_HEAP_BOUNDS },
		{ 0, 0, -FS_HEAP_BOUNDS },
		{ 1, 256, -FS_HEAP_BOUNDS },
		{ 64, 256, -FS_HEAP_BOUNDS },
		{ 0, 300, -FS_HEAP_BOUNDS },
		{ 0xffffff80, 256, -FS_HEAP_BOUNDS },
		{ 128, 0xffffff80, -FS_HEAP_BOUNDS },
		{ 0x80000000, 0x80000000, -FS_HEAP_BOUNDS },
	};
	struct rng rng = { 1 };
	struct memsec_heap h;
	struct rig_sec s;
	size_t i;

	rig_sec_init(&s, 8192, 4096, LAYOUT_ADJACENT, &rng);
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		require_status(memsec_malloc_create(&h, &s.sec, c[i].offset, c[i].bytes),
			       c[i].want);
	rig_sec_deinit(&s);
}

Test(libfs_malloc, exhaustion_and_odd_sizes)
{
	struct rng rng = { 1 };
	struct memsec_heap h;
	struct rig_sec s;
	uint32_t offset[16], none = 77, n = 0, i;

	rig_sec_init(&s, 4096, 4096, LAYOUT_ADJACENT, &rng);
	require_status(memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
	require_status(memsec_malloc(&h, 0, &none), -FS_ARG);
	require_status(memsec_malloc(&h, UINT32_MAX, &none), -FS_HEAP_FULL);
	require_status(memsec_malloc(&h, UINT32_MAX - 127, &none), -FS_HEAP_FULL);
	require_status(memsec_malloc(&h, 3841, &none), -FS_HEAP_FULL);
	require_status(memsec_malloc(&h, 3840, &offset[0]), 0);
	require_status(memsec_malloc(&h, 1, &none), -FS_HEAP_FULL);
	require_status(memsec_free(&h, offset[0]), 0);

	/* A page has room for ten pipes */
	while (!memsec_malloc(&h, sizeof(struct pipe_shm), &offset[n]))
		n++;
	cr_assert_eq(n, 10U);
	cr_assert_eq(none, 77U);
	/* Holes join only when they are neighbours */
	for (i = 0; i < n; i += 2)
		require_status(memsec_free(&h, offset[i]), 0);
	require_status(memsec_malloc(&h, 257, &none), -FS_HEAP_FULL);
	require_status(memsec_free(&h, offset[1]), 0);
	require_status(memsec_malloc(&h, 3 * 384 - 128, &none), 0);
	cr_assert_eq(none, offset[0]);
	rig_sec_deinit(&s);
}

Test(libfs_malloc, a_block_stays_in_one_chunk)
{
	struct rng rng = { 1 };
	struct memsec_heap h;
	struct rig_sec s;
	uint32_t a, b, c, d;

	rig_sec_init(&s, 16384, 4096, LAYOUT_REVERSED, &rng);
	require_status(memsec_malloc_create(&h, &s.sec, 128, 16384 - 128), 0);
	require_status(memsec_malloc(&h, 4097, &a), -FS_HEAP_FULL);
	require_status(memsec_malloc(&h, 4096, &a), 0);
	cr_assert_eq(a, 4096U);
	require_status(memsec_malloc(&h, 4096, &b), 0);
	cr_assert_eq(b, 12288U);
	require_status(memsec_malloc(&h, 4096, &c), -FS_HEAP_FULL);
	require_status(memsec_malloc(&h, 3712, &c), 0);
	cr_assert_eq(c, 256U);
	require_status(memsec_malloc(&h, 3840, &d), 0);
	cr_assert_eq(d, 8320U);
	require_status(memsec_free(&h, a), 0);
	require_status(memsec_free(&h, b), 0);
	require_status(memsec_free(&h, d), 0);
	require_status(memsec_free(&h, c), 0);
	require_status(memsec_malloc(&h, 4096, &c), 0);
	cr_assert_eq(c, a);
	rig_sec_deinit(&s);
}

/* Every operation on a heap that may be damaged; each must end with 0 or a status of the heap's */
static void use_damaged(struct memsec_heap *h, const uint32_t *offset, size_t n)
{
	uint64_t free_bytes;
	uint32_t got;
	size_t i;
	int r = memsec_malloc_check(h, &free_bytes);

	require(!r || r == -FS_HEAP_CORRUPT, "%s", fs_status_name(r));
	for (i = 0; i < n; i++) {
		r = memsec_free(h, offset[i]);
		require(!r || r == -FS_HEAP_CORRUPT || r == -FS_HEAP_FREE_TWICE ||
				r == -FS_HEAP_FREE_WILD,
			"%s", fs_status_name(r));
		r = memsec_malloc(h, 200 + 300 * (uint32_t)i, &got);
		require(!r || r == -FS_HEAP_CORRUPT || r == -FS_HEAP_FULL, "%s", fs_status_name(r));
		require(r || memsec_at(h->sec, got, 200 + 300 * (uint32_t)i));
	}
}

static void some_blocks(struct memsec_heap *h, const struct memsec *sec, uint32_t offset[4])
{
	require_status(memsec_malloc_create(h, sec, 128, 8192 - 128), 0);
	require_status(memsec_malloc(h, 256, &offset[0]), 0);
	require_status(memsec_malloc(h, 100, &offset[1]), 0);
	require_status(memsec_malloc(h, 3000, &offset[2]), 0);
	require_status(memsec_malloc(h, 2000, &offset[3]), 0);
	require_status(memsec_free(h, offset[1]), 0);
}

/* The offset of each tag that a walk finds, by the format: a tag before each block */
static size_t tags_of(const struct memsec_heap *h, uint32_t *tag)
{
	uint32_t at = h->offset;
	size_t n = 0;

	while (at < h->offset + h->bytes) {
		const le32 *word = memsec_at(h->sec, at, 128);

		tag[n++] = at;
		at += fs_le32_to_cpu(word[1]);
	}
	return n;
}

Test(libfs_malloc, any_word_of_a_tag_damaged, .timeout = 60)
{
	static const uint32_t value[] = { 0,          1,          127,        128,
					  129,        256,        4096,       8064,
					  8192,       0x7fffff80, 0x80000000, 0xffffff00,
					  0xffffff80, 0xffffffff, 0x44455355, 0x45455246 };
	struct rng rng = { 1 };
	uint32_t offset[4], tag[64];
	struct memsec_heap h;
	struct rig_sec s;
	size_t n_tags, i, k, w;

	rig_sec_init(&s, 8192, 4096, LAYOUT_SCATTERED, &rng);
	some_blocks(&h, &s.sec, offset);
	n_tags = tags_of(&h, tag);
	cr_assert_geq(n_tags, 5U);
	for (i = 0; i < n_tags; i++) {
		for (w = 0; w < 4; w++) {
			for (k = 0; k < sizeof(value) / sizeof(value[0]) + 32; k++) {
				le32 *word = (le32 *)memsec_at(&s.sec, tag[i], 128) + w;
				uint32_t was;

				some_blocks(&h, &s.sec, offset);
				was = fs_le32_to_cpu(*word);
				*word = fs_cpu_to_le32(k < 32 ? was ^ 1U << k : value[k - 32]);
				/* No single word can be changed unseen */
				require_status(memsec_malloc_check(&h, NULL),
					       fs_le32_to_cpu(*word) == was ? 0 : -FS_HEAP_CORRUPT);
				use_damaged(&h, offset, 4);
			}
		}
	}
	rig_sec_deinit(&s);
}

Test(libfs_malloc, any_word_at_all_damaged, .timeout = 60)
{
	struct rng rng;
	uint32_t offset[4], at;
	struct memsec_heap h;
	struct rig_sec s;
	int round;

	rng_init(&rng, "libfs_malloc/any_word_at_all_damaged");
	rig_sec_init(&s, 8192, 4096, LAYOUT_SCATTERED, &rng);
	for (at = 0; at < 8192; at += 4) {
		for (round = 0; round < 4; round++) {
			le32 *word = memsec_at(&s.sec, at, 4);

			some_blocks(&h, &s.sec, offset);
			*word = (le32)rng_next(&rng);
			use_damaged(&h, offset, 4);
		}
	}
	/* All of it at once, many times */
	for (round = 0; round < 2000; round++) {
		some_blocks(&h, &s.sec, offset);
		for (at = 0; at < 64; at++)
			*(le32 *)memsec_at(&s.sec, 4 * (uint32_t)rng_below(&rng, 2048), 4) =
				(le32)rng_next(&rng);
		use_damaged(&h, offset, 4);
	}
	rig_sec_deinit(&s);
}

/* A tag as a peer writes it that knows the format, its sum included */
static void forge_tag(const struct memsec *sec, uint32_t at, uint32_t kind, uint32_t bytes,
		      uint32_t prev_bytes)
{
	le32 *word = memsec_at(sec, at, 16);

	word[0] = fs_cpu_to_le32(kind);
	word[1] = fs_cpu_to_le32(bytes);
	word[2] = fs_cpu_to_le32(prev_bytes);
	word[3] = fs_cpu_to_le32(kind + bytes * 0x9e3779b1U + prev_bytes * 0x85ebca77U +
				 at * 0xc2b2ae3dU);
}

Test(libfs_malloc, forged_tags_do_not_lead_out_of_the_heap)
{
	static const uint32_t kind[] = { 0x44455355, 0x45455246 };
	static const uint32_t bytes[] = { 0,    64,   127,   129,        4096,
					  4224, 8064, 16384, 0x80000000, 0xffffff80 };
	struct rng rng = { 1 };
	struct memsec_heap h;
	struct rig_sec s;
	uint32_t offset;
	size_t i, k;

	/* The heap ends in the middle of the memsection: 128 to 4096 of 8192 */
	rig_sec_init(&s, 8192, 4096, LAYOUT_ADJACENT, &rng);
	for (i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		for (k = 0; k < 2; k++) {
			require_status(memsec_malloc_create(&h, &s.sec, 128, 3968), 0);
			forge_tag(&s.sec, 128, kind[k], bytes[i], 0);
			require_status(memsec_malloc_check(&h, NULL), -FS_HEAP_CORRUPT);
			require_status(memsec_malloc(&h, 128, &offset), -FS_HEAP_CORRUPT);
			require_status(memsec_free(&h, 256), -FS_HEAP_CORRUPT);
		}
	}
	/* The forgery is one that is believed where it is consistent */
	forge_tag(&s.sec, 128, kind[1], 3968, 0);
	require_status(memsec_malloc_check(&h, NULL), 0);
	/* Two free neighbours: free() leaves none */
	forge_tag(&s.sec, 128, kind[1], 1280, 0);
	forge_tag(&s.sec, 128 + 1280, kind[1], 3968 - 1280, 1280);
	require_status(memsec_malloc_check(&h, NULL), -FS_HEAP_CORRUPT);
	forge_tag(&s.sec, 128, kind[0], 1280, 0);
	require_status(memsec_malloc_check(&h, NULL), 0);
	rig_sec_deinit(&s);
}

/* A forged tag inside of a payload is never believed: the walk does not go there */
Test(libfs_malloc, a_payload_cannot_pose_as_a_block)
{
	struct rng rng = { 1 };
	uint32_t offset[4];
	struct memsec_heap h;
	struct rig_sec s;

	rig_sec_init(&s, 8192, 4096, LAYOUT_ADJACENT, &rng);
	some_blocks(&h, &s.sec, offset);
	memcpy(memsec_at(&s.sec, offset[2] + 128, 128), memsec_at(&s.sec, offset[2] - 128, 128),
	       128);
	require_status(memsec_free(&h, offset[2] + 256), -FS_HEAP_FREE_WILD);
	require_status(memsec_malloc_check(&h, NULL), 0);
	rig_sec_deinit(&s);
}
