/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * socketpair.h - a channel end: two crossed pipes over three memsections
 *
 * The roles are fixed. The guest creates: it lays out the control memsection, once for each piece
 * of memory. The host attaches: it reads the geometry once, checks all of it and keeps a private
 * copy. The guest writes fwd and reads bwd, the host writes bwd and reads fwd.
 */
#ifndef LIBFS_SOCKETPAIR_H
#define LIBFS_SOCKETPAIR_H

#include <libfs/memsec_malloc.h>
#include <libfs/pipe.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct okl4_socketpair - one end of a channel; private memory
 * @tx: the direction this end writes
 * @rx: the direction this end reads
 * @ctl: control memsection; borrowed
 * @heap: allocator (creator only)
 * @instance: as in okl4_ctl_shm
 * @ring_bytes: bytes of each ring
 */
struct okl4_socketpair {
	struct okl4_pipe tx;
	struct okl4_pipe rx;
	const struct okl4_memsec *ctl;
	struct okl4_memsec_heap heap;
	uint64_t instance;
	uint64_t ring_bytes;
};

/**
 * okl4_socketpair_create() - lay out fresh memsections and take the guest's end
 * @s: to be filled
 * @ctl: control memsection, OKL4FS_CTL_BYTES_MIN to OKL4FS_CTL_BYTES_MAX, any content; borrowed
 * @fwd: ring to the host: a power of two, OKL4FS_RING_BYTES_MIN to OKL4FS_RING_BYTES_MAX; borrowed
 * @bwd: ring from the host, as large as @fwd; borrowed
 * @instance: random, not zero
 *
 * Must not run while a peer is attached.
 *
 * Return: 0, -OKL4_ARG, or what okl4_memsec_malloc refused.
 */
int okl4_socketpair_create(struct okl4_socketpair *s, const struct okl4_memsec *ctl,
			   const struct okl4_memsec *fwd, const struct okl4_memsec *bwd,
			   uint64_t instance);

/**
 * okl4_socketpair_attach() - check what a peer created and take the host's end
 * @s: to be filled
 * @ctl: control memsection; borrowed
 * @fwd: ring from the guest; borrowed
 * @bwd: ring to the guest; borrowed
 * @instance: the instance that the control memsection must show
 *
 * May run again on the same memory after the earlier holder of this end has gone; the end then goes
 * on where the cursors are.
 *
 * Return: 0, -OKL4_ARG, -OKL4_CTL_* for a header that is refused, -OKL4_RESUME_CURSORS.
 */
int okl4_socketpair_attach(struct okl4_socketpair *s, const struct okl4_memsec *ctl,
			   const struct okl4_memsec *fwd, const struct okl4_memsec *bwd,
			   uint64_t instance);

#ifdef __cplusplus
}
#endif

#endif /* LIBFS_SOCKETPAIR_H */
