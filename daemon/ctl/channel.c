// SPDX-License-Identifier: BSD-3-Clause
/*
 * channel.c - `channel GUEST/CHANNEL`: everything that is known about a channel
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "util/fd.h"

static struct text_number title_of(const char *key)
{
	struct text_number t;

	snprintf(t.text, sizeof(t.text), "%s", key);
	for (char *c = t.text; *c; c++)
		if (*c == '_')
			*c = ' ';
	return t;
}

/* null is not printed */
static void print_value(const char *key, struct json_object *value)
{
	bool is_string = json_object_is_type(value, json_type_string);
	_cleanup_free_ char *text = NULL;

	if (!value)
		return;
	text = text_safe(is_string ? json_object_get_string(value) :
				     json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	printf("%-17s %s\n", title_of(key).text, text);
}

static void print_members(struct json_object *object, const char *const but[])
{
	if (!json_object_is_type(object, json_type_object))
		return;
	json_object_object_foreach(object, key, value) {
		size_t i = 0;

		while (but[i] && strcmp(but[i], key) != 0)
			i++;
		if (!but[i])
			print_value(key, value);
	}
}

static void print_sessions(struct json_object *sessions)
{
	if (sessions)
		printf("%-17s %llu of %llu, %llu of them waiting; at most %llu at once; %llu opened, "
		       "%llu refused\n",
		       "sessions", ctl_number(sessions, "live"), ctl_number(sessions, "max"),
		       ctl_number(sessions, "waiting"), ctl_number(sessions, "peak"),
		       ctl_number(sessions, "opened"), ctl_number(sessions, "refused"));
}

static void print_head(struct json_object *channel)
{
	static const char *const but[] = { "guest",      "name",     "state", "failure",
					   "ring_bytes", "endpoint", "fwd",   "bwd",
					   "errors",     "sessions", NULL };
	static const char *const of_endpoint[] = { "type", "connected", NULL };
	struct json_object *endpoint = ctl_object(channel, "endpoint");
	struct json_object *failure = ctl_object(channel, "failure");
	_cleanup_free_ char *name = text_safe(ctl_string(channel, "name"));
	_cleanup_free_ char *guest = text_safe(ctl_string(channel, "guest"));

	printf("%-17s %s/%s\n", "channel", guest, name);
	printf("%-17s %s\n", "state", ctl_string(channel, "state"));
	if (failure)
		printf("%-17s %s: %s\n", "failure", ctl_string(failure, "status"),
		       ctl_string(failure, "text"));
	printf("%-17s %s each way\n", "ring", text_size(ctl_number(channel, "ring_bytes")).text);
	print_sessions(ctl_object(channel, "sessions"));
	print_members(channel, but);
	if (*ctl_string(channel, "port"))
		printf("%-17s %s\n", "way",
		       "serial: neither side sees the other open, close or half-close it");
	printf("%-17s %s, %s\n", "endpoint", ctl_string(endpoint, "type"),
	       ctl_boolean(endpoint, "connected") ? "connected" : "not connected");
	print_members(endpoint, of_endpoint);
}

static void print_opener(struct json_object *opener, const char *how)
{
	_cleanup_free_ char *comm = NULL;

	if (!json_object_is_type(opener, json_type_object))
		return;
	comm = text_safe(ctl_string(opener, "comm"));
	printf("%-17s %s, pid %llu, uid %llu, %s (says the guest)\n", "opened by", comm,
	       ctl_number(opener, "pid"), ctl_number(opener, "uid"), how);
}

static void print_openers(struct json_object *channel)
{
	struct json_object *writer = ctl_object(ctl_object(channel, "fwd"), "guest_opener");
	struct json_object *reader = ctl_object(ctl_object(channel, "bwd"), "guest_opener");

	if (writer && reader && json_object_equal(writer, reader)) {
		print_opener(writer, "for reading and writing");
		return;
	}
	print_opener(reader, "for reading");
	print_opener(writer, "for writing");
}

static void print_errors(struct json_object *errors)
{
	const char *separator = "";

	printf("%-17s ", "errors");
	if (!json_object_is_type(errors, json_type_object) || !json_object_object_length(errors)) {
		puts("none");
		return;
	}
	json_object_object_foreach(errors, key, value) {
		printf("%s%s %lld", separator, key, (long long)json_object_get_int64(value));
		separator = ", ";
	}
	putchar('\n');
}

/* A phase is odd while the end is open */
static struct text_number phase_text(unsigned long long phase)
{
	struct text_number t;

	if (phase)
		snprintf(t.text, sizeof(t.text), "%s, %llu so far", phase % 2 ? "open" : "closed",
			 phase / 2 + phase % 2);
	else
		snprintf(t.text, sizeof(t.text), "never opened");
	return t;
}

static struct text_number fill_text(struct json_object *way, unsigned long long ring_bytes)
{
	unsigned long long fill = ctl_number(way, "fill_bytes");
	struct text_number t;

	t = text_size(fill);
	snprintf(t.text + strlen(t.text), sizeof(t.text) - strlen(t.text), ", %.0f %%",
		 ring_bytes ? 100.0 * (double)fill / (double)ring_bytes : 0);
	return t;
}

static void print_ways(struct json_object *channel)
{
	static const char *const shown[] = { "fill_bytes", "host_phase", "guest_phase",
					     "guest_opener", NULL };
	struct json_object *fwd = ctl_object(channel, "fwd"), *bwd = ctl_object(channel, "bwd");
	unsigned long long live = ctl_number(ctl_object(channel, "sessions"), "live");
	unsigned long long ring = ctl_number(channel, "ring_bytes") * (live > 1 ? live : 1);
	static const struct table_column columns[] = {
		{ .title = "" }, { .title = "TO HOST" }, { .title = "TO GUEST" }, { .title = NULL }
	};
	struct table t = { .columns = columns };

	if (json_object_is_type(fwd, json_type_object)) {
		json_object_object_foreach(fwd, key, value) {
			size_t i = 0;

			while (shown[i] && strcmp(shown[i], key) != 0)
				i++;
			if (shown[i])
				continue;
			table_row(&t, (const char *const[]){
					      title_of(key).text,
					      text_count(json_object_get_uint64(value)).text,
					      text_count(ctl_number(bwd, key)).text });
		}
	}
	table_row(&t, (const char *const[]){ "in the ring", fill_text(fwd, ring).text,
					     fill_text(bwd, ring).text });
	table_row(&t,
		  (const char *const[]){ "left by a guest",
					 text_size(ctl_number(channel, "tail_bytes")).text, "" });
	table_row(&t, (const char *const[]){
			      "lost", text_size(ctl_number(channel, "lost_bytes")).text, "" });
	if (ctl_object(channel, "sessions")) {
		table_print(&t, 0);
		return; /* each session has ends of its own */
	}
	table_row(&t, (const char *const[]){ "guest's end",
					     phase_text(ctl_number(fwd, "guest_phase")).text,
					     phase_text(ctl_number(bwd, "guest_phase")).text });
	table_row(&t, (const char *const[]){ "host's end",
					     phase_text(ctl_number(fwd, "host_phase")).text,
					     phase_text(ctl_number(bwd, "host_phase")).text });
	table_print(&t, 0);
}

static enum ctl_exit run_channel(const struct ctl *ctl, char **args)
{
	struct json_object *result, *channel;
	enum ctl_exit r = ctl_find_channel(ctl, "channel", args[0], &result, &channel);

	if (!r && ctl->json) {
		ctl_show_json(channel);
	} else if (!r) {
		print_head(channel);
		print_openers(channel);
		print_errors(ctl_object(channel, "errors"));
		putchar('\n');
		print_ways(channel);
	}
	json_object_put(result);
	return r;
}

const struct ctl_command ctl_channel = {
	.name = "channel",
	.arguments = "GUEST/CHANNEL",
	.summary = "everything about a channel",
	.min = 1,
	.max = 1,
	.run = run_channel,
};
