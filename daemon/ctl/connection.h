/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.h - a connection to the daemon: lines there, lines back
 */
#ifndef OKL4FSD_CTL_CONNECTION_H
#define OKL4FSD_CTL_CONNECTION_H

#include <stddef.h>

#include "ctl/ctl.h"

struct json_object;

/**
 * struct connection - a connection
 * @fd: its socket
 * @buf: what was received; owned
 * @at: the first byte of @buf that was not taken
 * @end: behind the last byte of @buf
 * @size: room in @buf
 * @error: after an error: one or more sentences, one per line
 */
struct connection {
	int fd;
	char *buf;
	size_t at, end, size;
	char error[1024];
};

/**
 * connection_open() - connect to the daemon of @ctl; connection_close() it in any case; Return:
 * CTL_DONE or CTL_NO_DAEMON
 */
enum ctl_exit connection_open(struct connection *c, const struct ctl *ctl);

/** connection_close() - end a connection, if there is one */
void connection_close(struct connection *c);

/**
 * connection_call() - call a method, and wait for its result
 * @c: connection
 * @method: name
 * @params: an object, which is consumed; NULL: none
 * @result: out: json_object_put() it
 *
 * Return: CTL_DONE, CTL_REFUSED (by the daemon), or CTL_NO_DAEMON.
 */
enum ctl_exit connection_call(struct connection *c, const char *method, struct json_object *params,
			      struct json_object **result);

/**
 * connection_channels() - `channel.list`, a page at a time
 * @c: connection
 * @guest: only of this guest; NULL: of all
 * @result: out: as one call for all of them would return; json_object_put() it
 *
 * Return: as connection_call().
 */
enum ctl_exit connection_channels(struct connection *c, const char *guest,
				  struct json_object **result);

/**
 * connection_receive() - wait for a line
 * @c: connection
 * @timeout_ms: for how long; -1: without a limit
 * @object: out: the object in the line; json_object_put() it
 *
 * With -1 the wait also ends when nobody reads stdout any longer.
 *
 * Return: CTL_DONE; CTL_REFUSED: the line is not a JSON object; CTL_NO_DAEMON.
 */
enum ctl_exit connection_receive(struct connection *c, int timeout_ms, struct json_object **object);

/** connection_tell() - print the connection's error to stderr; Return: @r */
enum ctl_exit connection_tell(const struct connection *c, enum ctl_exit r);

#endif
