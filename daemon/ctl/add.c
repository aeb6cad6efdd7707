// SPDX-License-Identifier: BSD-3-Clause
/*
 * add.c - `guest-add` and `channel-add`: with options, or with JSON as in the configuration file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <libfs/abi.h>

#include "config/config.h"
#include "ctl/add_json.h"
#include "ctl/argument.h"
#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/save.h"
#include "util/fd.h"

static const char *socket_text, *mode_text, *group_text, *way_text, *endpoint_text, *ring_text,
	*sessions_text;
static bool is_exclusive, has_packets;

static const struct ctl_option of_guest_add[] = {
	{ .name = "socket",
	  .value = "PATH",
	  .text = &socket_text,
	  .help = "its vhost-user socket, for example\n/run/okl4fs/vm2.sock" },
	{ .name = "mode",
	  .value = "MODE",
	  .text = &mode_text,
	  .help = "listen (the default): the daemon listens there;\nconnect: QEMU does" },
	{ .name = "group",
	  .value = "GROUP",
	  .text = &group_text,
	  .help = "group of the socket, if the daemon listens" },
	{ .name = "way",
	  .value = "WAY",
	  .text = &way_text,
	  .help = "vhost-user (the default), or serial: a guest\nwithout the driver, its ports at "
		  "PATH.CHANNEL" },
	CTL_SAVE_OPTION,
	{ .name = NULL },
};

static const struct ctl_option of_channel_add[] = {
	{ .name = "endpoint",
	  .value = "ENDPOINT",
	  .text = &endpoint_text,
	  .help = "what is at the host end, as below" },
	{ .name = "ring-bytes",
	  .value = "SIZE",
	  .text = &ring_text,
	  .help = "of the ring in each direction: a power of two\n"
		  "from 4K to 64M; 1M by default" },
	{ .name = "sessions",
	  .value = "N",
	  .text = &sessions_text,
	  .help = "each open in the guest is a connection of its\n"
		  "own, at most N at once; rings are of 64K then" },
	{ .name = "exclusive",
	  .flag = &is_exclusive,
	  .help = "each end can be opened once in the guest" },
	{ .name = "packets",
	  .flag = &has_packets,
	  .help = "it carries messages: a write is one, and a read\n"
		  "returns one" },
	{ .name = "mode",
	  .value = "MODE",
	  .text = &mode_text,
	  .help = "(unix-listen, mux-listen) of the socket,\noctal, such as 0660" },
	{ .name = "group",
	  .value = "GROUP",
	  .text = &group_text,
	  .help = "(unix-listen, mux-listen) of the socket" },
	CTL_SAVE_OPTION,
	{ .name = NULL },
};

/**
 * struct endpoint - a type of endpoint
 * @type: its name
 * @value: what follows it and a colon; NULL: nothing
 * @key: what that is in the configuration; NULL: GUEST/CHANNEL
 * @help: for people
 */
static const struct endpoint {
	const char *type, *value, *key, *help;
} endpoints[] = {
	{ "unix-listen", "PATH", "path", "the daemon listens on this socket" },
	{ "mux-listen", "PATH", "path",
	  "likewise, for several channels with sessions:\nclients send CONNECT NAME" },
	{ "unix-connect", "PATH", "path", "it connects to this socket" },
	{ "tcp-listen", "HOST:PORT", "address", "it listens on this loopback address" },
	{ "tcp-connect", "HOST:PORT", "address", "it connects to this loopback address" },
	{ "channel", "GUEST/CHANNEL", NULL, "a channel of another guest, which names\nthis one" },
	{ "intervm", "FILE", "file", "sends the file, as in OKL4's example" },
	{ "echo", NULL, NULL, "sends back what it receives" },
	{ "discard", NULL, NULL, "takes everything and sends nothing" },
};
#define N_ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

static void print_endpoints(void)
{
	char left[64];

	puts("\nEndpoints:");
	for (const struct endpoint *e = endpoints; e < endpoints + N_ENDPOINTS; e++) {
		snprintf(left, sizeof(left), "%s%s%s", e->type, e->value ? ":" : "",
			 e->value ? e->value : "");
		ctl_print_entry(stdout, left, e->help);
	}
}

static const struct endpoint *find_endpoint(const char *text)
{
	size_t bytes = strcspn(text, ":");
	unsigned int distance = CTL_FAR;
	const char *best = NULL;
	char type[32];

	snprintf(type, sizeof(type), "%.*s", (int)bytes, text);
	for (const struct endpoint *e = endpoints; e < endpoints + N_ENDPOINTS; e++) {
		if (strlen(e->type) == bytes && !strncmp(e->type, text, bytes)) {
			if (!e->value == !text[bytes])
				return e;
			ctl_error("channel-add: --endpoint %s: expected %s%s%s", text, e->type,
				  e->value ? ":" : "", e->value ? e->value : "");
			return NULL;
		}
		ctl_nearest(type, e->type, &best, &distance);
	}
	ctl_error("channel-add: there is no endpoint \"%s\"%s%s%s; see okl4fsctl help channel-add",
		  type, best ? " (did you mean " : "", best ? best : "", best ? "?)" : "");
	return NULL;
}

static void set_string(struct json_object *object, const char *key, const char *text)
{
	if (text)
		json_object_object_add(object, key, json_object_new_string(text));
}

static enum ctl_exit make_endpoint(struct json_object *channel)
{
	const struct endpoint *e = find_endpoint(endpoint_text);
	struct json_object *endpoint = json_object_new_object();
	_cleanup_free_ char *guest = NULL;
	const char *value;

