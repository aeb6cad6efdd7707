/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rights.h - who is at the other end of the control socket, and what he may (private to rpc)
 *
 * Root and the daemon's own user may everything. Without `control.readers` and `control.admins` so
 * may everybody whom the socket's mode and group let in. As soon as one of the two is there, others
 * may change something only if they are in `admins`, and look only if they are in `readers` or in
 * `admins`; without `readers` everybody who is let in may look.
 */
#ifndef OKL4FS_RPC_RIGHTS_H
#define OKL4FS_RPC_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

/** enum rpc_right - what somebody may; each includes those before it */
enum rpc_right {
	RPC_NOBODY, /* nothing */
	RPC_READER, /* look */
	RPC_ADMIN, /* change something */
};

/**
 * struct rpc_peer - who has connected, as he was then (unix(7), SO_PEERCRED and SO_PEERGROUPS)
 * @pid: process
 * @uid: its effective user
 * @groups: its effective group, and its supplementary ones
 * @n_groups: how many
 */
struct rpc_peer {
	pid_t pid;
	uid_t uid;
	gid_t *groups;
	size_t n_groups;
};

/** rpc_peer_init() - ask the kernel; Return: 0 or -errno, with nothing to free */
int rpc_peer_init(struct rpc_peer *peer, int fd);

/** rpc_peer_deinit() - free what belongs to it */
void rpc_peer_deinit(struct rpc_peer *peer);

/**
 * struct rpc_ids - users and groups by number
 * @given: the configuration says who; else the lists are empty
 * @users: users
 * @n_users: how many
 * @groups: groups
 * @n_groups: how many
 */
struct rpc_ids {
	bool given;
	uid_t *users;
	size_t n_users;
	gid_t *groups;
	size_t n_groups;
};

/** struct rpc_rights - who may what */
struct rpc_rights {
	struct rpc_ids readers, admins;
};

/**
 * rpc_rights_init() - look up the names of a configuration
 * @rights: out
 * @cfg: configuration; a name that is not known any more is nobody's, with a log line
 */
void rpc_rights_init(struct rpc_rights *rights, const struct config *cfg);

/** rpc_rights_deinit() - free what belongs to it */
void rpc_rights_deinit(struct rpc_rights *rights);

/** rpc_rights_of() - what somebody may */
enum rpc_right rpc_rights_of(const struct rpc_rights *rights, const struct rpc_peer *peer);

#endif
