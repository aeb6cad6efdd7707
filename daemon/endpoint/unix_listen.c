// SPDX-License-Identifier: BSD-3-Clause
/*
 * unix_listen.c - a unix stream socket; one client at a time
 *
 * stream.c says what happens between a client and the guest. Here clients come: the first is taken,
 * whether the guest is there or not; another one is closed at once and counted, until the first
 * has left. A client that left is noticed before its successor is turned away.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "endpoint/endpoint.h"
#include "endpoint/stream.h"
#include "util/fd.h"
#include "util/log.h"

#define ACCEPTS_A_TURN 16
#define RETRY_MS       100 /* accept again, after descriptors ran out */

/**
 * struct unix_listen - endpoint
 * @ep: common part
 * @path: of the socket; borrowed
 * @fd: listening socket
 * @accept_ev: somebody connects
 * @retry_ev: turns @accept_ev on again
 * @client: who is there
 * @clients: clients accepted
 * @refused: clients turned away
 */
struct unix_listen {
	struct endpoint ep;
	const char *path;
	int fd;
	struct event *accept_ev, *retry_ev;
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

	log_debug("guest %s: channel %s: client %" PRIu64 " has left", ul->ep.ch->guest_name,
		  ul->ep.ch->cfg->name, ul->clients);
}

/**
 * take_client() - a client has come, or another one
 * @ul: endpoint
 * @fd: its connection; owned from here on
 */
static void take_client(struct unix_listen *ul, int fd)
{
	const struct channel *ch = ul->ep.ch;
	int r;

	stream_look(&ul->client);
	if (stream_is_open(&ul->client)) {
		ul->refused++;
		close(fd);
		return;
	}
	ul->clients++;
	log_debug("guest %s: channel %s: client %" PRIu64 " has come", ch->guest_name,
		  ch->cfg->name, ul->clients);
	r = stream_open(&ul->client, fd);
	if (r)
		log_err("guest %s: channel %s: client %" PRIu64 " is dropped: %s", ch->guest_name,
			ch->cfg->name, ul->clients, strerror(-r));
}

/**
 * accept_failed() - what a failed accept4(2) means
 * @ul: endpoint
 *
 * Return: true to try again at once.
 */
static bool accept_failed(struct unix_listen *ul)
{
	const struct channel *ch = ul->ep.ch;
	struct timeval later = { .tv_usec = RETRY_MS * 1000L };

	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	if (errno == EAGAIN)
		return false;
	/* Out of descriptors or memory. The event would come again at once and for ever. */
	log_warning("guest %s: channel %s: %s: accept: %s", ch->guest_name, ch->cfg->name, ul->path,
		    strerror(errno));
	event_del(ul->accept_ev);
	event_add(ul->retry_ev, &later);
	return false;
}

/**
 * on_accept() - somebody connects
 * @fd: listening socket
 * @what: not used
 * @arg: endpoint
 */
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct unix_listen *ul = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0)
			take_client(ul, client);
		else if (!accept_failed(ul))
			return;
	}
}

/**
 * on_retry() - accept again
 * @fd: not used
 * @what: not used
 * @arg: endpoint
 */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct unix_listen *ul = arg;

	event_add(ul->accept_ev, NULL);
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
	if (ul->accept_ev)
		event_free(ul->accept_ev);
	if (ul->retry_ev)
		event_free(ul->retry_ev);
	if (ul->fd >= 0) {
		unlink(ul->path);
		close(ul->fd);
	}
	free(ul);
}

/**
 * listen_here() - make the listening socket and its events
 * @ul: endpoint
 * @mode: permission bits
 *
 * Return: 0 or -errno.
 */
static int listen_here(struct unix_listen *ul, unsigned int mode)
{
	struct event_base *base = loop_base(ul->ep.ch->loop);

	ul->fd = fd_listen_unix(ul->path, mode, NULL);
	if (ul->fd < 0)
		return ul->fd;
	ul->accept_ev = event_new(base, ul->fd, EV_READ | EV_PERSIST, on_accept, ul);
	ul->retry_ev = event_new(base, -1, 0, on_retry, ul);
	if (!ul->accept_ev || !ul->retry_ev || event_add(ul->accept_ev, NULL))
		return -ENOMEM;
	return 0;
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
		log_err("guest %s: channel %s: unix-listen: %s: %s", ch->guest_name, ch->cfg->name,
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
