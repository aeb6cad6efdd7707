/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_limit.h - lines that a peer can cause, but not more of them than somebody can read
 */
#ifndef OKL4FSD_UTIL_LOG_LIMIT_H
#define OKL4FSD_UTIL_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/log.h"

/* Lines a second, and at once after a quiet time */
#define LOG_LIMIT_RATE  10
#define LOG_LIMIT_BURST 20

/**
 * struct log_limit - a token bucket; all zero is a full one. Its user serialises
 * @spent_ms: milliseconds' worth of lines above the rate that were let through
 * @last_ms: when it was asked last
 * @suppressed: lines that were not let through since the last one that was
 */
struct log_limit {
	uint64_t spent_ms, last_ms, suppressed;
};

/**
 * log_limit_take() - whether a line may be written now
 * @limit: bucket
 * @now_ms: a monotonic clock
 * @suppressed: out: when it may, how many were not since the last one: say so before it
 *
 * Return: true when it may; always at level debug, where somebody wants to see all.
 */
bool log_limit_take(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed);

/**
 * log_write_limited() - a line, unless there were too many; log_limited() is how
 * @limit: bucket
 * @site: as log_write()
 * @level: as log_write()
 * @about: as log_write()
 * @fmt: the rest of the line
 */
__attribute__((format(printf, 5, 6))) void
log_write_limited(struct log_limit *limit, const struct log_site *site, enum log_level level,
		  const struct log_about *about, const char *fmt, ...);

#define log_limited(limit, level, about, ...) \
	log_write_limited(limit, LOG_SITE, level, about, __VA_ARGS__)

#endif
