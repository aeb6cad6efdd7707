// SPDX-License-Identifier: BSD-3-Clause
/*
 * joined.c - the endpoint `channel`: another guest, or another channel of this one
 *
 * Each of the two endpoints names the other. The one that is made second finds the first one here
 * and joins it; until then, and when one of them goes, the other waits: its guest's words are not
 * touched, its bytes stay in the rings, and what is known of the pair lies in its file.
 *
 * Two guests are joined only while they belong to the same worker (server/place.c makes sure), so no
 * lock is taken while bytes move. The list of all endpoints has a lock, held for a moment when an
 * endpoint comes or goes.
 */
#include "endpoint/joined/joined.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/endpoint.h"
#include "endpoint/joined/pair.h"

struct joined {
	struct endpoint ep;
	struct joined_name mine, other;
	struct joined_pair *pair; /* both, when they are joined */
	unsigned int side; /* which of the two this is */
	uint64_t joins; /* times it was joined */
	struct joined *partner; /* the other endpoint, while there is a pair */
	/* protected by joined_lock */
	struct joined *next; /* of all */
	const struct loop *loop; /* its worker's; NULL between leave() and enter() */
};

static pthread_mutex_t joined_lock = PTHREAD_MUTEX_INITIALIZER;
static struct joined *joined_all;

/* Return: the endpoint that names this one and is named by it, if it is on this worker; else NULL */
static struct joined *find_partner(const struct joined *b)
{
	struct joined *at;

	pthread_mutex_lock(&joined_lock);
	for (at = joined_all; at; at = at->next) {
		if (at->loop == b->loop && at != b && !joined_name_compare(&at->mine, &b->other) &&
		    !joined_name_compare(&at->other, &b->mine))
			break;
	}
	pthread_mutex_unlock(&joined_lock);
	return at;
}

/* An endpoint that is not joined is allowed */
static void part_from(struct joined *b)
{
	struct joined *other = b->partner;

	if (!other)
		return;
	b->pair = other->pair = joined_pair_free(b->pair);
	b->partner = other->partner = NULL;
	channel_left(b->ep.ch, "it is no longer joined", false);
	channel_left(other->ep.ch, "its partner has gone", false);
}

/* A message must find room in either ring */
static bool goes_with(const struct joined *b, const struct joined *other)
{
	const struct channel_config *cfg = b->ep.ch->cfg, *to = other->ep.ch->cfg;

	if (cfg->packets == to->packets && (!cfg->packets || cfg->ring_bytes == to->ring_bytes))
		return true;
	channel_log(
		b->ep.ch, LOG_LEVEL_ERR,
		"it cannot be joined to channel %s of guest %s: if one of them has \"packets\", "
		"both must have it, and the same \"ring_bytes\"",
		other->mine.channel, other->mine.guest);
	return false;
}

/* Does nothing while the partner is not there. Return: 0, or -errno with a log line */
static int join_partner(struct joined *b)
{
	struct joined *other = find_partner(b), *side[2];
	int r;

	if (!other || other->pair)
		return 0;
	if (!goes_with(b, other))
		return -EINVAL;
	b->side = joined_name_compare(&b->mine, &b->other) > 0;
	other->side = !b->side;
	side[b->side] = b;
	side[other->side] = other;
	r = joined_pair_new(&b->pair, (struct channel *[2]){ side[0]->ep.ch, side[1]->ep.ch },
			    (struct joined_name[2]){ side[0]->mine, side[1]->mine });
	if (r)
		return r;
	other->pair = b->pair;
	b->partner = other;
	other->partner = b;
	for (int i = 0; i < 2; i++) {
		side[i]->joins++;
		channel_connected(side[i]->ep.ch);
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (channel_usable(side[i]->ep.ch))
			joined_pair_up(b->pair, i);
	}
	return 0;
}

static void joined_up(void *arg, bool fresh)
{
	struct joined *b = arg;

	if (b->pair)
		joined_pair_up(b->pair, b->side);
}

static void joined_down(void *arg, bool gone)
{
	struct joined *b = arg;

	if (b->pair)
		joined_pair_down(b->pair, b->side, gone);
}

static void joined_woken(void *arg)
{
	struct joined *b = arg;

	if (b->pair)
		joined_pair_woken(b->pair, b->side);
}

static const struct channel_endpoint_ops joined_channel_ops = {
	.up = joined_up,
	.down = joined_down,
	.woken = joined_woken,
	.delivers = true,
};

static int joined_new(struct endpoint **out, const struct endpoint_config *cfg, struct channel *ch)
{
	struct joined *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->ep.ops = &endpoint_channel;
	b->ep.ch = ch;
	snprintf(b->mine.guest, sizeof(b->mine.guest), "%s", ch->guest_name);
	snprintf(b->mine.channel, sizeof(b->mine.channel), "%s", ch->cfg->name);
	snprintf(b->other.guest, sizeof(b->other.guest), "%s", cfg->guest);
	snprintf(b->other.channel, sizeof(b->other.channel), "%s", cfg->channel);
	if (!joined_name_compare(&b->mine, &b->other)) {
		channel_log(ch, LOG_LEVEL_ERR, "it cannot be joined to itself");
		free(b);
		return -EINVAL;
	}
	pthread_mutex_lock(&joined_lock);
	b->next = joined_all;
	b->loop = ch->loop;
	joined_all = b;
	pthread_mutex_unlock(&joined_lock);
	channel_bind(ch, &joined_channel_ops, b);
	r = join_partner(b);
	if (r)
		endpoint_free(&b->ep);
	else
		*out = &b->ep;
	return r;
}

static void joined_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct joined *b = (const struct joined *)ep;

	*info = (struct endpoint_info){
		.connected = b->pair && b->pair->up[!b->side],
		.clients = b->joins,
	};
}

static void joined_part(struct endpoint *ep)
{
	struct joined *b = (struct joined *)ep;

	part_from(b);
	/* From here on no endpoint finds it, so none joins it again. */
	pthread_mutex_lock(&joined_lock);
	b->loop = NULL;
	pthread_mutex_unlock(&joined_lock);
}

static void joined_removed(struct endpoint *ep)
{
	struct joined *b = (struct joined *)ep;
	struct joined_name name[2] = { b->mine, b->other };

	if (joined_name_compare(&b->mine, &b->other) > 0) {
		name[0] = b->other;
		name[1] = b->mine;
	}
	joined_file_remove(name);
}

static void joined_free(struct endpoint *ep)
{
	struct joined *b = (struct joined *)ep, **at;

	part_from(b);
	pthread_mutex_lock(&joined_lock);
	for (at = &joined_all; *at != b; at = &(*at)->next)
		;
	*at = b->next;
	pthread_mutex_unlock(&joined_lock);
	free(b);
}

bool joined_links(const char *guest, const char *other)
{
	struct joined *at;

	pthread_mutex_lock(&joined_lock);
	for (at = joined_all; at; at = at->next) {
		if ((!strcmp(at->mine.guest, guest) && !strcmp(at->other.guest, other)) ||
		    (!strcmp(at->mine.guest, other) && !strcmp(at->other.guest, guest)))
			break;
	}
	pthread_mutex_unlock(&joined_lock);
	return at;
}

const struct endpoint_ops endpoint_channel = {
	.type = ENDPOINT_CHANNEL,
	.new = joined_new,
	.info = joined_info,
	.part = joined_part,
	.removed = joined_removed,
	.free = joined_free,
};
