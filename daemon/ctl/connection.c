// SPDX-License-Identifier: BSD-3-Clause
/*
 * connection.c - a connection to the daemon
 */

#include "ctl/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "config/config.h"
#include "ctl/argument.h"
#include "ctl/no_daemon.h"
#include "ctl/result.h"
#include "util/clock.h"
#include "util/fd.h"

#define ANSWER_TIMEOUT_MS 30000
#define MAX_LINE_BYTES    (512U << 20) /* metrics of as many channels as a daemon can have */
#define PAGE_CHANNELS     256

/* Adds a line to the connection's error; @what ends before the colon */
static enum ctl_exit connection_fail(struct connection *c, enum ctl_exit r, const char *what,
				     const char *why)
{
	size_t at = strlen(c->error);

	snprintf(c->error + at, sizeof(c->error) - at, "%s%s: %s", at ? "\n" : "", what, why);
	return r;
}

static enum ctl_exit try_path(struct connection *c, const char *path)
{
	char what[400];

	c->fd = fd_connect_unix(path, FD_UNIX_STREAM);
	if (c->fd >= 0) {
		c->error[0] = 0;
		return CTL_DONE;
	}
	snprintf(what, sizeof(what),
		 c->fd == -EACCES ? "may not connect to the daemon at %s" : "no daemon at %s",
		 path);
	return connection_fail(c, CTL_NO_DAEMON, what, strerror(-c->fd));
}

/* Adds the way out to the error */
static enum ctl_exit add_hint(struct connection *c, const char *path)
{
	size_t at = strlen(c->error);
	int error = -c->fd;

	if (at + 2 < sizeof(c->error)) {
		c->error[at++] = '\n';
		no_daemon_hint(path, error, c->error + at, sizeof(c->error) - at);
	}
	return CTL_NO_DAEMON;
}

enum ctl_exit connection_open(struct connection *c, const struct ctl *ctl)
{
	static const char system_path[] = CONFIG_SYSTEM_DIR "/control.sock";
	char user_path[320];

	memset(c, 0, sizeof(*c));
	if (ctl->socket)
		return try_path(c, ctl->socket) ? add_hint(c, ctl->socket) : CTL_DONE;
	snprintf(user_path, sizeof(user_path), "%s/control.sock", config_runtime_dir());
	if (strcmp(user_path, system_path) != 0 && !try_path(c, user_path))
		return CTL_DONE;
	return try_path(c, system_path) ? add_hint(c, system_path) : CTL_DONE;
}

void connection_close(struct connection *c)
{
	c->fd = fd_close(c->fd);
	free(c->buf);
	c->buf = NULL;
	c->at = c->end = c->size = 0;
}

/* @deadline_ms -1: no limit, until nobody reads stdout any longer */
static int wait_for(const struct connection *c, short events, long long deadline_ms)
{
	struct pollfd p[2] = { { .fd = c->fd, .events = events },
			       { .fd = deadline_ms < 0 ? STDOUT_FILENO : -1 } };
	long long left = -1;
	int n;

	if (deadline_ms >= 0) {
		left = deadline_ms - (long long)clock_ms();
		left = left < 0 ? 0 : left;
	}
	n = poll(p, 2, (int)left);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return -ETIMEDOUT;
	return p[1].revents & (POLLERR | POLLNVAL) ? -EPIPE : 0;
}

static enum ctl_exit send_line(struct connection *c, const char *line)
{
	long long deadline_ms = (long long)clock_ms() + ANSWER_TIMEOUT_MS;
	size_t left = strlen(line);

	while (left) {
		ssize_t n = send(c->fd, line, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = n < 0 ? -errno : 0;

		if (n > 0) {
			line += n;
			left -= (size_t)n;
		} else if (r == -EAGAIN) {
			r = wait_for(c, POLLOUT, deadline_ms);
		}
		if (r && r != -EINTR)
			return connection_fail(c, CTL_NO_DAEMON,
					       "cannot send the request to the daemon",
					       strerror(-r));
	}
	return CTL_DONE;
}

static enum ctl_exit receive_some(struct connection *c, long long deadline_ms)
{
	static const char what[] = "the daemon does not answer";
	ssize_t n;
	int r;

