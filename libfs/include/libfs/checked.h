/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * checked.h - arithmetic on numbers that a peer wrote
 *
 * Every offset, length and count from shared memory passes through one of these before it is used.
 * None of them can overflow for any argument.
 */
#ifndef LIBFS_CHECKED_H
#define LIBFS_CHECKED_H

#include <libfs/platform.h>

/**
 * okl4_range_ok() - whether [off, off + len) lies within [0, size)
 * @off: first byte
 * @len: bytes; 0 is a valid, empty range when @off <= @size
 * @size: bytes of the whole
 */
static inline bool okl4_range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}

/**
 * okl4_overlap() - whether two ranges share a byte
 * @a: first byte of one range
 * @a_len: its bytes, with @a + @a_len - 1 not past 2^64 - 1 (okl4_no_wrap())
 * @b: first byte of the other range
 * @b_len: its bytes, likewise
 *
 * Return: true when neither is empty and they share at least one byte.
 */
static inline bool okl4_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && (a <= b ? b - a < a_len : a - b < b_len);
}

/**
 * okl4_no_wrap() - whether [base, base + len) stays below 2^64
 * @base: first byte
 * @len: bytes
 */
static inline bool okl4_no_wrap(uint64_t base, uint64_t len)
{
	return !len || base <= UINT64_MAX - (len - 1);
}

/** okl4_is_pow2() - whether a number is a power of two; 0 is not one */
static inline bool okl4_is_pow2(uint64_t n)
{
	return n && !(n & (n - 1));
}

/** okl4_min() - the smaller of two numbers */
static inline uint64_t okl4_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif /* LIBFS_CHECKED_H */
