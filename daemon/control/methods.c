// SPDX-License-Identifier: BSD-3-Clause
/*
 * methods.c - the methods of the control socket
 */
#include "control/methods.h"

#include <unistd.h>

#include <json-c/json.h>

#include "control/subscribers.h"
#include "control/json.h"
#include "util/log.h"

static int call_version(struct control_request *req, struct json_object **result)
{
	*result = json_object_new_object();
	control_add_string(*result, "name", "okl4fsd");
	control_add_string(*result, "version", OKL4FS_VERSION_STRING);
	control_add_number(*result, "abi_version", OKL4FS_ABI_VERSION);
	return 0;
}

static int call_status(struct control_request *req, struct json_object **result)
{
	uint64_t n_guests = 0, connected = 0, ready = 0, unavailable = 0,
		 n[N_CHANNEL_STATES] = { 0 };
	struct json_object *guests = json_object_new_object();
	struct json_object *channels = json_object_new_object();
	struct guest_snapshot snap;
	struct guest *guest;

	for (; (guest = server_guest(req->server, n_guests)); n_guests++) {
		guest_snapshot(guest, &snap);
		connected += snap.connected;
		ready += snap.ready;
		unavailable += !snap.served;
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
	if (server_config_path(req->server))
		control_add_path(*result, "config_path", server_config_path(req->server));
	else
		control_add_string(*result, "config_path", NULL);
	control_add_number(guests, "total", n_guests);
	control_add_number(guests, "connected", connected);
	control_add_number(guests, "ready", ready);
	control_add_number(guests, "unavailable", unavailable);
	json_object_object_add(*result, "guests", guests);
	for (int state = 0; state < N_CHANNEL_STATES; state++)
		control_add_number(channels, channel_state_name((enum channel_state)state),
				   n[state]);
	json_object_object_add(*result, "channels", channels);
	control_add_problems(*result, req->server);
	return 0;
}

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

static const struct control_field of_guest[] = {
	{ .name = "guest", .type = CONTROL_STRING, .optional = true },
	{ .name = NULL },
};

static const struct control_field guest_object[] = {
	{ .name = "guest", .type = CONTROL_OBJECT },
	{ .name = NULL },
};

static const struct control_field guest_name[] = {
	{ .name = "guest", .type = CONTROL_STRING },
	{ .name = NULL },
};

static const struct control_field channel_object[] = {
	{ .name = "guest", .type = CONTROL_STRING },
	{ .name = "channel", .type = CONTROL_OBJECT },
	{ .name = NULL },
};

static const struct control_field channel_name[] = {
	{ .name = "guest", .type = CONTROL_STRING },
	{ .name = "channel", .type = CONTROL_STRING },
	{ .name = NULL },
};

static const struct control_field level_params[] = {
	{ .name = "level", .type = CONTROL_STRING },
	{ .name = NULL },
};

#define NONE control_no_fields

/* okl4fs-control(7) describes each of them; a test compares the two. */
const struct control_method control_methods[] = {
	{ "version", CONTROL_READER, NONE, call_version },
	{ "status", CONTROL_READER, NONE, call_status },
	{ "guest.list", CONTROL_READER, of_guest, control_guest_list },
	{ "guest.add", CONTROL_ADMIN, guest_object, control_guest_add },
	{ "guest.remove", CONTROL_ADMIN, guest_name, control_guest_remove },
	{ "channel.list", CONTROL_READER, control_channel_list_params, control_channel_list },
	{ "channel.add", CONTROL_ADMIN, channel_object, control_channel_add },
	{ "channel.remove", CONTROL_ADMIN, channel_name, control_channel_remove },
	{ "channel.reset", CONTROL_ADMIN, channel_name, control_channel_reset },
	{ "config.reload", CONTROL_ADMIN, NONE, control_config_reload },
	{ "config.get", CONTROL_ADMIN, NONE, control_config_get },
	{ "config.saved", CONTROL_ADMIN, NONE, control_config_saved },
	{ "log.set", CONTROL_ADMIN, level_params, call_log_set },
	{ "metrics.get", CONTROL_READER, NONE, control_metrics_get },
	{ "events.subscribe", CONTROL_READER, control_subscribe_params, control_subscribe },
	{ .name = NULL },
};