	if (c->at) {
		memmove(c->buf, c->buf + c->at, c->end - c->at);
		c->end -= c->at;
		c->at = 0;
	}
	if (c->size - c->end < 2) {
		size_t size = 2 * c->size + 65536;
		char *grown = size <= MAX_LINE_BYTES ? realloc(c->buf, size) : NULL;

		if (!grown)
			return connection_fail(c, CTL_NO_DAEMON, what, "its answer is too long");
		c->buf = grown;
		c->size = size;
	}
	r = wait_for(c, POLLIN, deadline_ms);
	if (r)
		return connection_fail(c, CTL_NO_DAEMON, what, strerror(-r));
	n = recv(c->fd, c->buf + c->end, c->size - c->end - 1, MSG_DONTWAIT);
	if (!n)
		return connection_fail(c, CTL_NO_DAEMON, what, "it closed the connection");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return connection_fail(c, CTL_NO_DAEMON, what, strerror(errno));
	c->end += n > 0 ? (size_t)n : 0;
	return CTL_DONE;
}

enum ctl_exit connection_receive(struct connection *c, int timeout_ms, struct json_object **object)
{
	long long deadline_ms = timeout_ms < 0 ? -1 : (long long)clock_ms() + timeout_ms;
	size_t looked = 0; /* bytes that hold no end of line */
	char *line, *end;

	*object = NULL;
	while (!(end = c->end - c->at > looked ?
			       memchr(c->buf + c->at + looked, '\n', c->end - c->at - looked) :
			       NULL)) {
		enum ctl_exit r;

		looked = c->end - c->at;
		r = receive_some(c, deadline_ms);
		if (r)
			return r;
	}
	*end = 0;
	line = c->buf + c->at;
	c->at = (size_t)(end + 1 - c->buf);
	*object = json_tokener_parse(line);
	if (json_object_is_type(*object, json_type_object))
		return CTL_DONE;
	json_object_put(*object);
	*object = NULL;
	return connection_fail(c, CTL_REFUSED, "cannot understand the daemon's answer",
			       "it is not a JSON object");
}

/* @params is consumed */
static char *make_request(const char *method, struct json_object *params)
{
	struct json_object *request = json_object_new_object();
	char *line = NULL;

	json_object_object_add(request, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(request, "id", json_object_new_int(1));
	json_object_object_add(request, "method", json_object_new_string(method));
	json_object_object_add(request, "params", params ? params : json_object_new_object());
	if (asprintf(&line, "%s\n",
		     json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN)) < 0)
		line = NULL;
	json_object_put(request);
	return line;
}

/* @result is a reference of its own */
static enum ctl_exit take_result(struct connection *c, struct json_object *response,
				 struct json_object **result)
{
	struct json_object *error = ctl_object(response, "error");

	if (error) {
		snprintf(c->error, sizeof(c->error), "%s", ctl_string(error, "message"));
		return CTL_REFUSED;
	}
	*result = json_object_get(ctl_object(response, "result"));
	if (*result)
		return CTL_DONE;
	return connection_fail(c, CTL_REFUSED, "cannot understand the daemon's answer",
			       "it has no result");
}

enum ctl_exit connection_call(struct connection *c, const char *method, struct json_object *params,
			      struct json_object **result)
{
	_cleanup_free_ char *line = make_request(method, params);
	struct json_object *response;
	enum ctl_exit r;

	*result = NULL;
	r = line ? send_line(c, line) :
		   connection_fail(c, CTL_REFUSED, "cannot make the request", "out of memory");
	if (!r)
		r = connection_receive(c, ANSWER_TIMEOUT_MS, &response);
	if (r)
		return r;
	r = take_result(c, response, result);
	json_object_put(response);
	return r;
}

/* Moves the channels of a page to the end of a list */
static void move_channels(struct json_object *page, struct json_object *list)
{
	struct json_object *channels;
	size_t n = ctl_list(page, "channels", &channels);

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list,
				      json_object_get(json_object_array_get_idx(channels, i)));
}

enum ctl_exit connection_channels(struct connection *c, const char *guest,
				  struct json_object **result)
{
	struct json_object *list = json_object_new_array(), *page = NULL, *params;
	enum ctl_exit r;

	*result = json_object_new_object();
	json_object_object_add(*result, "channels", list);
	do {
		params = guest ? ctl_guest_param(guest) : json_object_new_object();
		json_object_object_add(params, "limit", json_object_new_int(PAGE_CHANNELS));
		if (ctl_object(page, "cursor"))
			json_object_object_add(params, "cursor",
					       json_object_get(ctl_object(page, "cursor")));
		json_object_put(page);
		r = connection_call(c, "channel.list", params, &page);
		move_channels(page, list);
	} while (!r && ctl_object(page, "cursor"));
	json_object_put(page);
	if (r) {
		json_object_put(*result);
		*result = NULL;
	}
	return r;
}

enum ctl_exit connection_tell(const struct connection *c, enum ctl_exit r)
{
	const char *line = c->error;

	while (*line) {
		size_t n = strcspn(line, "\n");

		ctl_error("%.*s", (int)n, line);
		line += n + (line[n] == '\n');
	}
	return r;
}
