// SPDX-License-Identifier: BSD-3-Clause
/*
 * place.c - how many clients the control socket serves, and which one makes room
 */
#include "control/place.h"

#include <stdio.h>
#include <unistd.h>

/* Some of the clients: those of a user, those with certain rights, or both */
struct group {
	const uid_t *uid; /* NULL: all users */
	enum control_right least, most;
};

static bool is_in(const struct group *g, const struct control_place *p)
{
	return p->right >= g->least && p->right <= g->most && (!g->uid || *g->uid == p->uid);
}

static size_t count_group(const struct control_places *all, const struct group *g)
{
	struct control_place *p;
	size_t n = 0;

	TAILQ_FOREACH(p, all, entry)
	n += is_in(g, p);
	return n;
}

/* The client of a group that leaves first; NULL: none */
static struct control_place *first(const struct control_places *all, const struct group *g,
				   bool also_busy)
{
	struct control_place *p;

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

bool control_place_find(const struct control_places *all, const struct control_place *who,
			struct control_place **leaves, char *why, size_t size)
{
	const struct group strangers = { NULL, CONTROL_NOBODY, CONTROL_NOBODY };
	const struct group readers = { NULL, CONTROL_READER, CONTROL_READER };
	const struct group clients = { NULL, CONTROL_READER, CONTROL_ADMIN };
	const struct group own = { &who->uid, CONTROL_READER, CONTROL_ADMIN };
	bool is_admin = who->right == CONTROL_ADMIN;

	*leaves = NULL;
	if (who->right == CONTROL_NOBODY) {
		if (count_group(all, &strangers) >= CONTROL_MAX_STRANGERS)
			*leaves = first(all, &strangers, true);
		return true;
	}
	if (!may_have_all(who->uid) && count_group(all, &own) >= CONTROL_MAX_OF_USER) {
		*leaves = first(all, &own, is_admin);
		snprintf(why, size,
			 "uid %u has %d clients already, and each one is still reading an "
			 "answer or is subscribed to events",
			 who->uid, CONTROL_MAX_OF_USER);
		return *leaves;
	}
	if (count_group(all, &clients) < CONTROL_MAX_CLIENTS &&
	    (is_admin || count_group(all, &readers) < CONTROL_MAX_READERS))
		return true;
	*leaves = first(all, &readers, is_admin);
	if (!*leaves && is_admin)
		*leaves = first(all, &clients, true);
	snprintf(why, size,
		 "there is no room for more clients: each one is still reading an answer or is "
		 "subscribed to events; try again later");
	return *leaves;
}
