// SPDX-License-Identifier: BSD-3-Clause
/*
 * metrics.c - `metrics.get`: metrics over the control socket
 *
 * With many channels the text has some megabytes, so it is sent one metric at a time.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <json-c/json.h>

#include "metrics/metrics.h"
#include "control/call.h"

/**
 * struct telling - a text that is being sent, one metric at a time
 * @rest: base
 * @uid: user of the client that takes it
 * @metrics: the numbers, as they were at the beginning
 * @piece: room for a metric, empty between the pieces
 * @begun: the beginning was sent
 * @entry: in the list of all
 */
struct telling {
	struct control_rest rest;
	uid_t uid;
	struct metrics *metrics;
	struct evbuffer *piece;
	bool begun;
	LIST_ENTRY(telling) entry;
};

/* Their numbers take some memory, so each user has one of these at a time. Main's */
static LIST_HEAD(, telling) tellings = LIST_HEAD_INITIALIZER(tellings);

static bool add_begin(struct evbuffer *out)
{
	return evbuffer_add_printf(out, "{\"content_type\":\"%s\",\"text\":\"",
				   metrics_content_type(METRICS_OPENMETRICS)) > 0;
}

/* Appends a text as JSON has it between quotation marks */
static bool add_escaped(struct evbuffer *out, struct evbuffer *text)
{
	size_t bytes = evbuffer_get_length(text);
	struct json_object *string =
		json_object_new_string_len((const char *)evbuffer_pullup(text, -1), (int)bytes);
	const char *json = json_object_to_json_string_length(
		string, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);
	bool ok = json && !evbuffer_add(out, json + 1, bytes - 2);

	json_object_put(string);
	evbuffer_drain(text, evbuffer_get_length(text));
	return ok;
}

static int tell_next(struct control_rest *rest, struct evbuffer *out)
{
	struct telling *t = (struct telling *)rest;
	int r;

	if (!t->begun && !add_begin(out))
		return -ENOMEM;
	t->begun = true;
	r = metrics_next(t->metrics, t->piece);
	if (r < 0 || !add_escaped(out, t->piece) || (!r && evbuffer_add(out, "\"}", 2)))
		return -ENOMEM;
	return r;
}

static void tell_free(struct control_rest *rest)
{
	struct telling *t = (struct telling *)rest;

	LIST_REMOVE(t, entry);
	metrics_free(t->metrics);
	evbuffer_free(t->piece);
	free(t);
}
_Static_assert(offsetof(struct telling, rest) == 0, "the casts above");

int control_metrics_get(struct control_request *req, struct json_object **result)
{
	struct telling *t;

	LIST_FOREACH(t, &tellings, entry)
	{
		if (t->uid == req->caller->uid)
			return CONTROL_LATER;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	*t = (struct telling){ .rest = { tell_next, tell_free }, .uid = req->caller->uid };
	t->piece = evbuffer_new();
	if (!t->piece || metrics_new(&t->metrics, req->server, METRICS_OPENMETRICS)) {
		if (t->piece)
			evbuffer_free(t->piece);
		free(t);
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	}
	LIST_INSERT_HEAD(&tellings, t, entry);
	req->rest = &t->rest;
	return 0;
}
