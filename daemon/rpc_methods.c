// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc_methods.c - what the control socket can be asked
 *
 * Names of results are part of the interface: snake_case, with their unit where they have one.
 * Instances are strings of 16 hexadecimal digits, since not every reader of JSON has 64-bit
 * integers; so are no counters, which stay below 2^53 for longer than anybody will wait.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "rpc_call.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * add_string() - a string member
 * @object: to which
 * @key: its key; static memory
 * @text: the string
 */
static void add_string(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add_ex(object, key, json_object_new_string(text),
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/**
 * add_number() - a number member
 * @object: to which
 * @key: its key; static memory
 * @number: the number
 */
static void add_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add_ex(object, key, json_object_new_uint64(number),
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/**
 * add_boolean() - a boolean member
 * @object: to which
 * @key: its key; static memory
 * @boolean: the value
 */
static void add_boolean(struct json_object *object, const char *key, bool boolean)
{
	json_object_object_add_ex(object, key, json_object_new_boolean(boolean),
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/**
 * add_instance() - an instance as a member
 * @object: to which
 * @key: its key; static memory
 * @instance: the number; 0 is null
 */
static void add_instance(struct json_object *object, const char *key, uint64_t instance)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, instance);
	json_object_object_add_ex(object, key, instance ? json_object_new_string(text) : NULL,
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/**
 * add_path() - an absolute path as a member
 * @object: to which
 * @key: its key; static memory
 * @path: the path; a relative one is one from the daemon's working directory
 */
static void add_path(struct json_object *object, const char *key, const char *path)
{
	_cleanup_free_ char *dir = path[0] == '/' ? NULL : getcwd(NULL, 0);
	_cleanup_free_ char *whole = NULL;

	if (dir && asprintf(&whole, "%s/%s", dir, path) < 0)
		whole = NULL;
	add_string(object, key, whole ? whole : path);
}

/**
 * call_version() - `version`
 * @req: not used
 * @result: out
 *
 * Return: 0.
 */
static int call_version(struct rpc_request *req, struct json_object **result)
{
	*result = json_object_new_object();
	add_string(*result, "name", "okl4fsd");
	add_string(*result, "version", OKL4FS_VERSION_STRING);
	add_number(*result, "abi_version", OKL4FS_ABI_VERSION);
	return 0;
}

/**
 * count_channels() - add the channels of a guest to a status
 * @guest: guest
 * @n: its channels in each state; added to
 */
static void count_channels(struct guest *guest, uint64_t n[N_CHANNEL_STATES])
{
	struct channel_snapshot snap;

	for (size_t i = 0; !guest_channel_snapshot(guest, i, &snap); i++)
		n[snap.state]++;
}

/**
 * call_status() - `status`
 * @req: request
 * @result: out
 *
 * Return: 0.
 */
static int call_status(struct rpc_request *req, struct json_object **result)
{
	uint64_t n_guests = 0, connected = 0, ready = 0, n[N_CHANNEL_STATES] = { 0 };
	struct json_object *guests = json_object_new_object();
	struct json_object *channels = json_object_new_object();
	struct guest_snapshot snap;
	struct guest *guest;

	for (; (guest = server_guest(req->server, n_guests)); n_guests++) {
		guest_snapshot(guest, &snap);
		connected += snap.connected;
		ready += snap.ready;
		count_channels(guest, n);
	}
	call_version(req, result);
	add_number(*result, "pid", (uint64_t)getpid());
	add_instance(*result, "instance", server_instance());
	add_number(*result, "uptime_ms", server_uptime_ms(req->server));
	add_number(*result, "workers", server_n_workers(req->server));
	add_string(*result, "log_level", log_level_word(log_get_level()));
	add_path(*result, "control_path", server_config(req->server)->control_path);
	add_number(guests, "total", n_guests);
	add_number(guests, "connected", connected);
	add_number(guests, "ready", ready);
	json_object_object_add(*result, "guests", guests);
	for (int state = 0; state < N_CHANNEL_STATES; state++)
		add_number(channels, channel_state_name((enum channel_state)state), n[state]);
	json_object_object_add(*result, "channels", channels);
	return 0;
}

/**
 * wanted() - whether a list is to have this guest
 * @req: request
 * @guest: guest
 *
 * Return: true when the parameter `guest` is its name, or is not there.
 */
static bool wanted(const struct rpc_request *req, const struct guest *guest)
{
	struct json_object *name;

	return !json_object_object_get_ex(req->params, "guest", &name) ||
	       !strcmp(json_object_get_string(name), guest_config(guest)->name);
}

/**
 * for_guests() - make a list by going through the guests that are wanted
 * @req: request
 * @add: adds to the list what is to be told of a guest
 * @key: what the list is called in the result
 * @result: out
 *
 * Return: 0, or RPC_INVALID_PARAMS when a guest was named and there is no such guest.
 */
static int for_guests(struct rpc_request *req, void (*add)(struct guest *, struct json_object *),
		      const char *key, struct json_object **result)
{
	struct json_object *list = json_object_new_array();
	struct json_object *name;
	struct guest *guest;
	bool found = false;

	for (size_t i = 0; (guest = server_guest(req->server, i)); i++) {
		if (wanted(req, guest)) {
			found = true;
			add(guest, list);
		}
	}
	if (!found && json_object_object_get_ex(req->params, "guest", &name)) {
		json_object_put(list);
		snprintf(req->error, sizeof(req->error), "there is no guest \"%.64s\"",
			 json_object_get_string(name));
		return RPC_INVALID_PARAMS;
	}
	*result = json_object_new_object();
	json_object_object_add(*result, key, list);
	return 0;
}

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
	add_string(object, "name", cfg->name);
	add_path(object, "socket", cfg->socket);
	add_string(object, "socket_mode", cfg->socket_mode == SOCKET_LISTEN ? "listen" : "connect");
	add_boolean(object, "connected", snap.connected);
	add_boolean(object, "ready", snap.ready);
	add_instance(object, "driver_instance", snap.driver_instance);
	add_number(object, "channels", cfg->n_channels);
	add_number(object, "queues", snap.n_queues);
	add_number(object, "memory_bytes", snap.memory_bytes);
	add_number(object, "requests", snap.requests);
	add_number(object, "requests_refused", snap.refused);
	add_number(object, "fuse_requests_declined", snap.declined_fuse);
	add_number(object, "messages_dropped", snap.dropped_messages);
	add_number(object, "device_errors", snap.device_errors);
	json_object_array_add(list, object);
}

/**
 * call_guest_list() - `guest.list`
 * @req: request
 * @result: out
 *
 * Return: 0 or RPC_INVALID_PARAMS.
 */
static int call_guest_list(struct rpc_request *req, struct json_object **result)
{
	return for_guests(req, add_guest, "guests", result);
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

	add_number(object, "bytes", stats->bytes);
	add_number(object, "messages", stats->messages);
	add_number(object, "fill_bytes", fill);
	add_number(object, "wakes_sent", stats->wakes_sent);
	add_number(object, "wakes_received", stats->wakes_received);
	add_number(object, "full_stalls", stats->full_stalls);
	add_number(object, "empty_stalls", stats->empty_stalls);
	add_number(object, "opens", stats->opens);
	add_number(object, "host_phase", host_phase);
	add_number(object, "guest_phase", guest_phase);
	return object;
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

	add_string(object, "type", endpoint_type_name(cfg->type));
	add_boolean(object, "joined", info->joined);
	if (cfg->type == ENDPOINT_INTERVM) {
		add_path(object, "file", cfg->file);
		add_number(object, "rounds", cfg->rounds);
	} else if (cfg->type == ENDPOINT_UNIX_LISTEN) {
		add_path(object, "path", cfg->path);
		add_number(object, "clients", info->clients);
		add_number(object, "clients_refused", info->refused);
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
	add_string(object, "status", fs_status_name((int)snap->failed_status));
	add_string(object, "text", fs_status_text((int)snap->failed_status));
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
			add_number(object, fs_status_name(status), snap->errors[status]);
	return object;
}

/**
 * add_channels() - tell of the channels of a guest
 * @guest: guest
 * @list: to which
 */
static void add_channels(struct guest *guest, struct json_object *list)
{
	const struct guest_config *cfg = guest_config(guest);
	struct channel_snapshot snap;

	for (size_t i = 0; i < cfg->n_channels && !guest_channel_snapshot(guest, i, &snap); i++) {
		struct json_object *object = json_object_new_object();

		add_string(object, "guest", cfg->name);
		add_string(object, "name", snap.name);
		add_number(object, "id", snap.id);
		add_string(object, "state", channel_state_name(snap.state));
		json_object_object_add(object, "failure", failure_object(&snap));
		add_number(object, "ring_bytes", snap.ring_bytes);
		add_boolean(object, "exclusive", snap.exclusive);
		json_object_object_add(object, "endpoint",
				       endpoint_object(&cfg->channels[i].endpoint, &snap.info));
		add_instance(object, "instance", snap.instance);
		add_number(object, "attaches", snap.attaches);
		json_object_object_add(object, "fwd",
				       way_object(&snap.fwd, snap.fwd_fill, snap.fwd_host_phase,
						  snap.fwd_guest_phase));
		json_object_object_add(object, "bwd",
				       way_object(&snap.bwd, snap.bwd_fill, snap.bwd_host_phase,
						  snap.bwd_guest_phase));
		json_object_object_add(object, "errors", errors_object(&snap));
		json_object_array_add(list, object);
	}
}

/**
 * call_channel_list() - `channel.list`
 * @req: request
 * @result: out
 *
 * Return: 0 or RPC_INVALID_PARAMS.
 */
static int call_channel_list(struct rpc_request *req, struct json_object **result)
{
	return for_guests(req, add_channels, "channels", result);
}

static const char *const no_params[] = { NULL };
static const char *const guest_param[] = { "guest", NULL };

const struct rpc_method rpc_methods[] = {
	{ "version", no_params, call_version },
	{ "status", no_params, call_status },
	{ "guest.list", guest_param, call_guest_list },
	{ "channel.list", guest_param, call_channel_list },
	{ NULL, NULL, NULL },
};
