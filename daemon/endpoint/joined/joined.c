/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * joined.c - the endpoint `channel`: another guest, or another channel of this one
 *
 * Each of the two endpoints names the other. Whoever is made second finds the first one here and
 * joins; until then, and when one of them goes, the other waits: its guest's words are not touched,
 * its bytes stay in the rings, and what is known of the bridge lies in its file.
 *
 * Two guests are joined only while they belong to the same worker (server_place.c sees to it), so no
 * lock is taken while bytes move. The list of all endpoints has one, held for a moment when an
 * endpoint comes or goes.
 */
#include "endpoint/joined/joined.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct bridge - endpoint
 * @ep: common part
 * @mine: this side
 * @other: the other side
 * @pair: both, when they are joined
 * @side: which of the two this is
 * @joins: times it was joined
 * @partner: the other endpoint, while there is @pair
 * @next: next of all; protected by bridges_lock
 * @loop: its worker; NULL between leave() and enter(); protected by bridges_lock
 */
struct bridge {
	struct endpoint ep;
	struct bridge_name mine, other;
	struct bridge_pair *pair;
	unsigned int side;
	uint64_t joins;
	struct bridge *partner;
	struct bridge *next;
	const struct loop *loop;
};

static pthread_mutex_t bridges_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bridge *bridges;

/**
 * set_loop() - let others see which worker an endpoint belongs to
 * @b: endpoint
 * @loop: the worker's, or NULL
 */
static void set_loop(struct bridge *b, const struct loop *loop)
{
	pthread_mutex_lock(&bridges_lock);
	b->loop = loop;
	pthread_mutex_unlock(&bridges_lock);
}

/**
 * find_partner() - the endpoint that this one names and that names it
 * @b: endpoint
 *
 * Return: it, when it is on the same worker (on whose thread this runs); else NULL.
 */
static struct bridge *find_partner(const struct bridge *b)
{
	struct bridge *at;

	pthread_mutex_lock(&bridges_lock);
	for (at = bridges; at; at = at->next) {
		if (at->loop == b->loop && at != b && !bridge_name_compare(&at->mine, &b->other) &&
		    !bridge_name_compare(&at->other, &b->mine))
			break;
	}
	pthread_mutex_unlock(&bridges_lock);
	return at;
}

/**
 * part() - the two are not joined any more
 * @b: endpoint; one that is not joined is allowed
 */
static void part(struct bridge *b)
{
	struct bridge *other = b->partner;

	if (!other)
		return;
	b->pair = other->pair = bridge_pair_free(b->pair);
	b->partner = other->partner = NULL;
	channel_left(b->ep.ch, "it is joined no longer");
	channel_left(other->ep.ch, "its partner has gone");
}

/**
 * join() - join the partner, if it is there
 * @b: endpoint that is not joined
 *
 * Return: 0, or -errno with a log line.
 */
static int join(struct bridge *b)
{
	struct bridge *other = find_partner(b), *side[2];
	int r;

	if (!other || other->pair)
		return 0;
	b->side = bridge_name_compare(&b->mine, &b->other) > 0;
	other->side = !b->side;
	side[b->side] = b;
	side[other->side] = other;
	r = bridge_pair_new(&b->pair, (struct channel *[2]){ side[0]->ep.ch, side[1]->ep.ch },
			    (struct bridge_name[2]){ side[0]->mine, side[1]->mine });
	if (r)
		return r;
	other->pair = b->pair;
	b->partner = other;
	other->partner = b;
	for (int i = 0; i < 2; i++) {
		side[i]->joins++;
		channel_joined(side[i]->ep.ch);
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (channel_usable(side[i]->ep.ch))
			bridge_pair_up(b->pair, i);
	}
	return 0;
}

/**
 * up() - the memory is there
 * @arg: endpoint
 * @fresh: no difference: the file tells
 */
static void up(void *arg, bool fresh)
{
	struct bridge *b = arg;

	if (b->pair)
		bridge_pair_up(b->pair, b->side);
}

/**
 * down() - the memory is not there any more
 * @arg: endpoint
 * @gone: for good
 */
static void down(void *arg, bool gone)
{
	struct bridge *b = arg;

	if (b->pair)
		bridge_pair_down(b->pair, b->side, gone);
}

