// SPDX-License-Identifier: BSD-3-Clause
/*
 * show.c - commands that print what a method returns
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "util/fd.h"

static bool only_names, all_columns;

static const struct ctl_option of_lists[] = {
	{ .name = "names", .flag = &only_names, .help = "only the names, one per line" },
	{ .name = "wide",
	  .flag = &all_columns,
	  .help = "all columns, in full, also on a narrow terminal" },
	{ .name = NULL },
};

/* Prints what came of a call, as JSON or for people; @result is consumed; Return: @r */
static enum ctl_exit show_result(const struct ctl *ctl, enum ctl_exit r, struct json_object *result,
				 void (*print)(struct json_object *result))
{
	if (!r && ctl->json)
		ctl_show_json(result);
	else if (!r)
		print(result);
	json_object_put(result);
	return r;
}

/* Calls a method without parameters, and prints its result */
static enum ctl_exit call_and_show(const struct ctl *ctl, const char *method,
				   void (*print)(struct json_object *result))
{
	struct json_object *result;
	enum ctl_exit r = ctl_call(ctl, method, NULL, &result);

	return show_result(ctl, r, result, print);
}

/* Only a terminal is narrow */
static size_t table_limit(void)
{
	size_t columns = 0, rows;

	if (!all_columns && isatty(STDOUT_FILENO))
		terminal_size(&columns, &rows);
	return columns;
}

static void print_line(const char *name)
{
	_cleanup_free_ char *safe = text_safe(name);

	puts(safe);
}

static void show_problems(struct json_object *result)
{
	unsigned long long all = ctl_number(result, "n_problems");
	struct json_object *list;
	size_t n = ctl_list(result, "problems", &list);

	if (!all)
		return;
	printf("problems  %llu; okl4fsctl reload tries again\n", all);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *safe =
			text_safe(json_object_get_string(json_object_array_get_idx(list, i)));

		printf("  %s\n", safe);
	}
	if (all > n)
		printf("  and %llu more: see okl4fsctl guests, okl4fsctl channels\n", all - n);
}

static void show_status(struct json_object *result)
{
	struct json_object *guests = ctl_object(result, "guests");
	struct json_object *channels = ctl_object(result, "channels");
	_cleanup_free_ char *path = text_safe(ctl_string(result, "control_path"));

	printf("okl4fsd %s, process %llu\n", ctl_string(result, "version"),
	       ctl_number(result, "pid"));
	printf("up        %s\n", text_duration(ctl_number(result, "uptime_ms")).text);
	printf("control   %s\n", path);
	printf("log level %s\n", ctl_string(result, "log_level"));
	printf("workers   %llu\n", ctl_number(result, "workers"));
	printf("guests    %llu: %llu connected, %llu with the driver ready\n",
	       ctl_number(guests, "total"), ctl_number(guests, "connected"),
	       ctl_number(guests, "ready"));
	printf("channels  %llu attached, %llu suspended, %llu detached, %llu failed, "
	       "%llu unavailable\n",
	       ctl_number(channels, "attached"), ctl_number(channels, "suspended"),
	       ctl_number(channels, "detached"), ctl_number(channels, "failed"),
	       ctl_number(channels, "unavailable"));
	show_problems(result);
}

static enum ctl_exit run_status(const struct ctl *ctl, char **args)
{
	return call_and_show(ctl, "status", show_status);
}

const struct ctl_command ctl_status = {
	.name = "status",
	.summary = "what the daemon is doing",
	.help = "Its version and process, since when it runs, how many guests are connected, and\n"
		"the states of the channels.\n",
	.run = run_status,
};

static void show_version(struct json_object *result)
{
	printf("%s %s, ABI %llu\n", ctl_string(result, "name"), ctl_string(result, "version"),
	       ctl_number(result, "abi_version"));
}

static enum ctl_exit run_version(const struct ctl *ctl, char **args)
{
	if (!ctl->json) {
		printf("okl4fsctl %s\n", OKL4FS_VERSION_STRING);
		fflush(stdout); /* before a line on stderr */
	}
	return call_and_show(ctl, "version", show_version);
}

