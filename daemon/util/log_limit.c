/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "util/clock.h"
#include "util/log_limit.h"

#define LINE_COST_MS (1000ULL / LOG_LIMIT_RATE)

bool log_limit_take(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed)
{
	uint64_t passed = now_ms - limit->last_ms;

	limit->spent_ms -= passed < limit->spent_ms ? passed : limit->spent_ms;
	limit->last_ms = now_ms;
	if (limit->spent_ms > (LOG_LIMIT_BURST - 1) * LINE_COST_MS &&
	    log_get_level() < LOG_LEVEL_DEBUG) {
		limit->suppressed++;
		return false;
	}
	limit->spent_ms += LINE_COST_MS;
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}

void log_write_limited(struct log_limit *limit, const struct log_site *site, enum log_level level,
		       const struct log_about *about, const char *fmt, ...)
{
	uint64_t suppressed;
	char text[1024];
	va_list ap;

	if (level > log_get_level())
		return;
	if (!log_limit_take(limit, clock_ms(), &suppressed))
		return;
	if (suppressed)
		log_write(site, level, about, "%" PRIu64 " lines were left out before this one",
			  suppressed);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_write(site, level, about, "%s", text);
}
