// SPDX-License-Identifier: BSD-3-Clause
/*
 * place.c - for how many clients of the control socket there is room, and who makes room
 */
#include "control/place.h"

#include <stdio.h>
#include <unistd.h>

/* struct group - a part of the clients: those of one user, or those with a right up to some right */
struct group {
	const uid_t *uid; /* NULL: of all users */
	enum rpc_right least, most;
};

static bool is_in(const struct group *g, const struct rpc_place *p)
{
	return p->right >= g->least && p->right <= g->most && (!g->uid || *g->uid == p->uid);
}

static size_t count(const struct rpc_places *all, const struct group *g)
{
	struct rpc_place *p;
	size_t n = 0;

	TAILQ_FOREACH(p, all, entry)
	n += is_in(g, p);
	return n;
}

/* The one of a group that leaves first; NULL: nobody there does */
static struct rpc_place *first(const struct rpc_places *all, const struct group *g, bool also_busy)
{
	struct rpc_place *p;

	TAILQ_FOREACH(p, all, entry)
	{
		if (is_in(g, p) && !p->busy)
			return p;
	}
	TAILQ_FOREACH(p, all, entry)
	{
		if (also_busy && is_in(g, p))
			return p;
	}
	return NULL;
}

static bool may_have_all(uid_t uid)
{
	return !uid || uid == geteuid();
}

bool rpc_place_find(const struct rpc_places *all, const struct rpc_place *who,
		    struct rpc_place **leaves, char *why, size_t size)
{
	const struct group strangers = { NULL, RPC_NOBODY, RPC_NOBODY };
	const struct group readers = { NULL, RPC_READER, RPC_READER };
	const struct group clients = { NULL, RPC_READER, RPC_ADMIN };
	const struct group own = { &who->uid, RPC_READER, RPC_ADMIN };
	bool is_admin = who->right == RPC_ADMIN;

	*leaves = NULL;
	if (who->right == RPC_NOBODY) {
		if (count(all, &strangers) >= RPC_MAX_STRANGERS)
			*leaves = first(all, &strangers, true);
		return true;
	}
	if (!may_have_all(who->uid) && count(all, &own) >= RPC_MAX_OF_USER) {
		*leaves = first(all, &own, is_admin);
		snprintf(why, size,
			 "uid %u has %d clients already, and each has an answer to take or is "
			 "told of events",
			 who->uid, RPC_MAX_OF_USER);
		return *leaves;
	}
	if (count(all, &clients) < RPC_MAX_CLIENTS &&
	    (is_admin || count(all, &readers) < RPC_MAX_READERS))
		return true;
	*leaves = first(all, &readers, is_admin);
	if (!*leaves && is_admin)
		*leaves = first(all, &clients, true);
	snprintf(why, size,
		 "there is no room for more clients, and each has an answer to take or is told of "
		 "events; try again later");
	return *leaves;
}
