// SPDX-License-Identifier: BSD-3-Clause
/*
 * basics.c - statuses, checked arithmetic, memsections
 */
#include <libfs/checked.h>
#include <libfs/memsec.h>

#include "rig.h"

Test(libfs_status, names_and_texts)
{
	static const int known[] = {
#define NUMBER(name, number, sentence) number,
		OKL4_STATUS_LIST(NUMBER)
#undef NUMBER
	};
	static const char *const name[] = {
#define NAME(name, number, sentence) #name,
		OKL4_STATUS_LIST(NAME)
#undef NAME
	};
	size_t n = sizeof(known) / sizeof(known[0]), i, k;
	int status;

	for (i = 0; i < n; i++) {
		cr_assert_str_eq(okl4_status_name(known[i]), name[i]);
		cr_assert_str_eq(okl4_status_name(-known[i]), name[i]);
		cr_assert_str_eq(okl4_status_text(-known[i]), okl4_status_text(known[i]));
		cr_assert_gt(strlen(okl4_status_text(known[i])), 0U);
		for (k = 0; k < i; k++)
			cr_assert_str_neq(okl4_status_text(known[i]), okl4_status_text(known[k]));
	}
	for (status = -200; status <= 200; status++) {
		bool is_known = false;

		for (i = 0; i < n; i++)
			is_known = is_known || status == known[i] || status == -known[i];
		require(is_known != !strcmp(okl4_status_name(status), "?"), "%d", status);
		require(is_known != !strcmp(okl4_status_text(status), "unknown status"), "%d",
			status);
	}
	cr_assert_str_eq(okl4_status_name(INT32_MIN), "?");
	cr_assert_str_eq(okl4_status_name(INT32_MAX), "?");
}

/* Numbers at which 64-bit arithmetic may go wrong */
static const uint64_t edge[] = { 0,          1,
				 2,          127,
				 4096,       (1ULL << 32) - 1,
				 1ULL << 32, (1ULL << 63) - 1,
				 1ULL << 63, UINT64_MAX - 1,
				 UINT64_MAX };
#define N_EDGES (sizeof(edge) / sizeof(edge[0]))

Test(libfs_checked, range_against_wide_arithmetic)
{
	size_t i, j, k;

	for (i = 0; i < N_EDGES; i++) {
		for (j = 0; j < N_EDGES; j++) {
			unsigned __int128 end = (unsigned __int128)edge[i] + edge[j];

			for (k = 0; k < N_EDGES; k++)
				require_eq(okl4_range_ok(edge[i], edge[j], edge[k]),
					   end <= edge[k]);
			require_eq(okl4_no_wrap(edge[i], edge[j]),
				   end <= (unsigned __int128)UINT64_MAX + 1);
			require_eq(okl4_min(edge[i], edge[j]), i < j ? edge[i] : edge[j]);
		}
	}
}

Test(libfs_checked, overlap_against_wide_arithmetic)
{
	size_t i, j, k, l;

	for (i = 0; i < N_EDGES; i++) {
		for (j = 0; j < N_EDGES; j++) {
			for (k = 0; k < N_EDGES; k++) {
				for (l = 0; l < N_EDGES; l++) {
					unsigned __int128 a = edge[i], b = edge[k];
					bool want = a < b + edge[l] && b < a + edge[j] && edge[j] &&
						    edge[l];

					if (!okl4_no_wrap(edge[i], edge[j]) ||
					    !okl4_no_wrap(edge[k], edge[l]))
						continue;
					require_eq(okl4_overlap(edge[i], edge[j], edge[k], edge[l]),
						   want);
				}
			}
		}
	}
}

Test(libfs_checked, powers_of_two)
{
	unsigned int shift;

	cr_assert_not(okl4_is_pow2(0));
	for (shift = 0; shift < 64; shift++) {
		require(okl4_is_pow2(1ULL << shift));
		require(!okl4_is_pow2(1ULL << shift | 1ULL << (shift + 1) % 64));
		require_eq(okl4_is_pow2((1ULL << shift) - 1), shift == 1);
	}
}

