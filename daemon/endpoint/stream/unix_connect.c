// SPDX-License-Identifier: BSD-3-Clause
/*
 * unix_connect.c - connects to a unix socket
 *
 * dial.c says when, stream.c what follows. connect(2) on a unix socket succeeds or fails at once. While
 * it fails, socket_watch.h reports when the socket has been made, so the guest need not wait for the
 * timer.
 */
#include <errno.h>
#include <stdlib.h>

#include "endpoint/stream/dial.h"
#include "endpoint/stream/unix_attempt.h"
#include "loop/socket_watch.h"
#include "util/log.h"

struct unix_connect {
	struct endpoint ep;
	struct dial dial;
	const char *path; /* borrowed */
	struct socket_watch watch; /* while an attempt is waited for */
};

static void try_unix_connect(void *arg)
{
	struct unix_connect *uc = arg;
	bool packets = uc->ep.ch->cfg->packets;
	int fd = unix_attempt(uc->path, packets);

	if (fd >= 0)
		dial_connected(&uc->dial, fd);
	else
		dial_failed(&uc->dial, "unix-connect: %s: %s", uc->path,
			    unix_attempt_why(fd, packets));
}

/* An attempt is over at once */
static void abort_unix_connect(void *arg)
{
}

static void server_changed(void *arg)
{
	struct unix_connect *uc = arg;

	dial_hint(&uc->dial);
}

static void unix_connect_waiting(void *arg, bool yes)
{
	struct unix_connect *uc = arg;

	if (yes)
		socket_watch_start(&uc->watch, uc->ep.ch->loop, uc->path, server_changed, uc);
	else
		socket_watch_stop(&uc->watch);
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
	socket_watch_stop(&uc->watch);
	free(uc);
}

static int unix_connect_new(struct endpoint **out, const struct endpoint_config *cfg,
			    struct channel *ch)
{
	struct unix_connect *uc;
	int r = unix_attempt_check(LOG_CHANNEL(ch->guest_name, ch->cfg->name), "unix-connect",
				   cfg->path);

	if (r)
		return r;
	uc = calloc(1, sizeof(*uc));
	if (!uc)
		return -ENOMEM;
	uc->ep.ops = &endpoint_unix_connect;
	uc->ep.ch = ch;
	uc->path = cfg->path;
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
