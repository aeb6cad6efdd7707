// SPDX-License-Identifier: BSD-3-Clause
/*
 * endpoint.c - the host end of a channel, from JSON: which keys each type has
 */
#include "config/read.h"

#include "config/value.h"
#include "util/address.h"

static const char *const endpoint_names[] = {
	[ENDPOINT_INTERVM] = "intervm",           [ENDPOINT_ECHO] = "echo",
	[ENDPOINT_DISCARD] = "discard",           [ENDPOINT_UNIX_LISTEN] = "unix-listen",
	[ENDPOINT_UNIX_CONNECT] = "unix-connect", [ENDPOINT_TCP_LISTEN] = "tcp-listen",
	[ENDPOINT_TCP_CONNECT] = "tcp-connect",   [ENDPOINT_CHANNEL] = "channel",
};
_Static_assert(sizeof(endpoint_names) / sizeof(endpoint_names[0]) == N_ENDPOINT_TYPES,
	       "a name for each type");

const char *endpoint_type_name(enum endpoint_type type)
{
	return endpoint_names[type];
}

/**
 * read_tls() - who we are and whom we trust
 * @r: reader
 * @node: the value, or NULL
 * @out: to be filled
 */
static void read_tls(struct conf_reader *r, struct conf_node *node, struct endpoint_config *out)
{
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	out->tls = true;
	conf_read_string(r, conf_required(r, node, "cert"), &out->tls_cert);
	conf_read_string(r, conf_required(r, node, "key"), &out->tls_key);
	conf_read_string(r, conf_required(r, node, "ca"), &out->tls_ca);
	conf_read_string(r, conf_member(node, "name"), &out->tls_name);
	conf_refuse_unused(r, node);
}

/**
 * read_tcp() - `tcp-listen`, `tcp-connect`
 * @r: reader
 * @node: the endpoint
 * @out: to be filled
 *
 * What leaves the machine is encrypted, and both ends show who they are.
 */
static void read_tcp(struct conf_reader *r, struct conf_node *node, struct endpoint_config *out)
{
	struct conf_node *tls = conf_member(node, "tls");

	conf_read_address(r, conf_required(r, node, "address"),
			  tls ? NULL : "is no loopback address, so it needs \"tls\"",
			  &out->address);
	read_tls(r, tls, out);
}

void config_read_endpoint(struct conf_reader *r, struct conf_node *node,
			  struct endpoint_config *out)
{
	unsigned int type;

	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	if (!conf_read_word(r, conf_required(r, node, "type"), endpoint_names, N_ENDPOINT_TYPES,
			    &type))
		return; /* which keys are known depends on it */

	out->type = (enum endpoint_type)type;
	switch (out->type) {
	case ENDPOINT_INTERVM:
		out->rounds = 2;
		conf_read_string(r, conf_required(r, node, "file"), &out->file);
		conf_read_u32(r, conf_member(node, "rounds"), &out->rounds);
		break;
	case ENDPOINT_UNIX_LISTEN:
		out->mode = 0600;
		conf_read_socket_path(r, conf_required(r, node, "path"), &out->path);
		conf_read_mode(r, conf_member(node, "mode"), &out->mode);
		break;
	case ENDPOINT_UNIX_CONNECT:
		conf_read_socket_path(r, conf_required(r, node, "path"), &out->path);
		break;
	case ENDPOINT_TCP_LISTEN:
	case ENDPOINT_TCP_CONNECT:
		read_tcp(r, node, out);
		break;
	case ENDPOINT_CHANNEL:
		conf_read_guest_name(r, conf_required(r, node, "guest"), &out->guest);
		conf_read_channel_name(r, conf_required(r, node, "channel"), &out->channel);
		break;
	case ENDPOINT_ECHO:
	case ENDPOINT_DISCARD:
	case N_ENDPOINT_TYPES:
		break;
	}
	conf_refuse_unused(r, node);
}
