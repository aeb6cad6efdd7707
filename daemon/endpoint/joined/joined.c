// SPDX-License-Identifier: BSD-3-Clause
/*
 * joined.c - the endpoint `channel`: another guest, or another channel of this one
 *
 * Each of the two endpoints names the other. The one that is made second finds the first one here
 * and joins it; until then, and when one of them goes, the other waits: its guest's words are not
 * touched, its bytes stay in the rings, and what is known of the pair lies in its file.
 *
 * Two guests are joined only while they belong to the same worker (server/place.c makes sure), so no
 * lock is taken while bytes move.
 */
#include <errno.h>
#include <stdlib.h>

#include "endpoint/endpoint.h"
#include "endpoint/joined/member.h"
#include "endpoint/joined/pair.h"

struct joined {
	struct endpoint ep;
	struct joined_member member;
	struct joined_pair *pair; /* both, when they are joined */
	unsigned int side; /* which of the two this is */
	uint64_t joins; /* times it was joined */
	struct joined *partner; /* the other endpoint, while there is a pair */
};

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

/* Does nothing while the partner is not there. Return: 0, or -errno with a log line */
static int join_partner(struct joined *b)
{
	struct joined_member *found = joined_member_partner(&b->member);
	struct joined *other = found ? found->owner : NULL, *side[2];
	int r;

	if (!other || other->pair)
		return 0;
	b->side = joined_member_side(&b->member);
	other->side = !b->side;
	side[b->side] = b;
	side[other->side] = other;
	r = joined_pair_new(&b->pair, (struct channel *[2]){ side[0]->ep.ch, side[1]->ep.ch },
			    (struct joined_name[2]){ side[0]->member.mine, side[1]->member.mine },
			    0);
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
	r = joined_member_add(&b->member, ch, cfg, false, b);
	if (r) {
		free(b);
		return r;
	}
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
	joined_member_problem(&b->member, info->error);
}

static void joined_part(struct endpoint *ep)
{
	struct joined *b = (struct joined *)ep;

	part_from(b);
	joined_member_part(&b->member);
}

static void joined_removed(struct endpoint *ep)
{
	const struct joined *b = (const struct joined *)ep;
	struct joined_name name[2];

	joined_member_names(&b->member, name);
	joined_file_remove(name, 0);
}

static void joined_free(struct endpoint *ep)
{
	struct joined *b = (struct joined *)ep;

	part_from(b);
	joined_member_remove(&b->member);
	free(b);
}

const struct endpoint_ops endpoint_channel = {
	.type = ENDPOINT_CHANNEL,
	.new = joined_new,
	.info = joined_info,
	.part = joined_part,
	.removed = joined_removed,
	.free = joined_free,
};
