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

static const struct control_field guest_fields[] = {
	CONTROL_FIELD("name", CONTROL_STRING, "Name"),
	CONTROL_FIELD("socket", CONTROL_STRING, "The vhost-user socket"),
	CONTROL_FIELD("socket_mode", CONTROL_STRING, "Who listens: listen (the daemon) or connect"),
	CONTROL_FIELD("path_lost", CONTROL_BOOLEAN,
		      "(listen) Somebody has removed or replaced the socket's file; a reload helps"),
	CONTROL_FIELD("connected", CONTROL_BOOLEAN, "A frontend is there"),
	CONTROL_FIELD("ready", CONTROL_BOOLEAN, "The driver has said hello"),
	CONTROL_FIELD("driver_instance", CONTROL_INSTANCE, "Which driver it is", .nullable = true),
	CONTROL_FIELD("channels", CONTROL_INTEGER, "Channels that are offered"),
	CONTROL_FIELD("queues", CONTROL_INTEGER, "Queues in use"),
	CONTROL_FIELD("memory_bytes", CONTROL_INTEGER, "Guest memory that is mapped"),
	CONTROL_FIELD("tail_bytes", CONTROL_INTEGER,
		      "Kept of streams that have ended, or may have"),
	CONTROL_FIELD("requests", CONTROL_INTEGER, "Control requests served"),
	CONTROL_FIELD("requests_refused", CONTROL_INTEGER, "Control requests refused"),
	CONTROL_FIELD("fuse_requests_declined", CONTROL_INTEGER,
		      "FUSE requests of a firmware or a stray mount"),
	CONTROL_FIELD("messages_dropped", CONTROL_INTEGER,
		      "Messages of the frontend that were refused"),
	CONTROL_FIELD("device_errors", CONTROL_INTEGER,
		      "How often the device was taken from the guest"),
	CONTROL_END,
};

const struct control_field control_guest_list_result[] = {
	CONTROL_FIELD("guests", CONTROL_LIST, "In the order of the configuration",
		      .of = guest_fields),
	CONTROL_END,
};

static const struct control_field way_fields[] = {
	CONTROL_FIELD("bytes", CONTROL_INTEGER, "Bytes moved by the host"),
	CONTROL_FIELD("messages", CONTROL_INTEGER, "Pieces that they were moved in"),
	CONTROL_FIELD("fill_bytes", CONTROL_INTEGER, "Bytes in the ring now"),
	CONTROL_FIELD("wakes_sent", CONTROL_INTEGER, "Notifications to the guest"),
	CONTROL_FIELD("wakes_received", CONTROL_INTEGER,
		      "Doorbells of the guest after which this way had moved"),
	CONTROL_FIELD("full_stalls", CONTROL_INTEGER, "How often the host waited for room"),
	CONTROL_FIELD("empty_stalls", CONTROL_INTEGER, "How often the host waited for bytes"),
	CONTROL_FIELD("opens", CONTROL_INTEGER, "How often the host's end was opened"),
	CONTROL_FIELD("host_phase", CONTROL_INTEGER, "Phase of the host's end; odd: open"),
	CONTROL_FIELD("guest_phase", CONTROL_INTEGER, "Phase of the guest's end; odd: open"),
	CONTROL_END,
};

/**
 * type_word() - the types of endpoints
 * @idx: number
 *
 * Return: the type's name; NULL past the last.
 */
static const char *type_word(unsigned int idx)
{
	return idx < N_ENDPOINT_TYPES ? endpoint_type_name((enum endpoint_type)idx) : NULL;
}

/**
 * state_word() - the states of a channel
 * @idx: number
 *
 * Return: the state's name; NULL past the last.
 */
static const char *state_word(unsigned int idx)
{
	return idx < N_CHANNEL_STATES ? channel_state_name((enum channel_state)idx) : NULL;
}

