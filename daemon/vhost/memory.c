/* SPDX-License-Identifier: BSD-3-Clause */
#include <libfs/abi.h>
#include <libfs/checked.h>

#include "vhost/memory.h"

static const char *region_check(const struct guest_region *r)
{
	if (!r->bytes)
		return "a region is empty";
	if ((r->gpa | r->user_addr | r->bytes) % OKL4FS_PAGE_BYTES)
		return "a region is not made of whole pages";
	if (!okl4_no_wrap(r->gpa, r->bytes) || !okl4_no_wrap(r->user_addr, r->bytes))
		return "a region wraps around the end of the address space";
	return NULL;
}

const char *guest_memory_check(const struct guest_region *region, unsigned int n)
{
	if (!n || n > GUEST_MEMORY_MAX_REGIONS)
		return "the number of regions is not 1 to 8";
	for (unsigned int i = 0; i < n; i++) {
		const struct guest_region *a = &region[i];
		const char *wrong = region_check(a);

		if (wrong)
			return wrong;
		for (unsigned int j = 0; j < i; j++) {
			const struct guest_region *b = &region[j];

			if (okl4_overlap(a->gpa, a->bytes, b->gpa, b->bytes))
				return "two regions overlap in guest-physical addresses";
			if (okl4_overlap(a->user_addr, a->bytes, b->user_addr, b->bytes))
				return "two regions overlap in frontend addresses";
		}
	}
	return NULL;
}

void *guest_memory_span(const struct guest_memory *mem, uint64_t gpa, uint64_t *bytes)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct guest_region *r = &mem->region[i];

		if (gpa < r->gpa || gpa - r->gpa >= r->bytes)
			continue;
		*bytes = okl4_min(*bytes, r->bytes - (gpa - r->gpa));
		return r->hva + (gpa - r->gpa);
	}
	*bytes = 0;
	return NULL;
}

void *guest_memory_at(const struct guest_memory *mem, uint64_t gpa, uint64_t bytes)
{
	uint64_t got = bytes;
	void *hva = guest_memory_span(mem, gpa, &got);

	return bytes && got == bytes ? hva : NULL;
}

bool guest_memory_gpa(const struct guest_memory *mem, const void *hva, uint64_t bytes,
		      uint64_t *gpa)
{
	uintptr_t at = (uintptr_t)hva;

	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct guest_region *r = &mem->region[i];
		uintptr_t base = (uintptr_t)r->hva;

		if (at < base || !bytes || !okl4_range_ok(at - base, bytes, r->bytes))
			continue;
		*gpa = r->gpa + (at - base);
		return true;
	}
	return false;
}

uint64_t guest_memory_bytes(const struct guest_memory *mem)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < mem->n_regions; i++)
		bytes += mem->region[i].bytes;
	return bytes;
}