	json_object_object_add(channel, "endpoint", endpoint);
	if (!e)
		return CTL_USAGE;
	value = endpoint_text + strlen(e->type) + 1;
	set_string(endpoint, "type", e->type);
	if (e->key) {
		set_string(endpoint, e->key, value);
	} else if (e->value) {
		value = ctl_split("channel-add: --endpoint", value, &guest);
		if (!value)
			return CTL_USAGE;
		set_string(endpoint, "guest", guest);
		set_string(endpoint, "channel", value);
	}
	if ((mode_text || group_text) && strcmp(e->type, "unix-listen") != 0 &&
	    strcmp(e->type, "mux-listen") != 0) {
		ctl_error(
			"channel-add: --%s is for the endpoints unix-listen and mux-listen, not for %s",
			mode_text ? "mode" : "group", e->type);
		return CTL_USAGE;
	}
	set_string(endpoint, "mode", mode_text);
	set_string(endpoint, "group", group_text);
	return CTL_DONE;
}

static enum ctl_exit make_channel(const char *name, struct json_object **channel)
{
	unsigned long long bytes, n;

	*channel = json_object_new_object();
	set_string(*channel, "name", name);
	if (ring_text && !ctl_read_size(ring_text, 1, &bytes)) {
		ctl_error("channel-add: --ring-bytes must be a size such as 65536, 64K or 1M, "
			  "not \"%s\"",
			  ring_text);
		return CTL_USAGE;
	}
	if (ring_text)
		json_object_object_add(*channel, "ring_bytes", json_object_new_uint64(bytes));
	if (sessions_text &&
	    (!ctl_read_size(sessions_text, 1, &n) || !n || n > CONFIG_SESSIONS_MAX)) {
		ctl_error("channel-add: --sessions must be a number from 1 to %u, not \"%s\"",
			  CONFIG_SESSIONS_MAX, sessions_text);
		return CTL_USAGE;
	}
	if (sessions_text)
		json_object_object_add(*channel, "sessions", json_object_new_uint64(n));
	if (is_exclusive)
		json_object_object_add(*channel, "exclusive", json_object_new_boolean(true));
	if (has_packets)
		json_object_object_add(*channel, "packets", json_object_new_boolean(true));
	return make_endpoint(*channel);
}

static enum ctl_exit make_guest(const char *name, struct json_object **guest)
{
	*guest = json_object_new_object();
	set_string(*guest, "name", name);
	set_string(*guest, "way", way_text);
	set_string(*guest, "socket", socket_text);
	set_string(*guest, "socket_mode", mode_text);
	set_string(*guest, "socket_group", group_text);
	json_object_object_add(*guest, "channels", json_object_new_array());
	return CTL_DONE;
}

/* @needed, @value: the option that a name needs; @others: there are options that only a name may have */
static enum ctl_exit
make_object(const char *command, const char *needed, const char *value, bool others,
	    const char *arg, enum ctl_exit (*make)(const char *name, struct json_object **object),
	    struct json_object **object)
{
	bool is_json = add_json_is(arg);

	*object = NULL;
	if (!is_json && value)
		return make(arg, object);
	if (is_json && !value && !others)
		return add_json_read(arg, object);
	if (is_json)
		ctl_error("%s: options go with a name, not with JSON; see okl4fsctl help %s",
			  command, command);
	else
		ctl_error("%s: \"%s\" is not JSON, and a name needs --%s; see okl4fsctl help %s",
			  command, arg, needed, command);
	return CTL_USAGE;
}

static enum ctl_exit run_guest_add(const struct ctl *ctl, char **args)
{
	struct json_object *guest, *params;
	enum ctl_exit r = make_object("guest-add", "socket", socket_text,
				      mode_text || group_text || way_text, args[0], make_guest,
				      &guest);

	if (r) {
		json_object_put(guest);
		return r;
	}
	params = json_object_new_object();
	json_object_object_add(params, "guest", guest);
	return ctl_change(ctl, "guest.add", params);
}

static enum ctl_exit run_channel_add(const struct ctl *ctl, char **args)
{
	bool others = mode_text || group_text || ring_text || sessions_text || is_exclusive ||
		      has_packets;
	struct json_object *channel, *params;
	enum ctl_exit r = make_object("channel-add", "endpoint", endpoint_text, others, args[1],
				      make_channel, &channel);

	if (r) {
		json_object_put(channel);
		return r;
	}
	params = ctl_guest_param(args[0]);
	json_object_object_add(params, "channel", channel);
	return ctl_change(ctl, "channel.add", params);
}

#define ABOUT_JSON                                                                      \
	"JSON describes it as the configuration file does, okl4fsd.json(5); it can be " \
	"-\nfor stdin, or @FILE. Without --save the change lasts until the next reload.\n"

const struct ctl_command ctl_guest_add = {
	.name = "guest-add",
	.arguments = "NAME --socket PATH",
	.forms = "NAME --socket PATH\nJSON",
	.summary = "serve one more guest",
	.help = ABOUT_JSON,
	.options = of_guest_add,
	.min = 1,
	.max = 1,
	.run = run_guest_add,
};

const struct ctl_command ctl_channel_add = {
	.name = "channel-add",
	.arguments = "GUEST NAME --endpoint ENDPOINT",
	.forms = "GUEST NAME --endpoint ENDPOINT\nGUEST JSON",
	.summary = "offer one more channel",
	.help = ABOUT_JSON,
	.options = of_channel_add,
	.min = 2,
	.max = 2,
	.run = run_channel_add,
	.more_help = print_endpoints,
};
