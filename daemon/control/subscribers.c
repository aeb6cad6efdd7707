// SPDX-License-Identifier: BSD-3-Clause
/*
 * subscribers.c - clients that want to be told what happens
 *
 * A table says what each kind of event is and which members it has, and where in the record they
 * are; the lines and their description are both made from it.
 */
#include "control/subscribers.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/json.h"

#define GROUPS 5

/**
 * struct member - a member of an event's own
 * @field: its name, type and meaning
 * @offset: where its value is in a struct events_record
 */
struct member {
	struct control_field field;
	size_t offset;
};

/**
 * struct kind - a kind of events
 * @text: what has happened
 * @member: members of its own; the last may have no name
 */
struct kind {
	const char *text;
	struct member member[2];
};

#define AT(what) offsetof(struct events_record, what)
#define MEMBER(of, ...)                            \
	{                                          \
		CONTROL_FIELD(__VA_ARGS__), AT(of) \
	}
#define REASON(of) MEMBER(of, "reason", CONTROL_STRING, "Why")
#define TYPE       MEMBER(text, "type", CONTROL_STRING, "Type of the endpoint")
#define ID         MEMBER(number, "id", CONTROL_INTEGER, "The channel's id in the guest")
#define KIND(text_, ...)                                   \
	{                                                  \
		.text = (text_), .member = { __VA_ARGS__ } \
	}

/* clang-format off */
static const struct kind kinds[N_EVENTS_KINDS] = {
	[EVENTS_GUEST_ADDED] = KIND("The guest is served from now on"),
	[EVENTS_GUEST_REMOVED] = KIND("The guest is served no longer"),
	[EVENTS_GUEST_CONNECTED] = KIND("A frontend (QEMU) is there"),
	[EVENTS_GUEST_READY] = KIND("The guest's driver has said hello",
		MEMBER(instance, "driver_instance", CONTROL_INSTANCE, "Which driver it is")),
	[EVENTS_GUEST_RESET] = KIND("The guest has reset the device"),
	[EVENTS_GUEST_BROKEN] = KIND("The guest or its frontend broke the rules; "
				     "the device stands still until it is reset",
		REASON(text)),
	[EVENTS_GUEST_GONE] = KIND("The frontend has left"),
	[EVENTS_CHANNEL_ADDED] = KIND("The channel is offered from now on; "
				      "not told of those that come with their guest",
		ID),
	[EVENTS_CHANNEL_REMOVED] = KIND("The channel is offered no longer; "
					"not told of those that go with their guest",
		ID),
	[EVENTS_CHANNEL_ATTACHED] = KIND("The guest has attached the channel's memory",
		MEMBER(instance, "instance", CONTROL_INSTANCE, "Which memory it is"),
		MEMBER(again, "again", CONTROL_BOOLEAN, "It was there before: the streams go on")),
	[EVENTS_CHANNEL_SUSPENDED] = KIND("The channel's memory is away for now"),
	[EVENTS_CHANNEL_DETACHED] = KIND("The channel's memory is away for good"),
	[EVENTS_CHANNEL_FAILED] = KIND("The guest broke the channel's rules, "
				       "or an operator has reset it",
		MEMBER(text, "status", CONTROL_STRING, "Name of the refusal"),
		REASON(more)),
	[EVENTS_CHANNEL_RESET] = KIND("An operator has asked for a reset of the channel", ID),
	[EVENTS_CHANNEL_LOST] = KIND("Bytes that the guest wrote can no longer be delivered",
		MEMBER(number, "bytes", CONTROL_INTEGER, "How many"),
		REASON(text)),
	[EVENTS_ENDPOINT_CONNECTED] = KIND("Somebody is at the host end", TYPE),
	[EVENTS_ENDPOINT_DISCONNECTED] = KIND("He is there no longer", TYPE, REASON(more)),
	[EVENTS_CONFIG_RELOADED] = KIND("The configuration was read again, and applied",
		MEMBER(number, "guests", CONTROL_INTEGER, "How many there are")),
	[EVENTS_CONFIG_REFUSED] = KIND("The configuration has errors; nothing was changed",
		REASON(text)),
	[EVENTS_LOG_CHANGED] = KIND("The log's level was changed",
		MEMBER(text, "level", CONTROL_STRING, "The level")),
};
/* clang-format on */

