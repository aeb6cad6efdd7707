// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_listen.c - a TCP socket, with TLS if that is configured; one client at a time
 *
 * As unix_listen.c. tcp_listen_client.c says who is taken; here is where they come.
 *
 * A name that has several addresses (localhost) is listened on at all of them. If it cannot be found,
 * or an address is taken, that is tried again now and then; with an address in figures it is an error
 * at once, as with unix-listen.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/stream/tcp_listen_private.h"

#define RETRY_S 5

/**
 * cannot_listen() - remember why
 * @tl: endpoint
 * @where: address or host
 * @why: why
 *
 * Return: always false.
 */
static bool cannot_listen(struct tcp_listen *tl, const char *where, const char *why)
{
	char text[ENDPOINT_ERROR_BYTES];
	bool same;

	if (!strcmp(where, tl->target))
		snprintf(text, sizeof(text), "tcp-listen: %s: %s", where, why);
	else
		snprintf(text, sizeof(text), "tcp-listen: %s: %s: %s", tl->target, where, why);
	same = !strcmp(text, tl->error);
	memcpy(tl->error, text, sizeof(text));
	channel_log(tl->ep.ch, same ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERR, "%s", text);
	return false;
}

/**
 * listen_at() - begin to listen at an address
 * @tl: endpoint
 * @at: address
 *
 * Return: 0 or -errno.
 */
static int listen_at(struct tcp_listen *tl, const struct addrinfo *at)
{
	const struct channel *ch = tl->ep.ch;
	char name[TCP_NAME_BYTES];
	int r;

	tcp_name(at->ai_addr, at->ai_addrlen, name);
	if (!tl->tls && !tcp_is_loopback(at->ai_addr)) {
		cannot_listen(tl, name, "it is no loopback address, so it needs \"tls\"");
		return -EPERM;
	}
	r = tcp_listen_at(at);
	if (r >= 0)
		r = acceptor_start(&tl->acceptor[tl->n_acceptors], ch->loop,
				   LOG_CHANNEL(ch->guest_name, ch->cfg->name), tl->target, r,
				   tcp_listen_come, tl);
	if (r)
		cannot_listen(tl, name, strerror(-r));
	else
		tl->n_acceptors++;
	return r;
}

/**
 * stop_listening() - close all listening sockets
 * @tl: endpoint
 */
static void stop_listening(struct tcp_listen *tl)
{
	while (tl->n_acceptors)
		acceptor_stop(&tl->acceptor[--tl->n_acceptors]);
}

/**
 * resolved() - the host's addresses are known
 * @arg: endpoint
 * @list: addresses, or NULL
 * @why: why there are none
 *
 * A machine without IPv6 may have a name for the loopback address of IPv6.
 */
static void resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_listen *tl = arg;
	const struct timeval later = { .tv_sec = RETRY_S };
	int r = list ? 0 : -EADDRNOTAVAIL;

	if (!list)
		cannot_listen(tl, tl->address.host, why);
	for (const struct addrinfo *at = list;
	     at && !r && tl->n_acceptors < TCP_LISTEN_MAX_ADDRESSES; at = at->ai_next) {
		r = listen_at(tl, at);
		if ((r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) && list->ai_next)
			r = 0;
	}
	if (list)
		freeaddrinfo(list);
	if (r)
		stop_listening(tl);
	tl->listen_error = r;
	if (tl->n_acceptors)
		*tl->error = 0;
	else if (!tl->address.is_numeric)
		event_add(tl->retry_ev, &later);
}

/**
 * on_retry() - try again to listen
 * @fd: not used
 * @what: not used
 * @arg: endpoint
 */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_listen *tl = arg;

	resolver_start(&tl->resolver);
}

/**
 * up() - the channel's memory is there
 * @arg: endpoint
 * @fresh: no difference: a client of the former stream was dropped when that went for good
 */
static void up(void *arg, bool fresh)
{
	struct tcp_listen *tl = arg;

	stream_up(&tl->client);
}

/**
 * down() - the channel's memory is away
 * @arg: endpoint
 * @gone: for good
 */
static void down(void *arg, bool gone)
{
	struct tcp_listen *tl = arg;

	stream_down(&tl->client, gone);
}

/**
 * woken() - bytes, room, or a phase has changed
 * @arg: endpoint
 */
static void woken(void *arg)
{
	struct tcp_listen *tl = arg;

	stream_woken(&tl->client);
}

