// SPDX-License-Identifier: BSD-3-Clause
#include "loop/socket_watch.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "util/fd.h"

/* A socket's mode is set after bind(2), and that is about when listen(2) comes */
#define SOCKET_EVENTS (IN_CREATE | IN_MOVED_TO | IN_ATTRIB)

void socket_watch_stop(struct socket_watch *w)
{
	if (!w->event)
		return;
	event_free(w->event);
	close(w->fd);
	*w = (struct socket_watch){ 0 };
}

/* An event without a name is about the folder itself, or says that events were lost */
static bool is_about(const struct inotify_event *ev, const char *name)
{
	return !ev->len || !strcmp(ev->name, name);
}

static void on_folder_change(evutil_socket_t fd, short what, void *arg)
{
	struct socket_watch *w = arg;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(fd, buf, sizeof(buf));
	bool hit = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *ev = (const struct inotify_event *)(buf + at);

		hit |= is_about(ev, w->name);
		at += (ssize_t)(sizeof(*ev) + ev->len);
	}
	if (hit)
		w->changed(w->arg);
}

bool socket_watch_start(struct socket_watch *w, struct loop *loop, const char *path,
			void (*changed)(void *arg), void *arg)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	_cleanup_fd_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct event *event;

	socket_watch_stop(w);
	if (fd < 0 || !dir ||
	    inotify_add_watch(fd, dir, SOCKET_EVENTS | IN_MOVE_SELF | IN_ONLYDIR) < 0)
		return false;
	event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_folder_change, w);
	if (!event || event_add(event, NULL)) {
		if (event)
			event_free(event);
		return false;
	}
	*w = (struct socket_watch){ .fd = fd,
				    .event = event,
				    .name = slash ? slash + 1 : path,
				    .changed = changed,
				    .arg = arg };
	fd = -1;
	return true;
}
