// SPDX-License-Identifier: BSD-3-Clause
/*
 * list.c - guests and channels, and what they have done
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <libfs/abi.h>

#include "control/call.h"
#include "control/json.h"
#include "metrics/counters.h"
#include "util/fd.h"

static void add_counters(struct json_object *object, const struct counter *c, const void *snap,
			 int way)
{
	for (; !counter_is_end(c); c++) {
		if (c->name)
			control_add_number(object, c->name, counter_read(c, snap, way));
	}
}

/* "connect PATH: why not", or null */
static void add_away(struct json_object *object, const char *key, const char *socket, int why_away)
{
	_cleanup_free_ char *path = why_away ? control_whole_path(socket) : NULL;
	_cleanup_free_ char *text = NULL;

	if (why_away &&
	    asprintf(&text, "connect %s: %s", path ? path : socket, strerror(why_away)) < 0)
		text = NULL;
	control_add_string(object, key, text);
}

static void list_guest(struct guest *guest, struct json_object *list)
{
	const struct guest_config *cfg = guest_config(guest);
	struct json_object *object = json_object_new_object();
	struct guest_snapshot snap;

	guest_snapshot(guest, &snap);
	control_add_string(object, "name", cfg->name);
	control_add_string(object, "way", guest_way_name(cfg->way));
	control_add_path(object, "socket", cfg->socket);
	control_add_string(object, "socket_mode",
			   cfg->socket_mode == SOCKET_LISTEN ? "listen" : "connect");
	control_add_boolean(object, "path_lost", guest_path_is_lost(guest) || snap.port_lost);
	control_add_string(object, "error", *guest_error(guest) ? guest_error(guest) : NULL);
	control_add_boolean(object, "connected", snap.connected);
	add_away(object, "away", cfg->socket, snap.why_away);
	control_add_boolean(object, "negotiated", snap.negotiated);
	control_add_boolean(object, "ready", snap.ready);
	control_add_instance(object, "driver_instance", snap.driver_instance);
	add_counters(object, guest_counters, &snap, 0);
	json_object_array_add(list, object);
}

int control_guest_list(struct control_request *req, struct json_object **result)
{
	bool all = !control_param(req, "guest");
	struct guest *guest = all ? NULL : control_guest(req);
	struct json_object *list;

	if (!all && !guest)
		return CONTROL_INVALID_PARAMS;
	list = json_object_new_array();
	if (guest)
		list_guest(guest, list);
	else
		for (size_t i = 0; (guest = server_guest(req->server, i)); i++)
			list_guest(guest, list);
	*result = json_object_new_object();
	json_object_object_add(*result, "guests", list);
	return 0;
}

static struct json_object *way_object(const struct channel_snapshot *snap, int way)
{
	struct json_object *object = json_object_new_object();

	add_counters(object, way_counters, snap, way);
	control_add_opener(object, "guest_opener", way ? &snap->reader : &snap->writer);
	return object;
}

static void add_connections(struct json_object *object, const struct channel_snapshot *snap)
{
	const struct endpoint_config *cfg = &snap->cfg->endpoint;

	for (const struct counter *c = endpoint_counters; !counter_is_end(c); c++) {
		if (c->name && counter_fits(c, cfg))
			control_add_number(object, c->name, counter_read(c, snap, 0));
	}
	if (cfg->type != ENDPOINT_UNIX_LISTEN && cfg->type != ENDPOINT_MUX_LISTEN)
		json_object_object_add(object, "error", NULL); /* until there is one */
}

static void add_proxy(struct json_object *object, const struct endpoint_config *cfg)
{
	control_add_string(object, "proxy", cfg->proxy ? "v2" : NULL);
}

static struct json_object *endpoint_object(const struct channel_snapshot *snap)
{
	const struct endpoint_config *cfg = &snap->cfg->endpoint;
	struct json_object *object = json_object_new_object();

