// SPDX-License-Identifier: BSD-3-Clause
/*
 * read.c - from a JSON tree to configuration structures
 *
 * Each read_x() takes one value and reports the errors in it. None stops at the first error, so that
 * all errors of a file are reported together. The only failure that is returned is that there is no
 * memory; the reader carries it.
 */
#include "config/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libfs/abi.h>
#include <libfs/checked.h>

#include "config/value.h"
#include "util/fd.h"

static const char *const endpoint_names[] = {
	[ENDPOINT_INTERVM] = "intervm",       [ENDPOINT_ECHO] = "echo",
	[ENDPOINT_DISCARD] = "discard",       [ENDPOINT_UNIX_LISTEN] = "unix-listen",
	[ENDPOINT_MUX_LISTEN] = "mux-listen", [ENDPOINT_UNIX_CONNECT] = "unix-connect",
	[ENDPOINT_TCP_LISTEN] = "tcp-listen", [ENDPOINT_TCP_CONNECT] = "tcp-connect",
	[ENDPOINT_CHANNEL] = "channel",
};
_Static_assert(sizeof(endpoint_names) / sizeof(endpoint_names[0]) == N_ENDPOINT_TYPES,
	       "a name for each type");

const char *endpoint_type_name(enum endpoint_type type)
{
	return endpoint_names[type];
}

static const char *const way_names[] = {
	[WAY_VHOST_USER] = "vhost-user",
	[WAY_SERIAL] = "serial",
};

const char *guest_way_name(enum guest_way way)
{
	return way_names[way];
}

static void read_ring_bytes(struct conf_reader *r, const struct conf_node *node, uint64_t *out)
{
	if (!conf_is_kind(r, node, CONF_NUMBER))
		return;
	if (!node->is_integer || node->integer < (int64_t)OKL4FS_RING_BYTES_MIN ||
	    node->integer > (int64_t)OKL4FS_RING_BYTES_MAX ||
	    !okl4_is_pow2((uint64_t)node->integer))
		conf_error(r->errors, node, "must be a power of two from %llu to %llu, not %.40s",
			   OKL4FS_RING_BYTES_MIN, OKL4FS_RING_BYTES_MAX, node->text);
	else
		*out = (uint64_t)node->integer;
}

static void read_tls(struct conf_reader *r, struct conf_node *node, struct endpoint_config *out)
{
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	out->tls = true;
	conf_read_path(r, conf_required(r, node, "cert"), &out->tls_cert);
	conf_read_path(r, conf_required(r, node, "key"), &out->tls_key);
	conf_read_path(r, conf_required(r, node, "ca"), &out->tls_ca);
	conf_read_string(r, conf_member(node, "name"), &out->tls_name);
	conf_refuse_unused(r, node);
}

/* The only version that can carry more than addresses */
static void read_proxy(struct conf_reader *r, struct conf_node *node, struct endpoint_config *out)
{
	static const char *const versions[] = { "v2" };
	unsigned int version;

	if (!node)
		return;
	out->proxy = conf_read_word(r, node, versions, 1, &version);
	if (out->tls)
		conf_key_error(r->errors, node, "is not possible with \"tls\"");
}

/* Bytes that leave the machine are encrypted, and both ends show a certificate */
static void read_tcp(struct conf_reader *r, struct conf_node *node, struct endpoint_config *out)
{
	struct conf_node *tls = conf_member(node, "tls");

	conf_read_address(r, conf_required(r, node, "address"),
			  tls ? NULL : "is not a loopback address, so it needs \"tls\"",
			  &out->address);
	conf_read_u32(r, conf_member(node, "peer_timeout_s"), CONFIG_PEER_TIMEOUT_MIN_S,
		      CONFIG_PEER_TIMEOUT_MAX_S, &out->peer_timeout_s);
	read_tls(r, tls, out);
}

void config_endpoint_defaults(struct endpoint_config *out, enum endpoint_type type)
{
	out->type = type;
	if (type == ENDPOINT_INTERVM)
		out->rounds = 2;
	if (type == ENDPOINT_UNIX_LISTEN || type == ENDPOINT_MUX_LISTEN)
		out->mode = 0660;
	if (type == ENDPOINT_TCP_LISTEN || type == ENDPOINT_TCP_CONNECT)
		out->peer_timeout_s = CONFIG_PEER_TIMEOUT_S;
}

void config_channel_defaults(struct channel_config *out)
{
	out->ring_bytes = 1U << 20;
	out->guest_mode = out->guest_uid = out->guest_gid = OKL4FS_NOT_GIVEN;
}

void config_guest_defaults(struct guest_config *out)
{
	out->socket_perm = 0660;
	out->tail_bytes = CONFIG_TAIL_BYTES;
}

static void read_endpoint(struct conf_reader *r, struct conf_node *node,
			  struct endpoint_config *out)
{
	unsigned int type;

	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	if (!conf_read_word(r, conf_required(r, node, "type"), endpoint_names, N_ENDPOINT_TYPES,
			    &type))
		return; /* which keys are known depends on it */

