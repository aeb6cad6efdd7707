// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - memory that guest and host share
 *
 * A memsection consists of chunks, as few and as large as can be got: the host then copies over
 * long stretches, and ATTACH is short. When memory is fragmented the chunks get smaller, down to a
 * page. Only when there are not enough single pages does the open fail, and only the opener
 * notices: no warning in the log, no OOM killer. Taking page after page until none is left would
 * bring the OOM killer upon other processes, so memory that is plainly not available is not asked
 * for, and a reserve is left. Rings are charged to the memory cgroup of the opener, and a parameter
 * of the module limits all of them together. The pages are not compound: an I/O may run from one
 * chunk into an adjacent one, and hardened usercopy would take that for an overrun.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "memory.h"

unsigned int okl4_rings_mib;

static atomic64_t rings_bytes; /* of all channels */

/*
 * Memory of sessions that have ended, so that an open need not look for pages: so many pieces at
 * most, with so many bytes of rings each at most. It stays charged to the cgroup of its first user
 */
#define CACHED_MAX   8
#define CACHED_BYTES (512UL << 10)

static LIST_HEAD(cache); /* protected by cache_lock, as is n_cached */
static unsigned int n_cached;
static DEFINE_SPINLOCK(cache_lock);

static void free_first(struct okl4_chunks *c, u32 n)
{
	while (n--)
		free_pages((unsigned long)c->base[n], c->order);
}

/* Return: true when all chunks are there; else none is */
static bool alloc_in_order(struct okl4_chunks *c, u64 bytes, unsigned int order)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
		    (order ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
	u32 i;

	c->order = order;
	c->chunk_bytes = min_t(u64, bytes, PAGE_SIZE << order);
	c->n = div_u64(bytes, c->chunk_bytes);

	for (i = 0; i < c->n; i++) {
		c->base[i] = (void *)__get_free_pages(gfp, order);
		if (!c->base[i]) {
			free_first(c, i);
			return false;
		}
		cond_resched();
	}
	return true;
}

/**
 * okl4_chunks_alloc() - allocate zeroed memory in equal chunks, as large as can be got
 * @c: to be filled
 * @bytes: a power of two, at least OKL4FS_PAGE_BYTES
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM with @c empty (it may be given to okl4_chunks_free()).
 */
int okl4_chunks_alloc(struct okl4_chunks *c, u64 bytes)
{
	int order = min_t(int, get_order(bytes), OKL4_MAX_ORDER);
	u32 most = max_t(u64, bytes >> PAGE_SHIFT, 1);
	u32 i;

	memset(c, 0, sizeof(*c));
	if (bytes >> PAGE_SHIFT > max(si_mem_available(), 0L))
		return -ENOMEM;
	c->base = kvcalloc(most, sizeof(*c->base),
			   GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!c->base)
		return -ENOMEM;

	while (order >= 0 && !alloc_in_order(c, bytes, order))
		order--;
	if (order < 0) {
		c->n = 0;
		okl4_chunks_free(c);
		return -ENOMEM;
	}
	for (i = 0; i < c->n; i++) {
		memset(c->base[i], 0, PAGE_SIZE << c->order);
		cond_resched();
	}
	return 0;
}

/**
 * okl4_chunks_free() - free what okl4_chunks_alloc() gave
 * @c: chunks, may be empty; empty afterwards
 *
 * Context: process context.
 */
void okl4_chunks_free(struct okl4_chunks *c)
{
	free_first(c, c->n);
	kvfree(c->base);
	memset(c, 0, sizeof(*c));
}

/* What rings leave free for others: a 64th of the machine, at most 64 MiB */
static long reserve_pages(void)
{
	return min_t(long, totalram_pages() / 64, (64L << 20) >> PAGE_SHIFT);
}

/* Return: 0; -ENOSPC: all rings would exceed okl4_rings_mib; -ENOMEM: too little memory is free */
static int take_share(u64 bytes)
{
	u64 mib = READ_ONCE(okl4_rings_mib);
	u64 most = mib ? mib << 20 : (u64)(totalram_pages() / 2) << PAGE_SHIFT;

	if ((long)(bytes >> PAGE_SHIFT) + reserve_pages() > si_mem_available())
		return -ENOMEM;
	if (atomic64_add_return(bytes, &rings_bytes) <= (s64)most)
		return 0;
	atomic64_sub(bytes, &rings_bytes);
	return -ENOSPC;
}

