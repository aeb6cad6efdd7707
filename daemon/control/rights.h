/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rights.h - which user a client of the control socket has, and what it may do (private to control)
 *
 * Clients of root and of the daemon's own user may call every method. If the configuration has neither
 * `control.readers` nor `control.admins`, so may every client that the socket's mode and group let in.
 * If it has one of the two, other users may change something only if they are in `admins`, and look only
 * if they are in `readers` or in `admins`; without `readers`, every client that is let in may look.
 */
#ifndef OKL4FSD_CONTROL_RIGHTS_H
#define OKL4FSD_CONTROL_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

/** enum control_right - what a client may do; each right includes those before it */
enum control_right {
	CONTROL_NOBODY, /* nothing */
	CONTROL_READER, /* look */
	CONTROL_ADMIN, /* change something */
};

/**
 * struct control_peer - the process that connected, as it was then (unix(7): SO_PEERCRED, SO_PEERGROUPS)
 * @pid: process
 * @uid: its effective user
 * @groups: its effective group, and its supplementary ones
 * @n_groups: how many
 */
struct control_peer {
	pid_t pid;
	uid_t uid;
	gid_t *groups;
	size_t n_groups;
};

/** control_peer_init() - ask the kernel; Return: 0 or -errno, with nothing to free */
int control_peer_init(struct control_peer *peer, int fd);

/** control_peer_deinit() - free the list of groups */
void control_peer_deinit(struct control_peer *peer);

/**
 * struct control_ids - users and groups by number
 * @given: the configuration has such a list; else all of this is empty
 * @users: users
 * @n_users: how many
 * @groups: groups
 * @n_groups: how many
 */
struct control_ids {
	bool given;
	uid_t *users;
	size_t n_users;
	gid_t *groups;
	size_t n_groups;
};

/** struct control_rights - which users and groups may do what */
struct control_rights {
	struct control_ids readers, admins;
};

/**
 * control_rights_init() - look up the names of a configuration
 * @rights: out
 * @cfg: configuration; a name that is no longer known gets no rights, and a log line
 */
void control_rights_init(struct control_rights *rights, const struct config *cfg);

/** control_rights_deinit() - free the lists */
void control_rights_deinit(struct control_rights *rights);

/** control_rights_of() - what a client may do */
enum control_right control_rights_of(const struct control_rights *rights,
				     const struct control_peer *peer);

#endif
