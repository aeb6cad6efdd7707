// SPDX-License-Identifier: BSD-3-Clause
/*
 * subscribers.c - the control socket: clients that want events
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "peer.h"
#include "rig.h"
#include "loop/events.h"
#include "control/history.h"
#include "control/subscribers.h"

TestSuite(control_subscribers, .init = control_start, .fini = control_stop, .timeout = 60);

#define SUBSCRIBE(params) CALL("events.subscribe", ",\"params\":{" params "}") "\n"

/* Return: the connection; the answer has been read */
static FILE *subscribe(const char *params)
{
	char line[512];
	FILE *f = client();

	snprintf(line, sizeof(line), SUBSCRIBE("%s"), params);
	say(fileno(f), line);
	hear(f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":");
	return f;
}

static void post_kind(enum events_kind kind, const char *guest)
{
	events_post(&(struct events_fact){ .kind = kind, .guest = guest });
}

#define OF_GUEST(kind, guest) "{\"kind\":\"" kind "\",\"guest\":\"" guest "\"}"

/* The next line must be this event; Return: its number */
static int64_t hear_event(FILE *f, const char *want)
{
	struct json_object *event, *params;
	char *line = NULL;
	size_t size;
	int64_t seq;

	cr_assert_gt(getline(&line, &size, f), 0);
	event = json_tokener_parse(line);
	cr_assert_str_eq(json_object_get_string(json_object_object_get(event, "method")), "event");
	cr_assert_not(json_object_object_get_ex(event, "id", NULL));
	params = json_object_object_get(event, "params");
	seq = json_object_get_int64(json_object_object_get(params, "seq"));
	json_object_object_del(params, "seq");
	json_object_object_del(params, "realtime_us");
	json_object_object_del(params, "monotonic_us");
	cr_assert_str_eq(json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN), want);
	json_object_put(event);
	free(line);
	return seq;
}

Test(control_subscribers, each_kind_has_its_members)
{
	FILE *f = subscribe("");
	struct events_fact fact = { .guest = "vm1",
				    .channel = "c",
				    .text = "one",
				    .more = "two",
				    .number = 3,
				    .instance = 0xab,
				    .again = true,
				    .torn = true,
				    .all = true,
				    .opener = { 1, 2, 3, "four" } };
	static const char opened[] = ",\"end\":\"one\",\"guest_opener\":{\"comm\":\"four\","
				     "\"pid\":3,\"uid\":1,\"gid\":2},\"unreported\":3";
	static const char *const want[N_EVENTS_KINDS] = {
		[EVENTS_GUEST_READY] = ",\"driver_instance\":\"00000000000000ab\"",
		[EVENTS_GUEST_BROKEN] = ",\"reason\":\"one\"",
		[EVENTS_CHANNEL_ADDED] = ",\"id\":3",
		[EVENTS_CHANNEL_REMOVED] = ",\"id\":3",
		[EVENTS_CHANNEL_ATTACHED] = ",\"instance\":\"00000000000000ab\",\"again\":true",
		[EVENTS_CHANNEL_OPENED] = opened,
		[EVENTS_CHANNEL_FAILED] = ",\"status\":\"one\",\"reason\":\"two\"",
		[EVENTS_CHANNEL_RESET] = ",\"id\":3",
		[EVENTS_CHANNEL_LOST] = ",\"bytes\":3,\"reason\":\"one\"",
		[EVENTS_ENDPOINT_CONNECTED] = ",\"type\":\"one\"",
		[EVENTS_ENDPOINT_DISCONNECTED] =
			",\"type\":\"one\",\"reason\":\"two\",\"torn\":true",
		[EVENTS_ENDPOINT_TAKEN] = ",\"all\":true,\"guest_writes\":false",
		[EVENTS_CONFIG_RELOADED] = ",\"guests\":3",
		[EVENTS_CONFIG_REFUSED] = ",\"reason\":\"one\"",
		[EVENTS_LOG_CHANGED] = ",\"level\":\"one\"",
	};
	int64_t seq = 0;

	for (int i = 0; i < N_EVENTS_KINDS; i++) {
		char line[256];
		int64_t next;

		fact.kind = (enum events_kind)i;
		events_post(&fact);
		snprintf(line, sizeof(line),
			 "{\"kind\":\"%s\",\"guest\":\"vm1\",\"channel\":\"c\"%s}",
			 events_kind_name(fact.kind), want[i] ? want[i] : "");
		next = hear_event(f, line);
		cr_assert(i == 0 || next == seq + 1);
		seq = next;
	}
	fclose(f);
}

