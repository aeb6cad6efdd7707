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

typedef __le16 le16;
typedef __le32 le32;
typedef __le64 le64;

#ifndef UINT32_MAX
#define UINT32_MAX U32_MAX
#endif
#ifndef UINT64_MAX
#define UINT64_MAX U64_MAX
#endif

#define fs_load(p)             READ_ONCE(*(p))
#define fs_store(p, v)         WRITE_ONCE(*(p), (v))
#define fs_load_acquire(p)     virt_load_acquire(p)
#define fs_store_release(p, v) virt_store_release((p), (v))
#define fs_fence()             virt_mb()
#define fs_xchg64(p, v)        xchg((p), (v))

/*
 * A kernel that finds only one CPU removes the lock prefixes from its own code (x86), and then
 * cmpxchg() is not atomic against the host. The sync_*() forms, made for hypervisors, keep theirs.
 */
#ifdef arch_sync_cmpxchg
#define fs_cmpxchg64(p, old, new) sync_cmpxchg((p), (old), (new))
#else
#define fs_cmpxchg64(p, old, new) cmpxchg((p), (old), (new))
#endif

/* fs_fetch_or64() - set bits in a shared word; returns the word before. A full barrier */
static inline le64 fs_fetch_or64(le64 *p, le64 bits)
{
	le64 old = READ_ONCE(*p), seen;

	while ((seen = fs_cmpxchg64(p, old, old | bits)) != old)
		old = seen;
	return old;
}

#define fs_cpu_to_le16(v) cpu_to_le16(v)
#define fs_cpu_to_le32(v) cpu_to_le32(v)
#define fs_cpu_to_le64(v) cpu_to_le64(v)
#define fs_le16_to_cpu(v) le16_to_cpu(v)
#define fs_le32_to_cpu(v) le32_to_cpu(v)
#define fs_le64_to_cpu(v) le64_to_cpu(v)

#else /* a process */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * sparse keeps little-endian numbers and the CPU's own apart, as in the kernel. It knows the
 * compiler's atomics for plain integers only, so it is shown the accesses without them.
 */
#ifdef __CHECKER__
#define FS_BITWISE __attribute__((bitwise))
#define FS_FORCE   __attribute__((force))

#define fs_load(p)             (*(p))
#define fs_store(p, v)         ((void)(*(p) = (v)))
#define fs_load_acquire(p)     fs_load(p)
#define fs_store_release(p, v) fs_store(p, v)
#define fs_xchg64(p, v)        (fs_store(p, v), *(p))
#define fs_fetch_or64(p, bits) (*(p) |= (bits))
#else
#define FS_BITWISE
#define FS_FORCE

#define fs_load(p)             __atomic_load_n((p), __ATOMIC_RELAXED)
#define fs_store(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fs_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fs_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define fs_xchg64(p, v)        __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define fs_fetch_or64(p, bits) __atomic_fetch_or((p), (bits), __ATOMIC_SEQ_CST)
#endif
#define fs_fence() __sync_synchronize() /* a full fence, also for ThreadSanitizer */

typedef uint16_t FS_BITWISE le16;
typedef uint32_t FS_BITWISE le32;
typedef uint64_t FS_BITWISE le64;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define fs_swap16(v) ((uint16_t)(v))
#define fs_swap32(v) ((uint32_t)(v))
#define fs_swap64(v) ((uint64_t)(v))
#else
#define fs_swap16(v) __builtin_bswap16(v)
#define fs_swap32(v) __builtin_bswap32(v)
#define fs_swap64(v) __builtin_bswap64(v)
#endif
#define fs_cpu_to_le16(v) ((FS_FORCE le16)fs_swap16(v))
#define fs_cpu_to_le32(v) ((FS_FORCE le32)fs_swap32(v))
#define fs_cpu_to_le64(v) ((FS_FORCE le64)fs_swap64(v))
#define fs_le16_to_cpu(v) fs_swap16((FS_FORCE uint16_t)(v))
#define fs_le32_to_cpu(v) fs_swap32((FS_FORCE uint32_t)(v))
#define fs_le64_to_cpu(v) fs_swap64((FS_FORCE uint64_t)(v))

#endif

/* OKL4_STATIC_ASSERT() - static_assert() of C11, also where the language is C99 or C++ */
#ifdef __cplusplus
#define OKL4_STATIC_ASSERT(cond, text) static_assert(cond, text)
#else
#define OKL4_STATIC_ASSERT(cond, text) __extension__ _Static_assert(cond, text)
#endif

#endif /* LIBFS_PLATFORM_H */
