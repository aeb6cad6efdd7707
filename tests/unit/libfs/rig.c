// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - what the tests of libfs share
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <libfs/checked.h>

#include "rig.h"

#define CANARY       0xa5
#define CANARY_BYTES 4096ULL

const char *const layout_name[N_LAYOUTS] = { "adjacent", "reversed", "scattered" };

void rig_fail(const char *file, int line, const char *cond, const char *format, ...)
{
	char more[256];
	va_list args;

	va_start(args, format);
	vsnprintf(more, sizeof(more), format, args);
	va_end(args);
	cr_assert_fail("%s:%d: %s%s%s", file, line, cond, *more ? ":" : "", more);
	abort();
}

void rng_init(struct rng *rng, const char *test)
{
	const char *seed = getenv("OKL4FS_TEST_SEED");

	if (seed && *seed)
		rng->state = strtoull(seed, NULL, 0);
	else if (getrandom(&rng->state, sizeof(rng->state), 0) != sizeof(rng->state))
		cr_assert_fail("getrandom failed");
	fprintf(stderr, "%s: OKL4FS_TEST_SEED=0x%" PRIx64 "\n", test, rng->state);
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint64_t rng_below(struct rng *rng, uint64_t limit)
{
	return rng_next(rng) % limit;
}

void rig_sec_init(struct rig_sec *s, uint64_t bytes, uint64_t chunk_bytes, enum layout layout,
		  struct rng *rng)
{
	uint32_t n = (uint32_t)(bytes / chunk_bytes), i;
	uint32_t *slot = calloc(n, sizeof(*slot));

	s->stride = chunk_bytes + (layout == LAYOUT_SCATTERED ? CANARY_BYTES : 0);
	s->chunk = calloc(n, sizeof(*s->chunk));
	s->memory = aligned_alloc(OKL4FS_PAGE_BYTES, n * s->stride);
	if (!slot || !s->chunk || !s->memory)
		cr_assert_fail("out of memory");

	for (i = 0; i < n; i++)
		slot[i] = layout == LAYOUT_REVERSED ? n - 1 - i : i;
	for (i = n; layout == LAYOUT_SCATTERED && i > 1; i--) {
		uint32_t j = (uint32_t)rng_below(rng, i), t = slot[j];

		slot[j] = slot[i - 1];
		slot[i - 1] = t;
	}
	for (i = 0; i < n; i++) {
		uint8_t *at = s->memory + i * s->stride;

		s->chunk[i] = s->memory + slot[i] * s->stride;
		memset(at, 0, chunk_bytes);
		memset(at + chunk_bytes, CANARY, s->stride - chunk_bytes);
	}
	free(slot);
	require_status(okl4_memsec_init(&s->sec, s->chunk, n, chunk_bytes), 0);
}

void rig_sec_plain(struct rig_sec *s, uint64_t bytes)
{
	rig_sec_init(s, bytes, 4096, LAYOUT_ADJACENT, NULL);
}

void rig_sec_deinit(struct rig_sec *s)
{
	uint64_t chunk_bytes = 1ULL << s->sec.chunk_shift, i, k;

	for (i = 0; i < s->sec.n_chunks; i++) {
		for (k = chunk_bytes; k < s->stride; k++)
			require(s->memory[i * s->stride + k] == CANARY, "slot %llu, byte %llu",
				(unsigned long long)i, (unsigned long long)k);
	}
	free(s->memory);
	free(s->chunk);
}

void rig_pipe_init(struct rig_pipe *r, uint64_t bytes, uint64_t chunk_bytes, enum layout layout,
		   uint64_t start, struct rng *rng)
{
	rig_sec_init(&r->ring, bytes, chunk_bytes, layout, rng);
	r->shm = aligned_alloc(OKL4FS_PIPE_ALIGN, sizeof(*r->shm));
	if (!r->shm)
		cr_assert_fail("out of memory");
	memset(r->shm, 0, sizeof(*r->shm));
	r->shm->producer.head = okl4_cpu_to_le64(start);
	r->shm->consumer.tail = okl4_cpu_to_le64(start);
	require_status(okl4_pipe_producer_init(&r->tx, r->shm, &r->ring.sec), 0);
	require_status(okl4_pipe_consumer_init(&r->rx, r->shm, &r->ring.sec), 0);
}

void rig_pipe_plain(struct rig_pipe *r, uint64_t start)
{
	rig_pipe_init(r, 4096, 4096, LAYOUT_ADJACENT, start, NULL);
}

void rig_pipe_deinit(struct rig_pipe *r)
{
	rig_sec_deinit(&r->ring);
	free(r->shm);
}

void stream_fill(uint8_t *buf, uint64_t bytes, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < bytes; i++)
		buf[i] = stream_byte(n + i);
}

void stream_check(const uint8_t *buf, uint64_t bytes, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < bytes; i++)
		require(buf[i] == stream_byte(n + i), "byte %llu of the stream",
			(unsigned long long)(n + i));
}
