// SPDX-License-Identifier: BSD-3-Clause
/*
 * methods.c - what the control socket can be asked
 */
#include <unistd.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/events.h"
#include "control/json.h"
#include "util/log.h"

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
	rpc_add_string(*result, "name", "okl4fsd");
	rpc_add_string(*result, "version", OKL4FS_VERSION_STRING);
	rpc_add_number(*result, "abi_version", OKL4FS_ABI_VERSION);
	return 0;
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
		for (int state = 0; state < N_CHANNEL_STATES; state++)
			n[state] += snap.n_in_state[state];
	}
	call_version(req, result);
	rpc_add_number(*result, "pid", (uint64_t)getpid());
	rpc_add_instance(*result, "instance", server_instance());
	rpc_add_number(*result, "uptime_ms", server_uptime_ms(req->server));
	rpc_add_number(*result, "workers", server_n_workers(req->server));
	rpc_add_string(*result, "log_level", log_level_word(log_get_level()));
	rpc_add_path(*result, "control_path", server_config(req->server)->control_path);
	rpc_add_number(guests, "total", n_guests);
	rpc_add_number(guests, "connected", connected);
	rpc_add_number(guests, "ready", ready);
	json_object_object_add(*result, "guests", guests);
	for (int state = 0; state < N_CHANNEL_STATES; state++)
		rpc_add_number(channels, channel_state_name((enum channel_state)state), n[state]);
	json_object_object_add(*result, "channels", channels);
	return 0;
}

/**
 * call_log_set() - `log.set`
 * @req: request
 * @result: out
 *
 * Return: 0 or RPC_INVALID_PARAMS.
 */
static int call_log_set(struct rpc_request *req, struct json_object **result)
{
	const char *word = rpc_string(req, "level");
	enum log_level level;

	if (log_level_parse(word, &level))
		return rpc_refuse(req, RPC_INVALID_PARAMS,
				  "there is no log level \"%.64s\": it is err, warning, notice, "
				  "info or debug",
				  word);
	log_set_level(level);
	log_notice("log level is %s", word);
	events_post(&(struct events_fact){ .kind = EVENTS_LOG_CHANGED, .text = word });
	*result = json_object_new_object();
	rpc_add_string(*result, "level", word);
	return 0;
}

/**
 * level_word() - the words of log.set
 * @idx: number
 *
 * Return: the level's name; NULL past the last.
 */
static const char *level_word(unsigned int idx)
{
	unsigned int level = LOG_LEVEL_ERR + idx;

	return level <= LOG_LEVEL_DEBUG ? log_level_word((enum log_level)level) : NULL;
}

#define VERSION_FIELDS                                                    \
	RPC_FIELD("name", RPC_STRING, "okl4fsd"),                         \
		RPC_FIELD("version", RPC_STRING, "The daemon's version"), \
		RPC_FIELD("abi_version", RPC_INTEGER, "Version of what lies in guest memory")

static const struct rpc_field version_result[] = { VERSION_FIELDS, RPC_END };

static const struct rpc_field status_guests[] = {
	RPC_FIELD("total", RPC_INTEGER, "Guests that are served"),
	RPC_FIELD("connected", RPC_INTEGER, "Those with a frontend"),
	RPC_FIELD("ready", RPC_INTEGER, "Those whose driver has said hello"),
	RPC_END,
};

static const struct rpc_field status_channels[] = {
	RPC_FIELD("detached", RPC_INTEGER, "Channels that the guest has not opened"),
	RPC_FIELD("attached", RPC_INTEGER, "Channels in use"),
	RPC_FIELD("suspended", RPC_INTEGER, "Channels whose memory is away for now"),
	RPC_FIELD("failed", RPC_INTEGER, "Channels whose guest broke the rules"),
	RPC_END,
};

static const struct rpc_field status_result[] = {
	VERSION_FIELDS,
	RPC_FIELD("pid", RPC_INTEGER, "Process"),
	RPC_FIELD("instance", RPC_INSTANCE, "Of this run of the daemon"),
	RPC_FIELD("uptime_ms", RPC_INTEGER, "Milliseconds since it began"),
	RPC_FIELD("workers", RPC_INTEGER, "Threads that serve guests"),
	RPC_FIELD("log_level", RPC_STRING, "What is logged", .word = level_word),
	RPC_FIELD("control_path", RPC_STRING, "The control socket"),
	RPC_FIELD("guests", RPC_OBJECT, "How many guests", .of = status_guests),
	RPC_FIELD("channels", RPC_OBJECT, "How many channels in which state",
		  .of = status_channels),
	RPC_END,
};

