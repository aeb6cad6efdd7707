// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_connect.c - connects to a TCP socket, with TLS if that is configured
 *
 * dial.c says when, stream.c what follows. An attempt looks the host up, tries its addresses one after
 * the other, and makes the TLS handshake. Each step has a time limit, so an attempt comes to an end.
 * Without TLS only addresses of this machine are tried, whatever name is configured.
 *
 * A TCP peer that has closed looks like one that has only ended its direction, until something is sent
 * to it (RFC 9293, section 3.6).
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/stream/dial.h"
#include "endpoint/stream/resolver.h"
#include "endpoint/tls/tls.h"
#include "util/fd.h"
#include "util/sandbox.h"

#define CONNECT_S 5 /* so long an address may take to answer */

/**
 * struct tcp_connect - endpoint
 * @ep: common part
 * @dial: the connection
 * @target: what is configured; borrowed
 * @address: the same, read
 * @resolver: looks the host up
 * @tls: credentials and encrypted connections; NULL: none
 * @list: the host's addresses, while they are tried
 * @at: the one that is tried
 * @fd: a socket that connects; -1: none
 * @ev: tells when it has, or has taken too long
 * @link: a handshake; NULL: none
 * @why: why the last address did not work
 * @handshakes_failed: as in struct endpoint_info
 * @torn: likewise
 */
struct tcp_connect {
	struct endpoint ep;
	struct dial dial;
	const char *target;
	struct address address;
	struct resolver resolver;
	struct tls *tls;
	struct addrinfo *list, *at;
	int fd;
	struct event *ev;
	struct tls_link *link;
	char why[ENDPOINT_ERROR_BYTES];
	uint64_t handshakes_failed, torn;
};

/* Nothing of an attempt is left */
static void end_attempt(void *arg)
{
	struct tcp_connect *tc = arg;

	resolver_stop(&tc->resolver);
	if (tc->list)
		freeaddrinfo(tc->list);
	tc->list = tc->at = NULL;
	if (tc->ev)
		event_free(tc->ev);
	tc->ev = NULL;
	tc->fd = fd_close(tc->fd);
	if (tc->link)
		tls_link_free(tc->link);
	tc->link = NULL;
}

static void fail_attempt(struct tcp_connect *tc)
{
	end_attempt(tc);
	dial_failed(&tc->dial, "tcp-connect: %s: %s", tc->target, tc->why);
}

/* Keep why the present address did not work */
static void note_address(struct tcp_connect *tc, const char *why)
{
	char name[TCP_NAME_BYTES];

	tcp_name(tc->at->ai_addr, tc->at->ai_addrlen, name);
	if (!strcmp(name, tc->target))
		snprintf(tc->why, sizeof(tc->why), "%s", why);
	else
		snprintf(tc->why, sizeof(tc->why), "%s: %s", name, why);
}

static void note_error(struct tcp_connect *tc, int error)
{
	char why[ENDPOINT_ERROR_BYTES];

	snprintf(why, sizeof(why), "%s%s", strerror(error), sandbox_network_hint(error));
	note_address(tc, why);
}

static void address_connected(struct tcp_connect *tc)
{
	int r, fd = tc->fd;

	tc->fd = -1;
	tcp_tune(fd, tc->ep.ch->cfg->endpoint.peer_timeout_s);
	if (!tc->tls) {
		end_attempt(tc);
		dial_connected(&tc->dial, fd);
		return;
	}
	r = tls_link_new(&tc->link, tc->tls, fd);
	if (r) {
		note_address(tc, strerror(-r));
		fail_attempt(tc);
	}
}

static void try_next_address(struct tcp_connect *tc);

static void on_address_answer(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_connect *tc = arg;
	int error = ETIMEDOUT;
	socklen_t bytes = sizeof(error);

	event_free(tc->ev);
	tc->ev = NULL;
	if (what & EV_WRITE)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (!error) {
		address_connected(tc);
		return;
	}
	note_error(tc, error);
	tc->fd = fd_close(tc->fd);
	tc->at = tc->at->ai_next;
	try_next_address(tc);
}

/* Return: true when it has begun to connect */
static bool try_this_address(struct tcp_connect *tc)
{
	const struct timeval limit = { .tv_sec = CONNECT_S };

	if (!tc->tls && !tcp_is_loopback(tc->at->ai_addr)) {
		note_address(tc, "it is not a loopback address, so it needs \"tls\"");
		return false;
	}
	tc->fd = tcp_connect_to(tc->at);
	if (tc->fd < 0) {
		note_error(tc, -tc->fd);
		return false;
	}
	tc->ev = event_new(loop_base(tc->ep.ch->loop), tc->fd, EV_WRITE, on_address_answer, tc);
	if (tc->ev && !event_add(tc->ev, &limit))
		return true;
	note_address(tc, strerror(ENOMEM));
	tc->fd = fd_close(tc->fd);
	return false;
}