/**
 * woken() - the guest has rung
 * @arg: endpoint
 */
static void woken(void *arg)
{
	struct bridge *b = arg;

	if (b->pair)
		bridge_pair_woken(b->pair, b->side);
}

static const struct channel_endpoint_ops channel_ops = {
	.up = up,
	.down = down,
	.woken = woken,
	.delivers = true,
};

/**
 * bridge_new() - see struct endpoint_ops
 * @out: out
 * @cfg: configuration
 * @ch: channel
 *
 * Return: 0 or -errno, with a log line.
 */
static int bridge_new(struct endpoint **out, const struct endpoint_config *cfg, struct channel *ch)
{
	struct bridge *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->ep.ops = &endpoint_channel;
	b->ep.ch = ch;
	snprintf(b->mine.guest, sizeof(b->mine.guest), "%s", ch->guest_name);
	snprintf(b->mine.channel, sizeof(b->mine.channel), "%s", ch->cfg->name);
	snprintf(b->other.guest, sizeof(b->other.guest), "%s", cfg->guest);
	snprintf(b->other.channel, sizeof(b->other.channel), "%s", cfg->channel);
	if (!bridge_name_compare(&b->mine, &b->other)) {
		channel_log(ch, LOG_LEVEL_ERR, "it cannot be joined to itself");
		free(b);
		return -EINVAL;
	}
	pthread_mutex_lock(&bridges_lock);
	b->next = bridges;
	b->loop = ch->loop;
	bridges = b;
	pthread_mutex_unlock(&bridges_lock);
	channel_bind(ch, &channel_ops, b);
	r = join(b);
	if (r)
		endpoint_free(&b->ep);
	else
		*out = &b->ep;
	return r;
}

/**
 * bridge_info() - joined, when the other guest is there
 * @ep: endpoint
 * @info: to be filled
 */
static void bridge_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct bridge *b = (const struct bridge *)ep;

	*info = (struct endpoint_info){
		.joined = b->pair && b->pair->up[!b->side],
		.clients = b->joins,
	};
}

/**
 * bridge_leave() - see struct endpoint_ops
 * @ep: endpoint
 */
static void bridge_leave(struct endpoint *ep)
{
	struct bridge *b = (struct bridge *)ep;

	part(b);
	set_loop(b, NULL);
}

/**
 * bridge_enter() - see struct endpoint_ops
 * @ep: endpoint
 *
 * Return: 0, or -errno with a log line.
 */
static int bridge_enter(struct endpoint *ep)
{
	struct bridge *b = (struct bridge *)ep;

	set_loop(b, ep->ch->loop);
	return join(b);
}

/**
 * bridge_removed() - see struct endpoint_ops
 * @ep: endpoint
 */
static void bridge_removed(struct endpoint *ep)
{
	struct bridge *b = (struct bridge *)ep;
	struct bridge_name name[2] = { b->mine, b->other };

	if (bridge_name_compare(&b->mine, &b->other) > 0) {
		name[0] = b->other;
		name[1] = b->mine;
	}
	bridge_file_remove(name);
}

/**
 * bridge_free() - see struct endpoint_ops
 * @ep: endpoint
 */
static void bridge_free(struct endpoint *ep)
{
	struct bridge *b = (struct bridge *)ep, **at;

	part(b);
	pthread_mutex_lock(&bridges_lock);
	for (at = &bridges; *at != b; at = &(*at)->next)
		;
	*at = b->next;
	pthread_mutex_unlock(&bridges_lock);
	free(b);
}

bool bridge_links(const char *guest, const char *other)
{
	struct bridge *at;

	pthread_mutex_lock(&bridges_lock);
	for (at = bridges; at; at = at->next) {
		if ((!strcmp(at->mine.guest, guest) && !strcmp(at->other.guest, other)) ||
		    (!strcmp(at->mine.guest, other) && !strcmp(at->other.guest, guest)))
			break;
	}
	pthread_mutex_unlock(&bridges_lock);
	return at;
}

const struct endpoint_ops endpoint_channel = {
	.type = ENDPOINT_CHANNEL,
	.new = bridge_new,
	.info = bridge_info,
	.leave = bridge_leave,
	.enter = bridge_enter,
	.removed = bridge_removed,
	.free = bridge_free,
};
