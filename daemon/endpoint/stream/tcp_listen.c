// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_listen.c - a TCP socket, with TLS if that is configured; one client at a time
 *
 * As unix_listen.c. tcp_place.c listens, and tcp_listen_client.c says which client is taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/stream/tcp_listen_client.h"

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
	tcp_place_leave(&tl->place);
}

static bool tcp_listen_is_busy(const struct endpoint *ep)
{
	const struct tcp_listen *tl = (const struct tcp_listen *)ep;

	return stream_is_open(&tl->client) || (tl->tls && tls_n_links(tl->tls));
}

static void tcp_listen_free(struct endpoint *ep)
{
	struct tcp_listen *tl = (struct tcp_listen *)ep;

	tcp_place_deinit(&tl->place);
	stream_close(&tl->client);
	tls_free(tl->tls);
	free(tl);
}

static int begin_to_listen(struct tcp_listen *tl, const struct endpoint_config *cfg)
{
	struct channel *ch = tl->ep.ch;
	char why[ENDPOINT_ERROR_BYTES];
	int r;

	if (cfg->tls) {
		r = tls_new(&tl->tls, ch, cfg, cfg->tls_name, true, &tcp_listen_tls_ops, tl);
		if (r)
			return r;
	}
	r = tcp_place_listen(&tl->place);
	if (r)
		return r;
	/* The files may come until a client connects, but if they are missing, say so now. */
	if (tl->tls && tls_check(tl->tls, why))
		tcp_listen_complain(tl, tl->place.target, why);
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
	tl->place = (struct tcp_place){ .ch = ch,
					.target = cfg->address,
					.error = tl->error,
					.has_tls = cfg->tls,
					.come = tcp_listen_come,
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