static const struct rpc_field of_guest[] = {
	RPC_FIELD("guest", RPC_STRING, "Only of this guest", .optional = true),
	RPC_END,
};

static const struct rpc_field guest_object[] = {
	RPC_FIELD("guest", RPC_CONFIG, "The guest, as in the configuration", .config = "guest"),
	RPC_END,
};

static const struct rpc_field guest_name[] = {
	RPC_FIELD("guest", RPC_STRING, "Name of the guest"),
	RPC_END,
};

static const struct rpc_field channel_object[] = {
	RPC_FIELD("guest", RPC_STRING, "Name of the guest"),
	RPC_FIELD("channel", RPC_CONFIG, "The channel, as in the configuration",
		  .config = "channel"),
	RPC_END,
};

static const struct rpc_field channel_id[] = {
	RPC_FIELD("id", RPC_INTEGER, "The channel's id in the guest"),
	RPC_END,
};

static const struct rpc_field channel_name[] = {
	RPC_FIELD("guest", RPC_STRING, "Name of the guest"),
	RPC_FIELD("channel", RPC_STRING, "Name of the channel"),
	RPC_END,
};

static const struct rpc_field level[] = {
	RPC_FIELD("level", RPC_STRING, "The log's level", .word = level_word),
	RPC_END,
};

static const struct rpc_field reload_result[] = {
	RPC_FIELD("guests", RPC_INTEGER, "Guests that are served now"),
	RPC_END,
};

#define NONE rpc_no_fields
#define METHOD(name_, text_, right_, params_, result_, call_, ...)                        \
	{                                                                                 \
		.name = (name_), .text = (text_), .right = (right_), .params = (params_), \
		.result = (result_), .call = (call_), ##__VA_ARGS__                       \
	}

const struct rpc_method rpc_methods[] = {
	METHOD("version", "Who answers", RPC_READER, NONE, version_result, call_version),
	METHOD("status", "How the daemon is", RPC_READER, NONE, status_result, call_status),
	METHOD("guest.list", "The guests, and what they have done", RPC_READER, of_guest,
	       rpc_guest_list_result, rpc_guest_list),
	METHOD("guest.add", "Serve one more guest, until the next reload", RPC_ADMIN, guest_object,
	       NONE, rpc_guest_add, .error = RPC_REFUSED),
	METHOD("guest.remove", "Serve a guest no longer", RPC_ADMIN, guest_name, NONE,
	       rpc_guest_remove),
	METHOD("channel.list", "The channels, and what went through them", RPC_READER,
	       rpc_channel_list_params, rpc_channel_list_result, rpc_channel_list),
	METHOD("channel.add", "Offer one more channel, until the next reload", RPC_ADMIN,
	       channel_object, channel_id, rpc_channel_add, .error = RPC_REFUSED),
	METHOD("channel.remove", "Offer a channel no longer", RPC_ADMIN, channel_name, NONE,
	       rpc_channel_remove),
	METHOD("channel.reset", "Fail a channel that is attached, so that a new stream can begin",
	       RPC_ADMIN, channel_name, NONE, rpc_channel_reset),
	METHOD("config.reload", "Read the configuration again, and become what it says", RPC_ADMIN,
	       NONE, reload_result, rpc_config_reload, .error = RPC_REFUSED),
	METHOD("log.set", "Log more, or less", RPC_ADMIN, level, level, call_log_set),
	METHOD("metrics.get", "The metrics, as they are served over HTTP", RPC_READER, NONE,
	       rpc_metrics_get_result, rpc_metrics_get),
	METHOD("events.subscribe",
	       "Have what happens told on this connection; asked once more: with another filter",
	       RPC_READER, rpc_events_subscribe_params, rpc_events_subscribe_result,
	       rpc_events_subscribe, .error = RPC_BUSY),
	METHOD("rpc.discover", "This description (OpenRPC)", RPC_READER, NONE, NULL, rpc_discover),
	{ .name = NULL },
};