/* After a failure, too, the caller frees @mem with okl4_mem_free() */
static int lay_out(struct okl4_mem *mem, u64 ring_bytes)
{
	int i, err;

	for (i = 0; i < OKL4FS_N_SECS; i++) {
		struct okl4_chunks *c = &mem->chunks[i];

		err = okl4_chunks_alloc(c, i == OKL4FS_SEC_CTL ? OKL4FS_CTL_BYTES_MIN : ring_bytes);
		if (err)
			return err;
		if (okl4_memsec_init(&mem->sec[i], c->base, c->n, c->chunk_bytes))
			return -EINVAL;
	}
	if (okl4_socketpair_create(&mem->pair, &mem->sec[OKL4FS_SEC_CTL], &mem->sec[OKL4FS_SEC_FWD],
				   &mem->sec[OKL4FS_SEC_BWD], mem->instance))
		return -EINVAL;
	return 0;
}

static void set_instance(struct okl4_mem *mem)
{
	do {
		mem->instance = get_random_u64();
	} while (!mem->instance);
}

static struct okl4_mem *try_new(u64 ring_bytes)
{
	struct okl4_mem *mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	int err;

	if (!mem)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&mem->retired);
	set_instance(mem);

	err = take_share(2 * ring_bytes);
	if (!err) {
		mem->share_bytes = 2 * ring_bytes;
		err = lay_out(mem, ring_bytes);
	}
	if (err) {
		okl4_mem_free(mem);
		return ERR_PTR(err);
	}
	return mem;
}

/**
 * okl4_mem_free() - free the memory of a channel
 * @mem: memory that no device and no file uses; NULL is allowed
 *
 * Context: process context.
 */
void okl4_mem_free(struct okl4_mem *mem)
{
	int i;

	if (!mem)
		return;
	for (i = 0; i < OKL4FS_N_SECS; i++)
		okl4_chunks_free(&mem->chunks[i]);
	atomic64_sub(mem->share_bytes, &rings_bytes);
	kfree(mem);
}

/**
 * okl4_mem_empty_cache() - free what okl4_mem_recycle() has kept
 *
 * Context: may sleep.
 */
void okl4_mem_empty_cache(void)
{
	struct okl4_mem *mem, *next;
	LIST_HEAD(all);

	spin_lock(&cache_lock);
	list_splice_init(&cache, &all);
	n_cached = 0;
	spin_unlock(&cache_lock);
	list_for_each_entry_safe(mem, next, &all, retired)
		okl4_mem_free(mem);
}

/**
 * okl4_mem_new() - make the memory of a channel
 * @ring_bytes: a power of two, OKL4FS_RING_BYTES_MIN to OKL4FS_RING_BYTES_MAX
 *
 * Context: may sleep.
 * Return: the memory, which no channel has yet, or an error pointer: -ENOMEM, or -ENOSPC when all
 * rings together would exceed okl4_rings_mib.
 */
struct okl4_mem *okl4_mem_new(u64 ring_bytes)
{
	struct okl4_mem *mem = try_new(ring_bytes);

	if (!IS_ERR(mem) || !READ_ONCE(n_cached))
		return mem;
	okl4_mem_empty_cache();
	return try_new(ring_bytes);
}

/**
 * okl4_mem_take() - the memory of a session: some that another had, or new memory
 * @ring_bytes: as for okl4_mem_new()
 *
 * Only the control memsection is laid out anew. What lies in the rings does no harm: the host can
 * see all of the guest's memory at any time, and a reader in the guest sees only what lies below
 * the cursor of this session's writer.
 *
 * Context: may sleep.
 * Return: as okl4_mem_new().
 */
struct okl4_mem *okl4_mem_take(u64 ring_bytes)
{
	struct okl4_mem *mem, *found = NULL;

	spin_lock(&cache_lock);
	list_for_each_entry(mem, &cache, retired) {
		if (mem->pair.ring_bytes != ring_bytes)
			continue;
		found = mem;
		list_del_init(&mem->retired);
		n_cached--;
		break;
	}
	spin_unlock(&cache_lock);
	if (!found)
		return okl4_mem_new(ring_bytes);
	set_instance(found);
	found->failed = 0;
	found->holder = NULL;
	if (!okl4_socketpair_create(&found->pair, &found->sec[OKL4FS_SEC_CTL],
				    &found->sec[OKL4FS_SEC_FWD], &found->sec[OKL4FS_SEC_BWD],
				    found->instance))
		return found;
	okl4_mem_free(found);
	return okl4_mem_new(ring_bytes);
}

/**
 * okl4_mem_recycle() - give back the memory of a session: the next one may have it
 * @mem: as for okl4_mem_free()
 *
 * Context: process context.
 */
void okl4_mem_recycle(struct okl4_mem *mem)
{
	bool kept = false;

	if (mem->share_bytes <= CACHED_BYTES) {
		spin_lock(&cache_lock);
		kept = n_cached < CACHED_MAX;
		if (kept) {
			list_add(&mem->retired, &cache);
			n_cached++;
		}
		spin_unlock(&cache_lock);
	}
	if (!kept)
		okl4_mem_free(mem);
}
