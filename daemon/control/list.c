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

static const struct rpc_field guest_fields[] = {
	RPC_FIELD("name", RPC_STRING, "Name"),
	RPC_FIELD("socket", RPC_STRING, "The vhost-user socket"),
	RPC_FIELD("socket_mode", RPC_STRING, "Who listens: listen (the daemon) or connect"),
	RPC_FIELD("path_lost", RPC_BOOLEAN,
		  "(listen) Somebody has removed or replaced the socket's file; a reload helps"),
	RPC_FIELD("connected", RPC_BOOLEAN, "A frontend is there"),
	RPC_FIELD("ready", RPC_BOOLEAN, "The driver has said hello"),
	RPC_FIELD("driver_instance", RPC_INSTANCE, "Which driver it is", .nullable = true),
	RPC_FIELD("channels", RPC_INTEGER, "Channels that are offered"),
	RPC_FIELD("queues", RPC_INTEGER, "Queues in use"),
	RPC_FIELD("memory_bytes", RPC_INTEGER, "Guest memory that is mapped"),
	RPC_FIELD("tail_bytes", RPC_INTEGER, "Kept of streams that have ended, or may have"),
	RPC_FIELD("requests", RPC_INTEGER, "Control requests served"),
	RPC_FIELD("requests_refused", RPC_INTEGER, "Control requests refused"),
	RPC_FIELD("fuse_requests_declined", RPC_INTEGER,
		  "FUSE requests of a firmware or a stray mount"),
	RPC_FIELD("messages_dropped", RPC_INTEGER, "Messages of the frontend that were refused"),
	RPC_FIELD("device_errors", RPC_INTEGER, "How often the device was taken from the guest"),
	RPC_END,
};

const struct rpc_field rpc_guest_list_result[] = {
	RPC_FIELD("guests", RPC_LIST, "In the order of the configuration", .of = guest_fields),
	RPC_END,
};

