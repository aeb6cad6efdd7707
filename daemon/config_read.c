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

#include <libfs/abi.h>
#include <libfs/checked.h>

#include "config_value.h"

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
 * read_guest_name() - [A-Za-z0-9._-], at most 63
 * @r: reader
 * @node: the value, or NULL
 * @out: a copy
 */
static void read_guest_name(struct conf_reader *r, const struct conf_node *node, char **out)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	char quoted[96];

	if (!conf_read_string(r, node, out))
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
static void read_channel_name(struct conf_reader *r, const struct conf_node *node, char **out)
{
	char quoted[96];

	if (!conf_read_string(r, node, out))
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
static void read_ring_bytes(struct conf_reader *r, const struct conf_node *node, uint64_t *out)
{
	if (!conf_is_kind(r, node, CONF_NUMBER))
		return;
	if (!node->is_integer || node->integer < (int64_t)OKL4FS_RING_BYTES_MIN ||
	    node->integer > (int64_t)OKL4FS_RING_BYTES_MAX || !fs_is_pow2((uint64_t)node->integer))
		conf_error(r->errors, node, "must be a power of two from %llu to %llu, not %.40s",
			   OKL4FS_RING_BYTES_MIN, OKL4FS_RING_BYTES_MAX, node->text);
	else
		*out = (uint64_t)node->integer;
}

/**
 * read_endpoint() - the host end of a channel
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled
 */
static void read_endpoint(struct conf_reader *r, struct conf_node *node,
			  struct endpoint_config *out)
{
	unsigned int type;

	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	if (!conf_read_word(r, conf_required(r, node, "type"), endpoint_names, N_ENDPOINT_TYPES,
			    &type))
		return; /* which keys are known depends on it */

	out->type = (enum endpoint_type)type;
	if (out->type == ENDPOINT_INTERVM) {
		out->rounds = 2;
		conf_read_string(r, conf_required(r, node, "file"), &out->file);
		conf_read_u32(r, conf_member(node, "rounds"), &out->rounds);
	} else if (out->type == ENDPOINT_UNIX_LISTEN) {
		out->mode = 0600;
		conf_read_socket_path(r, conf_required(r, node, "path"), &out->path);
		conf_read_mode(r, conf_member(node, "mode"), &out->mode);
	}
	conf_refuse_unused(r, node);
}

/**
 * read_channel() - one channel
 * @r: reader
 * @node: the value
 * @out: to be filled
 */
static void read_channel(struct conf_reader *r, struct conf_node *node, struct channel_config *out)
{
	out->ring_bytes = 1U << 20;
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	read_channel_name(r, conf_required(r, node, "name"), &out->name);
	read_ring_bytes(r, conf_member(node, "ring_bytes"), &out->ring_bytes);
	conf_read_boolean(r, conf_member(node, "exclusive"), &out->exclusive);
	read_endpoint(r, conf_required(r, node, "endpoint"), &out->endpoint);
	conf_refuse_unused(r, node);
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
static void read_channels(struct conf_reader *r, struct conf_node *node, struct guest_config *out)
{
	size_t n;

	if (!conf_is_kind(r, node, CONF_ARRAY))
		return;
	n = n_items(node);
	if (n > OKL4FS_MAX_CHANNELS) {
		for (node = node->first; node->idx < OKL4FS_MAX_CHANNELS; node = node->next)
			;
		conf_error(r->errors, node, "a guest has at most %d channels, not %zu",
			   OKL4FS_MAX_CHANNELS, n);
		return;
	}
	out->channels = calloc(n ? n : 1, sizeof(*out->channels));
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
static struct conf_node *read_listener(struct conf_reader *r, struct conf_node *object,
				       const char *key, enum socket_mode mode)
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
static void read_guest(struct conf_reader *r, struct conf_node *node, struct guest_config *out)
{
	static const char *const modes[] = {
		[SOCKET_LISTEN] = "listen", [SOCKET_CONNECT] = "connect"
	};
	unsigned int mode = SOCKET_LISTEN;

	out->socket_perm = 0660;
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	read_guest_name(r, conf_required(r, node, "name"), &out->name);
	conf_read_socket_path(r, conf_required(r, node, "socket"), &out->socket);
	conf_read_word(r, conf_member(node, "socket_mode"), modes, 2, &mode);
	out->socket_mode = (enum socket_mode)mode;
	conf_read_mode(r, read_listener(r, node, "socket_perm", out->socket_mode),
		       &out->socket_perm);
	conf_read_string(r, read_listener(r, node, "socket_group", out->socket_mode),
			 &out->socket_group);
	read_channels(r, conf_required(r, node, "channels"), out);
	conf_refuse_unused(r, node);
}

/**
 * read_guests() - all guests
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled
 */
static void read_guests(struct conf_reader *r, struct conf_node *node, struct config *out)
{
	size_t n;

	if (!conf_is_kind(r, node, CONF_ARRAY))
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
static void read_control(struct conf_reader *r, struct conf_node *node, struct config *out)
{
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	conf_read_socket_path(r, conf_member(node, "path"), &out->control_path);
	conf_read_mode(r, conf_member(node, "mode"), &out->control_mode);
	conf_read_string(r, conf_member(node, "group"), &out->control_group);
	conf_refuse_unused(r, node);
}

int config_read_channel(struct channel_config *out, struct conf_node *root,
			struct conf_errors *errors)
{
	struct conf_reader r = { .errors = errors };

	read_channel(&r, root, out);
	return r.no_memory ? -ENOMEM : 0;
}

int config_read_guest(struct guest_config *out, struct conf_node *root, struct conf_errors *errors)
{
	struct conf_reader r = { .errors = errors };

	read_guest(&r, root, out);
	return r.no_memory ? -ENOMEM : 0;
}

int config_read(struct config *cfg, struct conf_node *root, struct conf_errors *errors)
{
	struct conf_reader r = { .errors = errors };
	struct conf_node *metrics;

	if (!conf_is_kind(&r, root, CONF_OBJECT))
		return 0;
	read_control(&r, conf_member(root, "control"), cfg);
	metrics = conf_member(root, "metrics");
	if (metrics)
		conf_key_error(errors, metrics, "this version serves no metrics");
	read_guests(&r, conf_required(&r, root, "guests"), cfg);
	conf_refuse_unused(&r, root);
	return r.no_memory ? -ENOMEM : 0;
}