const struct ctl_command ctl_version = {
	.name = "version",
	.summary = "versions of okl4fsctl and of the daemon",
	.help = "Without a daemon it prints that of okl4fsctl and an error, and the exit status\n"
		"is 3; okl4fsctl --version does not ask the daemon.\n",
	.run = run_version,
};

static void show_metrics(struct json_object *result)
{
	fputs(ctl_string(result, "text"), stdout);
}

static enum ctl_exit run_metrics(const struct ctl *ctl, char **args)
{
	return call_and_show(ctl, "metrics.get", show_metrics);
}

const struct ctl_command ctl_metrics = {
	.name = "metrics",
	.summary = "the metrics that Prometheus scrapes",
	.help = "They are printed as OpenMetrics.\n",
	.run = run_metrics,
};

static const char *guest_state(struct json_object *guest)
{
	if (ctl_boolean(guest, "ready"))
		return "ready";
	if (ctl_boolean(guest, "connected"))
		return "no driver";
	return *ctl_string(guest, "error") ? "unavailable" : "away";
}

/* Lines below the table, after an empty one */
static void print_away(struct json_object *guest, bool *first)
{
	_cleanup_free_ char *name = text_safe(ctl_string(guest, "name"));
	const char *error = ctl_string(guest, "error");
	_cleanup_free_ char *why = text_safe(*error ? error : ctl_string(guest, "away"));

	if (!*why)
		return;
	printf("%s%s is %s: %s\n", *first ? "\n" : "", name, *error ? "unavailable" : "away", why);
	*first = false;
}

static void show_guests(struct json_object *result)
{
	static const struct table_column columns[] = {
		{ .title = "GUEST", .min = 8 },
		{ .title = "STATE" },
		{ .title = "CHANNELS", .is_number = true, .late = 2 },
		{ .title = "QUEUES", .is_number = true, .early = 1 },
		{ .title = "MEMORY", .is_number = true, .late = 1 },
		{ .title = "REQUESTS", .is_number = true, .early = 2 },
		{ .title = "REFUSED", .is_number = true, .early = 3 },
		{ .title = "SOCKET", .min = 16, .late = 3 },
		{ .title = NULL },
	};
	struct table t = { .columns = columns };
	struct json_object *list;
	size_t n = ctl_list(result, "guests", &list);
	bool first = true;

	for (size_t i = 0; i < n; i++) {
		struct json_object *g = json_object_array_get_idx(list, i);
		bool serial = !strcmp(ctl_string(g, "way"), "serial");
		char socket[160];

		snprintf(socket, sizeof(socket), "%s%s (%s%s)", ctl_string(g, "socket"),
			 serial ? ".CHANNEL (serial)" : "", ctl_string(g, "socket_mode"),
			 ctl_boolean(g, "path_lost") ? ", removed or replaced" : "");
		table_row(&t, (const char *const[]){
				      ctl_string(g, "name"), guest_state(g),
				      text_count(ctl_number(g, "channels")).text,
				      text_count(ctl_number(g, "queues")).text,
				      text_size(ctl_number(g, "memory_bytes")).text,
				      text_count(ctl_number(g, "requests")).text,
				      text_count(ctl_number(g, "requests_refused")).text, socket });
	}
	table_print(&t, table_limit());
	for (size_t i = 0; i < n; i++)
		print_away(json_object_array_get_idx(list, i), &first);
}

static void show_guest_names(struct json_object *result)
{
	struct json_object *list;
	size_t n = ctl_list(result, "guests", &list);

	for (size_t i = 0; i < n; i++)
		print_line(ctl_string(json_object_array_get_idx(list, i), "name"));
}

static enum ctl_exit run_guests(const struct ctl *ctl, char **args)
{
	return call_and_show(ctl, "guest.list", only_names ? show_guest_names : show_guests);
}

