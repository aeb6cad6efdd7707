// SPDX-License-Identifier: BSD-3-Clause
/*
 * config.c - commands for the configuration as a whole
 */
#include <stdio.h>

#include <json-c/json.h>

#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/save.h"

static enum ctl_exit run_config_show(const struct ctl *ctl, char **args)
{
	struct json_object *result;
	enum ctl_exit r = ctl_call(ctl, "config.get", NULL, &result);

	if (!r && ctl->json)
		ctl_show_json(result);
	else if (!r)
		fputs(ctl_string(result, "text"), stdout);
	if (!r && *ctl_string(result, "error")) {
		ctl_error("no daemon would start with it: %s", ctl_string(result, "error"));
		r = CTL_REFUSED;
	}
	json_object_put(result);
	return r;
}

const struct ctl_command ctl_config_show = {
	.name = "config show",
	.summary = "the running configuration as a file",
	.help = "A daemon that is started with it serves the same. What is as by default is left\n"
		"out.\n",
	.run = run_config_show,
};

static enum ctl_exit run_config_save(const struct ctl *ctl, char **args)
{
	struct ctl_save save;
	enum ctl_exit r = ctl_save_begin(&save, ctl);

	return r ? r : ctl_save_end(&save, ctl, "");
}

const struct ctl_command ctl_config_save = {
	.name = "config save",
	.summary = "write the running configuration to its file",
	.help = "The daemon's configuration file is replaced by what config show prints. Its mode\n"
		"and its owner stay. If it had comments, the former file stays as FILE~. A file\n"
		"that was changed since the daemon has read it is left alone: reload first.\n",
	.run = run_config_save,
};

static void print_problems(struct json_object *result)
{
	struct json_object *list;
	size_t n = ctl_list(result, "problems", &list);
	unsigned long long all = ctl_number(result, "n_problems");

	for (size_t i = 0; i < n; i++)
		ctl_error("%s", json_object_get_string(json_object_array_get_idx(list, i)));
	if (all > n)
		ctl_error("and %llu more: see okl4fsctl guests, okl4fsctl channels", all - n);
}

static enum ctl_exit run_reload(const struct ctl *ctl, char **args)
{
	struct json_object *result;
	enum ctl_exit r = ctl_call(ctl, "config.reload", NULL, &result);
	unsigned long long n = ctl_number(result, "n_problems");

	if (!r && ctl->json)
		ctl_show_json(result);
	if (!r && n) {
		print_problems(result);
		ctl_error("the configuration was applied, except for %llu problem%s", n,
			  n == 1 ? "" : "s");
		r = CTL_REFUSED;
	}
	json_object_put(result);
	return r;
}

const struct ctl_command ctl_reload = {
	.name = "reload",
	.summary = "read the configuration file again and apply it",
	.help = "What has not changed is not disturbed. What could not be served is tried again;\n"
		"with what still cannot, the command prints each reason and ends with 1. If the\n"
		"file has errors, nothing is changed.\n",
	.run = run_reload,
};
