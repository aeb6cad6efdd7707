/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memory.h - memory that guest and host share: chunks, and the three memsections of a channel
 */
#ifndef OKL4FS_MEMORY_H
#define OKL4FS_MEMORY_H

#include <linux/list.h>
#include <linux/types.h>

#include <libfs/socketpair.h>

struct okl4_channel;
struct okl4_port;

/**
 * struct okl4_chunks - equal, physically contiguous, naturally aligned pieces of kernel memory
 * @base: start of each
 * @n: how many
 * @order: pages of each, as a power of two
 * @chunk_bytes: bytes of each that are used: a power of two, at least OKL4FS_PAGE_BYTES
 */
struct okl4_chunks {
	void **base;
	u32 n;
	unsigned int order;
	u32 chunk_bytes;
};

/**
 * struct okl4_mem - the memory of one channel, and the guest's end that lives in it
 * @chunks: the memory of ctl, fwd and bwd
 * @sec: the memsections over it
 * @pair: the guest's end: tx is serialised by the channel's tx_lock, rx by its rx_lock
 * @packets: its rings hold messages; constant once a file is open that uses the memory
 * @share_bytes: its part of the bytes of all channels' rings
 * @instance: random number that identifies this memory; never 0
 * @failed: 0, or the status (enum okl4_status, positive) for which the memory is no longer used;
 *	set once, by cmpxchg
 * @holder: the device that may be using this memory, or NULL. Protected by the channel's lock; once
 *	the memory is retired, by the device's control mutex
 * @holder_id: the channel id under which @holder has it
 * @holder_generation: generation of @holder_id
 * @retired: link in the holder's list of memory to be detached and freed, or in the cache
 * @session: once it is retired: the session that had it, with a reference; NULL: a channel had it
 */
struct okl4_mem {
	struct okl4_chunks chunks[OKL4FS_N_SECS];
	struct okl4_memsec sec[OKL4FS_N_SECS];
	struct okl4_socketpair pair;
	bool packets;
	u64 share_bytes;
	u64 instance;
	int failed;
	struct okl4_port *holder;
	u32 holder_id;
	u32 holder_generation;
	struct list_head retired;
	struct okl4_channel *session;
};

/* Parameter: MiB that all rings may have together, or 0: half of the machine's memory */
extern unsigned int okl4_rings_mib;

int okl4_chunks_alloc(struct okl4_chunks *c, u64 bytes);
void okl4_chunks_free(struct okl4_chunks *c);

struct okl4_mem *okl4_mem_new(u64 ring_bytes);
void okl4_mem_free(struct okl4_mem *mem);
struct okl4_mem *okl4_mem_take(u64 ring_bytes);
void okl4_mem_recycle(struct okl4_mem *mem);
void okl4_mem_empty_cache(void);

#endif /* OKL4FS_MEMORY_H */
