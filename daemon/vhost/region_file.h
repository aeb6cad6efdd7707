/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region_file.h - which files guest memory may be mapped from
 */
#ifndef OKL4FSD_VHOST_REGION_FILE_H
#define OKL4FSD_VHOST_REGION_FILE_H

#include <stdint.h>

/**
 * region_file_check() - whether a region may be mapped from a file
 * @fd: descriptor that a frontend sent
 * @offset: where in the file the region begins
 * @bytes: its size
 * @page_bytes: out: page size of the file's mappings; NULL: not wanted
 *
 * A file that a program or another machine serves is refused without a question to its server,
 * which might not answer. Does not block.
 *
 * Return: NULL, or what is wrong; static memory.
 */
const char *region_file_check(int fd, uint64_t offset, uint64_t bytes, uint64_t *page_bytes);

#endif