Test(control_subscribers, filters)
{
	FILE *all = subscribe(""), *vm2 = subscribe("\"guest\":\"vm2\"");
	FILE *gone = subscribe("\"kinds\":[\"guest.gone\",\"config\"]");

	post_kind(EVENTS_GUEST_CONNECTED, "vm1");
	post_kind(EVENTS_GUEST_GONE, "vm1");
	post_kind(EVENTS_GUEST_CONNECTED, "vm2");
	post_kind(EVENTS_CONFIG_RELOADED, NULL);
	hear_event(all, OF_GUEST("guest.connected", "vm1"));
	hear_event(all, OF_GUEST("guest.gone", "vm1"));
	hear_event(all, OF_GUEST("guest.connected", "vm2"));
	hear_event(all, "{\"kind\":\"config.reloaded\",\"guests\":0}");
	hear_event(vm2, OF_GUEST("guest.connected", "vm2"));
	hear_event(gone, OF_GUEST("guest.gone", "vm1"));
	hear_event(gone, "{\"kind\":\"config.reloaded\",\"guests\":0}");

	/* Another filter, and other questions, on the same connection */
	say(fileno(gone), SUBSCRIBE("\"kinds\":[\"guest\"]"));
	hear(gone, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":");
	say(fileno(gone), CALL("version", "") "\n");
	hear(gone, RESULT("1", VERSION));
	post_kind(EVENTS_CONFIG_RELOADED, NULL);
	post_kind(EVENTS_GUEST_ADDED, "vm1");
	hear_event(gone, OF_GUEST("guest.added", "vm1"));
	fclose(all);
	fclose(vm2);
	fclose(gone);
}

Test(control_subscribers, filters_that_are_none)
{
	refuses("events.subscribe", "\"guest\":\"\"", -32602, "a guest cannot be called \\\"\\\"");
	refuses("events.subscribe", "\"guest\":1", -32602, "\\\"guest\\\" must be a string");
	refuses("events.subscribe", "\"kinds\":\"guest\"", -32602,
		"\\\"kinds\\\" must be an array of strings");
	refuses("events.subscribe", "\"kinds\":[1]", -32602,
		"\\\"kinds\\\" must be an array of strings");
	refuses("events.subscribe", "\"since\":-1", -32602, "\\\"since\\\" must be 0 or more");
	refuses("events.subscribe", "\"kinds\":[]", -32602, "\\\"kinds\\\" is empty");
	refuses("events.subscribe", "\"kinds\":[\"guest.\"]", -32602,
		"there are no events of the kind \\\"guest.\\\"");
	refuses("events.subscribe", "\"kinds\":[\"guest\",\"gues\"]", -32602,
		"there are no events of the kind \\\"gues\\\"");
}

Test(control_subscribers, a_slow_client_is_told_how_many_events_it_missed)
{
	FILE *slow = subscribe(""), *quick = subscribe("\"kinds\":[\"guest.added\"]");
	char *line = NULL;
	size_t size = 0;
	uint64_t heard = 0, lost = 0;
	const uint64_t posted = 40000;

	/* In portions that fit the queue to main; each is taken before the next is posted. */
	for (uint64_t i = 1; i <= posted; i++) {
		post_kind(i % 1000 ? EVENTS_GUEST_GONE : EVENTS_GUEST_ADDED, "vm1");
		if (i % 1000 == 0)
			hear_event(quick, OF_GUEST("guest.added", "vm1"));
	}
	while (heard + lost < posted) {
		struct json_object *params;

		cr_assert_gt(getline(&line, &size, slow), 0);
		params = json_tokener_parse(line);
		if (strstr(line, "\"kind\":\"lost\""))
			lost += json_object_get_uint64(json_object_object_get(
				json_object_object_get(params, "params"), "count"));
		else
			heard++;
		json_object_put(params);
	}
	cr_assert_eq(heard + lost, posted);
	cr_assert_gt(lost, posted / 2, "%lu lost", lost);
	/* What waited was bounded: the queue and the socket's buffers. */
	cr_assert_lt(heard, 10000);
	/* Then events arrive again. */
	post_kind(EVENTS_GUEST_GONE, "vm2");
	hear_event(slow, OF_GUEST("guest.gone", "vm2"));
	free(line);
	fclose(slow);
	fclose(quick);
}

Test(control_subscribers, a_slow_client_that_has_ended_its_side_is_dropped)
{
	FILE *slow = subscribe(""), *quick = subscribe("\"kinds\":[\"guest.added\"]");
	struct pollfd gone = { .fd = fileno(slow) };

	/* More than the queue and the socket hold */
	for (int i = 1; i <= 12000; i++) {
		post_kind(i % 1000 ? EVENTS_GUEST_GONE : EVENTS_GUEST_ADDED, "vm1");
		if (i % 1000 == 0)
			hear_event(quick, OF_GUEST("guest.added", "vm1"));
	}
	shutdown(fileno(slow), SHUT_WR);
	cr_assert_eq(poll(&gone, 1, 30000), 1, "it is still there");
	cr_assert(gone.revents & POLLHUP);
	fclose(slow);
	fclose(quick);
}

