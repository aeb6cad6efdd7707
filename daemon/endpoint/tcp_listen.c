// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_listen.c - a TCP socket, with TLS if that is configured; one client at a time
 *
 * As unix_listen.c: the first client is taken, another one is closed at once and counted. With TLS who
 * comes is a client when both ends trust one another, and not before, so nobody else can take the
 * place; there may be a few handshakes at once, and the first one that is done is the client.
 *
 * A TCP client that has closed looks like one that has only ended its direction (RFC 9293, section
 * 3.6). Without TLS, a client whose direction has ended therefore makes way when another one comes.
 *
 * A name that has several addresses (localhost) is listened on at all of them. If it cannot be found,
 * or an address is taken, that is tried again now and then; with an address in figures it is an error
 * at once, as with unix-listen.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/endpoint.h"
#include "endpoint/listener.h"
#include "endpoint/resolver.h"
#include "endpoint/stream.h"
#include "endpoint/tls.h"
#include "util/fd.h"

#define MAX_ADDRESSES 8U
#define MAX_LINKS     16U /* handshakes, and links that still send what is left */
#define RETRY_S       5

/**
 * struct tcp_listen - endpoint
 * @ep: common part
 * @target: what is configured; borrowed
 * @address: the same, read
 * @resolver: looks the host up
 * @listener: where clients come
 * @n_listeners: how many
 * @listen_error: why there is none, -errno
 * @retry_ev: begins to listen, if that failed
 * @tls: credentials and encrypted connections; NULL: none
 * @client: who is there
 * @clients: as in struct endpoint_info, and so on
 */
struct tcp_listen {
	struct endpoint ep;
	const char *target;
	struct address address;
	struct resolver resolver;
	struct listener listener[MAX_ADDRESSES];
	unsigned int n_listeners;
	int listen_error;
	struct event *retry_ev;
	struct tls *tls;
	struct stream client;
	uint64_t clients, refused, handshakes_failed, torn;
	char error[ENDPOINT_ERROR_BYTES];
};

/**
 * complain() - something is wrong with a connection
 * @tl: endpoint
 * @peer: whose
 * @why: a sentence
 */
static void complain(struct tcp_listen *tl, const char *peer, const char *why)
{
	snprintf(tl->error, sizeof(tl->error), "tcp-listen: %s: %s", peer, why);
	channel_log(tl->ep.ch, LOG_LEVEL_WARNING, "%s", tl->error);
}

/**
 * client_ended() - the client has left
 * @arg: endpoint
 */
static void client_ended(void *arg)
{
	struct tcp_listen *tl = arg;

	channel_log(tl->ep.ch, LOG_LEVEL_DEBUG, "client %" PRIu64 " has left", tl->clients);
}

/**
 * is_taken() - whether somebody is there already
 * @tl: endpoint
 *
 * Return: true when another one is to be refused.
 */
static bool is_taken(struct tcp_listen *tl)
{
	struct stream *s = &tl->client;
	char c;

	stream_look(s);
	if (!stream_is_open(s) || tl->tls || !s->joined || !channel_usable(tl->ep.ch))
		return stream_is_open(s);
	if (!s->in_open || !recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT))
		stream_hang_up(s);
	return stream_is_open(s);
}

/**
 * take_client() - a client is there, or another one
 * @tl: endpoint
 * @peer: his address
 * @fd: the connection; owned from here on
 */
static void take_client(struct tcp_listen *tl, const char *peer, int fd)
{
	int r;

	if (is_taken(tl)) {
		tl->refused++;
		close(fd);
		return;
	}
	tl->clients++;
	*tl->error = 0;
	channel_log(tl->ep.ch, LOG_LEVEL_DEBUG, "client %" PRIu64 " has come from %s", tl->clients,
		    peer);
	r = stream_open(&tl->client, fd);
	if (r)
		complain(tl, peer, strerror(-r));
}

/**
 * come() - somebody connects
 * @arg: endpoint
 * @fd: his connection; owned from here on
 */
