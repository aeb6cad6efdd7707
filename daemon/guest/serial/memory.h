/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - a channel of a guest without the driver: the daemon's own memsections, and the guest's end
 *
 * The files of this folder, from low to high; each one uses only those before it:
 *
 *	memory  the memsections
 *	pump    the bytes, between a port's socket and the guest's end
 *	port    where the socket comes from, and the channel's life
 */
#ifndef OKL4FSD_GUEST_SERIAL_MEMORY_H
#define OKL4FSD_GUEST_SERIAL_MEMORY_H

#include "channel/channel.h"

/**
 * struct serial_memory - memsections, as the driver would allocate them; all zero: none
 * @map: all of it; NULL: none
 * @map_bytes: its length
 * @chunk: the one chunk of each memsection
 * @sec: the memsections
 * @end: the guest's end: rx is bwd, tx is fwd
 */
struct serial_memory {
	void *map;
	size_t map_bytes;
	void *chunk[OKL4FS_N_SECS];
	struct okl4_memsec sec[OKL4FS_N_SECS];
	struct okl4_socketpair end;
};

/**
 * serial_memory_attach() - allocate memsections, and attach them to a channel that has none
 * @m: none; the channel uses it until it is told to let it go
 * @ch: channel
 *
 * The channel's endpoint may ring before this returns.
 *
 * Return: 0, -ENOMEM, or a negated okl4_status; then @m is none.
 */
int serial_memory_attach(struct serial_memory *m, struct channel *ch);

/** serial_memory_free() - the channel has let go of it; none is allowed */
void serial_memory_free(struct serial_memory *m);

#endif
