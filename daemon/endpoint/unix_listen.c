// SPDX-License-Identifier: BSD-3-Clause
/*
 * unix_listen.c - a unix stream socket; one client at a time
 *
 * stream.c says what happens between a client and the guest. Here clients come: the first is taken,
 * whether the guest is there or not; another one is closed at once and counted, until the first
 * has left. A client that left is noticed before its successor is turned away.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/endpoint.h"
#include "endpoint/listener.h"
#include "endpoint/stream.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * struct unix_listen - endpoint
 * @ep: common part
 * @path: of the socket; borrowed
 * @listener: where clients come
 * @client: who is there
 * @clients: clients accepted
 * @refused: clients turned away
 */
struct unix_listen {
	struct endpoint ep;
	const char *path;
	struct listener listener;
	struct stream client;
	uint64_t clients, refused;
};

/**
 * client_ended() - the client has left
 * @arg: endpoint
 */
static void client_ended(void *arg)
{
	const struct unix_listen *ul = arg;

	log_channel(LOG_LEVEL_DEBUG, ul->ep.ch->guest_name, ul->ep.ch->cfg->name,
		    "client %" PRIu64 " has left", ul->clients);
}

/**
 * take_client() - a client has come, or another one
 * @arg: endpoint
 * @fd: its connection; owned from here on
 */
static void take_client(void *arg, int fd)
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

/**
 * up() - the channel's memory is there
 * @arg: endpoint
 * @fresh: no difference: a client of the former stream was dropped when that went for good
 */
static void up(void *arg, bool fresh)
{
	struct unix_listen *ul = arg;

	stream_up(&ul->client);
}

/**
 * down() - the channel's memory is away
 * @arg: endpoint
 * @gone: for good
 */
static void down(void *arg, bool gone)
{
	struct unix_listen *ul = arg;

	stream_down(&ul->client, gone);
}

/**
 * woken() - bytes, room, or a phase has changed
 * @arg: endpoint
 */
static void woken(void *arg)
{
	struct unix_listen *ul = arg;

	stream_woken(&ul->client);
}

static const struct channel_endpoint_ops channel_ops = { up, down, woken };

/**
 * unix_listen_info() - see struct endpoint_ops
 * @ep: endpoint
 * @info: to be filled
 */
static void unix_listen_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct unix_listen *ul = (const struct unix_listen *)ep;

	*info = (struct endpoint_info){
		.joined = stream_is_open(&ul->client),
		.clients = ul->clients,
		.refused = ul->refused,
	};
}

/**
 * unix_listen_free() - see struct endpoint_ops
 * @ep: endpoint
 */
static void unix_listen_free(struct endpoint *ep)
{
	struct unix_listen *ul = (struct unix_listen *)ep;

	stream_close(&ul->client);
	if (ul->listener.ch)
		unlink(ul->path);
	listener_stop(&ul->listener);
	free(ul);
}

/**
 * listen_here() - make the listening socket
 * @ul: endpoint
 * @mode: permission bits
 *
 * Return: 0 or -errno.
 */
static int listen_here(struct unix_listen *ul, unsigned int mode)
{
	int r, fd = fd_listen_unix(ul->path, mode, NULL);

	if (fd < 0)
		return fd;
	r = listener_start(&ul->listener, ul->ep.ch, ul->path, fd, take_client, ul);
	if (r)
		unlink(ul->path);
	return r;
}

/**
 * unix_listen_new() - see struct endpoint_ops
 * @out: out
 * @cfg: path and mode
 * @ch: channel
 *
 * Return: 0 or -errno.
 */
static int unix_listen_new(struct endpoint **out, const struct endpoint_config *cfg,
			   struct channel *ch)
{
	struct unix_listen *ul = calloc(1, sizeof(*ul));
	int r;

	if (!ul)
		return -ENOMEM;
	ul->ep.ops = &endpoint_unix_listen;
	ul->ep.ch = ch;
	ul->path = cfg->path;
	stream_init(&ul->client, ch, client_ended, ul);
	r = listen_here(ul, cfg->mode);
	if (r) {
		log_channel(LOG_LEVEL_ERR, ch->guest_name, ch->cfg->name, "unix-listen: %s: %s",
			    cfg->path, strerror(-r));
		unix_listen_free(&ul->ep);
		return r;
	}
	channel_bind(ch, &channel_ops, ul);
	*out = &ul->ep;
	return 0;
}

const struct endpoint_ops endpoint_unix_listen = {
	.type = ENDPOINT_UNIX_LISTEN,
	.new = unix_listen_new,
	.info = unix_listen_info,
	.free = unix_listen_free,
};
