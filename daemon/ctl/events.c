// SPDX-License-Identifier: BSD-3-Clause
/*
 * events.c - `events`: state changes as they happen, one per line
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/connection.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/since.h"
#include "ctl/text.h"
#include "util/clock.h"
#include "util/event_kinds.h"
#include "util/fd.h"

static const char *only_guest, *max_count, *since_option;
static bool wants_list, does_not_follow;

static const struct ctl_option of_events[] = {
	{ .name = "guest",
	  .letter = 'g',
	  .value = "GUEST",
	  .text = &only_guest,
	  .help = "only of this guest, which need not exist yet" },
	{ .name = "count",
	  .letter = 'n',
	  .value = "COUNT",
	  .text = &max_count,
	  .help = "end after COUNT events" },
	{ .name = "since",
	  .letter = 'S',
	  .value = "TIME",
	  .text = &since_option,
	  .help = "first those since then: 10m, 2h, 1d,\n\"2026-01-02 10:00\", 10:00, or start: all\n"
		  "that the daemon has kept" },
	{ .name = "no-follow",
	  .flag = &does_not_follow,
	  .help = "end after those; without --since: all" },
	{ .name = "list", .letter = 'l', .flag = &wants_list, .help = "list the kinds of events" },
	{ .name = NULL },
};

#define KIND(upper, name, help) { (name), (help) },
static const struct {
	const char *name, *help;
} kinds[] = { EVENT_KINDS(KIND) };
#undef KIND

static void print_kinds(void)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		printf("  %-24s%s\n", kinds[i].name, kinds[i].help);
}

static void print_kinds_help(void)
{
	puts("\nKinds; the word before the dot stands for all kinds of its group:");
	print_kinds();
}

/* @since: microseconds since 1970; negative: only what happens from now on */
static struct json_object *make_params(char **words, long long since)
{
	struct json_object *params = json_object_new_object(), *list;

	if (since >= 0)
		json_object_object_add(params, "since", json_object_new_int64(since));

	if (only_guest)
		json_object_object_add(params, "guest", json_object_new_string(only_guest));
	if (!*words)
		return params;
	list = json_object_new_array();
	for (; *words; words++)
		json_object_array_add(list, json_object_new_string(*words));
	json_object_object_add(params, "kinds", list);
	return params;
}

static void print_event(struct json_object *event)
{
	static const char *const shown[] = { "seq",  "realtime_us", "monotonic_us",
					     "kind", "guest",       "channel",
					     NULL };
	_cleanup_free_ char *guest = text_safe(ctl_string(event, "guest"));
	_cleanup_free_ char *channel = text_safe(ctl_string(event, "channel"));
	_cleanup_free_ char *kind = text_safe(ctl_string(event, "kind"));
	char when[40];

	since_text(ctl_number(event, "realtime_us"), when);
	fputs(when, stdout);
	if (*guest)
		printf(" %s%s%s", guest, *channel ? "/" : "", channel);
	printf(" %s", kind);
	json_object_object_foreach(event, key, value) {
		_cleanup_free_ char *safe = NULL;
		size_t i = 0;

		while (shown[i] && strcmp(shown[i], key) != 0)
			i++;
		if (shown[i])
			continue;
		safe = text_safe(
			json_object_is_type(value, json_type_string) ?
				json_object_get_string(value) :
				json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
		printf(strpbrk(safe, " \"") ? " %s=\"%s\"" : " %s=%s", key, safe);
	}
	putchar('\n');
}

static void show_event(const struct ctl *ctl, struct json_object *event)
{
	if (ctl->json)
		puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_event(event);
}

/* Return: how many events were shown */
static unsigned long show_past(const struct ctl *ctl, struct json_object *result,
			       unsigned long count)
{
	struct json_object *list;
	size_t n = ctl_list(result, "past", &list), i;

	if (ctl_object(result, "past_complete") && !ctl_boolean(result, "past_complete"))
		ctl_error(
			"events: the daemon has kept only its last events; older ones are missing");
	for (i = 0; i < n && (!count || i < count); i++)
		show_event(ctl, json_object_array_get_idx(list, i));
	return i;
}

/* @n: events that were shown already; Return: if not CTL_DONE, the caller prints the connection's error */
static enum ctl_exit follow(const struct ctl *ctl, struct connection *c, unsigned long n,
			    unsigned long count)
{
	while (!count || n < count) {
		struct json_object *line, *event;
		enum ctl_exit r = connection_receive(c, -1, &line);

		if (r)
			return r;
		event = ctl_object(line, "params");
		if (!strcmp(ctl_string(line, "method"), "event") &&
		    json_object_is_type(event, json_type_object)) {
			n++;
			show_event(ctl, event);
		}
		json_object_put(line);
		if (fflush(stdout))
			return CTL_DONE; /* main() reports the error */
	}
	return CTL_DONE;
}

/* @since: out: -1: not wanted */
static enum ctl_exit read_since(long long *since)
{
	unsigned long long us;

	*since = does_not_follow ? 0 : -1;
	if (!since_option)
		return CTL_DONE;
	if (since_read(since_option, clock_wall_us(), &us)) {
		*since = (long long)us;
		return CTL_DONE;
	}
	ctl_error(
		"events: --since must be a time such as 10m, \"2026-01-02 10:00\", 10:00 or start, "
		"not \"%s\"",
		since_option);
	return CTL_USAGE;
}

static enum ctl_exit run_events(const struct ctl *ctl, char **args)
{
	struct json_object *result;
	unsigned long count = 0, n;
	struct connection c;
	long long since;
	enum ctl_exit r = ctl_read_count(max_count, "events", &count);

	if (wants_list) {
		print_kinds();
		return CTL_DONE;
	}
	if (!r)
		r = read_since(&since);
	if (r)
		return r;
	r = connection_open(&c, ctl);
	if (!r)
		r = connection_call(&c, "events.subscribe", make_params(args, since), &result);
	if (!r) {
		n = show_past(ctl, result, count);
		json_object_put(result);
		if (!fflush(stdout) && !does_not_follow)
			r = follow(ctl, &c, n, count);
	}
	connection_close(&c);
	return connection_tell(&c, r);
}

const struct ctl_command ctl_events = {
	.name = "events",
	.arguments = "[KIND...]",
	.summary = "state changes as they happen",
	.help = "One line per event: time, guest and channel, kind, details. With KINDs, only\n"
		"events of these kinds or groups of kinds. The daemon keeps the last 1024.\n",
	.more_help = print_kinds_help,
	.options = of_events,
	.max = CTL_MAX_KINDS,
	.run = run_events,
};
