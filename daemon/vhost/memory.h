/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - guest-physical addresses to pointers, checked
 *
 * A table of at most eight regions, as the frontend handed them over and vhost_backend mapped them.
 * It belongs to the guest's worker. Pointers into it are valid until the table changes; before
 * that, everything that keeps one across turns of the loop is told (vhost_device_ops.suspend).
 */
#ifndef OKL4FSD_VHOST_MEMORY_H
#define OKL4FSD_VHOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_MEMORY_MAX_REGIONS 8

/**
 * struct guest_region - a piece of guest-physical memory that is contiguous and mapped here
 * @gpa: its first guest-physical address
 * @user_addr: the frontend's own address of it; vring addresses come as these
 * @bytes: its size
 * @hva: where it is mapped
 * @map: the whole mapping that @hva lies in
 * @map_bytes: its size
 * @page_bytes: page size of the mapping (more than 4096 for hugetlbfs)
 */
struct guest_region {
	uint64_t gpa, user_addr, bytes;
	uint8_t *hva, *map;
	uint64_t map_bytes, page_bytes;
};

/**
 * struct guest_memory - the table
 * @region: the regions
 * @n_regions: how many; 0: no memory
 */
struct guest_memory {
	struct guest_region region[GUEST_MEMORY_MAX_REGIONS];
	unsigned int n_regions;
};

/**
 * guest_memory_check() - whether regions make a sound table
 * @region: regions; only @gpa, @user_addr and @bytes are looked at
 * @n: how many
 *
 * Sound is: 1 to 8 of them, none empty, all in whole 4096-byte pages, none past the end of the
 * address space, no two sharing a byte, neither of the guest's nor of the frontend's addresses.
 *
 * Return: NULL, or what is wrong; static memory.
 */
const char *guest_memory_check(const struct guest_region *region, unsigned int n);

/**
 * guest_memory_at() - the pointer of a range of guest memory
 * @mem: table
 * @gpa: first byte
 * @bytes: length; not 0
 *
 * Return: the pointer, valid for @bytes; NULL unless the range lies wholly inside one region.
 */
void *guest_memory_at(const struct guest_memory *mem, uint64_t gpa, uint64_t bytes);

/**
 * guest_memory_span() - the longest contiguous piece that begins at an address
 * @mem: table
 * @gpa: first byte
 * @bytes: in: how many are wanted; out: how many are contiguous from there on
 *
 * Return: the pointer; NULL (and *@bytes = 0) when @gpa is not in guest memory.
 */
void *guest_memory_span(const struct guest_memory *mem, uint64_t gpa, uint64_t *bytes);

/**
 * guest_memory_gpa() - the way back: from pointer to guest-physical address
 * @mem: table
 * @hva: any pointer
 * @bytes: length; not 0
 * @gpa: out
 *
 * Return: true when the range lies wholly inside one region.
 */
bool guest_memory_gpa(const struct guest_memory *mem, const void *hva, uint64_t bytes,
		      uint64_t *gpa);

/** guest_memory_bytes() - bytes of all regions */
uint64_t guest_memory_bytes(const struct guest_memory *mem);

#endif
