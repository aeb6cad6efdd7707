// SPDX-License-Identifier: BSD-3-Clause
/*
 * list.c - guests and channels, and what they have done
 */
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>
#include <libfs/abi.h>

#include "control/call.h"
#include "control/json.h"

/**
 * add_guest() - tell of a guest
 * @guest: guest
 * @list: to which
 */
static void add_guest(struct guest *guest, struct json_object *list)
{
	const struct guest_config *cfg = guest_config(guest);
	struct json_object *object = json_object_new_object();
	struct guest_snapshot snap;

	guest_snapshot(guest, &snap);
	control_add_string(object, "name", cfg->name);
	control_add_path(object, "socket", cfg->socket);
	control_add_string(object, "socket_mode",
			   cfg->socket_mode == SOCKET_LISTEN ? "listen" : "connect");
	control_add_boolean(object, "path_lost", guest_path_is_lost(guest));
	control_add_boolean(object, "connected", snap.connected);
	control_add_boolean(object, "ready", snap.ready);
	control_add_instance(object, "driver_instance", snap.driver_instance);
	control_add_number(object, "channels", snap.n_channels);
	control_add_number(object, "queues", snap.n_queues);
	control_add_number(object, "memory_bytes", snap.memory_bytes);
	control_add_number(object, "tail_bytes", snap.tail_bytes);
	control_add_number(object, "requests", snap.requests);
	control_add_number(object, "requests_refused", snap.refused);
	control_add_number(object, "fuse_requests_declined", snap.declined_fuse);
	control_add_number(object, "messages_dropped", snap.dropped_messages);
	control_add_number(object, "device_errors", snap.device_errors);
	json_object_array_add(list, object);
}

int control_guest_list(struct control_request *req, struct json_object **result)
{
	const char *name = control_string(req, "guest");
	struct guest *guest = name ? server_find(req->server, name) : NULL;
	struct json_object *list;

	if (name && !guest)
		return control_refuse(req, CONTROL_INVALID_PARAMS, "there is no guest \"%.64s\"",
				      name);
	list = json_object_new_array();
	if (guest)
		add_guest(guest, list);
	else
		for (size_t i = 0; (guest = server_guest(req->server, i)); i++)
			add_guest(guest, list);
	*result = json_object_new_object();
	json_object_object_add(*result, "guests", list);
	return 0;
}

/**
 * way_object() - one direction of a channel
 * @stats: its counters
 * @fill: bytes in its ring
 * @host_phase: phase of the host's end
 * @guest_phase: phase of the guest's end
 *
 * Return: a new object.
 */
static struct json_object *way_object(const struct channel_way_stats *stats, uint64_t fill,
				      uint64_t host_phase, uint64_t guest_phase)
{
	struct json_object *object = json_object_new_object();

	control_add_number(object, "bytes", stats->bytes);
	control_add_number(object, "messages", stats->messages);
	control_add_number(object, "fill_bytes", fill);
	control_add_number(object, "wakes_sent", stats->wakes_sent);
	control_add_number(object, "wakes_received", stats->wakes_received);
	control_add_number(object, "full_stalls", stats->full_stalls);
	control_add_number(object, "empty_stalls", stats->empty_stalls);
	control_add_number(object, "opens", stats->opens);
	control_add_number(object, "host_phase", host_phase);
	control_add_number(object, "guest_phase", guest_phase);
	return object;
}

/**
 * add_connections() - what has come of a socket
 * @object: to which
 * @cfg: the endpoint's configuration
 * @info: its state
 */
static void add_connections(struct json_object *object, const struct endpoint_config *cfg,
			    const struct endpoint_info *info)
{
	bool listens = cfg->type == ENDPOINT_UNIX_LISTEN || cfg->type == ENDPOINT_TCP_LISTEN;

	control_add_number(object, "clients", info->clients);
	control_add_number(object, listens ? "clients_refused" : "attempts_failed",
			   listens ? info->refused : info->failed);
	if (cfg->tls) {
		control_add_number(object, "handshakes_failed", info->handshakes_failed);
		control_add_number(object, "connections_torn", info->torn);
	}
	if (*info->error)
		control_add_string(object, "error", info->error);
	else if (cfg->type != ENDPOINT_UNIX_LISTEN)
		json_object_object_add(object, "error", NULL);
}

