/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * memsec.h - a memsection: chunks of memory seen as one range of bytes
 *
 * A memsection is made of equal, power-of-two chunks that need not be adjacent. All other code uses
 * offsets into it; only okl4_memsec_at() and okl4_memsec_span() make pointers, and they check. A
 * struct okl4_memsec does not change after okl4_memsec_init(), so any number of threads may use it.
 */
#ifndef LIBFS_MEMSEC_H
#define LIBFS_MEMSEC_H

#include <libfs/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct okl4_memsec - one memsection; private memory, its fields are read-only to users
 * @chunk: base pointer of each chunk; the caller keeps this array while the memsection is in use
 * @n_chunks: entries of @chunk
 * @chunk_shift: log2 of the bytes of a chunk, 12 or more
 * @bytes: @n_chunks << @chunk_shift
 */
struct okl4_memsec {
	void *const *chunk;
	uint32_t n_chunks;
	uint32_t chunk_shift;
	uint64_t bytes;
};

/**
 * okl4_memsec_init() - lay a memsection over chunks
 * @m: to be filled
 * @chunk: base of each chunk, not NULL, aligned to OKL4FS_PAGE_BYTES (to 128 bytes at least, for
 *	the shared words in it); borrowed: the array must outlive @m
 * @n_chunks: entries of @chunk, 1 or more
 * @chunk_bytes: bytes of each chunk: a power of two, at least OKL4FS_PAGE_BYTES
 *
 * Return: 0, -OKL4_MEMSEC_CHUNK_BYTES, -OKL4_MEMSEC_CHUNK_COUNT (also when the whole would reach
 * 2^63 bytes), or -OKL4_ARG for a chunk that is NULL.
 */
int okl4_memsec_init(struct okl4_memsec *m, void *const *chunk, uint32_t n_chunks,
		     uint64_t chunk_bytes);

/**
 * okl4_memsec_at() - the pointer of a range that lies in one chunk
 * @m: memsection
 * @offset: first byte
 * @bytes: length; not 0
 *
 * Return: the pointer, valid for @bytes; NULL when the range is empty, reaches outside the
 * memsection or crosses a chunk's end.
 */
void *okl4_memsec_at(const struct okl4_memsec *m, uint64_t offset, uint64_t bytes);

/**
 * okl4_memsec_span() - the longest contiguous piece that begins at an offset
 * @m: memsection
 * @offset: first byte
 * @bytes: in: how many are wanted; out: how many are contiguous from there on. Chunks that happen
 *	to be adjacent in memory count as contiguous
 *
 * Return: the pointer; NULL (and *@bytes = 0) when @offset is not inside the memsection.
 */
void *okl4_memsec_span(const struct okl4_memsec *m, uint64_t offset, uint64_t *bytes);

#ifdef __cplusplus
}
#endif

#endif /* LIBFS_MEMSEC_H */
