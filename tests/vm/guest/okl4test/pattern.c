// SPDX-License-Identifier: BSD-3-Clause
/*
 * pattern.c - bytes that show where they belong, and random numbers that a seed repeats
 *
 * Word w of the pattern of a seed is the splitmix64 mixture of seed and w, so that any piece can be
 * made without those before it, and a byte that was lost, doubled or moved shows.
 */
#include <string.h>

#include "pattern.h"

#define GOLDEN 0x9e3779b97f4a7c15ULL

/* mix() - splitmix64's output function */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* word_at() - word @w of the pattern of @seed */
static uint64_t word_at(uint64_t seed, uint64_t w)
{
	return mix(seed + (w + 1) * GOLDEN);
}

void pattern_fill(void *buf, uint64_t seed, uint64_t offset, size_t bytes)
{
	char *p = buf;

	while (bytes) {
		uint64_t word = word_at(seed, offset / 8);
		size_t skip = offset % 8, n = 8 - skip < bytes ? 8 - skip : bytes;

		memcpy(p, (char *)&word + skip, n);
		p += n;
		offset += n;
		bytes -= n;
	}
}

size_t pattern_check(const void *buf, uint64_t seed, uint64_t offset, size_t bytes)
{
	const char *p = buf;
	size_t done = 0;

	while (done < bytes) {
		uint64_t word = word_at(seed, (offset + done) / 8);
		size_t skip = (offset + done) % 8;
		size_t n = 8 - skip < bytes - done ? 8 - skip : bytes - done;

		if (memcmp(p + done, (char *)&word + skip, n) != 0) {
			while (p[done] == ((char *)&word)[skip])
				done++, skip++;
			return done;
		}
		done += n;
	}
	return bytes;
}

uint64_t random_next(uint64_t *state)
{
	*state += GOLDEN;
	return mix(*state);
}

size_t random_size(uint64_t *state, size_t max)
{
	unsigned int bits = 0;
	size_t size;

	while (((size_t)1 << bits) < max)
		bits++;
	size = (size_t)1 << (random_next(state) % (bits + 1));
	size += (size_t)(random_next(state) % size);
	if (random_next(state) % 4)
		size |= 1;
	return size < max ? size : max;
}
