/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_limit.h - a limit for lines that a peer can cause
 */
#ifndef OKL4FSD_UTIL_LOG_LIMIT_H
#define OKL4FSD_UTIL_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/log.h"

/* Lines per second, and how many at once after a quiet time */
#define LOG_LIMIT_RATE  10
#define LOG_LIMIT_BURST 20

/**
 * struct log_limit - a token bucket; all zero: full. The caller serialises its use
 * @spent_ms: lines above the rate that were written, in milliseconds of the rate
 * @last_ms: time of the last call
 * @suppressed: lines that were left out since the last one that was written
 */
struct log_limit {
	uint64_t spent_ms, last_ms, suppressed;
};

/**
 * log_limit_take() - whether a line may be written now
 * @limit: bucket
 * @now_ms: a monotonic clock
 * @suppressed: out, with true: how many lines were left out since the last one; report them first
 *
 * Return: true when it may; at level debug always, because then all lines are wanted.
 */
bool log_limit_take(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed);

/**
 * log_write_limited() - write a line, unless there were too many; use log_limited()
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
