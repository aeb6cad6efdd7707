// SPDX-License-Identifier: BSD-3-Clause
/*
 * pace.c - how fast a peer is served
 */
#include <criterion/criterion.h>

#include "util/pace.h"

#define MS    1000ULL
#define START (5000 * MS)

/* Ten tokens at once, 100 per second: one takes 10 ms. */
Test(daemon_pace, rests)
{
	static const struct {
		unsigned int at_ms, tokens, rest_ms;
		bool first;
	} rows[] = {
		{ 0, 10, 0, false },
		{ 0, 1, 10 + PACE_REST_MS, true },
		{ 0, 3, 40 + PACE_REST_MS, false }, /* all that has come is paid for */
		{ 40, 0, 0, false },
		{ 40, 1, 10 + PACE_REST_MS, false },
		{ 149, 0, 0, false }, /* 1 ms of it is not paid yet */
		{ 149, 11, 11 + PACE_REST_MS, false },
		{ 260, 0, 0, false }, /* all is paid */
		{ 260, 11, 10 + PACE_REST_MS, true },
		{ 100000, 10, 0, false }, /* a long quiet time saves no more than that */
		{ 100000, 1, 10 + PACE_REST_MS, true },
	};
	struct pace pace = { .per_s = 100, .burst = 10 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool first;
		unsigned int ms =
			pace_spend(&pace, rows[i].tokens, START + rows[i].at_ms * MS, &first);

		cr_expect_eq(ms, rows[i].rest_ms, "row %zu: %u ms", i, ms);
		cr_expect_eq(first, rows[i].first, "row %zu", i);
	}
}
