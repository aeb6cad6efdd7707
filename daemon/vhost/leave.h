/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leave.h - DPDK forgets sockets, in a thread that nobody waits for
 *
 * rte_vhost_driver_unregister() waits, busily, for DPDK's vhost thread when that handles a message
 * of a connection of the socket. So it is called here, one socket after the other.
 */
#ifndef OKL4FSD_VHOST_LEAVE_H
#define OKL4FSD_VHOST_LEAVE_H

#include <stddef.h>
#include <sys/queue.h>

/**
 * struct vhost_leave - a socket that is to be forgotten; the owner's storage
 * @path: as DPDK knows it; NULL: nothing is to be forgotten, only @done is to come in its turn
 * @done: called on the thread afterwards; may free the storage
 * @arg: its argument
 */
struct vhost_leave {
	const char *path;
	void (*done)(void *arg);
	void *arg;
	/* private */
	STAILQ_ENTRY(vhost_leave) entry;
};

/** vhost_leave_init() - start the thread; once, on main; Return: 0 or -errno */
int vhost_leave_init(void);

/** vhost_leave() - forget a socket soon; in the order of the calls; any thread, it does not wait */
void vhost_leave(struct vhost_leave *leave);

#endif
