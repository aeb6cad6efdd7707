// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_listen_client.c - the clients of an endpoint tcp-listen: taken, refused, or not trusted
 *
 * The first client is taken, another one is closed at once and counted. With TLS a connection becomes
 * the client only when both ends trust one another, so a stranger cannot take the place; there may be
 * a few handshakes at once, and the first one that is done is the client.
 *
 * A TCP client that has closed looks like one that has only ended its direction (RFC 9293, section
 * 3.6). Without TLS, a client whose direction has ended therefore makes way when another one comes.
 */
#include "endpoint/stream/tcp_listen_client.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_LINKS 16U /* handshakes, and links that still send what is left */

void tcp_listen_complain(struct tcp_listen *tl, const char *peer, const char *why)
{
	snprintf(tl->error, sizeof(tl->error), "tcp-listen: %s: %s", peer, why);
	channel_log(tl->ep.ch, LOG_LEVEL_WARNING, "%s", tl->error);
}

void tcp_listen_client_ended(void *arg)
{
	struct tcp_listen *tl = arg;

	channel_log(tl->ep.ch, LOG_LEVEL_DEBUG, "client %" PRIu64 " has left", tl->clients);
}

static bool is_place_taken(struct tcp_listen *tl)
{
	struct stream *s = &tl->client;
	char c;

	stream_look(s);
	if (!stream_is_open(s) || tl->tls || !s->serves || !channel_usable(tl->ep.ch))
		return stream_is_open(s);
	if (!s->in_open || !recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT))
		stream_hang_up(s);
	return stream_is_open(s);
}

static void take_tcp_client(struct tcp_listen *tl, const char *peer, int fd)
{
	int r;

	if (is_place_taken(tl)) {
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
		tcp_listen_complain(tl, peer, strerror(-r));
}

void tcp_listen_come(void *arg, int fd)
{
	struct tcp_listen *tl = arg;
	char peer[TCP_NAME_BYTES], why[ENDPOINT_ERROR_BYTES];
	struct tls_link *link;
	int r;

	tcp_peer_name(fd, peer);
	tcp_tune(fd, tl->ep.ch->cfg->endpoint.peer_timeout_s);
	if (!tl->tls) {
		take_tcp_client(tl, peer, fd);
		return;
	}
	if (is_place_taken(tl) || tls_n_links(tl->tls) >= MAX_LINKS) {
		tl->refused++;
		close(fd);
		return;
	}
	if (tls_check(tl->tls, why)) {
		tl->handshakes_failed++;
		tcp_listen_complain(tl, peer, why);
		close(fd);
		return;
	}
	r = tls_link_new(&link, tl->tls, fd);
	if (r)
		tcp_listen_complain(tl, peer, strerror(-r));
}

static void listen_link_opened(void *arg, struct tls_link *link, int fd)
{
	take_tcp_client(arg, tls_link_peer(link), fd);
}

static void listen_link_failed(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_listen *tl = arg;

	tl->handshakes_failed++;
	tcp_listen_complain(tl, tls_link_peer(link), why);
}

static void listen_link_torn(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_listen *tl = arg;
	char text[ENDPOINT_ERROR_BYTES];

	tl->torn++;
	tl->client.cut_off = stream_is_open(&tl->client);
	snprintf(text, sizeof(text), "torn: %s; what came may not be all", why);
	tcp_listen_complain(tl, tls_link_peer(link), text);
}

const struct tls_ops tcp_listen_tls_ops = { listen_link_opened, listen_link_failed,
					    listen_link_torn };
