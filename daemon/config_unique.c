// SPDX-License-Identifier: BSD-3-Clause
/*
 * config_unique.c - names, socket paths and addresses that must not be there twice
 *
 * The strings that share a name space are collected with the values they came from, sorted, and
 * compared with their neighbours; so the time does not grow with the square of their number.
 */
#include "config_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct names - the strings of one name space
 * @node: the values; strings all
 * @n: how many
 * @size: room in @node
 * @no_memory: it could not grow
 */
struct names {
	const struct conf_node **node;
	size_t n, size;
	bool no_memory;
};

/**
 * add() - one more string
 * @names: the others
 * @object: the object that it is a member of, or something else
 * @key: its key
 */
static void add(struct names *names, struct conf_node *object, const char *key)
{
	const struct conf_node *node;

	node = object && object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;
	if (!node || node->kind != CONF_STRING || !node->text_bytes)
		return;
	if (names->n == names->size) {
		size_t size = names->size ? 2 * names->size : 64;
		void *p = reallocarray(names->node, size, sizeof(*names->node));

		if (!p) {
			names->no_memory = true;
			return;
		}
		names->node = p;
		names->size = size;
	}
	names->node[names->n++] = node;
}

/**
 * compare() - order by string, then by place in the text
 * @a: pointer to a value
 * @b: the other
 *
 * Return: as qsort(3) wants it.
 */
static int compare(const void *a, const void *b)
{
	const struct conf_node *x = *(const struct conf_node *const *)a;
	const struct conf_node *y = *(const struct conf_node *const *)b;
	int r = strcmp(x->text, y->text);

	if (r)
		return r;
	if (x->pos.line != y->pos.line)
		return x->pos.line < y->pos.line ? -1 : 1;
	return x->pos.column < y->pos.column ? -1 : 1;
}

/**
 * finish() - tell of every string that is there twice, and let the name space go
 * @names: the strings
 * @errors: told
 *
 * Return: 0 or -ENOMEM.
 */
static int finish(struct names *names, struct conf_errors *errors)
{
	const struct conf_node *first = NULL;
	char path[160], quoted[160];

	if (names->n)
		qsort(names->node, names->n, sizeof(*names->node), compare);
	for (size_t i = 0; i < names->n; i++) {
		if (!first || strcmp(first->text, names->node[i]->text) != 0) {
			first = names->node[i];
			continue;
		}
		conf_error(errors, names->node[i], "%s is %s already",
			   conf_quote(first->text, quoted, sizeof(quoted)),
			   conf_path(first, path, sizeof(path)));
	}
	free(names->node);
	return names->no_memory ? -ENOMEM : 0;
}

/**
 * items() - the items of an array that is a member
 * @object: the object, or something else
 * @key: the array's key
 *
 * Return: the first, or NULL.
 */
static struct conf_node *items(struct conf_node *object, const char *key)
{
	struct conf_node *node;

	node = object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;
	return node && node->kind == CONF_ARRAY ? node->first : NULL;
}

/**
 * add_listener() - what an endpoint listens on: nobody else can
 * @names: paths and addresses
 * @endpoint: the endpoint, or something else
 */
static void add_listener(struct names *names, struct conf_node *endpoint)
{
	const struct conf_node *type;

	type = endpoint && endpoint->kind == CONF_OBJECT ? conf_member(endpoint, "type") : NULL;
	if (!type || type->kind != CONF_STRING)
		return;
	if (!strcmp(type->text, "unix-listen"))
		add(names, endpoint, "path");
	else if (!strcmp(type->text, "tcp-listen"))
		add(names, endpoint, "address");
}

/**
 * check_guest() - the names of a guest's channels
 * @guest: the guest
 * @paths: collects the paths of its sockets
 * @errors: told
 *
 * Return: 0 or -ENOMEM.
 */
static int check_guest(struct conf_node *guest, struct names *paths, struct conf_errors *errors)
{
	struct names channels = { .node = NULL };
	struct conf_node *channel;

	add(paths, guest, "socket");
	for (channel = items(guest, "channels"); channel; channel = channel->next) {
		add(&channels, channel, "name");
		if (channel->kind == CONF_OBJECT)
			add_listener(paths, conf_member(channel, "endpoint"));
	}
	return finish(&channels, errors);
}

int config_check_unique_guest(struct conf_node *root, struct conf_errors *errors)
{
	struct names paths = { .node = NULL };
	int r = check_guest(root, &paths, errors), r2 = finish(&paths, errors);

	return r ? r : r2;
}

int config_check_unique(struct conf_node *root, struct conf_errors *errors)
{
	struct names guests = { .node = NULL }, paths = { .node = NULL };
	struct conf_node *guest;
	int r = 0, r2;

	if (root->kind != CONF_OBJECT)
		return 0;
	add(&paths, conf_member(root, "control"), "path");
	add(&paths, conf_member(root, "metrics"), "listen");
	for (guest = items(root, "guests"); guest; guest = guest->next) {
		add(&guests, guest, "name");
		r2 = check_guest(guest, &paths, errors);
		r = r ? r : r2;
	}
	r2 = finish(&guests, errors);
	r = r ? r : r2;
	r2 = finish(&paths, errors);
	return r ? r : r2;
}
