// SPDX-License-Identifier: BSD-3-Clause
#include "util/pace.h"

unsigned int pace_spend(struct pace *p, unsigned int tokens, uint64_t now_us, bool *first)
{
	uint64_t token_us = 1000000 / p->per_s, burst_us = p->burst * token_us;
	uint64_t passed = now_us - p->last_us;

	p->spent_us -= passed < p->spent_us ? passed : p->spent_us;
	p->last_us = now_us;
	if (!p->spent_us)
		p->rested = false;
	p->spent_us += tokens * token_us;
	*first = p->spent_us > burst_us && !p->rested;
	if (p->spent_us <= burst_us)
		return 0;
	p->rested = true;
	return (unsigned int)((p->spent_us - burst_us) / 1000) + PACE_REST_MS;
}
