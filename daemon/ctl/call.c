// SPDX-License-Identifier: BSD-3-Clause
/*
 * call.c - calling the daemon: one connection, one line there, one line back
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <json-c/json.h>

#include "config.h"
#include "ctl/ctl.h"
#include "util/fd.h"

#define TIMEOUT_S 30

void ctl_error(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "okl4fsctl: %s\n", line);
}

const char *ctl_string(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

unsigned long long ctl_number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(json_object_object_get(object, key));
}

bool ctl_boolean(struct json_object *object, const char *key)
{
	return json_object_get_boolean(json_object_object_get(object, key));
}

struct json_object *ctl_object(struct json_object *object, const char *key)
{
	return json_object_object_get(object, key);
}

/**
 * connect_to() - connect to a control socket
 * @path: its path
 *
 * Return: a blocking descriptor with time limits, or -errno.
 */
static int connect_to(const char *path)
{
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	int fd = fd_connect_unix(path);

	if (fd < 0)
		return fd;
	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

/**
 * connect_daemon() - connect where the user said, or in the usual places
 * @ctl: which
 *
 * Return: a descriptor, or -1 with a line on stderr.
 */
static int connect_daemon(const struct ctl *ctl)
{
	static const char system_path[] = CONFIG_SYSTEM_DIR "/control.sock";
	char user_path[320];
	int fd;

	if (ctl->socket) {
		fd = connect_to(ctl->socket);
		if (fd < 0)
			ctl_error("no daemon at %s: %s", ctl->socket, strerror(-fd));
		return fd;
	}
	snprintf(user_path, sizeof(user_path), "%s/control.sock", config_runtime_dir());
	fd = connect_to(user_path);
	if (fd < 0 && strcmp(user_path, system_path) != 0) {
		int first = fd;

		fd = connect_to(system_path);
		if (fd < 0)
			ctl_error("no daemon at %s: %s", user_path, strerror(-first));
	}
	if (fd < 0)
		ctl_error("no daemon at %s: %s", system_path, strerror(-fd));
	return fd;
}

/**
 * exchange() - send a line and receive one
 * @fd: connection
 * @line: the line, with its newline
 *
 * Return: the answer, to be freed; NULL with a line on stderr.
 */
static char *exchange(int fd, const char *line)
{
	size_t left = strlen(line), size = 0, at = 0;
	char *answer = NULL;
	ssize_t n = 0;

	for (; left; line += n, left -= (size_t)n) {
		n = send(fd, line, left, MSG_NOSIGNAL);
		if (n < 0) {
			ctl_error("the daemon does not take the request: %s", strerror(errno));
			return NULL;
		}
	}
	do {
		char *grown = size - at > 1 ? answer : realloc(answer, size = 2 * size + 65536);

		if (!grown) {
			ctl_error("out of memory");
			break;
		}
		answer = grown;
		n = recv(fd, answer + at, size - at - 1, 0);
		if (n <= 0) {
			ctl_error("the daemon does not answer: %s",
				  n ? strerror(errno) : "it closed the connection");
			break;
		}
		at += (size_t)n;
		answer[at] = 0;
		if (answer[at - 1] == '\n')
			return answer;
	} while (true);
	free(answer);
	return NULL;
}

struct json_object *ctl_guest_param(const char *guest)
{
	struct json_object *params = guest ? json_object_new_object() : NULL;

	if (params)
		json_object_object_add(params, "guest", json_object_new_string(guest));
	return params;
}

const char *ctl_split(const char *command, const char *name, char **guest)
{
	const char *slash = strchr(name, '/');

	*guest = slash ? strndup(name, (size_t)(slash - name)) : NULL;
	if (*guest && **guest && slash[1])
		return slash + 1;
	ctl_error("%s: GUEST/CHANNEL is wanted, not \"%s\"", command, name);
	return NULL;
}

/**
 * make_request() - a request as a line
 * @method: name
 * @params: parameters; consumed; NULL: none
 *
 * Return: a new object.
 */
static struct json_object *make_request(const char *method, struct json_object *params)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(request, "id", json_object_new_int(1));
	json_object_object_add(request, "method", json_object_new_string(method));
	json_object_object_add(request, "params", params ? params : json_object_new_object());
	return request;
}

/**
 * take_result() - what a response says
 * @response: the response, or NULL when it was none
 * @result: out: a reference
 *
 * Return: CTL_DONE or CTL_REFUSED.
 */
static enum ctl_exit take_result(struct json_object *response, struct json_object **result)
{
	struct json_object *error = json_object_object_get(response, "error");

	if (error) {
		ctl_error("%s", ctl_string(error, "message"));
		return CTL_REFUSED;
	}
	*result = json_object_get(json_object_object_get(response, "result"));
	if (*result)
		return CTL_DONE;
	ctl_error("the daemon's answer is not understood");
	return CTL_REFUSED;
}

enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json_object *params,
		       struct json_object **result)
{
	struct json_object *object = make_request(method, params);
	_cleanup_free_ char *answer = NULL, *line = NULL;
	_cleanup_fd_ int fd = connect_daemon(ctl);
	enum ctl_exit r;

	*result = NULL;
	if (fd < 0) {
		json_object_put(object);
		return CTL_NO_DAEMON;
	}
	if (asprintf(&line, "%s\n",
		     json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN)) < 0)
		line = NULL;
	json_object_put(object);
	if (line)
		answer = exchange(fd, line);
	if (!answer)
		return CTL_NO_DAEMON;
	object = json_tokener_parse(answer);
	r = take_result(object, result);
	json_object_put(object);
	return r;
}
