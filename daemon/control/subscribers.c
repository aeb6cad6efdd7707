// SPDX-License-Identifier: BSD-3-Clause
/*
 * subscribers.c - clients that want events
 *
 * A table says which members each kind of event has, and where they lie in the record. okl4fs-control(7)
 * says what the kinds mean.
 */
#include "control/subscribers.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/history.h"
#include "control/json.h"

/* A member that only some kinds have: its name, its type, and where it lies in a struct events_record */
struct member {
	const char *name;
	enum { STRING, BOOLEAN, NUMBER, INSTANCE, OPENER } type;
	size_t at;
};

#define MEMBER(name_, type_, field)                                     \
	{                                                               \
		(name_), (type_), offsetof(struct events_record, field) \
	}
#define TYPE MEMBER("type", STRING, text)
#define ID   MEMBER("id", NUMBER, number)

/* Kinds without such members have no row; a member after the last has no name. */
static const struct member own_members[N_EVENTS_KINDS][3] = {
	[EVENTS_GUEST_READY] = { MEMBER("driver_instance", INSTANCE, instance) },
	[EVENTS_GUEST_BROKEN] = { MEMBER("reason", STRING, text) },
	[EVENTS_CHANNEL_ADDED] = { ID },
	[EVENTS_CHANNEL_REMOVED] = { ID },
	[EVENTS_CHANNEL_ATTACHED] = { MEMBER("instance", INSTANCE, instance),
				      MEMBER("again", BOOLEAN, again) },
	[EVENTS_CHANNEL_OPENED] = { MEMBER("end", STRING, text),
				    MEMBER("guest_opener", OPENER, opener),
				    MEMBER("unreported", NUMBER, number) },
	[EVENTS_CHANNEL_FAILED] = { MEMBER("status", STRING, text),
				    MEMBER("reason", STRING, more) },
	[EVENTS_CHANNEL_RESET] = { ID },
	[EVENTS_CHANNEL_LOST] = { MEMBER("bytes", NUMBER, number), MEMBER("reason", STRING, text) },
	[EVENTS_ENDPOINT_CONNECTED] = { TYPE },
	[EVENTS_ENDPOINT_DISCONNECTED] = { TYPE, MEMBER("reason", STRING, more),
					   MEMBER("torn", BOOLEAN, torn) },
	[EVENTS_ENDPOINT_TAKEN] = { MEMBER("all", BOOLEAN, all),
				    MEMBER("guest_writes", BOOLEAN, guest_writes) },
	[EVENTS_CONFIG_RELOADED] = { MEMBER("guests", NUMBER, number) },
	[EVENTS_CONFIG_REFUSED] = { MEMBER("reason", STRING, text) },
	[EVENTS_LOG_CHANGED] = { MEMBER("level", STRING, text) },
};
_Static_assert(N_EVENTS_KINDS <= 32, "a bit for each in struct control_subscriber");

const struct control_field control_subscribe_params[] = {
	{ .name = "guest", .type = CONTROL_STRING, .optional = true },
	{ .name = "kinds", .type = CONTROL_WORDS, .optional = true },
	{ .name = "since", .type = CONTROL_INTEGER, .optional = true },
	{ .name = NULL },
};

/* Those that want events; main's */
static LIST_HEAD(, control_subscriber) subscribers = LIST_HEAD_INITIALIZER(subscribers);
static unsigned int n_subscribers;

static char *notification(struct json_object *params)
{
	struct json_object *object = json_object_new_object();

	control_add_string(object, "jsonrpc", "2.0");
	control_add_string(object, "method", "event");
	json_object_object_add(object, "params", params);
	return control_line(object);
}

static void add_member(struct json_object *params, const struct member *m,
		       const struct events_record *record)
{
	const char *at = (const char *)record + m->at;
	uint64_t number = 0;

	if (m->type == NUMBER || m->type == INSTANCE)
		memcpy(&number, at, sizeof(number));
	switch (m->type) {
	case STRING:
		control_add_string(params, m->name, at);
		break;
	case BOOLEAN:
		control_add_boolean(params, m->name, *(const bool *)at);
		break;
	case NUMBER:
		control_add_number(params, m->name, number);
		break;
	case INSTANCE:
		control_add_instance(params, m->name, number);
		break;
	case OPENER:
		control_add_opener(params, m->name, (const struct okl4_opener *)at);
		break;
	}
}

static struct json_object *event_object(const struct events_record *r)
{
	struct json_object *params = json_object_new_object();

	control_add_number(params, "seq", r->seq);
	control_add_number(params, "realtime_us", r->realtime_us);
	control_add_number(params, "monotonic_us", r->monotonic_us);
	control_add_string(params, "kind", events_kind_name(r->kind));
	if (r->guest[0])
		control_add_string(params, "guest", r->guest);
	if (r->channel[0])
		control_add_string(params, "channel", r->channel);
	for (int i = 0; i < 3 && own_members[r->kind][i].name; i++)
		add_member(params, &own_members[r->kind][i], r);
	return params;
}

/* Bytes that a subscriber has not taken yet */
static size_t queued(const struct control_subscriber *sub)
{
	return evbuffer_get_length(sub->queue) +
	       evbuffer_get_length(bufferevent_get_output(sub->bev));
}

static bool add_line(struct control_subscriber *sub, const char *line)
{
	return !evbuffer_add(sub->held ? sub->queue : bufferevent_get_output(sub->bev), line,
			     strlen(line));
}

void control_subscriber_hold(struct control_subscriber *sub)
{
	sub->held = true;
}

