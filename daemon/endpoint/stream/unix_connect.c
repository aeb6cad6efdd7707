// SPDX-License-Identifier: BSD-3-Clause
/*
 * unix_connect.c - connects to a unix stream socket
 *
 * dial.c says when, stream.c what follows. connect(2) on a unix socket succeeds or fails at once. While
 * it fails, inotify(7) reports when the socket has been made, so the guest need not wait for the timer;
 * without inotify, or without a directory yet, there is the timer.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "endpoint/stream/dial.h"
#include "util/fd.h"

struct unix_connect {
	struct endpoint ep;
	struct dial dial;
	const char *path; /* borrowed */
	int watch_fd; /* inotify, while an attempt is waited for; or -1 */
	struct event *watch_ev;
};

static void try_unix_connect(void *arg)
{
	struct unix_connect *uc = arg;
	int fd = fd_connect_unix(uc->path, false);

	if (fd >= 0)
		dial_connected(&uc->dial, fd);
	else
		dial_failed(&uc->dial, "unix-connect: %s: %s", uc->path,
			    fd == -ECONNREFUSED ? "nobody listens" :
			    fd == -EAGAIN       ? "too many are waiting there already" :
						  strerror(-fd));
}

/* An attempt is over at once */
static void abort_unix_connect(void *arg)
{
}

static void unwatch_dir(struct unix_connect *uc)
{
	if (uc->watch_ev)
		event_free(uc->watch_ev);
	uc->watch_ev = NULL;
	uc->watch_fd = fd_close(uc->watch_fd);
}

static void on_dir_change(evutil_socket_t fd, short what, void *arg)
{
	struct unix_connect *uc = arg;
	const char *slash = strrchr(uc->path, '/'), *name = slash ? slash + 1 : uc->path;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(fd, buf, sizeof(buf));
	bool hit = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *ev = (const struct inotify_event *)(buf + at);

		hit |= ev->len && !strcmp(ev->name, name);
		at += (ssize_t)(sizeof(*ev) + ev->len);
	}
	if (hit)
		dial_hint(&uc->dial);
}

static void watch_dir(struct unix_connect *uc)
{
	const char *slash = strrchr(uc->path, '/');
	_cleanup_free_ char *dir = slash ? strndup(uc->path, (size_t)(slash - uc->path) + 1) :
					   strdup(".");

	uc->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* A socket's mode is set after bind(2), and that is about when listen(2) comes */
	if (uc->watch_fd < 0 || !dir ||
	    inotify_add_watch(uc->watch_fd, dir, IN_CREATE | IN_MOVED_TO | IN_ATTRIB) < 0)
		goto fail;
	uc->watch_ev = event_new(loop_base(uc->ep.ch->loop), uc->watch_fd, EV_READ | EV_PERSIST,
				 on_dir_change, uc);
	if (uc->watch_ev && !event_add(uc->watch_ev, NULL))
		return;
fail:
	unwatch_dir(uc);
}

static void unix_connect_waiting(void *arg, bool yes)
{
	struct unix_connect *uc = arg;

	unwatch_dir(uc);
	if (yes)
		watch_dir(uc);
}

static const struct dial_ops unix_dial_ops = { try_unix_connect, abort_unix_connect,
					       unix_connect_waiting };

static void unix_connect_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct unix_connect *uc = (const struct unix_connect *)ep;

	*info = (struct endpoint_info){ 0 };
	dial_info(&uc->dial, info);
}

static void unix_connect_close(struct endpoint *ep)
{
	dial_close(&((struct unix_connect *)ep)->dial);
}

static bool unix_connect_is_busy(const struct endpoint *ep)
{
	return stream_is_open(&((const struct unix_connect *)ep)->dial.stream);
}

static void unix_connect_free(struct endpoint *ep)
{
	struct unix_connect *uc = (struct unix_connect *)ep;

	dial_deinit(&uc->dial);
	unwatch_dir(uc);
	free(uc);
}

static int unix_connect_new(struct endpoint **out, const struct endpoint_config *cfg,
			    struct channel *ch)
{
	struct unix_connect *uc = calloc(1, sizeof(*uc));

	if (!uc)
		return -ENOMEM;
	uc->ep.ops = &endpoint_unix_connect;
	uc->ep.ch = ch;
	uc->path = cfg->path;
	uc->watch_fd = -1;
	if (dial_init(&uc->dial, ch, cfg->path, &unix_dial_ops, uc)) {
		unix_connect_free(&uc->ep);
		return -ENOMEM;
	}
	*out = &uc->ep;
	return 0;
}

const struct endpoint_ops endpoint_unix_connect = {
	.type = ENDPOINT_UNIX_CONNECT,
	.new = unix_connect_new,
	.info = unix_connect_info,
	.close = unix_connect_close,
	.is_busy = unix_connect_is_busy,
	.free = unix_connect_free,
};
