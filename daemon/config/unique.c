// SPDX-License-Identifier: BSD-3-Clause
/*
 * unique.c - names, socket paths and addresses that must not be there twice
 *
 * The strings that share a name space are collected with the values they came from, sorted, and
 * compared with their neighbours; so the time does not grow with the square of their number.
 */
#include "config/read.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct name - one string
 * @node: the value; a string
 * @key: what must not be there twice: the same for strings that mean the same
 */
struct name {
	const struct conf_node *node;
	char *key;
};

/**
 * struct names - the strings of one name space
 * @name: the strings
 * @n: how many
 * @size: room in @name
 * @no_memory: it could not grow
 */
struct names {
	struct name *name;
	size_t n, size;
	bool no_memory;
};

/**
 * add_key() - one more string
 * @names: the others
 * @node: the value
 * @key: what must not be there twice; owned from here on; NULL: no memory
 */
static void add_key(struct names *names, const struct conf_node *node, char *key)
{
	if (key && names->n == names->size) {
		size_t size = names->size ? 2 * names->size : 64;
		void *p = reallocarray(names->name, size, sizeof(*names->name));

		if (p) {
			names->name = p;
			names->size = size;
		}
	}
	if (!key || names->n == names->size) {
		names->no_memory = true;
		free(key);
		return;
	}
	names->name[names->n++] = (struct name){ node, key };
}

/**
 * string_member() - a member that is a string, and not empty
 * @object: the object, or something else
 * @key: the member's key
 *
 * Return: the member or NULL.
 */
static const struct conf_node *string_member(struct conf_node *object, const char *key)
{
	const struct conf_node *node;

	node = object && object->kind == CONF_OBJECT ? conf_member(object, key) : NULL;
	return node && node->kind == CONF_STRING && node->text_bytes ? node : NULL;
}

/**
 * add_name() - one more name
 * @names: the others
 * @object: the object that it is a member of, or something else
 */
static void add_name(struct names *names, struct conf_node *object)
{
	const struct conf_node *node = string_member(object, "name");

	if (node)
		add_key(names, node, strdup(node->text));
}

/**
 * plain_path() - a path without what changes nothing: "//", "/./", and "./" at its beginning
 * @path: the path
 *
 * Return: a copy, to be freed, or NULL.
 */
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

/**
 * add_path() - one more path of a socket
 * @names: paths and addresses
 * @node: the value, or NULL
 * @skip: bytes before the path
 */
static void add_path(struct names *names, const struct conf_node *node, size_t skip)
{
	if (node)
		add_key(names, node, plain_path(node->text + skip));
}

/**
 * add_address() - one more address to listen on
 * @names: paths and addresses
 * @node: the value, or NULL
 */
static void add_address(struct names *names, const struct conf_node *node)
{
	char *key;

	if (!node)
		return;
	if (asprintf(&key, "tcp://%s", node->text) < 0) /* no plain path has "//" */
		key = NULL;
	for (char *at = key; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	add_key(names, node, key);
}

/**
 * compare() - order by key, then by place in the text
 * @a: pointer to a struct name
 * @b: the other
 *
 * Return: as qsort(3) wants it.
 */
static int compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	if (r)
		return r;
	if (x->node->pos.line != y->node->pos.line)
		return x->node->pos.line < y->node->pos.line ? -1 : 1;
	return x->node->pos.column < y->node->pos.column ? -1 : 1;
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
	const struct name *first = NULL;
	char path[160], quoted[160];

	if (names->n)
		qsort(names->name, names->n, sizeof(*names->name), compare);
	for (size_t i = 0; i < names->n; i++) {
		const struct name *name = &names->name[i];

		if (first && !strcmp(first->key, name->key))
			conf_error(errors, name->node, "%s is %s already",
				   conf_quote(name->node->text, quoted, sizeof(quoted)),
				   conf_path(first->node, path, sizeof(path)));
		else
			first = name;
	}
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i].key);
	free(names->name);
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
		add_path(names, string_member(endpoint, "path"), 0);
	else if (!strcmp(type->text, "tcp-listen"))
		add_address(names, string_member(endpoint, "address"));
}

/**
 * add_metrics() - what metrics are served on
 * @names: paths and addresses
 * @node: the value, or NULL
 */
static void add_metrics(struct names *names, const struct conf_node *node)
{
	if (node && !strncmp(node->text, "unix:", 5))
		add_path(names, node, 5);
	else
		add_address(names, node);
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
	struct names channels = { .name = NULL };
	struct conf_node *channel;

	add_path(paths, string_member(guest, "socket"), 0);
	for (channel = items(guest, "channels"); channel; channel = channel->next) {
		add_name(&channels, channel);
		if (channel->kind == CONF_OBJECT)
			add_listener(paths, conf_member(channel, "endpoint"));
	}
	return finish(&channels, errors);
}

int config_check_unique_guest(struct conf_node *root, struct conf_errors *errors)
{
	struct names paths = { .name = NULL };
	int r = check_guest(root, &paths, errors), r2 = finish(&paths, errors);

	return r ? r : r2;
}

int config_check_unique(struct conf_node *root, struct conf_errors *errors)
{
	struct names guests = { .name = NULL }, paths = { .name = NULL };
	struct conf_node *guest;
	int r = 0, r2;

	if (root->kind != CONF_OBJECT)
		return 0;
	add_path(&paths, string_member(conf_member(root, "control"), "path"), 0);
	add_metrics(&paths, string_member(conf_member(root, "metrics"), "listen"));
	for (guest = items(root, "guests"); guest; guest = guest->next) {
		add_name(&guests, guest);
		r2 = check_guest(guest, &paths, errors);
		r = r ? r : r2;
	}
	r2 = finish(&guests, errors);
	r = r ? r : r2;
	r2 = finish(&paths, errors);
	return r ? r : r2;
}