/* The result of a subscription with "since"; json_object_put() it */
static struct json_object *past(const char *params)
{
	struct json_object *answer, *result;
	char *line = NULL, text[512];
	size_t size;
	FILE *f = client();

	snprintf(text, sizeof(text), SUBSCRIBE("%s"), params);
	say(fileno(f), text);
	cr_assert_gt(getline(&line, &size, f), 0);
	answer = json_tokener_parse(line);
	result = json_object_get(json_object_object_get(answer, "result"));
	cr_assert(result, "%s", line);
	json_object_put(answer);
	free(line);
	fclose(f);
	return result;
}

static size_t n_past(struct json_object *result)
{
	return json_object_array_length(json_object_object_get(result, "past"));
}

static bool is_complete(struct json_object *result)
{
	return json_object_get_boolean(json_object_object_get(result, "past_complete"));
}

static uint64_t past_number(struct json_object *result, size_t idx, const char *key)
{
	struct json_object *list = json_object_object_get(result, "past");

	return json_object_get_uint64(
		json_object_object_get(json_object_array_get_idx(list, idx), key));
}

Test(control_subscribers, the_last_events_are_kept)
{
	FILE *f = subscribe("\"kinds\":[\"config\"]");
	struct json_object *all, *some;
	char params[64];

	for (int i = 0; i < CONTROL_HISTORY_MAX - 2; i++)
		post_kind(EVENTS_GUEST_GONE, i % 2 ? "vm1" : "vm2");
	post_kind(EVENTS_CONFIG_RELOADED, NULL);
	hear_event(f, "{\"kind\":\"config.reloaded\",\"guests\":0}");
	all = past("\"since\":0");
	cr_assert_eq(n_past(all), CONTROL_HISTORY_MAX - 1);
	cr_assert(is_complete(all));
	cr_assert_eq(past_number(all, 1, "seq"), past_number(all, 0, "seq") + 1);
	some = past("\"since\":0,\"guest\":\"vm1\"");
	cr_assert_eq(n_past(some), CONTROL_HISTORY_MAX / 2 - 1);
	json_object_put(some);
	some = past("\"since\":9000000000000000");
	cr_assert_eq(n_past(some), 0);
	json_object_put(some);
	json_object_put(all);

	/* The oldest go; what is newer than they are is still complete */
	post_kind(EVENTS_GUEST_ADDED, "vm1");
	post_kind(EVENTS_GUEST_ADDED, "vm2");
	post_kind(EVENTS_CONFIG_RELOADED, NULL);
	hear_event(f, "{\"kind\":\"config.reloaded\",\"guests\":0}");
	all = past("\"since\":0");
	cr_assert_eq(n_past(all), CONTROL_HISTORY_MAX);
	cr_assert_not(is_complete(all));
	snprintf(params, sizeof(params), "\"since\":%lu",
		 past_number(all, CONTROL_HISTORY_MAX - 1, "realtime_us"));
	some = past(params);
	cr_assert_geq(n_past(some), 1);
	cr_assert(is_complete(some));
	json_object_put(some);
	json_object_put(all);
	fclose(f);
}

Test(control_subscribers, thirty_two_subscribers)
{
	FILE *f[CONTROL_MAX_SUBSCRIBERS], *more;

	for (int i = 0; i < CONTROL_MAX_SUBSCRIBERS; i++)
		f[i] = subscribe("");
	more = client();
	say(fileno(more), SUBSCRIBE(""));
	hear(more, ERROR("1", -32000, "32 clients are subscribed to events already"));
	say(fileno(f[0]), SUBSCRIBE("\"guest\":\"vm1\"")); /* a subscriber may ask again */
	hear(f[0], "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":");
	/* The end of the input ends a subscription. */
	shutdown(fileno(f[0]), SHUT_WR);
	hear(f[0], NULL);
	say(fileno(more), SUBSCRIBE(""));
	hear(more, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":");
	for (int i = 0; i < CONTROL_MAX_SUBSCRIBERS; i++)
		fclose(f[i]);
	fclose(more);
}

Test(control_subscribers, log_set)
{
	FILE *f = subscribe("\"kinds\":[\"log\"]");

	say(fileno(f), CALL("log.set", ",\"params\":{\"level\":\"err\"}") "\n");
	hear(f, RESULT("1", "{\"level\":\"err\"}"));
	hear_event(f, "{\"kind\":\"log.changed\",\"level\":\"err\"}");
	say(fileno(f), CALL("log.set", ",\"params\":{\"level\":\"loud\"}") "\n");
	hear(f, ERROR("1", -32602,
		      "there is no log level \\\"loud\\\": it is err, "
		      "warning, notice, info or debug"));
	fclose(f);
}