void control_subscriber_release(struct control_subscriber *sub)
{
	sub->held = false;
	if (evbuffer_get_length(sub->queue))
		bufferevent_write_buffer(sub->bev, sub->queue);
	control_subscriber_written(sub);
}

void control_subscriber_written(struct control_subscriber *sub)
{
	struct json_object *params;
	char *line;

	if (!sub->on || !sub->lost || sub->held || queued(sub))
		return;
	params = json_object_new_object();
	control_add_number(params, "seq", events_seq());
	control_add_string(params, "kind", "lost");
	control_add_number(params, "count", sub->lost);
	line = notification(params);
	if (line && add_line(sub, line))
		sub->lost = 0;
	free(line);
}

/* @line is NULL when there was no memory for it; then it counts as missed. */
static void hand_line(struct control_subscriber *sub, const char *line)
{
	/* A subscriber that has missed events is told of that first. */
	if (!line || sub->lost || queued(sub) + strlen(line) > CONTROL_SUBSCRIBER_MAX_QUEUED ||
	    !add_line(sub, line))
		sub->lost++;
}

static bool wants_event(const struct control_subscriber *sub, const struct events_record *record)
{
	return sub->kinds & 1U << record->kind &&
	       (!sub->guest[0] || !strcmp(sub->guest, record->guest));
}

static void on_event_taken(void *arg, const struct events_record *record)
{
	struct control_subscriber *sub;
	char *line = NULL;
	bool made = false;

	control_history_add(record);

	LIST_FOREACH(sub, &subscribers, entry)
	{
		if (!wants_event(sub, record))
			continue;
		if (!made)
			line = notification(event_object(record));
		made = true;
		hand_line(sub, line);
	}
	free(line);
}

/* Main was too slow: events of any kind are lost, so each subscriber may have missed some. */
static void on_events_dropped(void *arg, uint64_t n)
{
	struct control_subscriber *sub;

	LIST_FOREACH(sub, &subscribers, entry)
	{
		sub->lost += n;
		control_subscriber_written(sub);
	}
}

void control_subscriber_off(struct control_subscriber *sub)
{
	if (!sub->on)
		return;
	sub->on = false;
	evbuffer_drain(sub->queue, evbuffer_get_length(sub->queue));
	LIST_REMOVE(sub, entry);
	n_subscribers--;
}

static void subscriber_on(struct control_subscriber *sub)
{
	if (sub->on)
		return;
	sub->on = true;
	LIST_INSERT_HEAD(&subscribers, sub, entry);
	n_subscribers++;
}

void control_subscribers_open(void)
{
	control_history_open();
	events_take(on_event_taken, on_events_dropped, NULL);
}

void control_subscribers_close(void)
{
	events_take(NULL, NULL, NULL);
	control_history_close();
}

/* The kinds that a word of a filter stands for, one bit per kind; 0: there are none */
static uint32_t kinds_of_word(const char *word)
{
	size_t bytes = strlen(word);
	uint32_t bits = 0;

	for (unsigned int i = 0; i < N_EVENTS_KINDS; i++) {
		const char *name = events_kind_name((enum events_kind)i);

		if (!strncmp(name, word, bytes) &&
		    (!name[bytes] || (name[bytes] == '.' && !strchr(word, '.'))))
			bits |= 1U << i;
	}
	return bits;
}

static int read_kinds(struct control_request *req, uint32_t *bits)
{
	const struct conf_node *list = control_param(req, "kinds"), *kind;

	*bits = (1U << N_EVENTS_KINDS) - 1;
	if (!list)
		return 0;
	*bits = 0;
	for (kind = list->first; kind; kind = kind->next) {
		uint32_t more = kinds_of_word(kind->text);

		if (!more)
			return control_refuse(req, CONTROL_INVALID_PARAMS,
					      "there are no events of the kind \"%.64s\"",
					      kind->text);
		*bits |= more;
	}
	return *bits ? 0 : control_refuse(req, CONTROL_INVALID_PARAMS, "\"kinds\" is empty");
}

/* The events that happened before, and that the client wants */
static void add_past(struct json_object *result, const struct control_subscriber *sub,
		     uint64_t since)
{
	struct json_object *past = json_object_new_array();
	const struct events_record *r;

	for (size_t i = 0; (r = control_history_get(i)); i++)
		if (r->realtime_us >= since && wants_event(sub, r))
			json_object_array_add(past, event_object(r));
	json_object_object_add(result, "past", past);
	control_add_boolean(result, "past_complete", control_history_reaches(since));
}

int control_subscribe(struct control_request *req, struct json_object **result)
{
	struct control_subscriber *sub = req->caller->subscriber;
	const char *guest = control_string(req, "guest");
	const struct conf_node *since = control_param(req, "since");
	uint32_t bits;
	int r = read_kinds(req, &bits);

	if (r)
		return r;
	if (guest && (!*guest || strlen(guest) > OKL4FS_NAME_MAX))
		return control_refuse(req, CONTROL_INVALID_PARAMS,
				      "a guest cannot be called \"%.64s\"", guest);
	if (since && since->integer < 0)
		return control_refuse(req, CONTROL_INVALID_PARAMS, "\"since\" must be 0 or more");
	if (!sub->on && n_subscribers == CONTROL_MAX_SUBSCRIBERS)
		return control_refuse(req, CONTROL_BUSY,
				      "%d clients are subscribed to events already",
				      CONTROL_MAX_SUBSCRIBERS);
	snprintf(sub->guest, sizeof(sub->guest), "%s", guest ? guest : "");
	sub->kinds = bits;
	subscriber_on(sub);
	*result = json_object_new_object();
	control_add_number(*result, "seq", events_seq());
	if (since)
		add_past(*result, sub, (uint64_t)since->integer);
	return 0;
}
