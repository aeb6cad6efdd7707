// SPDX-License-Identifier: BSD-3-Clause
/*
 * joined.c - endpoints `channel`: two channels that name each other
 *
 * All of them are collected with their places in the text and sorted by the channel that they are of;
 * so the partner of each is found by a search.
 */
#include "config/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct side - a channel of a guest
 * @guest, @channel: its names
 * @type: of its endpoint
 * @to_guest: (channel) the guest that it names
 * @to_channel: (channel) its channel
 */
struct side {
	const struct conf_node *guest, *channel, *type, *to_guest, *to_channel;
};

/**
 * struct sides - all channels
 * @side: they
 * @n: how many
 * @size: room
 * @no_memory: it could not grow
 */
struct sides {
	struct side *side;
	size_t n, size;
	bool no_memory;
};

/**
 * string() - a member that is a string
 * @object: object, or something else
 * @key: its key
 *
 * Return: it, or NULL.
 */
static const struct conf_node *string(struct conf_node *object, const char *key)
{
	const struct conf_node *node;

	node = object && object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;
	return node && node->kind == CONF_STRING ? node : NULL;
}

/**
 * add() - one more channel
 * @sides: the others
 * @side: it
 */
static void add(struct sides *sides, const struct side *side)
{
	if (sides->n == sides->size) {
		size_t size = sides->size ? 2 * sides->size : 64;
		void *p = reallocarray(sides->side, size, sizeof(*sides->side));

		if (!p) {
			sides->no_memory = true;
			return;
		}
		sides->side = p;
		sides->size = size;
	}
	sides->side[sides->n++] = *side;
}

/**
 * add_guest() - the channels of a guest
 * @sides: the others
 * @guest: the guest
 */
static void add_guest(struct sides *sides, struct conf_node *guest)
{
	struct side side = { .guest = string(guest, "name") };
	struct conf_node *channels, *channel;

	channels = side.guest ? conf_member(guest, "channels") : NULL;
	if (!channels || channels->kind != CONF_ARRAY)
		return;
	for (channel = channels->first; channel; channel = channel->next) {
		struct conf_node *ep = NULL;

		side.channel = string(channel, "name");
		if (side.channel)
			ep = conf_member(channel, "endpoint");
		side.type = string(ep, "type");
		side.to_guest = string(ep, "guest");
		side.to_channel = string(ep, "channel");
		if (side.type)
			add(sides, &side);
	}
}

/**
 * compare() - for qsort(3), bsearch(3): by guest, then by channel
 * @a: a side
 * @b: the other
 *
 * Return: as they want it.
 */
static int compare(const void *a, const void *b)
{
	const struct side *x = a, *y = b;
	int r = strcmp(x->guest->text, y->guest->text);

	return r ? r : strcmp(x->channel->text, y->channel->text);
}

/**
 * is_bridge() - whether a channel's endpoint is `channel`, as far as it can be read
 * @side: channel
 *
 * Return: true when it is.
 */
static bool is_bridge(const struct side *side)
{
	return !strcmp(side->type->text, "channel") && side->to_guest && side->to_channel;
}

/**
 * check_partner() - the channel that one names
 * @sides: all, sorted
 * @side: one with an endpoint `channel`
 * @errors: told
 */
static void check_partner(const struct sides *sides, const struct side *side,
			  struct conf_errors *errors)
{
	struct side key = { .guest = side->to_guest, .channel = side->to_channel };
	char path[160], guest[160], channel[160];
	const struct side *other = NULL;

	if (sides->n)
		other = bsearch(&key, sides->side, sides->n, sizeof(key), compare);
	conf_quote(side->to_guest->text, guest, sizeof(guest));
	conf_quote(side->to_channel->text, channel, sizeof(channel));
	if (!other)
		conf_error(errors, side->to_channel, "there is no channel %s of a guest %s",
			   channel, guest);
	else if (!compare(other, side))
		conf_error(errors, side->to_channel, "a channel cannot be joined to itself");
	else if (!is_bridge(other) || strcmp(other->to_guest->text, side->guest->text) != 0 ||
		 strcmp(other->to_channel->text, side->channel->text) != 0)
		conf_error(errors, side->to_channel,
			   "channel %s of guest %s (%s) does not name this one back", channel,
			   guest, conf_path(other->channel->parent, path, sizeof(path)));
}

/**
 * check() - check all, and let them go
 * @sides: channels
 * @only: only those that name a guest of this name; NULL: all
 * @errors: told
 *
 * Return: 0 or -ENOMEM.
 */
static int check(struct sides *sides, const char *only, struct conf_errors *errors)
{
	if (sides->n)
		qsort(sides->side, sides->n, sizeof(*sides->side), compare);
	for (size_t i = 0; i < sides->n; i++) {
		const struct side *side = &sides->side[i];

		if (is_bridge(side) && (!only || !strcmp(side->to_guest->text, only)))
			check_partner(sides, side, errors);
	}
	free(sides->side);
	return sides->no_memory ? -ENOMEM : 0;
}

int config_check_bridges(struct conf_node *root, struct conf_errors *errors)
{
	struct conf_node *guests = root->kind == CONF_OBJECT ? conf_member(root, "guests") : NULL;
	struct sides sides = { .side = NULL };

	if (!guests || guests->kind != CONF_ARRAY)
		return 0;
	for (struct conf_node *guest = guests->first; guest; guest = guest->next)
		add_guest(&sides, guest);
	return check(&sides, NULL, errors);
}

int config_check_bridges_guest(struct conf_node *root, struct conf_errors *errors)
{
	const struct conf_node *name = string(root, "name");
	struct sides sides = { .side = NULL };

	if (!name)
		return 0;
	add_guest(&sides, root);
	return check(&sides, name->text, errors);
}
