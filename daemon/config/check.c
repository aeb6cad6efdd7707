// SPDX-License-Identifier: BSD-3-Clause
/*
 * check.c - rules that span several keys
 *
 * Names, socket paths and addresses that must not be there twice: the strings that share a name space
 * are collected with the values that they came from, sorted, and compared with their neighbours.
 *
 * Endpoints `channel`, of which two name each other: all channels are collected and sorted by guest
 * and name, so the partner of each is found by a binary search.
 *
 * In both cases the time does not grow with the square of their number.
 */
#include "config/check.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/read.h"
#include "util/fd.h"

/**
 * struct list - an array that grows
 * @items: struct name or struct side
 * @n: how many
 * @size: room in @items
 * @no_memory: it could not grow
 */
struct list {
	void *items;
	size_t n, size;
	bool no_memory;
};

/**
 * struct name - a string that must not be there twice
 * @node: the value; a string
 * @key: the same for strings that mean the same
 * @is_made: @key is shown in errors, since the value is only a part of it
 */
struct name {
	const struct conf_node *node;
	char *key;
	bool is_made;
};

/**
 * struct side - a channel of a guest
 * @guest, @channel: its names
 * @type: of its endpoint
 * @to_guest, @to_channel: (channel) the guest that it names, and the channel
 * @packets: its key, if it carries messages; else NULL
 * @ring_bytes: of its rings
 */
struct side {
	const struct conf_node *guest, *channel, *type, *to_guest, *to_channel, *packets;
	int64_t ring_bytes;
};

/* Return: one more item, to be filled; NULL: there is no memory */
static void *list_add(struct list *list, size_t item_bytes)
{
	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		void *p = reallocarray(list->items, size, item_bytes);

		if (!p) {
			list->no_memory = true;
			return NULL;
		}
		list->items = p;
		list->size = size;
	}
	return (char *)list->items + list->n++ * item_bytes;
}

static const struct conf_node *string_member(struct conf_node *object, const char *key)
{
	const struct conf_node *node;

	node = object && object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;
	return node && node->kind == CONF_STRING ? node : NULL;
}

/* Return: the first item of an array that is a member, or NULL */
static struct conf_node *first_of_member(struct conf_node *object, const char *key)
{
	struct conf_node *node;

	node = object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;
	return node && node->kind == CONF_ARRAY ? node->first : NULL;
}

/* @key is owned from here on; NULL: there is no memory */
static void add_key(struct list *names, const struct conf_node *node, char *key)
{
	struct name *name = key ? list_add(names, sizeof(*name)) : NULL;

	names->no_memory |= !key;
	if (name)
		*name = (struct name){ .node = node, .key = key };
	else
		free(key);
}

static void add_name(struct list *names, struct conf_node *object)
{
	const struct conf_node *node = string_member(object, "name");

	if (node && node->text_bytes)
		add_key(names, node, strdup(node->text));
}

/* Without what changes nothing: "//", "/./", and "./" at its beginning */
static char *plain_path(const char *path)
{
	char *plain = strdup(path), *to = plain;

	if (!plain)
		return NULL;
	for (const char *from = path; *from;) {
		bool begins = from == path || from[-1] == '/';

		if (begins && from > path && from[0] == '/')
			from++;
		else if (begins && from[0] == '.' && from[1] == '/')
			from += 2;
		else
			*to++ = *from++;
	}
	*to = 0;
	return plain;
}

static void add_path(struct list *names, const struct conf_node *node, size_t skip)
{
	if (node && node->text_bytes)
		add_key(names, node, plain_path(node->text + skip));
}