static const struct rpc_field way_fields[] = {
	RPC_FIELD("bytes", RPC_INTEGER, "Bytes moved by the host"),
	RPC_FIELD("messages", RPC_INTEGER, "Pieces that they were moved in"),
	RPC_FIELD("fill_bytes", RPC_INTEGER, "Bytes in the ring now"),
	RPC_FIELD("wakes_sent", RPC_INTEGER, "Notifications to the guest"),
	RPC_FIELD("wakes_received", RPC_INTEGER,
		  "Doorbells of the guest after which this way had moved"),
	RPC_FIELD("full_stalls", RPC_INTEGER, "How often the host waited for room"),
	RPC_FIELD("empty_stalls", RPC_INTEGER, "How often the host waited for bytes"),
	RPC_FIELD("opens", RPC_INTEGER, "How often the host's end was opened"),
	RPC_FIELD("host_phase", RPC_INTEGER, "Phase of the host's end; odd: open"),
	RPC_FIELD("guest_phase", RPC_INTEGER, "Phase of the guest's end; odd: open"),
	RPC_END,
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

static const struct rpc_field endpoint_fields[] = {
	RPC_FIELD("type", RPC_STRING, "Type", .word = type_word),
	RPC_FIELD("joined", RPC_BOOLEAN, "Somebody is there"),
	RPC_FIELD("file", RPC_STRING, "(intervm) What is sent", .optional = true),
	RPC_FIELD("rounds", RPC_INTEGER, "(intervm) How often", .optional = true),
	RPC_FIELD("path", RPC_STRING, "(unix-*) The socket", .optional = true),
	RPC_FIELD("path_lost", RPC_BOOLEAN,
		  "(unix-listen) Somebody has removed or replaced its file; a reload helps",
		  .optional = true),
	RPC_FIELD("clients", RPC_INTEGER, "Clients so far", .optional = true),
	RPC_FIELD("clients_refused", RPC_INTEGER,
		  "Clients turned away, since there was one already", .optional = true),
	RPC_FIELD("attempts_failed", RPC_INTEGER, "(*-connect) Connections that did not come about",
		  .optional = true),
	RPC_FIELD("handshakes_failed", RPC_INTEGER, "(tls) Peers that were refused, or refused us",
		  .optional = true),
	RPC_FIELD("connections_torn", RPC_INTEGER, "(tls) Connections that ended without a word",
		  .optional = true),
	RPC_FIELD("error", RPC_STRING, "Why the last connection failed, or did not come about",
		  .optional = true, .nullable = true),
	RPC_FIELD("address", RPC_STRING, "(tcp-*) Where it listens or connects to",
		  .optional = true),
	RPC_FIELD("tls", RPC_BOOLEAN, "(tcp-*) Encrypted", .optional = true),
	RPC_FIELD("guest", RPC_STRING, "(channel) The other guest", .optional = true),
	RPC_FIELD("channel", RPC_STRING, "(channel) Its channel", .optional = true),
	RPC_END,
};

static const struct rpc_field failure_fields[] = {
	RPC_FIELD("status", RPC_STRING, "Name of the refusal"),
	RPC_FIELD("text", RPC_STRING, "The same as a sentence"),
	RPC_END,
};

static const struct rpc_field channel_fields[] = {
	RPC_FIELD("guest", RPC_STRING, "Its guest"),
	RPC_FIELD("name", RPC_STRING, "Name"),
	RPC_FIELD("id", RPC_INTEGER, "Its id in the guest"),
	RPC_FIELD("state", RPC_STRING, "Where its memory is", .word = state_word),
	RPC_FIELD("failure", RPC_OBJECT, "Why it has failed", .nullable = true,
		  .of = failure_fields),
	RPC_FIELD("ring_bytes", RPC_INTEGER, "Size of the ring, each way"),
	RPC_FIELD("exclusive", RPC_BOOLEAN, "One opener an end in the guest"),
	RPC_FIELD("guest_mode", RPC_STRING, "Permission bits of its node in the guest, octal",
		  .nullable = true),
	RPC_FIELD("guest_uid", RPC_INTEGER, "Owner of its node", .nullable = true),
	RPC_FIELD("guest_gid", RPC_INTEGER, "Group of its node", .nullable = true),
	RPC_FIELD("endpoint", RPC_OBJECT, "The host end", .of = endpoint_fields),
	RPC_FIELD("instance", RPC_INSTANCE, "Which memory it has, or had last", .nullable = true),
	RPC_FIELD("attaches", RPC_INTEGER, "How often memory was attached"),
	RPC_FIELD("fwd", RPC_OBJECT, "Guest to host", .of = way_fields),
	RPC_FIELD("bwd", RPC_OBJECT, "Host to guest", .of = way_fields),
	RPC_FIELD("tail_bytes", RPC_INTEGER,
		  "Bytes of streams whose guest has gone, still to be delivered"),
	RPC_FIELD("lost_bytes", RPC_INTEGER, "Bytes that the guest wrote and nobody will have"),
	RPC_FIELD("errors", RPC_COUNTS, "Broken rules, by name"),
	RPC_END,
};

const struct rpc_field rpc_channel_list_result[] = {
	RPC_FIELD("channels", RPC_LIST,
		  "In the order in which their guests began to be served, and of their ids",
		  .of = channel_fields),
	RPC_FIELD("cursor", RPC_STRING, "There are more: what to ask with for the next ones",
		  .optional = true),
	RPC_END,
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
	rpc_add_string(object, "name", cfg->name);
	rpc_add_path(object, "socket", cfg->socket);
	rpc_add_string(object, "socket_mode",
		       cfg->socket_mode == SOCKET_LISTEN ? "listen" : "connect");
	rpc_add_boolean(object, "path_lost", guest_path_is_lost(guest));
	rpc_add_boolean(object, "connected", snap.connected);
	rpc_add_boolean(object, "ready", snap.ready);
	rpc_add_instance(object, "driver_instance", snap.driver_instance);
	rpc_add_number(object, "channels", snap.n_channels);
	rpc_add_number(object, "queues", snap.n_queues);
	rpc_add_number(object, "memory_bytes", snap.memory_bytes);
	rpc_add_number(object, "tail_bytes", snap.tail_bytes);
	rpc_add_number(object, "requests", snap.requests);
	rpc_add_number(object, "requests_refused", snap.refused);
	rpc_add_number(object, "fuse_requests_declined", snap.declined_fuse);
	rpc_add_number(object, "messages_dropped", snap.dropped_messages);
	rpc_add_number(object, "device_errors", snap.device_errors);
	json_object_array_add(list, object);
}

int rpc_guest_list(struct rpc_request *req, struct json_object **result)
{
	const char *name = rpc_string(req, "guest");
	struct guest *guest = name ? server_find(req->server, name) : NULL;
	struct json_object *list;

	if (name && !guest)
		return rpc_refuse(req, RPC_INVALID_PARAMS, "there is no guest \"%.64s\"", name);
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

	rpc_add_number(object, "bytes", stats->bytes);
	rpc_add_number(object, "messages", stats->messages);
	rpc_add_number(object, "fill_bytes", fill);
	rpc_add_number(object, "wakes_sent", stats->wakes_sent);
	rpc_add_number(object, "wakes_received", stats->wakes_received);
	rpc_add_number(object, "full_stalls", stats->full_stalls);
	rpc_add_number(object, "empty_stalls", stats->empty_stalls);
	rpc_add_number(object, "opens", stats->opens);
	rpc_add_number(object, "host_phase", host_phase);
	rpc_add_number(object, "guest_phase", guest_phase);
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

	rpc_add_number(object, "clients", info->clients);
	rpc_add_number(object, listens ? "clients_refused" : "attempts_failed",
		       listens ? info->refused : info->failed);
	if (cfg->tls) {
		rpc_add_number(object, "handshakes_failed", info->handshakes_failed);
		rpc_add_number(object, "connections_torn", info->torn);
	}
	if (*info->error)
		rpc_add_string(object, "error", info->error);
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

	rpc_add_string(object, "type", endpoint_type_name(cfg->type));
	rpc_add_boolean(object, "joined", info->joined);
	if (cfg->type == ENDPOINT_INTERVM) {
		rpc_add_path(object, "file", cfg->file);
		rpc_add_number(object, "rounds", cfg->rounds);
	} else if (cfg->type == ENDPOINT_UNIX_LISTEN || cfg->type == ENDPOINT_UNIX_CONNECT) {
		rpc_add_path(object, "path", cfg->path);
		if (cfg->type == ENDPOINT_UNIX_LISTEN)
			rpc_add_boolean(object, "path_lost", info->path_lost);
		add_connections(object, cfg, info);
	} else if (cfg->type == ENDPOINT_TCP_LISTEN || cfg->type == ENDPOINT_TCP_CONNECT) {
		rpc_add_string(object, "address", cfg->address);
		rpc_add_boolean(object, "tls", cfg->tls);
		add_connections(object, cfg, info);
	} else if (cfg->type == ENDPOINT_CHANNEL) {
		rpc_add_string(object, "guest", cfg->guest);
		rpc_add_string(object, "channel", cfg->channel);
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
	rpc_add_string(object, "status", fs_status_name((int)snap->failed_status));
	rpc_add_string(object, "text", fs_status_text((int)snap->failed_status));
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
			rpc_add_number(object, fs_status_name(status), snap->errors[status]);
	return object;
}

/* What the channel's node in the guest is to be; null where that is the guest's choice. */
static void add_node(struct json_object *object, const struct channel_config *cfg)
{
	char mode[16];

	snprintf(mode, sizeof(mode), "%04o", cfg->guest_mode);
	rpc_add_string(object, "guest_mode", cfg->guest_mode == OKL4FS_NOT_GIVEN ? NULL : mode);
	rpc_add_id(object, "guest_uid", cfg->guest_uid);
	rpc_add_id(object, "guest_gid", cfg->guest_gid);
}

struct json_object *rpc_channel_object(const char *guest, const struct channel_snapshot *snap)
{
	const struct channel_config *cfg = snap->cfg;
	struct json_object *object = json_object_new_object();

	rpc_add_string(object, "guest", guest);
	rpc_add_string(object, "name", cfg->name);
	rpc_add_number(object, "id", snap->id);
	rpc_add_string(object, "state", channel_state_name(snap->state));
	json_object_object_add(object, "failure", failure_object(snap));
	rpc_add_number(object, "ring_bytes", cfg->ring_bytes);
	rpc_add_boolean(object, "exclusive", cfg->exclusive);
	add_node(object, cfg);
	json_object_object_add(object, "endpoint", endpoint_object(&cfg->endpoint, &snap->info));
	rpc_add_instance(object, "instance", snap->instance);
	rpc_add_number(object, "attaches", snap->attaches);
	json_object_object_add(object, "fwd",
			       way_object(&snap->fwd, snap->fwd_fill, snap->fwd_host_phase,
					  snap->fwd_guest_phase));
	json_object_object_add(object, "bwd",
			       way_object(&snap->bwd, snap->bwd_fill, snap->bwd_host_phase,
					  snap->bwd_guest_phase));
	rpc_add_number(object, "tail_bytes", snap->tail_bytes);
	rpc_add_number(object, "lost_bytes", snap->lost_bytes);
	json_object_object_add(object, "errors", errors_object(snap));
	return object;
}
