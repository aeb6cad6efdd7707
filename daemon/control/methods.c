// SPDX-License-Identifier: BSD-3-Clause
/*
 * methods.c - what the control socket can be asked
 */
#include "control/methods.h"

#include <unistd.h>

#include <json-c/json.h>

#include "control/subscribers.h"
#include "control/json.h"
#include "util/log.h"

/**
 * call_version() - `version`
 * @req: not used
 * @result: out
 *
 * Return: 0.
 */
static int call_version(struct control_request *req, struct json_object **result)
{
	*result = json_object_new_object();
	control_add_string(*result, "name", "okl4fsd");
	control_add_string(*result, "version", OKL4FS_VERSION_STRING);
	control_add_number(*result, "abi_version", OKL4FS_ABI_VERSION);
	return 0;
}

/**
 * call_status() - `status`
 * @req: request
 * @result: out
 *
 * Return: 0.
 */
static int call_status(struct control_request *req, struct json_object **result)
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
	control_add_number(*result, "pid", (uint64_t)getpid());
	control_add_instance(*result, "instance", server_instance());
	control_add_number(*result, "uptime_ms", server_uptime_ms(req->server));
	control_add_number(*result, "workers", server_n_workers(req->server));
	control_add_string(*result, "log_level", log_level_word(log_get_level()));
	control_add_path(*result, "control_path", server_config(req->server)->control_path);
	control_add_number(guests, "total", n_guests);
	control_add_number(guests, "connected", connected);
	control_add_number(guests, "ready", ready);
	json_object_object_add(*result, "guests", guests);
	for (int state = 0; state < N_CHANNEL_STATES; state++)
		control_add_number(channels, channel_state_name((enum channel_state)state),
				   n[state]);
	json_object_object_add(*result, "channels", channels);
	return 0;
}

/**
 * call_log_set() - `log.set`
 * @req: request
 * @result: out
 *
 * Return: 0 or CONTROL_INVALID_PARAMS.
 */
