/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library.h - DPDK's vhost library, behind a socket of this process
 *
 * The only user of DPDK, and of its public functions alone. The library listens on one private
 * socket, registered at the start and never given up. For each frontend there is one connection to
 * it. What a frontend says reaches the library as messages that front.c has judged, one at a time,
 * each of which is answered. So between an answer and the next message nothing about a connection
 * changes, and the library can be asked how things are on the thread of the guest's worker.
 *
 * The library tells a number (vid) for each connection, not which connection it is of. So they are
 * made one after the other: the next one when the library has taken this one, or has refused it.
 *
 * The library's own thread looks round once a second (its own doing). It is the only one that waits
 * for another thread: for a worker, when the library ends a connection by itself (it has run out of
 * memory), since it unmaps the guest's memory then.
 */
#ifndef OKL4FSD_VHOST_LIBRARY_H
#define OKL4FSD_VHOST_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "vhost/message.h"

/**
 * struct vhost_ring - one queue as the frontend has set it up
 * @ready: it is complete and enabled
 * @size: entries
 * @desc: descriptor table, mapped but unchecked
 * @avail: available ring, likewise
 * @used: used ring, likewise
 * @kick_fd: eventfd, the library's: dup(2) it to keep it
 */
struct vhost_ring {
	bool ready;
	unsigned int size;
	void *desc, *avail, *used;
	int kick_fd;
};

/**
 * struct vhost_library_ops - what the owner of a connection is told; all on its loop
 * @opened: the library has taken the connection; or -ECONNREFUSED, -errno
 * @answered: it has carried out the message that was sent; @reply has its 8 bytes
 * @closed: it has ended the connection; guest memory is gone when this returns
 * @memory_lost: guest memory was taken away, zeros are in its place (sigbus.h)
 */
struct vhost_library_ops {
	void (*opened)(void *owner, int r);
	void (*answered)(void *owner, const struct vhost_message *reply);
	void (*closed)(void *owner);
	void (*memory_lost)(void *owner);
};

struct vhost_library;

/**
 * vhost_library_init() - start DPDK, and have its vhost library listen
 * @folder: where this process may make a folder for a moment
 *
 * Once, on main, before any worker. Return: 0 or -errno, with a log line.
 */
int vhost_library_init(const char *folder);

/** vhost_library_max_folder() - how many bytes the name of that folder may have */
size_t vhost_library_max_folder(void);

/** vhost_library_open() - begin a connection; its loop's thread; Return: 0 or -errno */
int vhost_library_open(struct vhost_library **library, struct loop *loop,
		       const struct vhost_library_ops *ops, void *owner);

/**
 * vhost_library_close() - end a connection; nothing is told from here on, and guest memory is not
 * to be touched any longer; its loop's thread; NULL is allowed; Return: NULL
 */
struct vhost_library *vhost_library_close(struct vhost_library *library);

/**
 * vhost_library_send() - have a message carried out; answered() follows
 * @library: connection that is open, with no message under way
 * @msg: message that was judged
 * @fds: its descriptors; the caller's
 * @n_fds: how many
 *
 * Return: 0 or -errno.
 */
int vhost_library_send(struct vhost_library *library, const struct vhost_message *msg,
		       const int *fds, unsigned int n_fds);

/** vhost_library_drop_memory() - guest memory is about to be replaced: it is watched no longer */
void vhost_library_drop_memory(struct vhost_library *library);

/**
 * vhost_library_memory() - what SET_MEM_TABLE has mapped, and watch it
 * @library: connection
 * @memory: out
 *
 * Return: NULL, or what is wrong; static memory.
 */
const char *vhost_library_memory(struct vhost_library *library, struct guest_memory *memory);

/** vhost_library_ring() - where a queue lies; not ready if the library does not know all of it */
struct vhost_ring vhost_library_ring(struct vhost_library *library, unsigned int queue);

/** vhost_library_set_next() - how far a queue was served, for the answer to GET_VRING_BASE */
void vhost_library_set_next(struct vhost_library *library, unsigned int queue, uint16_t next);

/** vhost_library_call() - notify the driver of a queue; Return: 0, or -EAGAIN: soon again */
int vhost_library_call(struct vhost_library *library, unsigned int queue);

/** vhost_library_memory_is_lost() - memory_lost() was called, or will be */
bool vhost_library_memory_is_lost(const struct vhost_library *library);

/** vhost_library_stuck_ms() - for how long the oldest answer is outstanding; 0: none; any thread */
uint64_t vhost_library_stuck_ms(void);

#endif
