// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_listen.c - a TCP socket, with TLS if that is configured; one client at a time
 *
 * As unix_listen.c. This file listens; tcp_listen_client.c says which client is taken.
 *
 * If a name has several addresses (localhost), the endpoint listens on all of them. If it cannot be
 * found, or an address is in use, the endpoint tries again every RETRY_S seconds; with a numeric
 * address that is an error at once, as with unix-listen.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/stream/tcp_listen_client.h"
#include "util/sandbox.h"

#define RETRY_S 5

/* Log why, and keep it for info */
static void cannot_listen(struct tcp_listen *tl, const char *where, const char *why)
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
}

static void cannot_find_host(struct tcp_listen *tl, const char *why)
{
	char text[ENDPOINT_ERROR_BYTES];

	snprintf(text, sizeof(text), "%s%s", why, sandbox_network_hint(0));
	cannot_listen(tl, tl->address.host, text);
}

static void cannot_listen_at(struct tcp_listen *tl, const char *where, int error)
{
	char why[ENDPOINT_ERROR_BYTES];

	snprintf(why, sizeof(why), "%s%s", strerror(error),
		 error == EACCES ? " (ports below 1024 are only for root)" :
				   sandbox_network_hint(error));
	cannot_listen(tl, where, why);
}

static int listen_at_address(struct tcp_listen *tl, const struct addrinfo *at)
{
	const struct channel *ch = tl->ep.ch;
	char name[TCP_NAME_BYTES];
	int r;

	tcp_name(at->ai_addr, at->ai_addrlen, name);
	if (!tl->tls && !tcp_is_loopback(at->ai_addr)) {
		cannot_listen(tl, name, "it is not a loopback address, so it needs \"tls\"");
		return -EPERM;
	}
	r = tcp_listen_at(at);
	if (r >= 0)
		r = listener_start(&tl->listener[tl->n_listeners], ch->loop,
				   LOG_CHANNEL(ch->guest_name, ch->cfg->name), tl->target, r,
				   tcp_listen_come, tl);
	if (r)
		cannot_listen_at(tl, name, -r);
	else
		tl->n_listeners++;
	return r;
}

static void stop_listening(struct tcp_listen *tl)
{
	while (tl->n_listeners)
		listener_stop(&tl->listener[--tl->n_listeners]);
}

static void listen_host_resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_listen *tl = arg;
	const struct timeval later = { .tv_sec = RETRY_S };
	int r = list ? 0 : -EADDRNOTAVAIL;

	if (!list)
		cannot_find_host(tl, why);
	/* A machine without IPv6 may have a name for the loopback address of IPv6 */
	for (const struct addrinfo *at = list;
	     at && !r && tl->n_listeners < TCP_LISTEN_MAX_ADDRESSES; at = at->ai_next) {
		r = listen_at_address(tl, at);
		if ((r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) && list->ai_next)
			r = 0;
	}
	if (list)
		freeaddrinfo(list);
	if (r)
		stop_listening(tl);
	tl->listen_error = r;
	if (tl->n_listeners)
		*tl->error = 0;
	else if (!tl->address.is_numeric)
		event_add(tl->retry_ev, &later);
}

static void on_listen_retry(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_listen *tl = arg;

	resolver_start(&tl->resolver);
}

static void tear_listen_tls(void *arg, int fd)
{
	struct tcp_listen *tl = arg;

	tls_tear(tl->tls, fd);
}

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

static int begin_to_listen(struct tcp_listen *tl, const struct endpoint_config *cfg)
{
	struct channel *ch = tl->ep.ch;
	char why[ENDPOINT_ERROR_BYTES];
	int r;

	if (address_parse(&tl->address, cfg->address))
		return -EINVAL;
	tl->retry_ev = event_new(loop_base(ch->loop), -1, 0, on_listen_retry, tl);
	if (!tl->retry_ev)
		return -ENOMEM;
	if (cfg->tls) {
		r = tls_new(&tl->tls, ch, cfg, cfg->tls_name, true, &tcp_listen_tls_ops, tl);
		if (r)
			return r;
	}
	resolver_start(&tl->resolver);
	if (tl->address.is_numeric && !tl->n_listeners)
		return tl->listen_error;
	/* The files may come until a client connects, but if they are missing, say so now. */
	if (tl->tls && tls_check(tl->tls, why))
		tcp_listen_complain(tl, tl->target, why);
	return 0;
}

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
					  .done = listen_host_resolved,
					  .arg = tl };
	stream_init(&tl->client, ch, tcp_listen_client_ended, tl);
	tl->client.tear = cfg->tls ? tear_listen_tls : NULL;
	r = begin_to_listen(tl, cfg);
	if (r) {
		tcp_listen_free(&tl->ep);
		return r;
	}
	channel_bind(ch, &stream_channel_ops, &tl->client);
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
