// SPDX-License-Identifier: BSD-3-Clause
/*
 * config_read.c - from a JSON tree to configuration structures
 *
 * Each read_x() takes one value and tells its own errors; none stops at the first, so that all
 * errors of a file come in one go. Memory is the only failure that is returned, through the reader.
 */
#include "config_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <libfs/abi.h>
#include <libfs/checked.h>

/* What fits sun_path with its NUL (unix(7)) */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/**
 * struct reader - what all readers need
 * @errors: where errors go
 * @no_memory: an allocation failed
 */
struct reader {
	struct conf_errors *errors;
	bool no_memory;
};

static const char *const endpoint_names[] = {
	[ENDPOINT_INTERVM] = "intervm",
	[ENDPOINT_ECHO] = "echo",
	[ENDPOINT_DISCARD] = "discard",
	[ENDPOINT_UNIX_LISTEN] = "unix-listen",
};
_Static_assert(sizeof(endpoint_names) / sizeof(endpoint_names[0]) == N_ENDPOINT_TYPES,
	       "a name for each type");

const char *endpoint_type_name(enum endpoint_type type)
{
	return endpoint_names[type];
}

/**
 * is_kind() - whether a value is what it must be; tells when it is not
 * @r: reader
 * @node: the value, or NULL
 * @kind: what it must be
 *
 * Return: true when there is a value and it is of that kind.
 */
static bool is_kind(struct reader *r, const struct conf_node *node, enum conf_kind kind)
{
	if (node && node->kind != kind)
		conf_error(r->errors, node, "must be %s, not %s", conf_kind_name(kind),
			   conf_kind_name(node->kind));
	return node && node->kind == kind;
}

/**
 * required() - a member that must be there; tells when it is not
 * @r: reader
 * @object: the object
 * @key: its key
 *
 * Return: the member or NULL.
 */
static struct conf_node *required(struct reader *r, struct conf_node *object, const char *key)
{
	struct conf_node *node = conf_member(object, key);

	if (!node)
		conf_error(r->errors, object, "\"%s\" is missing", key);
	return node;
}

/**
 * refuse_unused() - tell of every member that nobody has looked up
 * @r: reader
 * @object: the object
 */
static void refuse_unused(struct reader *r, const struct conf_node *object)
{
	const struct conf_node *node;

	for (node = object->first; node; node = node->next)
		if (!node->used)
			conf_key_error(r->errors, node, "unknown key");
}

/**
 * read_string() - a string that is not empty
 * @r: reader
 * @node: the value, or NULL
 * @out: a copy; untouched when there is no such string
 *
 * Return: true when there is one.
 */
static bool read_string(struct reader *r, const struct conf_node *node, char **out)
{
	if (!is_kind(r, node, CONF_STRING))
		return false;
	if (!node->text_bytes) {
		conf_error(r->errors, node, "must not be empty");
		return false;
	}
	free(*out);
	*out = strdup(node->text);
	if (!*out)
		r->no_memory = true;
	return *out;
}

/**
 * read_socket_path() - a path that fits a socket address
 * @r: reader
 * @node: the value, or NULL
 * @out: a copy
 */
static void read_socket_path(struct reader *r, const struct conf_node *node, char **out)
{
	if (read_string(r, node, out) && node->text_bytes > SOCKET_PATH_MAX)
		conf_error(r->errors, node, "the path of a socket has at most %zu bytes, not %zu",
			   SOCKET_PATH_MAX, node->text_bytes);
}

/**
 * read_mode() - permission bits as an octal string
 * @r: reader
 * @node: the value, or NULL
 * @out: untouched when there is none
 */
static void read_mode(struct reader *r, const struct conf_node *node, unsigned int *out)
{
	char quoted[64];

	if (!is_kind(r, node, CONF_STRING))
		return;
	if (node->text_bytes != 4 || node->text[0] != '0' || strspn(node->text, "01234567") != 4) {
		conf_error(r->errors, node, "must be octal permission bits as \"0660\", not %s",
			   conf_quote(node->text, quoted, sizeof(quoted)));
		return;
	}
	*out = (unsigned int)strtoul(node->text, NULL, 8);
}

/**
 * read_boolean() - true or false
 * @r: reader
 * @node: the value, or NULL
 * @out: untouched when there is none
 */
static void read_boolean(struct reader *r, const struct conf_node *node, bool *out)
{
	if (is_kind(r, node, CONF_BOOLEAN))
		*out = node->boolean;
}

/**
 * read_word() - one of some words
 * @r: reader
 * @node: the value, or NULL
 * @words: the words
 * @n_words: how many
 * @out: which it is; untouched when it is none
 *
 * Return: true when it is one of them.
 */