/* The present address, and the next ones until one begins to connect */
static void try_next_address(struct tcp_connect *tc)
{
	while (tc->at && !try_this_address(tc))
		tc->at = tc->at->ai_next;
	if (!tc->at)
		fail_attempt(tc);
}

static void connect_host_resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_connect *tc = arg;

	tc->list = tc->at = list;
	if (!list)
		snprintf(tc->why, sizeof(tc->why), "%s: %s%s", tc->address.host, why,
			 sandbox_network_hint(0));
	try_next_address(tc);
}

static void try_tcp_connect(void *arg)
{
	struct tcp_connect *tc = arg;

	if (tc->tls && tls_check(tc->tls, tc->why)) {
		tc->handshakes_failed++;
		fail_attempt(tc);
		return;
	}
	resolver_start(&tc->resolver);
}

static const struct dial_ops tcp_dial_ops = { .attempt = try_tcp_connect, .abort = end_attempt };

static void connect_link_opened(void *arg, struct tls_link *link, int fd)
{
	struct tcp_connect *tc = arg;

	tc->link = NULL; /* it lives on by itself, until the stream has closed */
	end_attempt(tc);
	dial_connected(&tc->dial, fd);
}

static void connect_link_failed(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_connect *tc = arg;

	tc->handshakes_failed++;
	tc->link = NULL;
	note_address(tc, why);
	fail_attempt(tc);
}

static void connect_link_torn(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_connect *tc = arg;
	char text[ENDPOINT_ERROR_BYTES];

	tc->torn++;
	tc->dial.stream.cut_off = stream_is_open(&tc->dial.stream);
	snprintf(text, sizeof(text), "tcp-connect: %s: torn: %s; what came may not be all",
		 tls_link_peer(link), why);
	dial_note(&tc->dial, text);
	channel_log(tc->ep.ch, LOG_LEVEL_WARNING, "%s", text);
}

/* A hook of the stream, so @arg is its dial */
static void tear_connect_tls(void *arg, int fd)
{
	const struct dial *d = arg;
	struct tcp_connect *tc = d->arg;

	tls_tear(tc->tls, fd);
}

static const struct tls_ops connect_tls_ops = { connect_link_opened, connect_link_failed,
						connect_link_torn };

static void tcp_connect_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct tcp_connect *tc = (const struct tcp_connect *)ep;

	*info = (struct endpoint_info){
		.handshakes_failed = tc->handshakes_failed,
		.torn = tc->torn,
	};
	dial_info(&tc->dial, info);
}

static void tcp_connect_close(struct endpoint *ep)
{
	dial_close(&((struct tcp_connect *)ep)->dial);
}

static bool tcp_connect_is_busy(const struct endpoint *ep)
{
	const struct tcp_connect *tc = (const struct tcp_connect *)ep;

	return stream_is_open(&tc->dial.stream) || (tc->tls && tls_n_links(tc->tls));
}

static void tcp_connect_free(struct endpoint *ep)
{
	struct tcp_connect *tc = (struct tcp_connect *)ep;

	dial_deinit(&tc->dial);
	end_attempt(tc);
	resolver_deinit(&tc->resolver);
	tls_free(tc->tls);
	free(tc);
}

/* Missing files are reported at the first attempt; they may come until then */
static int tcp_connect_new(struct endpoint **out, const struct endpoint_config *cfg,
			   struct channel *ch)
{
	struct tcp_connect *tc = calloc(1, sizeof(*tc));
	int r;

	if (!tc)
		return -ENOMEM;
	tc->ep.ops = &endpoint_tcp_connect;
	tc->ep.ch = ch;
	tc->target = cfg->address;
	tc->fd = -1;
	tc->resolver = (struct resolver){
		.loop = ch->loop, .address = &tc->address, .done = connect_host_resolved, .arg = tc
	};
	r = address_parse(&tc->address, cfg->address) ? -EINVAL : 0;
	if (!r && cfg->tls)
		r = tls_new(&tc->tls, ch, cfg, cfg->tls_name ? cfg->tls_name : tc->address.host,
			    false, &connect_tls_ops, tc);
	if (!r)
		r = dial_init(&tc->dial, ch, cfg->address, &tcp_dial_ops, tc);
	tc->dial.stream.tear = cfg->tls ? tear_connect_tls : NULL;
	if (r) {
		tcp_connect_free(&tc->ep);
		return r;
	}
	*out = &tc->ep;
	return 0;
}

const struct endpoint_ops endpoint_tcp_connect = {
	.type = ENDPOINT_TCP_CONNECT,
	.new = tcp_connect_new,
	.info = tcp_connect_info,
	.close = tcp_connect_close,
	.is_busy = tcp_connect_is_busy,
	.free = tcp_connect_free,
};
