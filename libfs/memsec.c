// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * memsec.c - checked translation of memsection offsets to pointers
 *
 * Chunks are equal and a power of two, so a translation is a shift, a mask and one table lookup.
 */
#include <libfs/abi.h>
#include <libfs/checked.h>
#include <libfs/memsec.h>
#include <libfs/status.h>

int okl4_memsec_init(struct okl4_memsec *m, void *const *chunk, uint32_t n_chunks,
		     uint64_t chunk_bytes)
{
	uint32_t shift = 0, i;

	if (!okl4_is_pow2(chunk_bytes) || chunk_bytes < OKL4FS_PAGE_BYTES)
		return -OKL4_MEMSEC_CHUNK_BYTES;
	while (chunk_bytes >> shift != 1)
		shift++;
	/* All of it stays below 2^63, so that sizes and offsets fit an int64_t too */
	if (!n_chunks || n_chunks > (UINT64_MAX >> 1) >> shift)
		return -OKL4_MEMSEC_CHUNK_COUNT;
	for (i = 0; i < n_chunks; i++) {
		if (!chunk[i])
			return -OKL4_ARG;
	}

	m->chunk = chunk;
	m->n_chunks = n_chunks;
	m->chunk_shift = shift;
	m->bytes = (uint64_t)n_chunks << shift;
	return 0;
}

static uint64_t chunk_bytes(const struct okl4_memsec *m)
{
	return 1ULL << m->chunk_shift;
}

/* The offset is known to lie inside; the pointer is valid up to the end of its chunk */
static uint8_t *unchecked_at(const struct okl4_memsec *m, uint64_t offset)
{
	return (uint8_t *)m->chunk[offset >> m->chunk_shift] + (offset & (chunk_bytes(m) - 1));
}

void *okl4_memsec_at(const struct okl4_memsec *m, uint64_t offset, uint64_t bytes)
{
	if (!bytes || !okl4_range_ok(offset, bytes, m->bytes))
		return NULL;
	if (!okl4_range_ok(offset & (chunk_bytes(m) - 1), bytes, chunk_bytes(m)))
		return NULL;
	return unchecked_at(m, offset);
}

void *okl4_memsec_span(const struct okl4_memsec *m, uint64_t offset, uint64_t *bytes)
{
	uint64_t wanted, span, next;
	uint8_t *base;

	if (offset >= m->bytes) {
		*bytes = 0;
		return NULL;
	}

	wanted = okl4_min(*bytes, m->bytes - offset);
	base = unchecked_at(m, offset);
	span = chunk_bytes(m) - (offset & (chunk_bytes(m) - 1));
	next = (offset >> m->chunk_shift) + 1;
	while (span < wanted && (uint8_t *)m->chunk[next] == base + span) {
		span += chunk_bytes(m);
		next++;
	}
	*bytes = okl4_min(span, wanted);
	return base;
}
