// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * memsec_malloc.c - a first-fit allocator with boundary tags, in memory that a peer can write
 *
 * The heap is a row of blocks without gaps. Each begins with a line (128 bytes) that holds its tag:
 *
 *	| tag | payload ...      | tag | tag | payload ...  |
 *	|<------ bytes --------->|<-1->|<---- bytes ------->|
 *
 * A tag says how long its block is and how long the one before is, so both neighbours can be
 * reached, and two free blocks never stay side by side. A tag fills a line of its own because
 * payloads are aligned to lines; a pipe then costs three lines, and a control memsection of one
 * page has room for ten.
 *
 * The peer can write over all of this at any moment, hence:
 *
 * - a tag is copied once, the copy is checked, and only the copy is used (read_tag());
 * - a block is found by walking from the heap's start and nowhere else. A tag is believed only
 *   where the walk arrives, never where a caller's offset or the content of a payload points to;
 * - each step of the walk goes forward by at least one line and stays inside the heap, whose bounds
 *   are private. So a walk ends after at most bytes / 128 steps, whatever the tags say.
 *
 * A peer that forges consistent tags can make two blocks share memory inside the heap. It could
 * have written over both anyway.
 *
 * A payload does not cross the end of a chunk, since its user wants one pointer: where a free block
 * does, it is split so that the payload begins with the next chunk.
 */
#include <libfs/abi.h>
#include <libfs/checked.h>
#include <libfs/memsec_malloc.h>
#include <libfs/status.h>

#define TAG_BYTES  128U
#define TAG_USED   0x44455355U /* "USED" as bytes in memory */
#define TAG_FREE   0x45455246U /* "FREE" */
#define MIN_BLOCKS 2U /* lines of the smallest heap: a tag and a line of payload */

/**
 * struct tag_shm - first line of a block
 * @kind: TAG_USED or TAG_FREE
 * @bytes: bytes of this block with this line
 * @prev_bytes: bytes of the block before; 0 in the heap's first
 * @sum: tag_sum() of the others
 * @reserved: zero
 */
struct tag_shm {
	le32 kind;
	le32 bytes;
	le32 prev_bytes;
	le32 sum;
	uint8_t reserved[112];
};
static_assert(sizeof(struct tag_shm) == TAG_BYTES, "a tag is a line");
static_assert(TAG_BYTES == MEMSEC_MALLOC_ALIGN, "payloads are aligned as tags are");

/**
 * struct tag - private copy of a tag
 * @at: its offset in the memsection
 * @bytes: bytes of the block
 * @prev_bytes: bytes of the block before
 * @used: whether the block is allocated
 */
struct tag {
	uint32_t at;
	uint32_t bytes;
	uint32_t prev_bytes;
	bool used;
};

/**
 * tag_sum() - what tells a tag from chance
 * @t: tag
 *
 * Each factor is odd, so a change of any one word changes the sum.
 *
 * Return: the sum.
 */
static uint32_t tag_sum(const struct tag *t)
{
	return (t->used ? TAG_USED : TAG_FREE) + t->bytes * 0x9e3779b1U +
	       t->prev_bytes * 0x85ebca77U + t->at * 0xc2b2ae3dU;
}

/**
 * heap_end() - the first offset past the heap
 * @h: heap
 *
 * Return: the offset; does not wrap (memsec_malloc_create()).
 */
static uint32_t heap_end(const struct memsec_heap *h)
{
	return h->offset + h->bytes;
}

/**
 * read_tag() - copy a tag and check the copy
 * @h: heap
 * @at: offset of a line of the heap
 * @prev_bytes: what the tag must say of the block before
 * @t: to be filled
 *
 * Return: 0 or -FS_HEAP_CORRUPT.
 */
static int read_tag(const struct memsec_heap *h, uint32_t at, uint32_t prev_bytes, struct tag *t)
{
	struct tag_shm *shm = memsec_at(h->sec, at, sizeof(*shm));
	uint32_t kind;

	if (!shm)
		return -FS_HEAP_CORRUPT;
	kind = fs_le32_to_cpu(fs_load(&shm->kind));
	t->at = at;
	t->bytes = fs_le32_to_cpu(fs_load(&shm->bytes));
	t->prev_bytes = fs_le32_to_cpu(fs_load(&shm->prev_bytes));
	t->used = kind == TAG_USED;

	if (kind != TAG_USED && kind != TAG_FREE)
		return -FS_HEAP_CORRUPT;
	if (fs_le32_to_cpu(fs_load(&shm->sum)) != tag_sum(t))
		return -FS_HEAP_CORRUPT;
	if (t->prev_bytes != prev_bytes || t->bytes < TAG_BYTES || t->bytes % TAG_BYTES)
		return -FS_HEAP_CORRUPT;
	if (t->bytes > heap_end(h) - at)
		return -FS_HEAP_CORRUPT;
	return 0;
}