/* What every event has */
static const struct control_field common[] = {
	CONTROL_FIELD("seq", CONTROL_INTEGER,
		      "Counts the events of the daemon; a filter leaves gaps"),
	CONTROL_FIELD("realtime_us", CONTROL_INTEGER, "When: microseconds since 1970"),
	CONTROL_FIELD("monotonic_us", CONTROL_INTEGER, "When: microseconds of CLOCK_MONOTONIC"),
	CONTROL_FIELD("kind", CONTROL_STRING, "What happened"),
	CONTROL_FIELD("guest", CONTROL_STRING, "To which guest", .optional = true),
	CONTROL_FIELD("channel", CONTROL_STRING, "To which of its channels", .optional = true),
	CONTROL_END,
};

static const char *const groups[GROUPS] = { "guest", "channel", "endpoint", "config", "log" };
_Static_assert(N_EVENTS_KINDS <= 32, "a bit for each in struct control_subscriber");

/**
 * kind_word() - a word that a filter may have: a group or a kind
 * @idx: its number
 *
 * Return: it; NULL past the last.
 */
static const char *kind_word(unsigned int idx)
{
	if (idx < GROUPS)
		return groups[idx];
	return idx < GROUPS + N_EVENTS_KINDS ? events_kind_name((enum events_kind)(idx - GROUPS)) :
					       NULL;
}

const struct control_field control_subscribe_params[] = {
	CONTROL_FIELD("guest", CONTROL_STRING, "Only of this guest; it need not be there yet",
		      .optional = true),
	CONTROL_FIELD("kinds", CONTROL_WORDS,
		      "Only of these kinds; what is before the dot stands for all of them",
		      .optional = true, .word = kind_word),
	CONTROL_END,
};

const struct control_field control_subscribe_result[] = {
	CONTROL_FIELD("seq", CONTROL_INTEGER,
		      "Number of the last event so far; what comes has larger ones"),
	CONTROL_END,
};

/* Who wants events; main's */
static LIST_HEAD(, control_subscriber) subscribers = LIST_HEAD_INITIALIZER(subscribers);
static unsigned int n_subscribers;

/**
 * notification() - the line of an event
 * @params: consumed
 *
 * Return: the line, to be freed, or NULL.
 */
static char *notification(struct json_object *params)
{
	struct json_object *object = json_object_new_object();

	control_add_string(object, "jsonrpc", "2.0");
	control_add_string(object, "method", "event");
	json_object_object_add(object, "params", params);
	return control_line(object);
}

/**
 * add_member() - add a member of an event's own
 * @params: to which
 * @m: which
 * @record: the event
 */
static void add_member(struct json_object *params, const struct member *m,
		       const struct events_record *record)
{
	const char *at = (const char *)record + m->offset;
	uint64_t number;

	if (m->field.type == CONTROL_STRING) {
		control_add_string(params, m->field.name, at);
	} else if (m->field.type == CONTROL_BOOLEAN) {
		control_add_boolean(params, m->field.name, *(const bool *)at);
	} else {
		memcpy(&number, at, sizeof(number));
		if (m->field.type == CONTROL_INSTANCE)
			control_add_instance(params, m->field.name, number);
		else
			control_add_number(params, m->field.name, number);
	}
}

/**
 * event_line() - an event as a line
 * @r: the event
 *
 * Return: the line, to be freed, or NULL.
 */
static char *event_line(const struct events_record *r)
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
	for (int i = 0; i < 2 && kinds[r->kind].member[i].field.name; i++)
		add_member(params, &kinds[r->kind].member[i], r);
	return notification(params);
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

/* Hands it a line, or counts that it was missed; NULL: there was no memory for the line */
static void send_line(struct control_subscriber *sub, const char *line)
{
	/* A subscriber that has missed some is told of that first. */
	if (!line || sub->lost || queued(sub) + strlen(line) > CONTROL_SUBSCRIBER_MAX_QUEUED ||
	    !add_line(sub, line))
		sub->lost++;
}

