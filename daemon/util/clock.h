/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock.h - the time; the unit is in the name of each function
 *
 * clock_ms(), clock_us() and clock_ns() read the same monotonic clock. Deadlines and durations are
 * measured with it, because it does not jump when the time is set.
 */
#ifndef OKL4FSD_UTIL_CLOCK_H
#define OKL4FSD_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

/** clock_read_ns() - what clock_gettime(2) says of @clock, in nanoseconds */
static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_us(void)
{
	return clock_ns() / 1000;
}

static inline uint64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

/** clock_wall_us() - microseconds since 1970 */
static inline uint64_t clock_wall_us(void)
{
	return clock_read_ns(CLOCK_REALTIME) / 1000;
}

/** clock_cpu_us() - microseconds of CPU time that all threads of this process have used */
static inline uint64_t clock_cpu_us(void)
{
	return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

#endif