/**
 * endpoint_object() - the host end of a channel
 * @cfg: its configuration
 * @info: its state
 *
 * Return: a new object.
 */
static struct json_object *endpoint_object(const struct endpoint_config *cfg,
					   const struct endpoint_info *info)
{
	struct json_object *object = json_object_new_object();

	control_add_string(object, "type", endpoint_type_name(cfg->type));
	control_add_boolean(object, "connected", info->connected);
	if (cfg->type == ENDPOINT_INTERVM) {
		control_add_path(object, "file", cfg->file);
		control_add_number(object, "rounds", cfg->rounds);
	} else if (cfg->type == ENDPOINT_UNIX_LISTEN || cfg->type == ENDPOINT_UNIX_CONNECT) {
		control_add_path(object, "path", cfg->path);
		if (cfg->type == ENDPOINT_UNIX_LISTEN)
			control_add_boolean(object, "path_lost", info->path_lost);
		add_connections(object, cfg, info);
	} else if (cfg->type == ENDPOINT_TCP_LISTEN || cfg->type == ENDPOINT_TCP_CONNECT) {
		control_add_string(object, "address", cfg->address);
		control_add_boolean(object, "tls", cfg->tls);
		add_connections(object, cfg, info);
	} else if (cfg->type == ENDPOINT_CHANNEL) {
		control_add_string(object, "guest", cfg->guest);
		control_add_string(object, "channel", cfg->channel);
	}
	return object;
}

/**
 * failure_object() - why a channel has failed
 * @snap: the channel
 *
 * Return: a new object; NULL (which is null) when it has not.
 */
static struct json_object *failure_object(const struct channel_snapshot *snap)
{
	struct json_object *object;

	if (snap->state != CHANNEL_FAILED)
		return NULL;
	object = json_object_new_object();
	control_add_string(object, "status", fs_status_name((int)snap->failed_status));
	control_add_string(object, "text", fs_status_text((int)snap->failed_status));
	return object;
}

/**
 * errors_object() - violations by name
 * @snap: the channel
 *
 * Return: a new object with those that happened.
 */
static struct json_object *errors_object(const struct channel_snapshot *snap)
{
	struct json_object *object = json_object_new_object();

	for (int status = 0; status < FS_STATUS_END; status++)
		if (snap->errors[status])
			control_add_number(object, fs_status_name(status), snap->errors[status]);
	return object;
}

/* What the channel's node in the guest is to be; null where that is the guest's choice. */
static void add_node(struct json_object *object, const struct channel_config *cfg)
{
	char mode[16];

	snprintf(mode, sizeof(mode), "%04o", cfg->guest_mode);
	control_add_string(object, "guest_mode", cfg->guest_mode == OKL4FS_NOT_GIVEN ? NULL : mode);
	control_add_id(object, "guest_uid", cfg->guest_uid);
	control_add_id(object, "guest_gid", cfg->guest_gid);
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
	add_node(object, cfg);
	json_object_object_add(object, "endpoint", endpoint_object(&cfg->endpoint, &snap->info));
	control_add_instance(object, "instance", snap->instance);
	control_add_number(object, "attaches", snap->attaches);
	json_object_object_add(object, "fwd",
			       way_object(&snap->fwd, snap->fwd_fill, snap->fwd_host_phase,
					  snap->fwd_guest_phase));
	json_object_object_add(object, "bwd",
			       way_object(&snap->bwd, snap->bwd_fill, snap->bwd_host_phase,
					  snap->bwd_guest_phase));
	control_add_number(object, "tail_bytes", snap->tail_bytes);
	control_add_number(object, "lost_bytes", snap->lost_bytes);
	json_object_object_add(object, "errors", errors_object(snap));
	return object;
}