static int call_log_set(struct control_request *req, struct json_object **result)
{
	const char *word = control_string(req, "level");
	enum log_level level;

	if (log_level_parse(word, &level))
		return control_refuse(
			req, CONTROL_INVALID_PARAMS,
			"there is no log level \"%.64s\": it is err, warning, notice, "
			"info or debug",
			word);
	log_set_level(level);
	log_notice("log level is %s", word);
	events_post(&(struct events_fact){ .kind = EVENTS_LOG_CHANGED, .text = word });
	*result = json_object_new_object();
	control_add_string(*result, "level", word);
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

#define VERSION_FIELDS                                                            \
	CONTROL_FIELD("name", CONTROL_STRING, "okl4fsd"),                         \
		CONTROL_FIELD("version", CONTROL_STRING, "The daemon's version"), \
		CONTROL_FIELD("abi_version", CONTROL_INTEGER,                     \
			      "Version of what lies in guest memory")

static const struct control_field version_result[] = { VERSION_FIELDS, CONTROL_END };

static const struct control_field status_guests[] = {
	CONTROL_FIELD("total", CONTROL_INTEGER, "Guests that are served"),
	CONTROL_FIELD("connected", CONTROL_INTEGER, "Those with a frontend"),
	CONTROL_FIELD("ready", CONTROL_INTEGER, "Those whose driver has said hello"),
	CONTROL_END,
};

static const struct control_field status_channels[] = {
	CONTROL_FIELD("detached", CONTROL_INTEGER, "Channels that the guest has not opened"),
	CONTROL_FIELD("attached", CONTROL_INTEGER, "Channels in use"),
	CONTROL_FIELD("suspended", CONTROL_INTEGER, "Channels whose memory is away for now"),
	CONTROL_FIELD("failed", CONTROL_INTEGER, "Channels whose guest broke the rules"),
	CONTROL_END,
};

static const struct control_field status_result[] = {
	VERSION_FIELDS,
	CONTROL_FIELD("pid", CONTROL_INTEGER, "Process"),
	CONTROL_FIELD("instance", CONTROL_INSTANCE, "Of this run of the daemon"),
	CONTROL_FIELD("uptime_ms", CONTROL_INTEGER, "Milliseconds since it began"),
	CONTROL_FIELD("workers", CONTROL_INTEGER, "Threads that serve guests"),
	CONTROL_FIELD("log_level", CONTROL_STRING, "What is logged", .word = level_word),
	CONTROL_FIELD("control_path", CONTROL_STRING, "The control socket"),
	CONTROL_FIELD("guests", CONTROL_OBJECT, "How many guests", .of = status_guests),
	CONTROL_FIELD("channels", CONTROL_OBJECT, "How many channels in which state",
		      .of = status_channels),
	CONTROL_END,
};

static const struct control_field of_guest[] = {
	CONTROL_FIELD("guest", CONTROL_STRING, "Only of this guest", .optional = true),
	CONTROL_END,
};

static const struct control_field guest_object[] = {
	CONTROL_FIELD("guest", CONTROL_CONFIG, "The guest, as in the configuration",
		      .config = "guest"),
	CONTROL_END,
};

static const struct control_field guest_name[] = {
	CONTROL_FIELD("guest", CONTROL_STRING, "Name of the guest"),
	CONTROL_END,
};

static const struct control_field channel_object[] = {
	CONTROL_FIELD("guest", CONTROL_STRING, "Name of the guest"),
	CONTROL_FIELD("channel", CONTROL_CONFIG, "The channel, as in the configuration",
		      .config = "channel"),
	CONTROL_END,
};

static const struct control_field channel_id[] = {
	CONTROL_FIELD("id", CONTROL_INTEGER, "The channel's id in the guest"),
	CONTROL_END,
};

static const struct control_field channel_name[] = {
	CONTROL_FIELD("guest", CONTROL_STRING, "Name of the guest"),
	CONTROL_FIELD("channel", CONTROL_STRING, "Name of the channel"),
	CONTROL_END,
};

static const struct control_field level[] = {
	CONTROL_FIELD("level", CONTROL_STRING, "The log's level", .word = level_word),
	CONTROL_END,
};

static const struct control_field reload_result[] = {
	CONTROL_FIELD("guests", CONTROL_INTEGER, "Guests that are served now"),
	CONTROL_END,
};

#define NONE control_no_fields
#define METHOD(name_, text_, right_, params_, result_, call_, ...)                        \
	{                                                                                 \
		.name = (name_), .text = (text_), .right = (right_), .params = (params_), \
		.result = (result_), .call = (call_), ##__VA_ARGS__                       \
	}

const struct control_method control_methods[] = {
	METHOD("version", "Who answers", CONTROL_READER, NONE, version_result, call_version),
	METHOD("status", "How the daemon is", CONTROL_READER, NONE, status_result, call_status),
	METHOD("guest.list", "The guests, and what they have done", CONTROL_READER, of_guest,
	       control_guest_list_result, control_guest_list),
	METHOD("guest.add", "Serve one more guest, until the next reload", CONTROL_ADMIN,
	       guest_object, NONE, control_guest_add, .error = CONTROL_REFUSED),
	METHOD("guest.remove", "Serve a guest no longer", CONTROL_ADMIN, guest_name, NONE,
	       control_guest_remove),
	METHOD("channel.list", "The channels, and what went through them", CONTROL_READER,
	       control_channel_list_params, control_channel_list_result, control_channel_list),
	METHOD("channel.add", "Offer one more channel, until the next reload", CONTROL_ADMIN,
	       channel_object, channel_id, control_channel_add, .error = CONTROL_REFUSED),
	METHOD("channel.remove", "Offer a channel no longer", CONTROL_ADMIN, channel_name, NONE,
	       control_channel_remove),
	METHOD("channel.reset", "Fail a channel that is attached, so that a new stream can begin",
	       CONTROL_ADMIN, channel_name, NONE, control_channel_reset),
	METHOD("config.reload", "Read the configuration again, and become what it says",
	       CONTROL_ADMIN, NONE, reload_result, control_config_reload, .error = CONTROL_REFUSED),
	METHOD("log.set", "Log more, or less", CONTROL_ADMIN, level, level, call_log_set),
	METHOD("metrics.get", "The metrics, as they are served over HTTP", CONTROL_READER, NONE,
	       control_metrics_get_result, control_metrics_get),
	METHOD("events.subscribe",
	       "Have what happens told on this connection; asked once more: with another filter",
	       CONTROL_READER, control_subscribe_params, control_subscribe_result,
	       control_subscribe, .error = CONTROL_BUSY),
	METHOD("rpc.discover", "This description (OpenRPC)", CONTROL_READER, NONE, NULL,
	       control_discover),
	{ .name = NULL },
};