	control_add_string(object, "type", endpoint_type_name(cfg->type));
	control_add_boolean(object, "connected", snap->info.connected);
	if (cfg->type == ENDPOINT_INTERVM) {
		control_add_path(object, "file", cfg->file);
		control_add_number(object, "rounds", cfg->rounds);
	} else if (cfg->type == ENDPOINT_UNIX_LISTEN || cfg->type == ENDPOINT_MUX_LISTEN ||
		   cfg->type == ENDPOINT_UNIX_CONNECT) {
		control_add_path(object, "path", cfg->path);
		if (cfg->type != ENDPOINT_UNIX_CONNECT)
			control_add_boolean(object, "path_lost", snap->info.path_lost);
		if (cfg->type == ENDPOINT_UNIX_CONNECT)
			add_proxy(object, cfg);
		add_connections(object, snap);
	} else if (cfg->type == ENDPOINT_TCP_LISTEN || cfg->type == ENDPOINT_TCP_CONNECT) {
		control_add_string(object, "address", cfg->address);
		control_add_boolean(object, "tls", cfg->tls);
		if (cfg->type == ENDPOINT_TCP_CONNECT)
			add_proxy(object, cfg);
		add_connections(object, snap);
	} else if (cfg->type == ENDPOINT_CHANNEL) {
		control_add_string(object, "guest", cfg->guest);
		control_add_string(object, "channel", cfg->channel);
	}
	if (*snap->info.error)
		control_add_string(object, "error", snap->info.error);
	return object;
}

static struct json_object *failure_object(const struct channel_snapshot *snap)
{
	struct json_object *object;

	if (snap->state != CHANNEL_FAILED)
		return NULL;
	object = json_object_new_object();
	control_add_string(object, "status", okl4_status_name((int)snap->failed_status));
	control_add_string(object, "text", okl4_status_text((int)snap->failed_status));
	return object;
}

static struct json_object *errors_object(const struct channel_snapshot *snap)
{
	struct json_object *object = json_object_new_object();

	for (int status = 0; status < OKL4_STATUS_END; status++)
		if (snap->errors[status])
			control_add_number(object, okl4_status_name(status), snap->errors[status]);
	return object;
}

/* Mode and owner of the channel's node in the guest; null where the guest chooses */
static void add_node_access(struct json_object *object, const struct channel_config *cfg)
{
	char mode[16];

	snprintf(mode, sizeof(mode), "%04o", cfg->guest_mode);
	control_add_string(object, "guest_mode", cfg->guest_mode == OKL4FS_NOT_GIVEN ? NULL : mode);
	control_add_id(object, "guest_uid", cfg->guest_uid);
	control_add_id(object, "guest_gid", cfg->guest_gid);
}

static struct json_object *sessions_object(const struct channel_snapshot *snap)
{
	struct json_object *object;

	if (!snap->sessions.max)
		return NULL;
	object = json_object_new_object();
	add_counters(object, session_counters, snap, 0);
	return object;
}

struct json_object *control_channel_object(const char *guest, const struct channel_snapshot *snap)
{
	const struct channel_config *cfg = snap->cfg;
	struct json_object *object = json_object_new_object();

	control_add_string(object, "guest", guest);
	control_add_string(object, "name", cfg->name);
	control_add_number(object, "id", snap->id);
	control_add_string(object, "state", channel_state_name(snap->state));
	json_object_object_add(object, "failure", failure_object(snap));
	control_add_number(object, "ring_bytes", cfg->ring_bytes);
	control_add_boolean(object, "exclusive", cfg->exclusive);
	control_add_boolean(object, "packets", cfg->packets);
	add_node_access(object, cfg);
	json_object_object_add(object, "sessions", sessions_object(snap));
	if (snap->port)
		control_add_path(object, "port", snap->port);
	else
		control_add_string(object, "port", NULL);
	add_away(object, "port_away", snap->port, snap->port_why_away);
	json_object_object_add(object, "endpoint", endpoint_object(snap));
	control_add_instance(object, "instance", snap->instance);
	json_object_object_add(object, "fwd", way_object(snap, 0));
	json_object_object_add(object, "bwd", way_object(snap, 1));
	add_counters(object, channel_counters, snap, 0);
	json_object_object_add(object, "errors", errors_object(snap));
	return object;
}
