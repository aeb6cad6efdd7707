/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - what the tests of libfs share: seeds, checks, and memsections of every shape
 */
#ifndef TESTS_UNIT_LIBFS_RIG_H
#define TESTS_UNIT_LIBFS_RIG_H

#include <criterion/criterion.h>
#include <libfs/pipe.h>

/*
 * Criterion reports every assertion to its parent process, which is too slow for the inner loops
 * here; these report only when they fail.
 */
#define require(cond, ...)                                                    \
	do {                                                                  \
		if (!(cond))                                                  \
			rig_fail(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
	} while (0)

#define require_eq(got, want)                                                             \
	do {                                                                              \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                   \
		if (got_ != want_)                                                        \
			rig_fail(__FILE__, __LINE__, #got " == " #want, "%lld, not %lld", \
				 (long long)got_, (long long)want_);                      \
	} while (0)

/* A status, printed by name */
#define require_status(got, want)                                                            \
	do {                                                                                 \
		int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                      \
		if (got_ != want_)                                                           \
			rig_fail(__FILE__, __LINE__, #got " == " #want, "%lld (%s), not %s", \
				 (long long)got_, okl4_status_name((int)got_),               \
				 okl4_status_name((int)want_));                              \
	} while (0)

/* End the running test; the format says more */
_Noreturn void rig_fail(const char *file, int line, const char *cond, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* struct rng - a seeded source of numbers (splitmix64) */
struct rng {
	uint64_t state;
};

/* From OKL4FS_TEST_SEED if that is set; the seed is printed with the test's name */
void rng_init(struct rng *rng, const char *test);
uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t limit); /* 0 to @limit - 1 */

/* How the chunks of a memsection lie in memory */
enum layout {
	LAYOUT_ADJACENT, /* one after the other */
	LAYOUT_REVERSED, /* the last one first */
	LAYOUT_SCATTERED, /* in any order, with canaries between them */
	N_LAYOUTS,
};

extern const char *const layout_name[N_LAYOUTS];

/**
 * struct rig_sec - a memsection with its memory
 * @sec: the memsection
 * @chunk: base of each chunk
 * @memory: the memory that the chunks lie in
 * @stride: bytes from one slot of @memory to the next; all but the chunk in it is canary
 */
struct rig_sec {
	struct okl4_memsec sec;
	void **chunk;
	uint8_t *memory;
	uint64_t stride;
};

void rig_sec_init(struct rig_sec *s, uint64_t bytes, uint64_t chunk_bytes, enum layout layout,
		  struct rng *rng);
void rig_sec_plain(struct rig_sec *s, uint64_t bytes); /* adjacent chunks of 4096 bytes */
void rig_sec_deinit(struct rig_sec *s); /* checks the canaries */

/**
 * struct rig_pipe - a ring with both its ends
 * @ring: the ring
 * @shm: the shared words
 * @tx: writing end
 * @rx: reading end
 */
struct rig_pipe {
	struct rig_sec ring;
	struct okl4_pipe_shm *shm;
	struct okl4_pipe tx;
	struct okl4_pipe rx;
};

/* Both cursors begin at @start; @rng is for LAYOUT_SCATTERED */
void rig_pipe_init(struct rig_pipe *r, uint64_t bytes, uint64_t chunk_bytes, enum layout layout,
		   uint64_t start, struct rng *rng);
void rig_pipe_plain(struct rig_pipe *r, uint64_t start); /* one chunk of 4096 bytes */
void rig_pipe_deinit(struct rig_pipe *r);

/* Byte number @n of a stream in which no two neighbourhoods look alike */
static inline uint8_t stream_byte(uint64_t n)
{
	n *= 0x9e3779b97f4a7c15ULL;
	return (uint8_t)(n >> 56 ^ n >> 23);
}

/* The bytes of the stream from number @n on */
void stream_fill(uint8_t *buf, uint64_t bytes, uint64_t n);
void stream_check(const uint8_t *buf, uint64_t bytes, uint64_t n);

#endif /* TESTS_UNIT_LIBFS_RIG_H */