/**
 * on_event() - something has happened
 * @arg: not used
 * @record: what
 */
static void on_event(void *arg, const struct events_record *record)
{
	struct control_subscriber *sub;
	char *line = NULL;
	bool made = false;

	LIST_FOREACH(sub, &subscribers, entry)
	{
		if (!(sub->kinds & 1U << record->kind) ||
		    (sub->guest[0] && strcmp(sub->guest, record->guest) != 0))
			continue;
		if (!made)
			line = event_line(record);
		made = true;
		send_line(sub, line);
	}
	free(line);
}

/**
 * on_dropped() - main was too slow
 * @arg: not used
 * @n: events that are lost, of whatever kind
 */
static void on_dropped(void *arg, uint64_t n)
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
	if (!--n_subscribers)
		events_take(NULL, NULL, NULL);
}

/**
 * subscriber_on() - it wants events
 * @sub: subscriber
 */
static void subscriber_on(struct control_subscriber *sub)
{
	if (sub->on)
		return;
	sub->on = true;
	LIST_INSERT_HEAD(&subscribers, sub, entry);
	if (!n_subscribers++)
		events_take(on_event, on_dropped, NULL);
}

/**
 * kinds_of_word() - what a word of a filter stands for
 * @word: a kind or a group
 *
 * Return: a bit a kind; 0: there is none such.
 */
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

/**
 * read_kinds() - the parameter `kinds`
 * @req: request; its error is filled
 * @bits: out: a bit a kind
 *
 * Return: 0 or CONTROL_INVALID_PARAMS.
 */
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

int control_subscribe(struct control_request *req, struct json_object **result)
{
	struct control_subscriber *sub = req->caller->subscriber;
	const char *guest = control_string(req, "guest");
	uint32_t bits;
	int r = read_kinds(req, &bits);

	if (r)
		return r;
	if (guest && (!*guest || strlen(guest) > OKL4FS_NAME_MAX))
		return control_refuse(req, CONTROL_INVALID_PARAMS,
				      "no guest can be called \"%.64s\"", guest);
	if (!sub->on && n_subscribers == CONTROL_MAX_SUBSCRIBERS)
		return control_refuse(req, CONTROL_BUSY, "%d clients are told of events already",
				      CONTROL_MAX_SUBSCRIBERS);
	snprintf(sub->guest, sizeof(sub->guest), "%s", guest ? guest : "");
	sub->kinds = bits;
	subscriber_on(sub);
	*result = json_object_new_object();
	control_add_number(*result, "seq", events_seq());
	return 0;
}

/**
 * describe_kind() - a kind, for `rpc.discover`
 * @name: its name
 * @kind: it
 *
 * Return: a new object.
 */
static struct json_object *describe_kind(const char *name, const struct kind *kind)
{
	struct json_object *object = json_object_new_object();
	struct control_field members[3] = { CONTROL_END };

	for (int i = 0; i < 2; i++)
		members[i] = kind->member[i].field;
	control_add_string(object, "kind", name);
	control_add_string(object, "summary", kind->text);
	json_object_object_add(object, "members", control_fields_schema(members));
	return object;
}

struct json_object *control_subscribers_describe(void)
{
	static const struct control_field count[] = {
		CONTROL_FIELD("count", CONTROL_INTEGER, "How many events were missed"),
		{ .name = NULL },
	};
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array(), *lost = json_object_new_object();

	for (unsigned int i = 0; i < N_EVENTS_KINDS; i++)
		json_object_array_add(list, describe_kind(events_kind_name((enum events_kind)i),
							  &kinds[i]));
	control_add_string(lost, "kind", "lost");
	control_add_string(lost, "summary",
			   "This client was too slow; it has only seq, kind and the members here");
	json_object_object_add(lost, "members", control_fields_schema(count));
	json_object_array_add(list, lost);
	control_add_string(object, "name", "event");
	json_object_object_add(object, "params", control_fields_schema(common));
	json_object_object_add(object, "kinds", list);
	return object;
}