Test(libfs_memsec, refuses_impossible_shapes)
{
	static const uint64_t bad_bytes[] = { 0, 1, 128, 2048, 4095, 4097, 12288, UINT64_MAX };
	static char page[4096];
	void *chunk[3] = { page, page, page };
	struct okl4_memsec m;
	size_t i;

	for (i = 0; i < sizeof(bad_bytes) / sizeof(bad_bytes[0]); i++)
		require_status(okl4_memsec_init(&m, chunk, 1, bad_bytes[i]),
			       -OKL4_MEMSEC_CHUNK_BYTES);
	require_status(okl4_memsec_init(&m, chunk, 0, 4096), -OKL4_MEMSEC_CHUNK_COUNT);
	require_status(okl4_memsec_init(&m, chunk, 2, 1ULL << 62), -OKL4_MEMSEC_CHUNK_COUNT);
	require_status(okl4_memsec_init(&m, chunk, 1, 1ULL << 63), -OKL4_MEMSEC_CHUNK_COUNT);
	require_status(okl4_memsec_init(&m, chunk, UINT32_MAX, 1ULL << 32),
		       -OKL4_MEMSEC_CHUNK_COUNT);
	require_status(okl4_memsec_init(&m, chunk, 1, 1ULL << 62), 0);
	chunk[2] = NULL;
	require_status(okl4_memsec_init(&m, chunk, 3, 4096), -OKL4_ARG);
	require_status(okl4_memsec_init(&m, chunk, 2, 4096), 0);
	cr_assert_eq(m.bytes, 8192U);
	cr_assert_eq(m.chunk_shift, 12U);
}

/* at() by definition: each byte lies where its chunk says, and no range crosses a chunk */
static void check_at(const struct rig_sec *s, uint64_t offset, uint64_t bytes)
{
	uint64_t chunk_bytes = 1ULL << s->sec.chunk_shift;
	unsigned __int128 last = (unsigned __int128)offset + bytes - 1;
	uint8_t *want = NULL;

	if (bytes && last < s->sec.bytes && offset / chunk_bytes == (uint64_t)last / chunk_bytes)
		want = (uint8_t *)s->chunk[offset / chunk_bytes] + offset % chunk_bytes;
	require(okl4_memsec_at(&s->sec, offset, bytes) == want, "offset %llu, %llu bytes",
		(unsigned long long)offset, (unsigned long long)bytes);
}

/* span() by definition, one chunk at a time */
static void check_span(const struct rig_sec *s, uint64_t offset, uint64_t bytes)
{
	uint64_t chunk_bytes = 1ULL << s->sec.chunk_shift, got = bytes, want = 0;
	uint8_t *base = okl4_memsec_span(&s->sec, offset, &got), *at = NULL;
	uint64_t n;

	if (offset < s->sec.bytes)
		at = (uint8_t *)s->chunk[offset / chunk_bytes] + offset % chunk_bytes;
	for (n = offset; at && n < s->sec.bytes && want < bytes; n++, want++) {
		if ((uint8_t *)s->chunk[n / chunk_bytes] + n % chunk_bytes != at + want)
			break;
	}
	require(base == at);
	require_eq(got, want);
}

Test(libfs_memsec, translates_every_layout)
{
	static const uint64_t near[] = { 0, 1, 2, 127, 128, 4094, 4095, 4096, 4097, 8191, 8192 };
	struct rng rng;
	enum layout layout;
	size_t i, k, n;

	rng_init(&rng, "libfs_memsec/translates_every_layout");
	for (layout = 0; layout < N_LAYOUTS; layout++) {
		struct rig_sec s;

		rig_sec_init(&s, 32768, 4096, layout, &rng);
		for (n = 0; n <= s.sec.n_chunks; n++) {
			for (i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
				for (k = 0; k < sizeof(near) / sizeof(near[0]); k++) {
					check_at(&s, n * 4096 + near[i], near[k]);
					check_at(&s, n * 4096 - near[i], near[k]);
					check_span(&s, n * 4096 + near[i], near[k]);
					check_span(&s, n * 4096 - near[i], near[k] * 5);
				}
			}
		}
		for (i = 0; i < N_EDGES; i++) {
			for (k = 0; k < N_EDGES; k++)
				check_at(&s, edge[i], edge[k]);
			check_span(&s, edge[i], 100);
			check_span(&s, i, edge[i] < 65536 ? edge[i] : 65536);
		}
		rig_sec_deinit(&s);
	}
}

Test(libfs_memsec, a_span_longer_than_memory_is_cut)
{
	struct rig_sec s;
	uint64_t bytes = UINT64_MAX;

	rig_sec_plain(&s, 16384);
	cr_assert_eq(okl4_memsec_span(&s.sec, 100, &bytes), s.memory + 100);
	cr_assert_eq(bytes, 16284U);
	bytes = 0;
	cr_assert_eq(okl4_memsec_span(&s.sec, 100, &bytes), s.memory + 100);
	cr_assert_eq(bytes, 0U);
	bytes = 5;
	cr_assert_null(okl4_memsec_span(&s.sec, 16384, &bytes));
	cr_assert_eq(bytes, 0U);
	rig_sec_deinit(&s);
}