static bool read_word(struct reader *r, const struct conf_node *node, const char *const words[],
		      size_t n_words, unsigned int *out)
{
	char list[128] = "", quoted[64];
	size_t at = 0;

	if (!is_kind(r, node, CONF_STRING))
		return false;
	for (size_t i = 0; i < n_words; i++) {
		if (!strcmp(node->text, words[i])) {
			*out = (unsigned int)i;
			return true;
		}
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s\"%s\"", i ? ", " : "",
				       words[i]);
	}
	conf_error(r->errors, node, "must be one of %s, not %s", list,
		   conf_quote(node->text, quoted, sizeof(quoted)));
	return false;
}

/**
 * read_guest_name() - [A-Za-z0-9._-], at most 63
 * @r: reader
 * @node: the value, or NULL
 * @out: a copy
 */
static void read_guest_name(struct reader *r, const struct conf_node *node, char **out)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	char quoted[96];

	if (!read_string(r, node, out))
		return;
	if (node->text_bytes > OKL4FS_NAME_MAX || node->text[strspn(node->text, allowed)])
		conf_error(r->errors, node, "must be 1 to %d of A-Z a-z 0-9 . _ -, not %s",
			   OKL4FS_NAME_MAX, conf_quote(node->text, quoted, sizeof(quoted)));
}

/**
 * read_channel_name() - what can be the name of a file
 * @r: reader
 * @node: the value, or NULL
 * @out: a copy
 */
static void read_channel_name(struct reader *r, const struct conf_node *node, char **out)
{
	char quoted[96];

	if (!read_string(r, node, out))
		return;
	if (node->text_bytes > OKL4FS_NAME_MAX || strchr(node->text, '/') ||
	    !strcmp(node->text, ".") || !strcmp(node->text, ".."))
		conf_error(r->errors, node,
			   "must be 1 to %d bytes without '/', and not \".\" or \"..\", not %s",
			   OKL4FS_NAME_MAX, conf_quote(node->text, quoted, sizeof(quoted)));
}

/**
 * read_ring_bytes() - size of a ring
 * @r: reader
 * @node: the value, or NULL
 * @out: untouched when there is none
 */
static void read_ring_bytes(struct reader *r, const struct conf_node *node, uint64_t *out)
{
	if (!is_kind(r, node, CONF_NUMBER))
		return;
	if (!node->is_integer || node->integer < (int64_t)OKL4FS_RING_BYTES_MIN ||
	    node->integer > (int64_t)OKL4FS_RING_BYTES_MAX || !fs_is_pow2((uint64_t)node->integer))
		conf_error(r->errors, node, "must be a power of two from %llu to %llu, not %.40s",
			   OKL4FS_RING_BYTES_MIN, OKL4FS_RING_BYTES_MAX, node->text);
	else
		*out = (uint64_t)node->integer;
}

/**
 * read_u32() - a number from 0 to 2^32 - 1
 * @r: reader
 * @node: the value, or NULL
 * @out: untouched when there is none
 */
static void read_u32(struct reader *r, const struct conf_node *node, uint32_t *out)
{
	if (!is_kind(r, node, CONF_NUMBER))
		return;
	if (!node->is_integer || node->integer < 0 || node->integer > UINT32_MAX)
		conf_error(r->errors, node, "must be a whole number from 0 to %u, not %.40s",
			   UINT32_MAX, node->text);
	else
		*out = (uint32_t)node->integer;
}

/**
 * read_endpoint() - the host end of a channel
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled
 */
static void read_endpoint(struct reader *r, struct conf_node *node, struct endpoint_config *out)
{
	unsigned int type;

	if (!is_kind(r, node, CONF_OBJECT))
		return;
	if (!read_word(r, required(r, node, "type"), endpoint_names, N_ENDPOINT_TYPES, &type))
		return; /* which keys are known depends on it */

	out->type = (enum endpoint_type)type;
	if (out->type == ENDPOINT_INTERVM) {
		out->rounds = 2;
		read_string(r, required(r, node, "file"), &out->file);
		read_u32(r, conf_member(node, "rounds"), &out->rounds);
	} else if (out->type == ENDPOINT_UNIX_LISTEN) {
		out->mode = 0600;
		read_socket_path(r, required(r, node, "path"), &out->path);
		read_mode(r, conf_member(node, "mode"), &out->mode);
	}
	refuse_unused(r, node);
}

/**
 * read_channel() - one channel
 * @r: reader
 * @node: the value
 * @out: to be filled
 */