static void come(void *arg, int fd)
{
	struct tcp_listen *tl = arg;
	char peer[TCP_NAME_BYTES], why[ENDPOINT_ERROR_BYTES];
	struct tls_link *link;
	int r;

	tcp_peer_name(fd, peer);
	tcp_tune(fd);
	if (!tl->tls) {
		take_client(tl, peer, fd);
		return;
	}
	if (is_taken(tl) || tls_n_links(tl->tls) >= MAX_LINKS) {
		tl->refused++;
		close(fd);
		return;
	}
	if (tls_check(tl->tls, why)) {
		tl->handshakes_failed++;
		complain(tl, peer, why);
		close(fd);
		return;
	}
	r = tls_link_new(&link, tl->tls, fd);
	if (r)
		complain(tl, peer, strerror(-r));
}

/**
 * opened() - see struct tls_ops
 * @arg: endpoint
 * @link: the link
 * @fd: for the stream
 */
static void opened(void *arg, struct tls_link *link, int fd)
{
	take_client(arg, tls_link_peer(link), fd);
}

/**
 * failed() - see struct tls_ops
 * @arg: endpoint
 * @link: the link
 * @why: a sentence
 */
static void failed(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_listen *tl = arg;

	tl->handshakes_failed++;
	complain(tl, tls_link_peer(link), why);
}

/**
 * torn() - see struct tls_ops
 * @arg: endpoint
 * @link: the link
 * @why: a sentence
 */
static void torn(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_listen *tl = arg;
	char text[ENDPOINT_ERROR_BYTES];

	tl->torn++;
	snprintf(text, sizeof(text), "torn: %s; what came may not be all", why);
	complain(tl, tls_link_peer(link), text);
}

static const struct tls_ops tls_ops = { opened, failed, torn };

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
	char name[TCP_NAME_BYTES];
	int r;

	tcp_name(at->ai_addr, at->ai_addrlen, name);
	if (!tl->tls && !tcp_is_loopback(at->ai_addr)) {
		cannot_listen(tl, name, "it is no loopback address, so it needs \"tls\"");
		return -EPERM;
	}
	r = tcp_listen_at(at);
	if (r >= 0)
		r = listener_start(&tl->listener[tl->n_listeners], tl->ep.ch, tl->target, r, come,
				   tl);
	if (r)
		cannot_listen(tl, name, strerror(-r));
	else
		tl->n_listeners++;
	return r;
}

/**
 * stop_listening() - close all listening sockets
 * @tl: endpoint
 */
static void stop_listening(struct tcp_listen *tl)
{
	while (tl->n_listeners)
		listener_stop(&tl->listener[--tl->n_listeners]);
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
	for (const struct addrinfo *at = list; at && !r && tl->n_listeners < MAX_ADDRESSES;
	     at = at->ai_next) {
		r = listen_at(tl, at);
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

static const struct channel_endpoint_ops channel_ops = { up, down, woken };

/**
 * tcp_listen_info() - see struct endpoint_ops
 * @ep: endpoint
 * @info: to be filled
 */
static void tcp_listen_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct tcp_listen *tl = (const struct tcp_listen *)ep;

	*info = (struct endpoint_info){
		.joined = stream_is_open(&tl->client),
		.clients = tl->clients,
		.refused = tl->refused,
		.handshakes_failed = tl->handshakes_failed,
		.torn = tl->torn,
	};
	memcpy(info->error, tl->error, sizeof(info->error));
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
		r = tls_new(&tl->tls, ch, cfg, cfg->tls_name, true, &tls_ops, tl);
		if (r)
			return r;
	}
	resolver_start(&tl->resolver);
	if (tl->address.is_numeric && !tl->n_listeners)
		return tl->listen_error;
	/* They may come until somebody connects, but if not, it is better to know now. */
	if (tl->tls && tls_check(tl->tls, why))
		complain(tl, tl->target, why);
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
	stream_init(&tl->client, ch, client_ended, tl);
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
	.free = tcp_listen_free,
};