/**
 * write_tag() - publish a tag
 * @h: heap
 * @at: offset of a line of the heap
 * @bytes: of the block
 * @prev_bytes: of the block before
 * @used: whether it is allocated
 */
static void write_tag(const struct memsec_heap *h, uint32_t at, uint32_t bytes, uint32_t prev_bytes,
		      bool used)
{
	struct tag t = { .at = at, .bytes = bytes, .prev_bytes = prev_bytes, .used = used };
	struct tag_shm *shm = memsec_at(h->sec, at, sizeof(*shm));

	if (!shm)
		return;
	fs_store(&shm->kind, fs_cpu_to_le32(used ? TAG_USED : TAG_FREE));
	fs_store(&shm->bytes, fs_cpu_to_le32(bytes));
	fs_store(&shm->prev_bytes, fs_cpu_to_le32(prev_bytes));
	fs_store(&shm->sum, fs_cpu_to_le32(tag_sum(&t)));
}

/**
 * first_tag() - begin a walk
 * @h: heap
 * @t: out: the first block's tag
 *
 * Return: 0 or -FS_HEAP_CORRUPT.
 */
static int first_tag(const struct memsec_heap *h, struct tag *t)
{
	return read_tag(h, h->offset, 0, t);
}

/**
 * next_tag() - go one block on
 * @h: heap
 * @t: tag of a block
 * @next: out: the tag of the one after it
 *
 * Return: 1, 0 at the heap's end, or -FS_HEAP_CORRUPT.
 */
static int next_tag(const struct memsec_heap *h, const struct tag *t, struct tag *next)
{
	int r;

	if (t->at + t->bytes == heap_end(h))
		return 0;
	r = read_tag(h, t->at + t->bytes, t->bytes, next);
	return r ? r : 1;
}

/**
 * retag_next() - tell the block behind that the one before it changed its length
 * @h: heap
 * @t: tag of a block as it was
 * @last_bytes: bytes of the last of the blocks that now stand in its place
 *
 * Return: 0 or -FS_HEAP_CORRUPT (nothing is changed then).
 */
static int retag_next(const struct memsec_heap *h, const struct tag *t, uint32_t last_bytes)
{
	struct tag next;
	int r = next_tag(h, t, &next);

	if (r < 0)
		return r;
	if (r)
		write_tag(h, next.at, next.bytes, last_bytes, next.used);
	return 0;
}

int memsec_malloc_create(struct memsec_heap *h, const struct memsec *sec, uint32_t offset,
			 uint32_t bytes)
{
	if (offset % MEMSEC_MALLOC_ALIGN || bytes % MEMSEC_MALLOC_ALIGN ||
	    bytes < MIN_BLOCKS * TAG_BYTES || bytes > UINT32_MAX - offset ||
	    !fs_range_ok(offset, bytes, sec->bytes))
		return -FS_HEAP_BOUNDS;

	h->sec = sec;
	h->offset = offset;
	h->bytes = bytes;
	write_tag(h, offset, bytes, 0, false);
	return 0;
}

/**
 * place() - where in a free block a payload can lie
 * @h: heap
 * @t: the block
 * @bytes: of the payload, a multiple of MEMSEC_MALLOC_ALIGN, not more than a chunk
 * @at: out: offset of the tag before the payload
 *
 * Return: true when it fits.
 */
static bool place(const struct memsec_heap *h, const struct tag *t, uint32_t bytes, uint32_t *at)
{
	uint64_t chunk = 1ULL << h->sec->chunk_shift;
	uint64_t payload = (uint64_t)t->at + TAG_BYTES;
	uint64_t end = (uint64_t)t->at + t->bytes;

	if (!fs_range_ok(payload & (chunk - 1), bytes, chunk))
		payload = (payload | (chunk - 1)) + 1;
	if (payload > end || bytes > end - payload)
		return false;
	*at = (uint32_t)(payload - TAG_BYTES);
	return true;
}