static void add_address(struct list *names, const struct conf_node *node)
{
	char *key;

	if (!node || !node->text_bytes)
		return;
	if (asprintf(&key, "tcp://%s", node->text) < 0) /* no plain path has "//" */
		key = NULL;
	for (char *at = key; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	add_key(names, node, key);
}

/* For qsort(3): by key, then by place in the text */
static int compare_name_keys(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	if (r)
		return r;
	if (x->node->pos.line != y->node->pos.line)
		return x->node->pos.line < y->node->pos.line ? -1 : 1;
	return x->node->pos.column < y->node->pos.column ? -1 : 1;
}

/* Reports every string that is there twice, and frees the list */
static int check_names(struct list *names, struct conf_errors *errors)
{
	struct name *all = names->items;
	const struct name *first = NULL;
	char path[160], quoted[160];

	if (names->n)
		qsort(all, names->n, sizeof(*all), compare_name_keys);
	for (size_t i = 0; i < names->n; i++) {
		if (first && !strcmp(first->key, all[i].key))
			conf_error(errors, all[i].node, "%s is %s already",
				   conf_quote(all[i].is_made ? all[i].key : all[i].node->text,
					      quoted, sizeof(quoted)),
				   conf_path(first->node, path, sizeof(path)));
		else
			first = &all[i];
	}
	for (size_t i = 0; i < names->n; i++)
		free(all[i].key);
	free(all);
	return names->no_memory ? -ENOMEM : 0;
}

static void add_listener(struct list *names, struct conf_node *endpoint)
{
	const struct conf_node *type = string_member(endpoint, "type");

	if (!type)
		return;
	if (!strcmp(type->text, "unix-listen"))
		add_path(names, string_member(endpoint, "path"), 0);
	else if (!strcmp(type->text, "tcp-listen"))
		add_address(names, string_member(endpoint, "address"));
}

static bool is_mux(struct conf_node *endpoint)
{
	const struct conf_node *type = string_member(endpoint, "type");

	return type && !strcmp(type->text, "mux-listen");
}

/* Both must say the same; @by_default: what one that says nothing means */
static void check_mux_key(const struct name *a, const struct name *b, const char *key,
			  const char *by_default, struct conf_errors *errors)
{
	const struct conf_node *x = string_member(a->node->parent, key);
	const struct conf_node *y = string_member(b->node->parent, key);
	char path[160];

	if (!strcmp(x ? x->text : by_default, y ? y->text : by_default))
		return;
	conf_error(errors, y ? y : b->node,
		   "must have the same \"%s\" as %s, whose socket it shares", key,
		   conf_path(a->node->parent, path, sizeof(path)));
}

/* Channels of a guest can share a socket: it is in @paths once; frees the list */
static int add_muxes(struct list *muxes, struct list *paths, struct conf_errors *errors)
{
	struct name *all = muxes->items, *first = NULL;

	if (muxes->n)
		qsort(all, muxes->n, sizeof(*all), compare_name_keys);
	for (size_t i = 0; i < muxes->n; i++) {
		if (first && !strcmp(first->key, all[i].key)) {
			check_mux_key(first, &all[i], "mode", "0660", errors);
			check_mux_key(first, &all[i], "group", "", errors);
		} else {
			first = &all[i];
			add_path(paths, first->node, 0);
		}
	}
	for (size_t i = 0; i < muxes->n; i++)
		free(all[i].key);
	free(all);
	return muxes->no_memory ? -ENOMEM : 0;
}

static void add_metrics_listener(struct list *names, const struct conf_node *node)
{
	if (node && !strncmp(node->text, "unix:", 5))
		add_path(names, node, 5);
	else
		add_address(names, node);
}

static bool is_serial(struct conf_node *guest)
{
	const struct conf_node *way = string_member(guest, "way");

	return way && !strcmp(way->text, guest_way_name(WAY_SERIAL));
}

/* As config_port_path() */
static void add_port(struct list *names, const struct conf_node *socket,
		     const struct conf_node *name)
{
	_cleanup_free_ char *path = NULL;

	if (!socket || !name)
		return;
	if (asprintf(&path, "%s.%s", socket->text, name->text) < 0)
		path = NULL;
	add_key(names, name, path ? plain_path(path) : NULL);
	if (names->n)
		((struct name *)names->items)[names->n - 1].is_made = true;
}

/* The names of a guest's channels are its own; @paths collects those of its sockets */
static int check_guest_names(struct conf_node *guest, struct list *paths,
			     struct conf_errors *errors)
{
	struct list channels = { .items = NULL }, muxes = { .items = NULL };
	struct conf_node *channel, *endpoint;
	int r, r2;

	if (!is_serial(guest))
		add_path(paths, string_member(guest, "socket"), 0);
	for (channel = first_of_member(guest, "channels"); channel; channel = channel->next) {
		add_name(&channels, channel);
		endpoint = channel->kind == CONF_OBJECT ? conf_member(channel, "endpoint") : NULL;
		if (is_serial(guest))
			add_port(paths, string_member(guest, "socket"),
				 string_member(channel, "name"));
		if (is_mux(endpoint))
			add_path(&muxes, string_member(endpoint, "path"), 0);
		else if (endpoint)
			add_listener(paths, endpoint);
	}
	r = check_names(&channels, errors);
	r2 = add_muxes(&muxes, paths, errors);
	return r ? r : r2;
}

static int64_t ring_bytes_of(struct conf_node *channel)
{
	const struct conf_node *given = conf_member(channel, "ring_bytes");
	struct channel_config defaults;

	if (given && given->is_integer)
		return given->integer;
	config_channel_defaults(&defaults);
	return conf_member(channel, "sessions") ? (int64_t)CONFIG_SESSION_RING_BYTES :
						  (int64_t)defaults.ring_bytes;
}

static void add_sides(struct list *sides, struct conf_node *guest)
{
	struct side side = { .guest = string_member(guest, "name") }, *added;
	struct conf_node *channel = side.guest ? first_of_member(guest, "channels") : NULL;

	for (; channel; channel = channel->next) {
		struct conf_node *endpoint = NULL;

		side.channel = string_member(channel, "name");
		if (side.channel)
			endpoint = conf_member(channel, "endpoint");
		side.type = string_member(endpoint, "type");
		side.to_guest = string_member(endpoint, "guest");
		side.to_channel = string_member(endpoint, "channel");
		side.packets = endpoint ? conf_member(channel, "packets") : NULL;
		if (side.packets && !side.packets->boolean)
			side.packets = NULL;
		side.ring_bytes = endpoint ? ring_bytes_of(channel) : 0;
		added = side.type ? list_add(sides, sizeof(side)) : NULL;
		if (added)
			*added = side;
	}
}

/* For qsort(3), bsearch(3): by guest, then by channel */
static int compare_sides(const void *a, const void *b)
{
	const struct side *x = a, *y = b;
	int r = strcmp(x->guest->text, y->guest->text);

	return r ? r : strcmp(x->channel->text, y->channel->text);
}

static bool is_joined(const struct side *side)
{
	return !strcmp(side->type->text, "channel") && side->to_guest && side->to_channel;
}

/* A message goes over whole, so it must find room in either ring */
static void check_packets(const struct side *side, const struct side *other, const char *channel,
			  const char *guest, struct conf_errors *errors)
{
	if (!side->packets)
		return;
	if (!other->packets)
		conf_key_error(errors, side->packets,
			       "channel %s of guest %s, to which this one is joined, must have it, "
			       "too",
			       channel, guest);
	else if (side->ring_bytes != other->ring_bytes)
		conf_key_error(errors, side->packets,
			       "channel %s of guest %s, to which this one is joined, must have the "
			       "same \"ring_bytes\"",
			       channel, guest);
}

static bool has_sessions(const struct side *side)
{
	return conf_member(side->channel->parent, "sessions");
}

static void check_partner(const struct list *sides, const struct side *side,
			  struct conf_errors *errors)
{
	struct side key = { .guest = side->to_guest, .channel = side->to_channel };
	char path[160], guest[160], channel[160];
	const struct side *other = NULL;

	if (sides->n)
		other = bsearch(&key, sides->items, sides->n, sizeof(key), compare_sides);
	conf_quote(side->to_guest->text, guest, sizeof(guest));
	conf_quote(side->to_channel->text, channel, sizeof(channel));
	if (!other)
		conf_error(errors, side->to_channel, "there is no channel %s of a guest %s",
			   channel, guest);
	else if (!compare_sides(other, side))
		conf_error(errors, side->to_channel, "a channel cannot be joined to itself");
	else if (!is_joined(other) || strcmp(other->to_guest->text, side->guest->text) != 0 ||
		 strcmp(other->to_channel->text, side->channel->text) != 0)
		conf_error(errors, side->to_channel,
			   "channel %s of guest %s (%s) does not name this one back", channel,
			   guest, conf_path(other->channel->parent, path, sizeof(path)));
	else if (!has_sessions(other) != !has_sessions(side))
		conf_error(errors, side->to_channel,
			   "channel %s of guest %s has %ssessions: they must be given for both, or "
			   "for neither",
			   channel, guest, has_sessions(other) ? "" : "no ");
	else
		check_packets(side, other, channel, guest, errors);
}

/* Of all, or of those that name the guest @only; frees the list */
static int check_sides(struct list *sides, const char *only, struct conf_errors *errors)
{
	struct side *all = sides->items;

	if (sides->n)
		qsort(all, sides->n, sizeof(*all), compare_sides);
	for (size_t i = 0; i < sides->n; i++) {
		if (is_joined(&all[i]) && (!only || !strcmp(all[i].to_guest->text, only)))
			check_partner(sides, &all[i], errors);
	}
	free(all);
	return sides->no_memory ? -ENOMEM : 0;
}

int config_check_guest(struct conf_node *root, struct conf_errors *errors)
{
	const struct conf_node *name = string_member(root, "name");
	struct list paths = { .items = NULL }, sides = { .items = NULL };
	int r = check_guest_names(root, &paths, errors), r2 = check_names(&paths, errors);

	r = r ? r : r2;
	if (r || !name)
		return r;
	add_sides(&sides, root);
	return check_sides(&sides, name->text, errors);
}

int config_check(struct conf_node *root, struct conf_errors *errors)
{
	struct list guests = { .items = NULL }, paths = { .items = NULL },
		    sides = { .items = NULL };
	struct conf_node *guest;
	int r = 0, r2;

	if (root->kind != CONF_OBJECT)
		return 0;
	add_path(&paths, string_member(conf_member(root, "control"), "path"), 0);
	add_metrics_listener(&paths, string_member(conf_member(root, "metrics"), "listen"));
	for (guest = first_of_member(root, "guests"); guest; guest = guest->next) {
		add_name(&guests, guest);
		r2 = check_guest_names(guest, &paths, errors);
		r = r ? r : r2;
		add_sides(&sides, guest);
	}
	r2 = check_names(&guests, errors);
	r = r ? r : r2;
	r2 = check_names(&paths, errors);
	r = r ? r : r2;
	r2 = check_sides(&sides, NULL, errors);
	return r ? r : r2;
}
