// SPDX-License-Identifier: BSD-3-Clause
/*
 * The list of all endpoints `channel` has a lock, held for a moment when one comes or goes, or looks for
 * its partner. Two that are joined belong to the same worker (server/place.c), which alone uses both.
 */
#include "endpoint/joined/member.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "endpoint/endpoint.h"

static pthread_mutex_t joined_lock = PTHREAD_MUTEX_INITIALIZER;
static struct joined_member *joined_all;

int joined_member_add(struct joined_member *m, struct channel *ch,
		      const struct endpoint_config *cfg, bool has_sessions, void *owner)
{
	*m = (struct joined_member){
		.has_sessions = has_sessions,
		.packets = ch->cfg->packets,
		.ring_bytes = ch->cfg->ring_bytes,
		.owner = owner,
	};
	snprintf(m->mine.guest, sizeof(m->mine.guest), "%s", ch->guest_name);
	snprintf(m->mine.channel, sizeof(m->mine.channel), "%s", ch->cfg->name);
	snprintf(m->other.guest, sizeof(m->other.guest), "%s", cfg->guest);
	snprintf(m->other.channel, sizeof(m->other.channel), "%s", cfg->channel);
	if (!joined_name_compare(&m->mine, &m->other)) {
		channel_log(ch, LOG_LEVEL_ERR, "it cannot be joined to itself");
		return -EINVAL;
	}
	pthread_mutex_lock(&joined_lock);
	m->next = joined_all;
	m->loop = ch->loop;
	joined_all = m;
	pthread_mutex_unlock(&joined_lock);
	return 0;
}

void joined_member_remove(struct joined_member *m)
{
	struct joined_member **at;

	pthread_mutex_lock(&joined_lock);
	for (at = &joined_all; *at && *at != m; at = &(*at)->next)
		;
	if (*at)
		*at = m->next;
	pthread_mutex_unlock(&joined_lock);
}

void joined_member_part(struct joined_member *m)
{
	pthread_mutex_lock(&joined_lock);
	m->loop = NULL;
	pthread_mutex_unlock(&joined_lock);
}

/* Return: the one that names @m and is named by it, if it is on this worker; else NULL */
static struct joined_member *find_partner(const struct joined_member *m)
{
	struct joined_member *at;

	pthread_mutex_lock(&joined_lock);
	for (at = joined_all; at; at = at->next) {
		if (at->loop == m->loop && at != m && !joined_name_compare(&at->mine, &m->other) &&
		    !joined_name_compare(&at->other, &m->mine))
			break;
	}
	pthread_mutex_unlock(&joined_lock);
	return at;
}

/* A message goes over whole, so it must find room in either ring */
static bool messages_fit(const struct joined_member *a, const struct joined_member *b)
{
	return a->packets == b->packets && (!a->packets || a->ring_bytes == b->ring_bytes);
}

struct joined_member *joined_member_partner(const struct joined_member *m)
{
	struct joined_member *found = find_partner(m);

	if (!found || found->has_sessions != m->has_sessions || !messages_fit(found, m))
		return NULL;
	return found;
}

void joined_member_problem(const struct joined_member *m, char why[])
{
	const struct joined_member *found = find_partner(m);

	*why = 0;
	if (found && found->has_sessions != m->has_sessions)
		snprintf(why, ENDPOINT_ERROR_BYTES,
			 "channel: %s/%s has %s, so the two cannot be joined: \"sessions\" must be "
			 "given for both or for neither",
			 m->other.guest, m->other.channel,
			 found->has_sessions ? "sessions" : "no sessions");
	else if (found && !messages_fit(found, m))
		snprintf(why, ENDPOINT_ERROR_BYTES,
			 "channel: %s/%s cannot be joined: if one of the two has \"packets\", both "
			 "must have it, and the same \"ring_bytes\"",
			 m->other.guest, m->other.channel);
}

unsigned int joined_member_side(const struct joined_member *m)
{
	return joined_name_compare(&m->mine, &m->other) > 0;
}

void joined_member_names(const struct joined_member *m, struct joined_name name[2])
{
	unsigned int side = joined_member_side(m);

	name[side] = m->mine;
	name[!side] = m->other;
}

bool joined_links(const char *guest, const char *other)
{
	const struct joined_member *at;

	pthread_mutex_lock(&joined_lock);
	for (at = joined_all; at; at = at->next) {
		if ((!strcmp(at->mine.guest, guest) && !strcmp(at->other.guest, other)) ||
		    (!strcmp(at->mine.guest, other) && !strcmp(at->other.guest, guest)))
			break;
	}
	pthread_mutex_unlock(&joined_lock);
	return at;
}