static void read_channel(struct reader *r, struct conf_node *node, struct channel_config *out)
{
	out->ring_bytes = 1U << 20;
	if (!is_kind(r, node, CONF_OBJECT))
		return;
	read_channel_name(r, required(r, node, "name"), &out->name);
	read_ring_bytes(r, conf_member(node, "ring_bytes"), &out->ring_bytes);
	read_boolean(r, conf_member(node, "exclusive"), &out->exclusive);
	read_endpoint(r, required(r, node, "endpoint"), &out->endpoint);
	refuse_unused(r, node);
}

/**
 * n_items() - how many items an array has
 * @node: the array
 *
 * Return: their number.
 */
static size_t n_items(const struct conf_node *node)
{
	size_t n = 0;

	for (node = node->first; node; node = node->next)
		n++;
	return n;
}

/**
 * read_channels() - the channels of a guest
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled
 */
static void read_channels(struct reader *r, struct conf_node *node, struct guest_config *out)
{
	size_t n;

	if (!is_kind(r, node, CONF_ARRAY))
		return;
	n = n_items(node);
	if (!n || n > OKL4FS_MAX_CHANNELS) {
		conf_error(r->errors, node, "must have 1 to %d channels, not %zu",
			   OKL4FS_MAX_CHANNELS, n);
		return;
	}
	out->channels = calloc(n, sizeof(*out->channels));
	if (!out->channels) {
		r->no_memory = true;
		return;
	}
	out->n_channels = n;
	for (node = node->first; node; node = node->next)
		read_channel(r, node, &out->channels[node->idx]);
}

/**
 * read_listener() - a key that only a listening socket has; tells when the guest's does not listen
 * @r: reader
 * @object: the guest
 * @key: the key
 * @mode: who listens
 *
 * Return: the member or NULL.
 */
static struct conf_node *read_listener(struct reader *r, struct conf_node *object, const char *key,
				       enum socket_mode mode)
{
	struct conf_node *node = conf_member(object, key);

	if (node && mode != SOCKET_LISTEN)
		conf_key_error(r->errors, node, "has no meaning with \"socket_mode\": \"connect\"");
	return node;
}

/**
 * read_guest() - one guest
 * @r: reader
 * @node: the value
 * @out: to be filled
 */
static void read_guest(struct reader *r, struct conf_node *node, struct guest_config *out)
{
	static const char *const modes[] = {
		[SOCKET_LISTEN] = "listen", [SOCKET_CONNECT] = "connect"
	};
	unsigned int mode = SOCKET_LISTEN;

	out->socket_perm = 0660;
	if (!is_kind(r, node, CONF_OBJECT))
		return;
	read_guest_name(r, required(r, node, "name"), &out->name);
	read_socket_path(r, required(r, node, "socket"), &out->socket);
	read_word(r, conf_member(node, "socket_mode"), modes, 2, &mode);
	out->socket_mode = (enum socket_mode)mode;
	read_mode(r, read_listener(r, node, "socket_perm", out->socket_mode), &out->socket_perm);
	read_string(r, read_listener(r, node, "socket_group", out->socket_mode),
		    &out->socket_group);
	read_channels(r, required(r, node, "channels"), out);
	refuse_unused(r, node);
}

/**
 * read_guests() - all guests
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled
 */
static void read_guests(struct reader *r, struct conf_node *node, struct config *out)
{
	size_t n;

	if (!is_kind(r, node, CONF_ARRAY))
		return;
	n = n_items(node);
	out->guests = calloc(n ? n : 1, sizeof(*out->guests));
	if (!out->guests) {
		r->no_memory = true;
		return;
	}
	out->n_guests = n;
	for (node = node->first; node; node = node->next)
		read_guest(r, node, &out->guests[node->idx]);
}

/**
 * read_control() - the control socket
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled; its defaults are there
 */
static void read_control(struct reader *r, struct conf_node *node, struct config *out)
{
	if (!is_kind(r, node, CONF_OBJECT))
		return;
	read_socket_path(r, conf_member(node, "path"), &out->control_path);
	read_mode(r, conf_member(node, "mode"), &out->control_mode);
	read_string(r, conf_member(node, "group"), &out->control_group);
	refuse_unused(r, node);
}

int config_read(struct config *cfg, struct conf_node *root, struct conf_errors *errors)
{
	struct reader r = { .errors = errors };
	struct conf_node *metrics;

	if (!is_kind(&r, root, CONF_OBJECT))
		return 0;
	read_control(&r, conf_member(root, "control"), cfg);
	metrics = conf_member(root, "metrics");
	if (metrics)
		conf_key_error(errors, metrics, "this version serves no metrics");
	read_guests(&r, required(&r, root, "guests"), cfg);
	refuse_unused(&r, root);
	return r.no_memory ? -ENOMEM : 0;
}
