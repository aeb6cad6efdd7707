/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * platform.h for tests - every access of libfs to shared memory becomes a step
 *
 * It comes before libfs's own platform.h in the include path. libfs/interleavings.c decides at each
 * step which thread goes on, and when a store becomes visible to the other side. For
 * endpoint/joined/kill.c a store is a step at which the daemon may be killed.
 */
#ifndef TESTS_UNIT_ACCESS_IS_STEP_LIBFS_PLATFORM_H
#define TESTS_UNIT_ACCESS_IS_STEP_LIBFS_PLATFORM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t okl4_le16;
typedef uint32_t okl4_le32;
typedef uint64_t okl4_le64;

uint64_t step_load(const void *at, unsigned int bytes);
void step_store(void *at, unsigned int bytes, uint64_t value, bool release);
void step_fence(void);

#define okl4_load(p)             ((__typeof__(*(p)))step_load((p), sizeof(*(p))))
#define okl4_load_acquire(p)     ((__typeof__(*(p)))step_load((p), sizeof(*(p))))
#define okl4_store(p, v)         step_store((p), sizeof(*(p)), (v), false)
#define okl4_store_release(p, v) step_store((p), sizeof(*(p)), (v), true)
#define okl4_fence()             step_fence()

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "these tests run on little-endian hosts");
#define OKL4_STATIC_ASSERT(cond, text) static_assert(cond, text)

#define okl4_cpu_to_le16(v) ((okl4_le16)(v))
#define okl4_cpu_to_le32(v) ((okl4_le32)(v))
#define okl4_cpu_to_le64(v) ((okl4_le64)(v))
#define okl4_le16_to_cpu(v) ((uint16_t)(v))
#define okl4_le32_to_cpu(v) ((uint32_t)(v))
#define okl4_le64_to_cpu(v) ((uint64_t)(v))

#endif /* TESTS_UNIT_ACCESS_IS_STEP_LIBFS_PLATFORM_H */
