// SPDX-License-Identifier: BSD-3-Clause
/*
 * channels.c - `channel.list`: the channels, some at a time
 *
 * There can be thousands, so a piece of the list is made only when the client has taken the piece before
 * it. Guests and channels may come and go in between. The list goes on at its place in the order in which
 * guests were made, then by the channels' ids. Neither ever changes, so a channel that is there all the
 * time is listed exactly once, however the list is cut into pieces or pages.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "util/fd.h"

#define CHANNELS_PER_PIECE 32
#define CURSOR             "%016" PRIx64 ".%" PRIu64 ".%" PRIu32

const struct control_field control_channel_list_params[] = {
	{ .name = "guest", .type = CONTROL_STRING, .optional = true },
	{ .name = "limit", .type = CONTROL_INTEGER, .optional = true },
	{ .name = "cursor", .type = CONTROL_STRING, .optional = true },
	{ .name = NULL },
};

/**
 * struct channel_list - a list that is being sent, some channels at a time
 * @rest: base
 * @server: has the guests
 * @serial: guest_serial() of the next guest; if that guest has gone, the next larger one counts
 * @id: id of the next channel of that guest, likewise
 * @only: serial of the only guest whose channels are wanted; 0: all guests
 * @left: how many channels may still be sent
 * @begun: the beginning was sent
 * @told: a channel was sent
 */
struct channel_list {
	struct control_rest rest;
	struct server *server;
	uint64_t serial;
	uint32_t id;
	uint64_t only, left;
	bool begun, told;
};

/* The guest to go on with; NULL: there are no more */
static struct guest *next_guest(const struct channel_list *l)
{
	struct guest *guest, *next = NULL;

	for (size_t i = 0; (guest = server_guest(l->server, i)); i++) {
		uint64_t serial = guest_serial(guest);

		if (serial >= l->serial && (!l->only || serial == l->only) &&
		    (!next || serial < guest_serial(next)))
			next = guest;
	}
	return next;
}

/* Snapshots of the next channels, all of one guest; Return: how many, at most @max, or -ENOMEM */
static int next_channels(struct channel_list *l, uint32_t max, struct guest **guest,
			 struct channel_snapshot **snap)
{
	int n = 0;

	*snap = NULL;
	while (!n && (*guest = next_guest(l))) {
		uint64_t serial = guest_serial(*guest);

		if (serial != l->serial)
			l->id = 0;
		l->serial = serial;
		n = guest_channel_snapshots(*guest, l->id, max, snap);
		if (n)
			break;
		free(*snap);
		*snap = NULL;
		l->serial++;
		l->id = 0;
	}
	return n;
}

static bool tell_channel(struct channel_list *l, struct json_object *channel, struct evbuffer *out)
{
	size_t bytes;
	const char *text = json_object_to_json_string_length(
		channel, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);
	bool ok = text && (!l->told || !evbuffer_add(out, ",", 1)) &&
		  !evbuffer_add(out, text, bytes);

	l->told = true;
	json_object_put(channel);
	return ok;
}

/* Return: as next() of struct control_rest */
static int tell_channels(struct channel_list *l, struct evbuffer *out)
{
	_cleanup_free_ struct channel_snapshot *snap = NULL;
	uint32_t max = l->left < CHANNELS_PER_PIECE ? (uint32_t)l->left : CHANNELS_PER_PIECE;
	struct guest *guest;
	int n = max ? next_channels(l, max, &guest, &snap) : 0;

	for (int i = 0; i < n; i++) {
		if (!tell_channel(l, control_channel_object(guest_config(guest)->name, &snap[i]),
				  out))
			return -ENOMEM;
		l->id = snap[i].id + 1;
		l->left--;
	}
	return n < 0 ? n : n > 0;
}

/* The list ends: there are no more channels, or the limit is reached, and a cursor says where to go on */
static bool add_end(struct channel_list *l, struct evbuffer *out)
{
	_cleanup_free_ struct channel_snapshot *snap = NULL;
	struct guest *guest;

	if (evbuffer_add(out, "]", 1))
		return false;
	if (!l->left && next_channels(l, 1, &guest, &snap) > 0 &&
	    evbuffer_add_printf(out, ",\"cursor\":\"" CURSOR "\"", server_instance(), l->serial,
				l->id) < 0)
		return false;
	return !evbuffer_add(out, "}", 1);
}

static int channel_list_next(struct control_rest *rest, struct evbuffer *out)
{
	static const char begin[] = "{\"channels\":[";
	struct channel_list *l = (struct channel_list *)rest;
	int r;

	if (!l->begun && evbuffer_add(out, begin, strlen(begin)))
		return -ENOMEM;
	l->begun = true;
	r = tell_channels(l, out);
	return r || add_end(l, out) ? r : -ENOMEM;
}

static void channel_list_free(struct control_rest *rest)
{
	free(rest);
}
_Static_assert(offsetof(struct channel_list, rest) == 0, "the casts above");

static int read_cursor(struct control_request *req, struct channel_list *l)
{
	const char *text = control_string(req, "cursor");
	char again[64], *end;

	if (!text)
		return 0;
	strtoull(text, &end, 16);
	l->serial = *end ? strtoull(end + 1, &end, 10) : 0;
	l->id = *end ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
	/* A cursor that would be written otherwise now does not come from this daemon. */
	snprintf(again, sizeof(again), CURSOR, server_instance(), l->serial, l->id);
	if (!strcmp(text, again))
		return 0;
	return control_refuse(req, CONTROL_INVALID_PARAMS,
			      "\"cursor\" is not one of this daemon's: start again without it");
}

static int read_wanted(struct control_request *req, struct channel_list *l)
{
	bool all = !control_param(req, "guest");
	struct guest *guest = all ? NULL : control_guest(req);
	const struct conf_node *limit = control_param(req, "limit");

	if (!all && !guest)
		return CONTROL_INVALID_PARAMS;
	l->only = guest ? guest_serial(guest) : 0;
	l->left = UINT64_MAX;
	if (limit) {
		if (limit->integer < 1)
			return control_refuse(req, CONTROL_INVALID_PARAMS,
					      "\"limit\" must be 1 or more");
		l->left = (uint64_t)limit->integer;
	}
	return read_cursor(req, l);
}

int control_channel_list(struct control_request *req, struct json_object **result)
{
	struct channel_list *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return control_refuse(req, CONTROL_INTERNAL_ERROR, "out of memory");
	l->rest = (struct control_rest){ channel_list_next, channel_list_free };
	l->server = req->server;
	r = read_wanted(req, l);
	if (r)
		free(l);
	else
		req->rest = &l->rest;
	return r;
}