static void tear_tls(void *arg, int fd)
{
	struct tcp_listen *tl = arg;

	tls_tear(tl->tls, fd);
}

static const struct channel_endpoint_ops channel_ops = {
	.up = up,
	.down = down,
	.woken = woken,
	.delivers = true,
};

/**
 * tcp_listen_info() - see struct endpoint_ops
 * @ep: endpoint
 * @info: to be filled
 */
static void tcp_listen_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct tcp_listen *tl = (const struct tcp_listen *)ep;

	*info = (struct endpoint_info){
		.connected = stream_is_open(&tl->client),
		.clients = tl->clients,
		.refused = tl->refused,
		.handshakes_failed = tl->handshakes_failed,
		.torn = tl->torn,
	};
	memcpy(info->error, tl->error, sizeof(info->error));
}

static void tcp_listen_close(struct endpoint *ep)
{
	struct tcp_listen *tl = (struct tcp_listen *)ep;

	if (!channel_has_tail(ep->ch))
		stream_close(&tl->client);
	stop_listening(tl);
	resolver_stop(&tl->resolver);
	event_del(tl->retry_ev);
}

static bool tcp_listen_is_busy(const struct endpoint *ep)
{
	const struct tcp_listen *tl = (const struct tcp_listen *)ep;

	return stream_is_open(&tl->client) || (tl->tls && tls_n_links(tl->tls));
}

/**
 * tcp_listen_free() - see struct endpoint_ops
 * @ep: endpoint
 */
static void tcp_listen_free(struct endpoint *ep)
{
	struct tcp_listen *tl = (struct tcp_listen *)ep;

	stop_listening(tl);
	stream_close(&tl->client);
	resolver_deinit(&tl->resolver);
	if (tl->retry_ev)
		event_free(tl->retry_ev);
	tls_free(tl->tls);
	free(tl);
}

/**
 * begin() - make what can be made, and listen
 * @tl: endpoint
 * @cfg: configuration
 *
 * Return: 0 or -errno.
 */
static int begin(struct tcp_listen *tl, const struct endpoint_config *cfg)
{
	struct channel *ch = tl->ep.ch;
	char why[ENDPOINT_ERROR_BYTES];
	int r;

	if (address_parse(&tl->address, cfg->address))
		return -EINVAL;
	tl->retry_ev = event_new(loop_base(ch->loop), -1, 0, on_retry, tl);
	if (!tl->retry_ev)
		return -ENOMEM;
	if (cfg->tls) {
		r = tls_new(&tl->tls, ch, cfg, cfg->tls_name, true, &tcp_listen_tls_ops, tl);
		if (r)
			return r;
	}
	resolver_start(&tl->resolver);
	if (tl->address.is_numeric && !tl->n_acceptors)
		return tl->listen_error;
	/* They may come until somebody connects, but if not, it is better to know now. */
	if (tl->tls && tls_check(tl->tls, why))
		tcp_listen_complain(tl, tl->target, why);
	return 0;
}

/**
 * tcp_listen_new() - see struct endpoint_ops
 * @out: out
 * @cfg: address, and files for TLS
 * @ch: channel
 *
 * Return: 0 or -errno.
 */
static int tcp_listen_new(struct endpoint **out, const struct endpoint_config *cfg,
			  struct channel *ch)
{
	struct tcp_listen *tl = calloc(1, sizeof(*tl));
	int r;

	if (!tl)
		return -ENOMEM;
	tl->ep.ops = &endpoint_tcp_listen;
	tl->ep.ch = ch;
	tl->target = cfg->address;
	tl->resolver = (struct resolver){ .loop = ch->loop,
					  .address = &tl->address,
					  .passive = true,
					  .done = resolved,
					  .arg = tl };
	stream_init(&tl->client, ch, tcp_listen_client_ended, tl);
	tl->client.tear = cfg->tls ? tear_tls : NULL;
	r = begin(tl, cfg);
	if (r) {
		tcp_listen_free(&tl->ep);
		return r;
	}
	channel_bind(ch, &channel_ops, tl);
	*out = &tl->ep;
	return 0;
}

const struct endpoint_ops endpoint_tcp_listen = {
	.type = ENDPOINT_TCP_LISTEN,
	.new = tcp_listen_new,
	.info = tcp_listen_info,
	.close = tcp_listen_close,
	.is_busy = tcp_listen_is_busy,
	.free = tcp_listen_free,
};
