/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kept.h - a frontend's connection as the service manager keeps it for the next daemon
 *
 * The service manager has, under names that begin with the guest's: `.socket`, the connection;
 * `.record`, what was set up (record.h); and `.NUMBER`, an eventfd. Guest memory is stored without a
 * guest's name (store_share()). A descriptor is stored before the record names it, and removed after
 * the record no longer does. So a kill at any point leaves the former state or the new one, and
 * nothing is kept for long that no record names.
 *
 * QEMU replaces a queue's call descriptor whenever the guest masks or unmasks its interrupt, by one
 * of two. The last few of each queue stay stored, so that the service manager hears of a new one
 * only.
 */
#ifndef OKL4FSD_VHOST_KEPT_H
#define OKL4FSD_VHOST_KEPT_H

#include "vhost/inbox.h"
#include "vhost/record.h"

#define KEPT_CALLS 4 /* call descriptors of a queue that stay stored */
#define KEPT_MAX   (VHOST_MAX_QUEUES * (KEPT_CALLS + 2) + 2)

/** struct kept_event - an eventfd that is stored */
struct kept_event {
	uint32_t number;
	int fd;
};

/**
 * struct kept - one connection
 * @guest: name of its guest; borrowed
 * @socket: the connection; borrowed
 * @record: what was set up
 * @event: eventfds that are stored
 * @n_events: how many
 * @call: numbers of the last call descriptors of each queue, the latest first; 0: none
 * @old_memory: numbers that the record will name no longer
 */
struct kept {
	const char *guest;
	int socket;
	struct record record;
	struct kept_event event[KEPT_MAX];
	unsigned int n_events;
	uint32_t call[VHOST_MAX_QUEUES][KEPT_CALLS];
	uint32_t old_memory[GUEST_MEMORY_MAX_REGIONS];
};

/** kept_begin() - have a new connection kept; Return: 0 or -errno: nothing is kept */
int kept_begin(struct kept *k, const char *guest, int socket);

/**
 * kept_inherit() - what the former daemon has left of a guest's connection
 * @k: out
 * @guest: name of the guest; borrowed
 * @why: out: a connection was left that cannot be taken up, and is removed; static memory; or NULL
 *
 * Main. Return: the connection, which is the caller's; or -1: there is none.
 */
int kept_inherit(struct kept *k, const char *guest, const char **why);

/** kept_inherited() - what the former daemon has left is in use: what is not needed is removed */
void kept_inherited(struct kept *k);

/**
 * kept_fds() - the descriptors of a message that says again what the record has
 * @k: connection
 * @in: message; its descriptors are set, and stay ours: in->n_fds is to be 0 again before they are
 *	closed
 *
 * Return: false: one is missing.
 */
bool kept_fds(const struct kept *k, struct inbox *in);

/**
 * kept_commit() - a message was carried out, or refused
 * @k: connection
 * @in: message, which is still in the socket
 * @said: what has been said now
 * @carried_out: its descriptors are in use now
 * @answer: with VHOST_REPLY_BYTES, or NULL
 *
 * From here on a next daemon goes on behind this message. Return: 0 or -errno.
 */
int kept_commit(struct kept *k, const struct inbox *in, const struct vhost_said *said,
		bool carried_out, const void *answer);

/**
 * kept_conclude() - take the message that was committed out of the socket, and answer it, as far as
 * that has not been done; @strange: as inbox_drop(); Return: 0 or -EIO: the socket takes no answer
 */
int kept_conclude(struct kept *k, bool strange);

/** kept_end() - forget the connection; @remove: also have the service manager forget it */
void kept_end(struct kept *k, bool remove);

#endif