const struct ctl_command ctl_guests = {
	.name = "guests",
	.summary = "all guests",
	.help = "STATE is \"away\" while no virtual machine is connected, \"no driver\" until its\n"
		"guest driver has said hello, and otherwise \"ready\".\n",
	.options = of_lists,
	.run = run_guests,
};

static const char *channel_note(struct json_object *channel)
{
	static const char *const keys[] = { "path", "file", "address" };
	struct json_object *endpoint = ctl_object(channel, "endpoint");

	if (ctl_object(channel, "failure"))
		return ctl_string(ctl_object(channel, "failure"), "text");
	if (!strcmp(ctl_string(channel, "state"), "unavailable"))
		return ctl_string(endpoint, "error");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (*ctl_string(endpoint, keys[i]))
			return ctl_string(endpoint, keys[i]);
	return "";
}

static struct text_number connected_text(struct json_object *channel)
{
	struct json_object *sessions = ctl_object(channel, "sessions");
	struct text_number t;

	if (sessions)
		snprintf(t.text, sizeof(t.text), "%llu of %llu", ctl_number(sessions, "live"),
			 ctl_number(sessions, "max"));
	else
		snprintf(t.text, sizeof(t.text), "%s",
			 ctl_boolean(ctl_object(channel, "endpoint"), "connected") ? "yes" : "no");
	return t;
}

static void show_channels(struct json_object *result)
{
	static const struct table_column columns[] = {
		{ .title = "GUEST", .min = 8 },
		{ .title = "CHANNEL", .min = 12 },
		{ .title = "STATE" },
		{ .title = "ENDPOINT", .early = 2 },
		{ .title = "CONNECTED", .late = 1 },
		{ .title = "RING", .is_number = true, .early = 1 },
		{ .title = "TO HOST", .is_number = true, .late = 3 },
		{ .title = "TO GUEST", .is_number = true, .late = 2 },
		{ .title = "", .min = 16, .late = 4 },
		{ .title = NULL },
	};
	struct table t = { .columns = columns };
	struct json_object *list;
	size_t n = ctl_list(result, "channels", &list);

	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		struct json_object *endpoint = ctl_object(c, "endpoint");
		char note[160];

		if (!ctl_object(c, "failure") && *ctl_string(endpoint, "channel"))
			snprintf(note, sizeof(note), "%s/%s", ctl_string(endpoint, "guest"),
				 ctl_string(endpoint, "channel"));
		else
			snprintf(note, sizeof(note), "%s%s", channel_note(c),
				 ctl_boolean(endpoint, "path_lost") ? " (removed or replaced)" :
								      "");
		table_row(&t, (const char *const[]){
				      ctl_string(c, "guest"), ctl_string(c, "name"),
				      ctl_string(c, "state"), ctl_string(endpoint, "type"),
				      connected_text(c).text,
				      text_size(ctl_number(c, "ring_bytes")).text,
				      text_size(ctl_number(ctl_object(c, "fwd"), "bytes")).text,
				      text_size(ctl_number(ctl_object(c, "bwd"), "bytes")).text,
				      note });
	}
	table_print(&t, table_limit());
}

static void show_channel_names(struct json_object *result)
{
	struct json_object *list;
	size_t n = ctl_list(result, "channels", &list);

	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		char name[160];

		snprintf(name, sizeof(name), "%s/%s", ctl_string(c, "guest"),
			 ctl_string(c, "name"));
		print_line(name);
	}
}

static enum ctl_exit run_channels(const struct ctl *ctl, char **args)
{
	struct json_object *result;
	enum ctl_exit r = ctl_list_channels(ctl, args[0], &result);

	return show_result(ctl, r, result, only_names ? show_channel_names : show_channels);
}

const struct ctl_command ctl_channels = {
	.name = "channels",
	.arguments = "[GUEST]",
	.summary = "all channels, or those of a guest",
	.options = of_lists,
	.max = 1,
	.run = run_channels,
};
