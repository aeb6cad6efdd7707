// SPDX-License-Identifier: BSD-3-Clause
/*
 * events.c - `events`: state changes as they happen, one per line
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/connection.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/text.h"
#include "util/fd.h"

static const char *only_guest, *max_count;

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
	{ .name = NULL },
};

static struct json_object *make_params(char **kinds)
{
	struct json_object *params = json_object_new_object(), *list;

	if (only_guest)
		json_object_object_add(params, "guest", json_object_new_string(only_guest));
	if (!*kinds)
		return params;
	list = json_object_new_array();
	for (; *kinds; kinds++)
		json_object_array_add(list, json_object_new_string(*kinds));
	json_object_object_add(params, "kinds", list);
	return params;
}

static void print_time(unsigned long long us)
{
	time_t s = (time_t)(us / 1000000);
	char text[16];
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(text, sizeof(text), "%H:%M:%S", &tm))
		text[0] = 0;
	printf("%s.%03llu", text, us / 1000 % 1000);
}

static void print_event(struct json_object *event)
{
	static const char *const shown[] = { "seq",  "realtime_us", "monotonic_us",
					     "kind", "guest",       "channel",
					     NULL };
	_cleanup_free_ char *guest = text_safe(ctl_string(event, "guest"));
	_cleanup_free_ char *channel = text_safe(ctl_string(event, "channel"));
	_cleanup_free_ char *kind = text_safe(ctl_string(event, "kind"));

	print_time(ctl_number(event, "realtime_us"));
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

/* Return: if not CTL_DONE, the caller prints the connection's error */
static enum ctl_exit follow(const struct ctl *ctl, struct connection *c, unsigned long count)
{
	for (unsigned long n = 0; !count || n < count;) {
		struct json_object *line, *event;
		enum ctl_exit r = connection_receive(c, -1, &line);

		if (r)
			return r;
		event = ctl_object(line, "params");
		if (!strcmp(ctl_string(line, "method"), "event") &&
		    json_object_is_type(event, json_type_object)) {
			n++;
			if (ctl->json)
				puts(json_object_to_json_string_ext(
					event,
					JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
			else
				print_event(event);
		}
		json_object_put(line);
		if (fflush(stdout))
			return CTL_DONE; /* main() reports the error */
	}
	return CTL_DONE;
}

static enum ctl_exit run_events(const struct ctl *ctl, char **args)
{
	struct json_object *result;
	unsigned long count = 0;
	struct connection c;
	enum ctl_exit r = ctl_read_count(max_count, "events", &count);

	if (r)
		return r;
	r = connection_open(&c, ctl);
	if (!r) {
		r = connection_call(&c, "events.subscribe", make_params(args), &result);
		json_object_put(result);
		if (!r)
			r = follow(ctl, &c, count);
	}
	connection_close(&c);
	return connection_tell(&c, r);
}

const struct ctl_command ctl_events = {
	.name = "events",
	.arguments = "[KIND...]",
	.summary = "state changes as they happen",
	.help = "Only of these kinds or groups of kinds, when some are given.\n",
	.options = of_events,
	.max = CTL_MAX_KINDS,
	.run = run_events,
};
