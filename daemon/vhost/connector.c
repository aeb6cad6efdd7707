// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/connector.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "util/clock.h"
#include "util/fd.h"

#define AGAIN_MS          500U
#define WAIT_MIN_MS       50U /* a socket appears a moment before its listen(2) */
#define WAIT_MAX_MS       5000U
#define WAIT_MAX_WATCH_MS 60000U
#define WAIT_GROWS_BY     4
#define SPACING_MS        10U /* others who may write in the folder could cause changes all the time */

static const char *way_out(int error, bool watched)
{
	if (error == ENOENT && !watched)
		return " (its folder does not exist, or okl4fsd may not read it)";
	if (error == EACCES)
		return " (okl4fsd needs write permission for the socket: start QEMU with umask 007 as a "
		       "member of the folder's group, in a folder with the setgid bit such as "
		       "/run/okl4fs/qemu)";
	return "";
}

static void tell_why_not(struct vhost_connector *c, int error, bool watched)
{
	bool absent = error == ENOENT || error == ECONNREFUSED;

	if (error == c->why_not)
		return;
	c->why_not = error;
	log_limited(&c->limit, absent ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, c->about,
		    "%s at %s: %s%s; %s",
		    absent ? "no frontend listens" : "cannot connect to the frontend", c->path,
		    strerror(error), way_out(error, watched),
		    watched ? "waiting for it" : "trying again");
}

static void on_watch(void *arg)
{
	struct vhost_connector *c = arg;
	uint64_t since_ms = clock_ms() - c->tried_ms;

	c->wait_ms = 0;
	loop_start_timer(c->timer, since_ms < SPACING_MS ? SPACING_MS - since_ms : 0);
}

static void wait_longer(struct vhost_connector *c, unsigned int max_ms)
{
	c->wait_ms = c->wait_ms ? c->wait_ms * WAIT_GROWS_BY : WAIT_MIN_MS;
	if (c->wait_ms > max_ms)
		c->wait_ms = max_ms;
	loop_start_timer(c->timer, c->wait_ms);
}

void vhost_connector_try(struct vhost_connector *c)
{
	/* First the watch, then the attempt: a socket that appears in between is not missed. */
	bool watched = socket_watch_start(&c->watch, c->loop, c->path, on_watch, c);
	int fd = fd_connect_unix(c->path, FD_UNIX_TAKES_FDS);

	c->tried_ms = clock_ms();
	if (fd < 0) {
		tell_why_not(c, -fd, watched);
		wait_longer(c, watched ? WAIT_MAX_WATCH_MS : WAIT_MAX_MS);
		return;
	}
	socket_watch_stop(&c->watch);
	c->wait_ms = 0;
	c->why_not = 0;
	c->answered(c->arg, fd);
}

void vhost_connector_try_later(struct vhost_connector *c)
{
	if (c->timer)
		loop_start_timer(c->timer, AGAIN_MS);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	vhost_connector_try(arg);
}

int vhost_connector_init(struct vhost_connector *c, struct loop *loop, const char *path,
			 const struct log_about *about, void (*answered)(void *arg, int fd),
			 void *arg)
{
	*c = (struct vhost_connector){
		.loop = loop, .path = path, .about = about, .answered = answered, .arg = arg
	};
	c->timer = evtimer_new(loop_base(loop), on_time, c);
	return c->timer ? 0 : -ENOMEM;
}

void vhost_connector_deinit(struct vhost_connector *c)
{
	socket_watch_stop(&c->watch);
	if (c->timer)
		event_free(c->timer);
	c->timer = NULL;
}
