/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region_file.h - which files guest memory may be mapped from
 */
#ifndef OKL4FSD_VHOST_REGION_FILE_H
#define OKL4FSD_VHOST_REGION_FILE_H

#include <stdint.h>

/**
 * struct region_file - what can be said of a descriptor as the file of guest memory
 * @wrong: why it cannot be one; NULL: it can. Static memory
 * @bytes: its size
 * @page_bytes: page size of its mappings
 */
struct region_file {
	const char *wrong;
	uint64_t bytes, page_bytes;
};

/**
 * region_file_look() - find out about a descriptor of a stranger
 *
 * A file that a program or another machine serves is refused, and is not asked anything: it may not
 * answer. Does not block.
 */
struct region_file region_file_look(int fd);

/**
 * region_file_check() - whether a region may be mapped from a file
 * @file: what region_file_look() said
 * @offset: where in the file the region begins
 * @bytes: its size
 *
 * Return: NULL, or what is wrong; static memory.
 */
const char *region_file_check(const struct region_file *file, uint64_t offset, uint64_t bytes);

#endif
