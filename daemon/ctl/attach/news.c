// SPDX-License-Identifier: BSD-3-Clause
/*
 * A unix socket does not tell a client everything: neither that its bytes were taken, nor that an end
 * is not the end of the stream (the daemon was stopped, bytes were lost). The daemon's events do.
 */
#include <poll.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/attach/attach.h"
#include "ctl/result.h"

#define END_TIMEOUT_MS 30000

enum ctl_exit attach_news_open(struct attach_news *news, const struct ctl *ctl)
{
	static const char *const kinds[] = { "endpoint.connected", "endpoint.disconnected",
					     "endpoint.taken", "channel.removed", "guest.removed" };
	struct json_object *params = json_object_new_object(), *list = json_object_new_array();
	struct json_object *result = NULL;
	enum ctl_exit r;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		json_object_array_add(list, json_object_new_string(kinds[i]));
	json_object_object_add(params, "guest", json_object_new_string(news->guest));
	json_object_object_add(params, "kinds", list);
	r = connection_open(&news->connection, ctl);
	if (r)
		json_object_put(params);
	else
		r = connection_call(&news->connection, "events.subscribe", params, &result);
	json_object_put(result);
	news->is_open = r == CTL_DONE;
	return r;
}

/* What came before our connection was taken is about the client before us */
static void take_event(struct attach_news *news, struct json_object *event)
{
	const char *kind = ctl_string(event, "kind");

	if (strcmp(ctl_string(event, "guest"), news->guest) != 0)
		return;
	if (!strcmp(kind, "guest.removed"))
		news->removed = true;
	if (strcmp(ctl_string(event, "channel"), news->channel) != 0)
		return;
	if (!strcmp(kind, "channel.removed")) {
		news->removed = true;
	} else if (!strcmp(kind, "endpoint.connected")) {
		news->connected = true;
		news->disconnected = news->torn = news->taken = false;
	} else if (!strcmp(kind, "endpoint.disconnected")) {
		news->disconnected = news->connected;
		news->torn = ctl_boolean(event, "torn");
	} else if (!strcmp(kind, "endpoint.taken")) {
		news->taken = news->connected;
		news->all = ctl_boolean(event, "all");
		news->guest_writes = ctl_boolean(event, "guest_writes");
	}
}

static void take_line(struct attach_news *news, int timeout_ms)
{
	struct json_object *line = NULL;

	if (connection_receive(&news->connection, timeout_ms, &line))
		news->is_open = false;
	else
		take_event(news, ctl_object(line, "params"));
	json_object_put(line);
}

static bool has_line(const struct connection *c)
{
	return c->end > c->at && memchr(c->buf + c->at, '\n', c->end - c->at);
}

void attach_news_take(struct attach_news *news)
{
	struct pollfd p = { .fd = news->connection.fd, .events = POLLIN };

	while (news->is_open && (has_line(&news->connection) || poll(&p, 1, 0) > 0))
		take_line(news, END_TIMEOUT_MS);
}

enum ctl_exit attach_news_wait(struct attach_news *news)
{
	while (news->is_open && !news->disconnected && !news->removed)
		take_line(news, END_TIMEOUT_MS);
	return news->is_open ? CTL_DONE : CTL_NO_DAEMON;
}

void attach_news_close(struct attach_news *news)
{
	connection_close(&news->connection);
	news->is_open = false;
}
