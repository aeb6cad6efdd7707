/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.h - a connection to the daemon: lines there, lines back
 */
#ifndef OKL4FSD_CTL_CONNECTION_H
#define OKL4FSD_CTL_CONNECTION_H

#include <stddef.h>

#include "ctl/ctl.h"

#define LINK_TIMEOUT_MS 30000

/**
 * struct link - a connection
 * @fd: it
 * @buf: what was received; owned
 * @at: first byte of @buf that was not taken
 * @end: behind its last one
 * @size: room in @buf
 * @error: after an error: a sentence, or several, each on a line
 */
struct link {
	int fd;
	char *buf;
	size_t at, end, size;
	char error[1024];
};

/** link_open() - connect to the daemon of @ctl; link_close() it in any case; Return: CTL_DONE or CTL_NO_DAEMON */
enum ctl_exit link_open(struct link *link, const struct ctl *ctl);

/** link_close() - end a connection, if there is one */
void link_close(struct link *link);

/**
 * link_call() - call a method, and wait for its result
 * @link: connection
 * @method: name
 * @params: an object, which is consumed; NULL: none
 * @result: out: json_object_put() it
 *
 * Return: CTL_DONE, CTL_REFUSED (by the daemon), or CTL_NO_DAEMON.
 */
enum ctl_exit link_call(struct link *link, const char *method, struct json_object *params,
			struct json_object **result);

/**
 * link_channels() - `channel.list`, a page at a time
 * @link: connection
 * @guest: only of this guest; NULL: of all
 * @result: out: as of one call for all of them; json_object_put() it
 *
 * Return: as link_call().
 */
enum ctl_exit link_channels(struct link *link, const char *guest, struct json_object **result);

/**
 * link_receive() - wait for a line
 * @link: connection
 * @timeout_ms: for so long; -1: for ever
 * @object: out: what stands in it
 *
 * With -1 it also ends when whoever reads stdout has gone.
 *
 * Return: CTL_DONE; CTL_REFUSED: it is no JSON; CTL_NO_DAEMON.
 */
enum ctl_exit link_receive(struct link *link, int timeout_ms, struct json_object **object);

/** link_tell() - print the link's error to stderr; Return: @r */
enum ctl_exit link_tell(const struct link *link, enum ctl_exit r);

#endif
