// SPDX-License-Identifier: BSD-3-Clause
/*
 * rights.c - which user a client of the control socket has, and what it may do
 */
#include "control/rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/account.h"
#include "util/log.h"

/* The supplementary groups; the process's own group is there already */
static int add_groups(struct control_peer *peer, int fd)
{
	socklen_t bytes = 0;
	gid_t *groups;

	/* Without room for any group, the kernel says how much it takes. */
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes))
		return 0;
	if (errno != ERANGE)
		return -errno;
	groups = realloc(peer->groups, sizeof(gid_t) + bytes);
	if (!groups)
		return -ENOMEM;
	peer->groups = groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &bytes))
		return -errno;
	peer->n_groups += bytes / sizeof(gid_t);
	return 0;
}

int control_peer_init(struct control_peer *peer, int fd)
{
	struct ucred cred;
	socklen_t bytes = sizeof(cred);
	int r;

	*peer = (struct control_peer){ .n_groups = 1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &bytes))
		return -errno;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->groups = malloc(sizeof(gid_t));
	if (!peer->groups)
		return -ENOMEM;
	peer->groups[0] = cred.gid;
	r = add_groups(peer, fd);
	if (r)
		control_peer_deinit(peer);
	return r;
}

void control_peer_deinit(struct control_peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->n_groups = 0;
}

/* The name was known when the configuration was read. */
static void log_unknown(const char *kind, const char *name, int r)
{
	log_err("control: %s %s has no rights: %s", kind, name,
		r == -ESRCH ? "the system does not know it" : strerror(-r));
}

static void ids_init(struct control_ids *ids, const struct principals *names)
{
	*ids = (struct control_ids){ .given = names->given };
	ids->users = calloc(names->n_users + 1, sizeof(*ids->users));
	ids->groups = calloc(names->n_groups + 1, sizeof(*ids->groups));
	if (!ids->users || !ids->groups) {
		log_err("control: out of memory; only root has rights");
		return;
	}
	for (size_t i = 0; i < names->n_users; i++) {
		int r = account_uid(names->users[i], &ids->users[ids->n_users]);

		ids->n_users += !r;
		if (r)
			log_unknown("user", names->users[i], r);
	}
	for (size_t i = 0; i < names->n_groups; i++) {
		int r = account_gid(names->groups[i], &ids->groups[ids->n_groups]);

		ids->n_groups += !r;
		if (r)
			log_unknown("group", names->groups[i], r);
	}
}

static void ids_deinit(struct control_ids *ids)
{
	free(ids->users);
	free(ids->groups);
}

void control_rights_init(struct control_rights *rights, const struct config *cfg)
{
	ids_init(&rights->readers, &cfg->control_readers);
	ids_init(&rights->admins, &cfg->control_admins);
}

void control_rights_deinit(struct control_rights *rights)
{
	ids_deinit(&rights->readers);
	ids_deinit(&rights->admins);
}

static bool among(const struct control_ids *ids, const struct control_peer *peer)
{
	for (size_t i = 0; i < ids->n_users; i++) {
		if (ids->users[i] == peer->uid)
			return true;
	}
	for (size_t i = 0; i < ids->n_groups; i++) {
		for (size_t j = 0; j < peer->n_groups; j++) {
			if (ids->groups[i] == peer->groups[j])
				return true;
		}
	}
	return false;
}

enum control_right control_rights_of(const struct control_rights *rights,
				     const struct control_peer *peer)
{
	if (!peer->uid || peer->uid == geteuid())
		return CONTROL_ADMIN;
	if (!rights->readers.given && !rights->admins.given)
		return CONTROL_ADMIN;
	if (among(&rights->admins, peer))
		return CONTROL_ADMIN;
	return !rights->readers.given || among(&rights->readers, peer) ? CONTROL_READER :
									 CONTROL_NOBODY;
}
