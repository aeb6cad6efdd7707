// SPDX-License-Identifier: BSD-3-Clause
/*
 * change.c - commands that remove guests and channels, and change other settings
 */
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/save.h"
#include "util/fd.h"

static enum ctl_exit call_method(const struct ctl *ctl, const char *method,
				 struct json_object *params)
{
	struct json_object *result;
	enum ctl_exit r = ctl_call(ctl, method, params, &result);

	if (!r && ctl->json)
		ctl_show_json(result);
	json_object_put(result);
	return r;
}

enum ctl_exit ctl_change(const struct ctl *ctl, const char *method, struct json_object *params)
{
	struct ctl_save save;
	enum ctl_exit r;

	if (!ctl_save_wanted)
		return call_method(ctl, method, params);
	r = ctl_save_begin(&save, ctl);
	if (r) {
		json_object_put(params);
		return r;
	}
	r = call_method(ctl, method, params);
	if (!r)
		return ctl_save_end(&save, ctl,
				    "the change was made and works until the next reload, but ");
	ctl_save_drop(&save);
	return r;
}

static enum ctl_exit run_guest_remove(const struct ctl *ctl, char **args)
{
	return ctl_change(ctl, "guest.remove", ctl_guest_param(args[0]));
}

const struct ctl_command ctl_guest_remove = {
	.name = "guest-remove",
	.arguments = "GUEST",
	.summary = "stop serving a guest",
	.help = "Without --save the change lasts until the next reload.\n",
	.options = ctl_save_option,
	.min = 1,
	.max = 1,
	.run = run_guest_remove,
};

static enum ctl_exit change_channel(const struct ctl *ctl, const char *command, const char *method,
				    const char *arg)
{
	_cleanup_free_ char *guest = NULL;
	const char *channel = ctl_split(command, arg, &guest);
	struct json_object *params;

	if (!channel)
		return CTL_USAGE;
	params = ctl_guest_param(guest);
	json_object_object_add(params, "channel", json_object_new_string(channel));
	return ctl_change(ctl, method, params);
}

static enum ctl_exit run_channel_remove(const struct ctl *ctl, char **args)
{
	return change_channel(ctl, "channel-remove", "channel.remove", args[0]);
}

const struct ctl_command ctl_channel_remove = {
	.name = "channel-remove",
	.arguments = "GUEST/CHANNEL",
	.summary = "stop offering a channel",
	.help = "Without --save the change lasts until the next reload.\n",
	.options = ctl_save_option,
	.min = 1,
	.max = 1,
	.run = run_channel_remove,
};

static enum ctl_exit run_channel_reset(const struct ctl *ctl, char **args)
{
	return change_channel(ctl, "channel-reset", "channel.reset", args[0]);
}

const struct ctl_command ctl_channel_reset = {
	.name = "channel-reset",
	.arguments = "GUEST/CHANNEL",
	.summary = "end a channel's stream",
	.help = "The guest can begin a new stream.\n",
	.min = 1,
	.max = 1,
	.run = run_channel_reset,
};

static enum ctl_exit run_log_level(const struct ctl *ctl, char **args)
{
	struct json_object *result, *params = NULL;
	enum ctl_exit r;

	if (args[0]) {
		params = json_object_new_object();
		json_object_object_add(params, "level", json_object_new_string(args[0]));
		return ctl_change(ctl, "log.set", params);
	}
	r = ctl_call(ctl, "status", NULL, &result);
	if (!r && ctl->json) {
		params = json_object_new_object();
		json_object_object_add(params, "level",
				       json_object_new_string(ctl_string(result, "log_level")));
		ctl_show_json(params);
		json_object_put(params);
	} else if (!r) {
		puts(ctl_string(result, "log_level"));
	}
	json_object_put(result);
	return r;
}

const struct ctl_command ctl_log_level = {
	.name = "log-level",
	.arguments = "[LEVEL]",
	.summary = "what the daemon logs",
	.help = "LEVEL is err, warning, notice, info or debug; without it, the present one is\n"
		"printed.\n",
	.max = 1,
	.run = run_log_level,
};