/**
 * carve() - allocate a part of a free block
 * @h: heap
 * @t: the block
 * @at: offset of the new block's tag, inside of @t (place())
 * @bytes: of the new block with its tag
 *
 * What is left before and behind becomes a free block each.
 *
 * Return: 0, -FS_HEAP_CORRUPT, or -FS_MEMSEC_RANGE if place() was wrong.
 */
static int carve(const struct memsec_heap *h, const struct tag *t, uint32_t at, uint32_t bytes)
{
	uint32_t before = at - t->at;
	uint32_t behind = t->bytes - before - bytes;
	void *payload = memsec_at(h->sec, at + TAG_BYTES, bytes - TAG_BYTES);
	int r;

	if (!payload)
		return -FS_MEMSEC_RANGE;
	r = retag_next(h, t, behind ? behind : bytes);
	if (r)
		return r;

	memset(payload, 0, bytes - TAG_BYTES);
	if (behind)
		write_tag(h, at + bytes, behind, bytes, false);
	write_tag(h, at, bytes, before ? before : t->prev_bytes, true);
	if (before)
		write_tag(h, t->at, before, t->prev_bytes, false);
	return 0;
}

int memsec_malloc(struct memsec_heap *h, uint32_t bytes, uint32_t *offset)
{
	uint32_t payload, at;
	struct tag t;
	int r;

	if (!bytes)
		return -FS_ARG;
	if (bytes > h->bytes - TAG_BYTES || bytes > 1ULL << h->sec->chunk_shift)
		return -FS_HEAP_FULL;
	/* Does not wrap: the heap, a multiple of the alignment, holds it */
	payload = (bytes + MEMSEC_MALLOC_ALIGN - 1) / MEMSEC_MALLOC_ALIGN * MEMSEC_MALLOC_ALIGN;

	r = first_tag(h, &t);
	if (r)
		return r;
	do {
		if (!t.used && place(h, &t, payload, &at)) {
			r = carve(h, &t, at, payload + TAG_BYTES);
			if (!r)
				*offset = at + TAG_BYTES;
			return r;
		}
		r = next_tag(h, &t, &t);
	} while (r > 0);
	return r ? r : -FS_HEAP_FULL;
}

/**
 * find() - walk to the block that an offset lies in
 * @h: heap
 * @offset: in the heap
 * @prev: out: tag of the block before; @prev->bytes is 0 when there is none
 * @t: out: tag of the block
 *
 * Return: 0 or -FS_HEAP_CORRUPT.
 */
static int find(const struct memsec_heap *h, uint32_t offset, struct tag *prev, struct tag *t)
{
	int r;

	memset(prev, 0, sizeof(*prev));
	r = first_tag(h, t);
	if (r)
		return r;
	while (offset - t->at >= t->bytes) {
		*prev = *t;
		r = next_tag(h, prev, t);
		if (r <= 0)
			return -FS_HEAP_CORRUPT;
	}
	return 0;
}

int memsec_free(struct memsec_heap *h, uint32_t offset)
{
	struct tag prev, t, next, last;
	int r;

	if (offset < h->offset || offset >= heap_end(h) || offset % MEMSEC_MALLOC_ALIGN)
		return -FS_HEAP_FREE_WILD;
	r = find(h, offset, &prev, &t);
	if (r)
		return r;
	if (!t.used)
		return -FS_HEAP_FREE_TWICE;
	if (offset != t.at + TAG_BYTES)
		return -FS_HEAP_FREE_WILD;

	last = t;
	r = next_tag(h, &t, &next);
	if (r < 0)
		return r;
	if (r && !next.used) {
		t.bytes += next.bytes;
		last = next;
	}
	if (prev.bytes && !prev.used) {
		t.at = prev.at;
		t.bytes += prev.bytes;
		t.prev_bytes = prev.prev_bytes;
	}
	r = retag_next(h, &last, t.bytes);
	if (r)
		return r;
	write_tag(h, t.at, t.bytes, t.prev_bytes, false);
	return 0;
}

int memsec_malloc_check(struct memsec_heap *h, uint64_t *free_bytes)
{
	uint64_t sum = 0;
	bool was_free = false;
	struct tag t;
	int r = first_tag(h, &t);

	if (r)
		return r;
	do {
		if (!t.used) {
			/* free() joins neighbours, so two in a row were forged */
			if (was_free)
				return -FS_HEAP_CORRUPT;
			sum += t.bytes;
		}
		was_free = !t.used;
		r = next_tag(h, &t, &t);
	} while (r > 0);
	if (!r && free_bytes)
		*free_bytes = sum;
	return r;
}
