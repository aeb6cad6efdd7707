// SPDX-License-Identifier: BSD-3-Clause
/*
 * attach.c - `attach GUEST/CHANNEL`: stdin and stdout become the host end of a channel
 *
 * Two directions, one buffer for each, and one poll(2) that asks only for what can be used. The end
 * of stdin is a half-close; the end of what the guest sends ends the program. Standard descriptors
 * are shared with other programs, so they stay in blocking mode; a pipe that poll(2) calls writable
 * takes PIPE_BUF bytes without blocking, so no more is written at a time.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "util/fd.h"

#define BUFFER_BYTES 65536

/**
 * struct way - one direction
 * @from: read from here
 * @to: write to here
 * @to_max: bytes per write
 * @at: first byte of @buf that is not written
 * @end: behind its last byte
 * @eof: nothing more comes
 * @dead: nothing more is taken
 * @total: bytes read
 * @buf: buffer
 */
struct way {
	int from, to;
	size_t to_max;
	size_t at, end;
	bool eof, dead;
	unsigned long long total;
	char buf[BUFFER_BYTES];
};

static void way_read(struct way *w)
{
	ssize_t n = read(w->from, w->buf, sizeof(w->buf));

	if (n > 0) {
		w->at = 0;
		w->end = (size_t)n;
		w->total += (size_t)n;
	} else if (!n || (errno != EAGAIN && errno != EINTR)) {
		w->eof = true;
	}
}

static void way_write(struct way *w)
{
	size_t bytes = w->end - w->at;
	ssize_t n = write(w->to, w->buf + w->at, bytes < w->to_max ? bytes : w->to_max);

	if (n >= 0)
		w->at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		w->dead = w->eof = true;
}

static bool way_done(const struct way *w)
{
	return w->dead || (w->eof && w->at == w->end);
}

/* A negative descriptor asks for nothing */
static void way_poll(const struct way *w, struct pollfd *from, struct pollfd *to)
{
	*from = *to = (struct pollfd){ .fd = -1 };
	if (w->dead)
		return;
	if (w->at < w->end)
		*to = (struct pollfd){ .fd = w->to, .events = POLLOUT };
	else if (!w->eof)
		*from = (struct pollfd){ .fd = w->from, .events = POLLIN };
}

static void way_turn(struct way *w, const struct pollfd *from, const struct pollfd *to)
{
	if (to->fd >= 0 && to->revents)
		way_write(w);
	if (from->fd >= 0 && from->revents)
		way_read(w);
}

static enum ctl_exit pump_both(int fd, unsigned long long *received)
{
	static struct way up, down;
	bool half_closed = false;
	struct pollfd p[4];

	up.from = STDIN_FILENO;
	up.to = down.from = fd;
	up.to_max = BUFFER_BYTES;
	down.to = STDOUT_FILENO;
	down.to_max = PIPE_BUF;
	while (!way_done(&down)) {
		if (way_done(&up) && !half_closed) {
			shutdown(fd, SHUT_WR);
			half_closed = true;
		}
		way_poll(&up, &p[0], &p[1]);
		way_poll(&down, &p[2], &p[3]);
		if (poll(p, 4, -1) < 0)
			continue;
		way_turn(&up, &p[0], &p[1]);
		way_turn(&down, &p[2], &p[3]);
	}
	*received = down.total;
	if (!down.dead)
		return CTL_DONE;
	ctl_error("cannot write what the guest sends: %s", strerror(errno));
	return CTL_REFUSED;
}

/* Either the daemon has refused the connection, or the guest has ended an empty stream */
static enum ctl_exit why_nothing_came(const struct ctl *ctl, const char *name,
				      unsigned long long before)
{
	struct json_object *result, *channel;
	enum ctl_exit r = ctl_find_channel(ctl, "attach", name, &result, &channel);

	if (r == CTL_DONE &&
	    ctl_number(ctl_object(channel, "endpoint"), "clients_refused") > before) {
		ctl_error("%s: another client is attached already", name);
		r = CTL_REFUSED;
	}
	json_object_put(result);
	return r;
}

static enum ctl_exit attach_to(const struct ctl *ctl, const char *name, struct json_object *channel)
{
	struct json_object *endpoint = ctl_object(channel, "endpoint");
	unsigned long long refused = ctl_number(endpoint, "clients_refused"), received;
	const char *path = ctl_string(endpoint, "path");
	_cleanup_fd_ int fd = -1;
	enum ctl_exit r;

	if (strcmp(ctl_string(endpoint, "type"), "unix-listen") != 0) {
		ctl_error("%s: its endpoint is %s; only unix-listen can be attached to", name,
			  ctl_string(endpoint, "type"));
		return CTL_REFUSED;
	}
	if (strcmp(ctl_string(channel, "state"), "attached") != 0)
		ctl_error("%s: the guest is not there yet (%s); waiting", name,
			  ctl_string(channel, "state"));
	fd = fd_connect_unix(path, false);
	if (fd < 0) {
		ctl_error("%s: %s: %s", name, path, strerror(-fd));
		return CTL_REFUSED;
	}
	r = pump_both(fd, &received);
	return r == CTL_DONE && !received ? why_nothing_came(ctl, name, refused) : r;
}

static enum ctl_exit run_attach(const struct ctl *ctl, char **args)
{
	struct json_object *result, *channel;
	enum ctl_exit r;

	if (ctl->json) {
		ctl_error(
			"attach: --json is not possible, because stdout carries what the guest sends");
		return CTL_USAGE;
	}
	r = ctl_find_channel(ctl, "attach", args[0], &result, &channel);
	if (r == CTL_DONE)
		r = attach_to(ctl, args[0], channel);
	json_object_put(result);
	return r;
}

const struct ctl_command ctl_attach = {
	.name = "attach",
	.arguments = "GUEST/CHANNEL",
	.summary = "connect stdin and stdout to a channel",
	.help = "The channel's endpoint must be unix-listen. The end of stdin is an end of file\n"
		"for the guest; the end of the guest's stream ends the command.\n",
	.min = 1,
	.max = 1,
	.run = run_attach,
};
