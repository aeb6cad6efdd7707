// SPDX-License-Identifier: BSD-3-Clause
/*
 * unix_listen.c - a unix socket; one client at a time
 *
 * stream.c says what happens between a client and the guest. The first client that comes is taken,
 * whether the guest is there or not; another one is closed at once and counted, until the first
 * has left. A client that left is noticed before its successor is turned away.
 * sessions/unix.c has the one whose clients have sessions of their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream/stream.h"
#include "util/fd.h"
#include "util/log.h"

struct unix_listen {
	struct endpoint ep;
	struct unix_place place;
	struct stream client; /* the one that is there */
	uint64_t clients, refused; /* as in struct endpoint_info */
};

static void unix_client_ended(void *arg)
{
	const struct unix_listen *ul = arg;

	log_channel(LOG_LEVEL_DEBUG, ul->ep.ch->guest_name, ul->ep.ch->cfg->name,
		    "client %" PRIu64 " has left", ul->clients);
}

static void take_unix_client(void *arg, int fd)
{
	struct unix_listen *ul = arg;
	const struct channel *ch = ul->ep.ch;
	int r;

	stream_look(&ul->client);
	if (stream_is_open(&ul->client)) {
		ul->refused++;
		close(fd);
		return;
	}
	ul->clients++;
	log_channel(LOG_LEVEL_DEBUG, ch->guest_name, ch->cfg->name, "client %" PRIu64 " has come",
		    ul->clients);
	r = stream_open(&ul->client, fd);
	if (r)
		log_channel(LOG_LEVEL_ERR, ch->guest_name, ch->cfg->name,
			    "client %" PRIu64 " is dropped: %s", ul->clients, strerror(-r));
}

static void unix_listen_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct unix_listen *ul = (const struct unix_listen *)ep;

	*info = (struct endpoint_info){
		.connected = stream_is_open(&ul->client),
		.clients = ul->clients,
		.refused = ul->refused,
		.path_lost = unix_place_is_lost(&ul->place),
	};
}

static void unix_listen_close(struct endpoint *ep)
{
	struct unix_listen *ul = (struct unix_listen *)ep;

	if (!channel_has_tail(ep->ch))
		stream_close(&ul->client);
	unix_place_leave(&ul->place);
}

static void unix_listen_free(struct endpoint *ep)
{
	struct unix_listen *ul = (struct unix_listen *)ep;

	stream_close(&ul->client);
	unix_listen_close(ep);
	free(ul);
}

static bool unix_listen_is_busy(const struct endpoint *ep)
{
	return stream_is_open(&((const struct unix_listen *)ep)->client);
}

static void unix_listen_reloaded(struct endpoint *ep)
{
	unix_place_reloaded(&((struct unix_listen *)ep)->place);
}

static int unix_listen_new(struct endpoint **out, const struct endpoint_config *cfg,
			   struct channel *ch)
{
	struct unix_listen *ul = calloc(1, sizeof(*ul));
	int r;

	if (!ul)
		return -ENOMEM;
	ul->ep.ops = &endpoint_unix_listen;
	ul->ep.ch = ch;
	stream_init(&ul->client, ch, unix_client_ended, ul);
	ul->place = endpoint_place(ch, cfg, take_unix_client, ul);
	r = unix_place_listen(&ul->place);
	if (r) {
		unix_listen_free(&ul->ep);
		return r;
	}
	channel_bind(ch, &stream_channel_ops, &ul->client);
	*out = &ul->ep;
	return 0;
}

const struct endpoint_ops endpoint_unix_listen = {
	.type = ENDPOINT_UNIX_LISTEN,
	.new = unix_listen_new,
	.info = unix_listen_info,
	.reloaded = unix_listen_reloaded,
	.close = unix_listen_close,
	.is_busy = unix_listen_is_busy,
	.free = unix_listen_free,
};
