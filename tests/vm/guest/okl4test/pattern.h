/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pattern.h - bytes that show where they belong, and random numbers that a seed repeats
 */
#ifndef OKL4TEST_PATTERN_H
#define OKL4TEST_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/** pattern_fill() - bytes [@offset, @offset + @bytes) of the endless pattern of @seed */
void pattern_fill(void *buf, uint64_t seed, uint64_t offset, size_t bytes);

/** pattern_check() - Return: the index of the first byte that is not the pattern's, or @bytes */
size_t pattern_check(const void *buf, uint64_t seed, uint64_t offset, size_t bytes);

/** random_next() - the next number of a series whose state is @state */
uint64_t random_next(uint64_t *state);

/**
 * random_size() - a length of 1 to @max bytes, each power of two as likely as any other, mostly odd
 */
size_t random_size(uint64_t *state, size_t max);

#endif