	config_endpoint_defaults(out, (enum endpoint_type)type);
	switch (out->type) {
	case ENDPOINT_INTERVM:
		conf_read_path(r, conf_required(r, node, "file"), &out->file);
		conf_read_u32(r, conf_member(node, "rounds"), 0, UINT32_MAX, &out->rounds);
		break;
	case ENDPOINT_UNIX_LISTEN:
	case ENDPOINT_MUX_LISTEN:
		conf_read_socket_path(r, conf_required(r, node, "path"), &out->path);
		conf_read_mode(r, conf_member(node, "mode"), &out->mode);
		conf_read_group(r, conf_member(node, "group"), &out->group);
		break;
	case ENDPOINT_UNIX_CONNECT:
		conf_read_socket_path(r, conf_required(r, node, "path"), &out->path);
		read_proxy(r, conf_member(node, "proxy"), out);
		break;
	case ENDPOINT_TCP_LISTEN:
		read_tcp(r, node, out);
		break;
	case ENDPOINT_TCP_CONNECT:
		read_tcp(r, node, out);
		read_proxy(r, conf_member(node, "proxy"), out);
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

/* Each open is a connection of its own: at most so many at once */
static void read_sessions(struct conf_reader *r, struct conf_node *node, struct channel_config *out)
{
	if (!node)
		return;
	conf_read_u32(r, node, 1, CONFIG_SESSIONS_MAX, &out->sessions);
	out->ring_bytes = CONFIG_SESSION_RING_BYTES;
}

/* Keys that exclude each other */
static void check_channel(struct conf_reader *r, struct conf_node *node,
			  const struct channel_config *cfg)
{
	struct conf_node *exclusive = conf_member(node, "exclusive");
	struct conf_node *sessions = conf_member(node, "sessions");
	struct conf_node *packets = conf_member(node, "packets");
	enum endpoint_type type = cfg->endpoint.type;

	if (cfg->exclusive && cfg->sessions)
		conf_key_error(
			r->errors, exclusive,
			"has no meaning with \"sessions\": each open has a session of its own");
	if (type == ENDPOINT_INTERVM && cfg->sessions)
		conf_key_error(r->errors, sessions, "is not possible with the endpoint `intervm`");
	if (type == ENDPOINT_MUX_LISTEN && !cfg->sessions && !sessions)
		conf_error(r->errors, conf_member(node, "endpoint"),
			   "\"mux-listen\" is for channels with \"sessions\"");
	if (cfg->packets && (type == ENDPOINT_INTERVM || type == ENDPOINT_MUX_LISTEN ||
			     type == ENDPOINT_TCP_LISTEN || type == ENDPOINT_TCP_CONNECT))
		conf_key_error(r->errors, packets,
			       "is not possible with the endpoint `%s`, which carries a stream",
			       endpoint_type_name(type));
}

/* What only the driver can do: a port of virtio-serial has one opener, bytes, and a name */
static void refuse_driver_keys(struct conf_reader *r, struct conf_node *channel)
{
	static const char *const keys[] = { "exclusive",  "sessions",  "packets",
					    "guest_mode", "guest_uid", "guest_gid" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct conf_node *node = conf_member(channel, keys[i]);

		if (node)
			conf_key_error(r->errors, node, "has no meaning with \"way\": \"serial\"");
	}
}

static void check_port_path(struct conf_reader *r, struct conf_node *channel,
			    const struct guest_config *guest, const char *name)
{
	_cleanup_free_ char *path = NULL;
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (!guest->socket || !name)
		return;
	path = config_port_path(guest, name);
	r->no_memory |= !path;
	if (path && strlen(path) > max)
		conf_error(r->errors, conf_member(channel, "name"),
			   "the port's socket, %s, has a path of more than %zu bytes", path, max);
}

static void read_channel(struct conf_reader *r, struct conf_node *node,
			 const struct guest_config *guest, struct channel_config *out)
{
	config_channel_defaults(out);
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	conf_read_channel_name(r, conf_required(r, node, "name"), &out->name);
	if (guest && guest->way == WAY_SERIAL) {
		refuse_driver_keys(r, node);
		check_port_path(r, node, guest, out->name);
	}
	read_sessions(r, conf_member(node, "sessions"), out);
	read_ring_bytes(r, conf_member(node, "ring_bytes"), &out->ring_bytes);
	conf_read_boolean(r, conf_member(node, "exclusive"), &out->exclusive);
	conf_read_boolean(r, conf_member(node, "packets"), &out->packets);
	conf_read_mode(r, conf_member(node, "guest_mode"), &out->guest_mode);
	conf_read_id(r, conf_member(node, "guest_uid"), &out->guest_uid);
	conf_read_id(r, conf_member(node, "guest_gid"), &out->guest_gid);
	read_endpoint(r, conf_required(r, node, "endpoint"), &out->endpoint);
	check_channel(r, node, out);
	conf_refuse_unused(r, node);
}

static size_t n_items(const struct conf_node *node)
{
	size_t n = 0;

	for (node = node->first; node; node = node->next)
		n++;
	return n;
}

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
		read_channel(r, node, out, &out->channels[node->idx]);
}

/* A key that has a meaning only where we listen */
static struct conf_node *read_listener(struct conf_reader *r, struct conf_node *object,
				       const char *key, enum socket_mode mode)
{
	struct conf_node *node = conf_member(object, key);

	if (node && mode != SOCKET_LISTEN)
		conf_key_error(r->errors, node, "has no meaning with \"socket_mode\": \"connect\"");
	return node;
}

static void read_guest(struct conf_reader *r, struct conf_node *node, struct guest_config *out)
{
	static const char *const modes[] = {
		[SOCKET_LISTEN] = "listen", [SOCKET_CONNECT] = "connect"
	};
	unsigned int mode = SOCKET_LISTEN, way = WAY_VHOST_USER;

	config_guest_defaults(out);
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	conf_read_guest_name(r, conf_required(r, node, "name"), &out->name);
	conf_read_word(r, conf_member(node, "way"), way_names, N_GUEST_WAYS, &way);
	out->way = (enum guest_way)way;
	conf_read_socket_path(r, conf_required(r, node, "socket"), &out->socket);
	conf_read_word(r, conf_member(node, "socket_mode"), modes, 2, &mode);
	out->socket_mode = (enum socket_mode)mode;
	conf_read_mode(r, read_listener(r, node, "socket_perm", out->socket_mode),
		       &out->socket_perm);
	conf_read_group(r, read_listener(r, node, "socket_group", out->socket_mode),
			&out->socket_group);
	conf_read_number(r, conf_member(node, "tail_bytes"), 0, CONFIG_TAIL_BYTES_MAX,
			 &out->tail_bytes);
	read_channels(r, conf_required(r, node, "channels"), out);
	conf_refuse_unused(r, node);
}

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

static void read_names(struct conf_reader *r, struct conf_node *node,
		       bool (*read)(struct conf_reader *, const struct conf_node *, char **),
		       char ***out, size_t *n_out)
{
	if (!conf_is_kind(r, node, CONF_ARRAY))
		return;
	*out = calloc(n_items(node) + 1, sizeof(**out));
	if (!*out) {
		r->no_memory = true;
		return;
	}
	for (node = node->first; node; node = node->next)
		*n_out += read(r, node, &(*out)[*n_out]);
}

static void read_principals(struct conf_reader *r, struct conf_node *node, struct principals *out)
{
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	out->given = true;
	read_names(r, conf_member(node, "users"), conf_read_user, &out->users, &out->n_users);
	read_names(r, conf_member(node, "groups"), conf_read_group, &out->groups, &out->n_groups);
	conf_refuse_unused(r, node);
}

/* The defaults are in @out already */
static void read_control(struct conf_reader *r, struct conf_node *node, struct config *out)
{
	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	conf_read_socket_path(r, conf_member(node, "path"), &out->control_path);
	conf_read_mode(r, conf_member(node, "mode"), &out->control_mode);
	conf_read_group(r, conf_member(node, "group"), &out->control_group);
	conf_read_u32(r, conf_member(node, "idle_seconds"), 0, UINT32_MAX,
		      &out->control_idle_seconds);
	read_principals(r, conf_member(node, "readers"), &out->control_readers);
	read_principals(r, conf_member(node, "admins"), &out->control_admins);
	conf_refuse_unused(r, node);
}

static void read_metrics(struct conf_reader *r, struct conf_node *node, struct config *out)
{
	struct conf_node *listen;

	if (!conf_is_kind(r, node, CONF_OBJECT))
		return;
	listen = conf_required(r, node, "listen");
	if (listen && listen->kind == CONF_STRING && !strncmp(listen->text, "unix:", 5))
		conf_read_unix_url(r, listen, &out->metrics_listen);
	else
		conf_read_address(r, listen, "is not a loopback address", &out->metrics_listen);
	conf_refuse_unused(r, node);
}

int config_read_channel(struct channel_config *out, const struct guest_config *guest,
			struct conf_node *root, const char *dir, struct conf_errors *errors)
{
	struct conf_reader r = { .errors = errors, .dir = dir };

	read_channel(&r, root, guest, out);
	return r.no_memory ? -ENOMEM : 0;
}

int config_read_guest(struct guest_config *out, struct conf_node *root, const char *dir,
		      struct conf_errors *errors)
{
	struct conf_reader r = { .errors = errors, .dir = dir };

	read_guest(&r, root, out);
	return r.no_memory ? -ENOMEM : 0;
}

int config_read(struct config *cfg, struct conf_node *root, char *(*dir)(const char *control_path),
		struct conf_errors *errors)
{
	struct conf_reader r = { .errors = errors };
	_cleanup_free_ char *begin = NULL;

	if (!conf_is_kind(&r, root, CONF_OBJECT))
		return 0;
	read_control(&r, conf_member(root, "control"), cfg);
	r.dir = begin = dir(cfg->control_path);
	read_metrics(&r, conf_member(root, "metrics"), cfg);
	read_guests(&r, conf_required(&r, root, "guests"), cfg);
	conf_refuse_unused(&r, root);
	return r.no_memory ? -ENOMEM : 0;
}