static const struct control_field endpoint_fields[] = {
	CONTROL_FIELD("type", CONTROL_STRING, "Type", .word = type_word),
	CONTROL_FIELD("connected", CONTROL_BOOLEAN, "Somebody is there"),
	CONTROL_FIELD("file", CONTROL_STRING, "(intervm) What is sent", .optional = true),
	CONTROL_FIELD("rounds", CONTROL_INTEGER, "(intervm) How often", .optional = true),
	CONTROL_FIELD("path", CONTROL_STRING, "(unix-*) The socket", .optional = true),
	CONTROL_FIELD("path_lost", CONTROL_BOOLEAN,
		      "(unix-listen) Somebody has removed or replaced its file; a reload helps",
		      .optional = true),
	CONTROL_FIELD("clients", CONTROL_INTEGER, "Clients so far", .optional = true),
	CONTROL_FIELD("clients_refused", CONTROL_INTEGER,
		      "Clients turned away, since there was one already", .optional = true),
	CONTROL_FIELD("attempts_failed", CONTROL_INTEGER,
		      "(*-connect) Connections that did not come about", .optional = true),
	CONTROL_FIELD("handshakes_failed", CONTROL_INTEGER,
		      "(tls) Peers that were refused, or refused us", .optional = true),
	CONTROL_FIELD("connections_torn", CONTROL_INTEGER,
		      "(tls) Connections that ended without a word", .optional = true),
	CONTROL_FIELD("error", CONTROL_STRING,
		      "Why the last connection failed, or did not come about", .optional = true,
		      .nullable = true),
	CONTROL_FIELD("address", CONTROL_STRING, "(tcp-*) Where it listens or connects to",
		      .optional = true),
	CONTROL_FIELD("tls", CONTROL_BOOLEAN, "(tcp-*) Encrypted", .optional = true),
	CONTROL_FIELD("guest", CONTROL_STRING, "(channel) The other guest", .optional = true),
	CONTROL_FIELD("channel", CONTROL_STRING, "(channel) Its channel", .optional = true),
	CONTROL_END,
};

static const struct control_field failure_fields[] = {
	CONTROL_FIELD("status", CONTROL_STRING, "Name of the refusal"),
	CONTROL_FIELD("text", CONTROL_STRING, "The same as a sentence"),
	CONTROL_END,
};

static const struct control_field channel_fields[] = {
	CONTROL_FIELD("guest", CONTROL_STRING, "Its guest"),
	CONTROL_FIELD("name", CONTROL_STRING, "Name"),
	CONTROL_FIELD("id", CONTROL_INTEGER, "Its id in the guest"),
	CONTROL_FIELD("state", CONTROL_STRING, "Where its memory is", .word = state_word),
	CONTROL_FIELD("failure", CONTROL_OBJECT, "Why it has failed", .nullable = true,
		      .of = failure_fields),
	CONTROL_FIELD("ring_bytes", CONTROL_INTEGER, "Size of the ring, each way"),
	CONTROL_FIELD("exclusive", CONTROL_BOOLEAN, "One opener an end in the guest"),
	CONTROL_FIELD("guest_mode", CONTROL_STRING,
		      "Permission bits of its node in the guest, octal", .nullable = true),
	CONTROL_FIELD("guest_uid", CONTROL_INTEGER, "Owner of its node", .nullable = true),
	CONTROL_FIELD("guest_gid", CONTROL_INTEGER, "Group of its node", .nullable = true),
	CONTROL_FIELD("endpoint", CONTROL_OBJECT, "The host end", .of = endpoint_fields),
	CONTROL_FIELD("instance", CONTROL_INSTANCE, "Which memory it has, or had last",
		      .nullable = true),
	CONTROL_FIELD("attaches", CONTROL_INTEGER, "How often memory was attached"),
	CONTROL_FIELD("fwd", CONTROL_OBJECT, "Guest to host", .of = way_fields),
	CONTROL_FIELD("bwd", CONTROL_OBJECT, "Host to guest", .of = way_fields),
	CONTROL_FIELD("tail_bytes", CONTROL_INTEGER,
		      "Bytes of streams whose guest has gone, still to be delivered"),
	CONTROL_FIELD("lost_bytes", CONTROL_INTEGER,
		      "Bytes that the guest wrote and nobody will have"),
	CONTROL_FIELD("errors", CONTROL_COUNTS, "Broken rules, by name"),
	CONTROL_END,
};

const struct control_field control_channel_list_result[] = {
	CONTROL_FIELD("channels", CONTROL_LIST,
		      "In the order in which their guests began to be served, and of their ids",
		      .of = channel_fields),
	CONTROL_FIELD("cursor", CONTROL_STRING,
		      "There are more: what to ask with for the next ones", .optional = true),
	CONTROL_END,
};

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
