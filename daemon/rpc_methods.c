// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc_methods.c - what the control socket can be asked
 */
#include <unistd.h>

#include <json-c/json.h>

#include "rpc_call.h"
#include "rpc_json.h"
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

/* The last parameter of each list has no name. */
static const struct rpc_param none[] = { { .name = NULL } };
static const struct rpc_param of_guest[] = { { .name = "guest" }, { .name = NULL } };
static const struct rpc_param guest_object[] = {
	{ .name = "guest", .is_object = true, .required = true },
	{ .name = NULL },
};
static const struct rpc_param guest_name[] = {
	{ .name = "guest", .required = true },
	{ .name = NULL },
};
static const struct rpc_param channel_object[] = {
	{ .name = "guest", .required = true },
	{ .name = "channel", .is_object = true, .required = true },
	{ .name = NULL },
};
static const struct rpc_param channel_name[] = {
	{ .name = "guest", .required = true },
	{ .name = "channel", .required = true },
	{ .name = NULL },
};

const struct rpc_method rpc_methods[] = {
	{ "version", none, call_version },
	{ "status", none, call_status },
	{ "guest.list", of_guest, rpc_guest_list },
	{ "guest.add", guest_object, rpc_guest_add },
	{ "guest.remove", guest_name, rpc_guest_remove },
	{ "channel.list", of_guest, rpc_channel_list },
	{ "channel.add", channel_object, rpc_channel_add },
	{ "channel.remove", channel_name, rpc_channel_remove },
	{ "channel.reset", channel_name, rpc_channel_reset },
	{ "config.reload", none, rpc_config_reload },
	{ "metrics.get", none, rpc_metrics_get },
	{ NULL, NULL, NULL },
};
