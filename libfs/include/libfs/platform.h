/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * platform.h - all that libfs needs from outside
 *
 * This is the only file of libfs that knows whether it is compiled for the Linux kernel or for a
 * process. It gives the rest of libfs the stdint types, bool, size_t, memcpy() and memset(), the
 * little-endian types with their conversions, the barriers, and a static assertion. libfs uses
 * nothing else, and its objects leave no other symbol undefined (a test holds this).
 *
 * The public headers can be read as C99 or later, and as C++11 or later (a test holds this too).
 *
 * The barriers order our accesses against the *other* side of the shared memory, which is another
 * virtual machine. So the kernel's virt_*() forms are used: the smp_*() forms vanish on a kernel
 * built for one CPU, where the host still is a second one.
 */
#ifndef LIBFS_PLATFORM_H
#define LIBFS_PLATFORM_H

#ifdef __KERNEL__

#include <asm/barrier.h>
#include <asm/byteorder.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

typedef __le16 okl4_le16;
typedef __le32 okl4_le32;
typedef __le64 okl4_le64;

#ifndef UINT32_MAX
#define UINT32_MAX U32_MAX
#endif
#ifndef UINT64_MAX
#define UINT64_MAX U64_MAX
#endif

#define okl4_load(p)             READ_ONCE(*(p))
#define okl4_store(p, v)         WRITE_ONCE(*(p), (v))
#define okl4_load_acquire(p)     virt_load_acquire(p)
#define okl4_store_release(p, v) virt_store_release((p), (v))
#define okl4_fence()             virt_mb()
#define okl4_xchg64(p, v)        xchg((p), (v))

/*
 * A kernel that finds only one CPU removes the lock prefixes from its own code (x86), and then
 * cmpxchg() is not atomic against the host. The sync_*() forms, made for hypervisors, keep theirs.
 */
#ifdef arch_sync_cmpxchg
#define okl4_cmpxchg64(p, old, new) sync_cmpxchg((p), (old), (new))
#else
#define okl4_cmpxchg64(p, old, new) cmpxchg((p), (old), (new))
#endif

/* okl4_fetch_or64() - set bits in a shared word; returns the word before. A full barrier */
static inline okl4_le64 okl4_fetch_or64(okl4_le64 *p, okl4_le64 bits)
{
	okl4_le64 old = READ_ONCE(*p), seen;

	while ((seen = okl4_cmpxchg64(p, old, old | bits)) != old)
		old = seen;
	return old;
}

#define okl4_cpu_to_le16(v) cpu_to_le16(v)
#define okl4_cpu_to_le32(v) cpu_to_le32(v)
#define okl4_cpu_to_le64(v) cpu_to_le64(v)
#define okl4_le16_to_cpu(v) le16_to_cpu(v)
#define okl4_le32_to_cpu(v) le32_to_cpu(v)
#define okl4_le64_to_cpu(v) le64_to_cpu(v)

#else /* a process */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * sparse keeps little-endian numbers and the CPU's own apart, as in the kernel. It knows the
 * compiler's atomics for plain integers only, so it is shown the accesses without them.
 */
#ifdef __CHECKER__
#define OKL4_BITWISE __attribute__((bitwise))
#define OKL4_FORCE   __attribute__((force))

#define okl4_load(p)             (*(p))
#define okl4_store(p, v)         ((void)(*(p) = (v)))
#define okl4_load_acquire(p)     okl4_load(p)
#define okl4_store_release(p, v) okl4_store(p, v)
#define okl4_xchg64(p, v)        (okl4_store(p, v), *(p))
#define okl4_fetch_or64(p, bits) (*(p) |= (bits))
#else
#define OKL4_BITWISE
#define OKL4_FORCE

#define okl4_load(p)             __atomic_load_n((p), __ATOMIC_RELAXED)
#define okl4_store(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define okl4_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define okl4_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define okl4_xchg64(p, v)        __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define okl4_fetch_or64(p, bits) __atomic_fetch_or((p), (bits), __ATOMIC_SEQ_CST)
#endif
#define okl4_fence() __sync_synchronize() /* a full fence, also for ThreadSanitizer */

typedef uint16_t OKL4_BITWISE okl4_le16;
typedef uint32_t OKL4_BITWISE okl4_le32;
typedef uint64_t OKL4_BITWISE okl4_le64;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define okl4_swap16(v) ((uint16_t)(v))
#define okl4_swap32(v) ((uint32_t)(v))
#define okl4_swap64(v) ((uint64_t)(v))
#else
#define okl4_swap16(v) __builtin_bswap16(v)
#define okl4_swap32(v) __builtin_bswap32(v)
#define okl4_swap64(v) __builtin_bswap64(v)
#endif
#define okl4_cpu_to_le16(v) ((OKL4_FORCE okl4_le16)okl4_swap16(v))
#define okl4_cpu_to_le32(v) ((OKL4_FORCE okl4_le32)okl4_swap32(v))
#define okl4_cpu_to_le64(v) ((OKL4_FORCE okl4_le64)okl4_swap64(v))
#define okl4_le16_to_cpu(v) okl4_swap16((OKL4_FORCE uint16_t)(v))
#define okl4_le32_to_cpu(v) okl4_swap32((OKL4_FORCE uint32_t)(v))
#define okl4_le64_to_cpu(v) okl4_swap64((OKL4_FORCE uint64_t)(v))

#endif

/* OKL4_STATIC_ASSERT() - static_assert() of C11, also where the language is C99 or C++ */
#ifdef __cplusplus
#define OKL4_STATIC_ASSERT(cond, text) static_assert(cond, text)
#else
#define OKL4_STATIC_ASSERT(cond, text) __extension__ _Static_assert(cond, text)
#endif

#endif /* LIBFS_PLATFORM_H */
