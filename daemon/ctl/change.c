// SPDX-License-Identifier: BSD-3-Clause
/*
 * change.c - commands that add and remove guests and channels, and change other settings
 *
 * A guest or a channel is given as JSON, as in the configuration file: as an argument, or "-" for
 * stdin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "util/bom.h"
#include "util/fd.h"

#define MAX_BYTES 65536 /* the limit of a request, so of what is in it */

/* Return: NULL when it is longer than any request */
static char *read_stdin(void)
{
	char *text = calloc(1, MAX_BYTES + 1);
	size_t bytes = text ? fread(text, 1, MAX_BYTES + 1, stdin) : 0;

	if (text && bytes <= MAX_BYTES && !ferror(stdin))
		return text;
	free(text);
	return NULL;
}

/* Comments are allowed, as in the configuration; nothing may follow the JSON */
static struct json_object *parse_json(const char *text, const char *what)
{
	struct json_tokener *tokener = json_tokener_new();
	const char *bom = bom_refusal(text, strlen(text));
	struct json_object *object;
	enum json_tokener_error e;
	size_t at;

	if (!tokener || bom) {
		ctl_error("%s%s%s", bom ? what : "", bom ? ": " : "", bom ? bom : "out of memory");
		if (tokener)
			json_tokener_free(tokener);
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	e = json_tokener_get_error(tokener);
	at = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (e == json_tokener_success) {
		at += strspn(text + at, " \t\r\n");
		if (object && !text[at])
			return object;
		ctl_error(object ? "%s: byte %zu: something follows the JSON" :
				   "%s: byte %zu: neither a guest nor a channel",
			  what, at + 1);
		json_object_put(object);
		return NULL;
	}
	ctl_error("%s is not JSON: byte %zu: %s", what, at + 1, json_tokener_error_desc(e));
	return NULL;
}

static enum ctl_exit add_object(struct json_object *params, const char *key, const char *arg)
{
	bool is_stdin = !strcmp(arg, "-");
	_cleanup_free_ char *text = is_stdin ? read_stdin() : strdup(arg);
	struct json_object *object;

	if (!text) {
		ctl_error("stdin: cannot be read, or is longer than %d bytes", MAX_BYTES);
		return CTL_USAGE;
	}
	object = parse_json(text, is_stdin ? "stdin" : "the argument");
	if (!object)
		return CTL_USAGE;
	json_object_object_add(params, key, object);
	return CTL_DONE;
}

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

static enum ctl_exit run_guest_add(const struct ctl *ctl, char **args)
{
	struct json_object *params = json_object_new_object();
	enum ctl_exit r = add_object(params, "guest", args[0]);

	if (!r)
		return call_method(ctl, "guest.add", params);
	json_object_put(params);
	return r;
}

const struct ctl_command ctl_guest_add = {
	.name = "guest-add",
	.arguments = "JSON",
	.summary = "serve one more guest",
	.help = "JSON describes it as the configuration file does, okl4fsd.json(5); \"-\" stands\n"
		"for stdin.\n"
		"The change lasts until the next reload.\n",
	.min = 1,
	.max = 1,
	.run = run_guest_add,
};

static enum ctl_exit run_guest_remove(const struct ctl *ctl, char **args)
{
	return call_method(ctl, "guest.remove", ctl_guest_param(args[0]));
}

const struct ctl_command ctl_guest_remove = {
	.name = "guest-remove",
	.arguments = "GUEST",
	.summary = "stop serving a guest",
	.help = "The change lasts until the next reload.\n",
	.min = 1,
	.max = 1,
	.run = run_guest_remove,
};

static enum ctl_exit run_channel_add(const struct ctl *ctl, char **args)
{
	struct json_object *params = ctl_guest_param(args[0]);
	enum ctl_exit r = add_object(params, "channel", args[1]);

	if (!r)
		return call_method(ctl, "channel.add", params);
	json_object_put(params);
	return r;
}

const struct ctl_command ctl_channel_add = {
	.name = "channel-add",
	.arguments = "GUEST JSON",
	.summary = "offer one more channel",
	.help = "JSON describes it as the configuration file does, okl4fsd.json(5); \"-\" stands\n"
		"for stdin.\n"
		"The change lasts until the next reload.\n",
	.min = 2,
	.max = 2,
	.run = run_channel_add,
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
	return call_method(ctl, method, params);
}

static enum ctl_exit run_channel_remove(const struct ctl *ctl, char **args)
{
	return change_channel(ctl, "channel-remove", "channel.remove", args[0]);
}

const struct ctl_command ctl_channel_remove = {
	.name = "channel-remove",
	.arguments = "GUEST/CHANNEL",
	.summary = "stop offering a channel",
	.help = "The change lasts until the next reload.\n",
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

static enum ctl_exit run_reload(const struct ctl *ctl, char **args)
{
	return call_method(ctl, "config.reload", NULL);
}

const struct ctl_command ctl_reload = {
	.name = "reload",
	.summary = "read the configuration file again and apply it",
	.help = "What has not changed is not disturbed.\n",
	.run = run_reload,
};

static enum ctl_exit run_log_level(const struct ctl *ctl, char **args)
{
	struct json_object *result, *params = NULL;
	enum ctl_exit r;

	if (args[0]) {
		params = json_object_new_object();
		json_object_object_add(params, "level", json_object_new_string(args[0]));
		return call_method(ctl, "log.set", params);
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
