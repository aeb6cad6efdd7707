// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_connect.c - connects to a TCP socket, with TLS if that is configured
 *
 * dial.c says when, stream.c what follows. An attempt looks the host up, tries its addresses one after
 * the other, and shakes hands. Each step has a limit, so an attempt comes to an end. Without TLS only
 * addresses of this machine are tried, whatever the name is said to be.
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

#define CONNECT_S 5 /* an address may take so long to answer */

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
 * @why: why the last address was no good
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

/**
 * let_go() - nothing of an attempt is left
 * @arg: endpoint
 */
static void let_go(void *arg)
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

/**
 * give_up() - the attempt has failed
 * @tc: endpoint
 */
static void give_up(struct tcp_connect *tc)
{
	let_go(tc);
	dial_failed(&tc->dial, "tcp-connect: %s: %s", tc->target, tc->why);
}

/**
 * note() - why the present address is no good
 * @tc: endpoint
 * @why: why
 */
static void note(struct tcp_connect *tc, const char *why)
{
	char name[TCP_NAME_BYTES];

	tcp_name(tc->at->ai_addr, tc->at->ai_addrlen, name);
	if (!strcmp(name, tc->target))
		snprintf(tc->why, sizeof(tc->why), "%s", why);
	else
		snprintf(tc->why, sizeof(tc->why), "%s: %s", name, why);
}

/**
 * connected() - an address has answered
 * @tc: endpoint
 */
static void connected(struct tcp_connect *tc)
{
	int r, fd = tc->fd;

	tc->fd = -1;
	tcp_tune(fd);
	if (!tc->tls) {
		let_go(tc);
		dial_connected(&tc->dial, fd);
		return;
	}
	r = tls_link_new(&tc->link, tc->tls, fd);
	if (r) {
		note(tc, strerror(-r));
		give_up(tc);
	}
}

static void try_next(struct tcp_connect *tc);

/**
 * on_answer() - an address has answered, or does not
 * @fd: the socket
 * @what: EV_WRITE or EV_TIMEOUT
 * @arg: endpoint
 */
static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_connect *tc = arg;
	int error = ETIMEDOUT;
	socklen_t bytes = sizeof(error);

	event_free(tc->ev);
	tc->ev = NULL;
	if (what & EV_WRITE)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (!error) {
		connected(tc);
		return;
	}
	note(tc, strerror(error));
	tc->fd = fd_close(tc->fd);
	tc->at = tc->at->ai_next;
	try_next(tc);
}

/**
 * try_this() - begin to connect to the present address
 * @tc: endpoint
 *
 * Return: true when it has begun.
 */
static bool try_this(struct tcp_connect *tc)
{
	const struct timeval limit = { .tv_sec = CONNECT_S };

	if (!tc->tls && !tcp_is_loopback(tc->at->ai_addr)) {
		note(tc, "it is no loopback address, so it needs \"tls\"");
		return false;
	}
	tc->fd = tcp_connect_to(tc->at);
	if (tc->fd < 0) {
		note(tc, strerror(-tc->fd));
		return false;
	}
	tc->ev = event_new(loop_base(tc->ep.ch->loop), tc->fd, EV_WRITE, on_answer, tc);
	if (tc->ev && !event_add(tc->ev, &limit))
		return true;
	note(tc, strerror(ENOMEM));
	tc->fd = fd_close(tc->fd);
	return false;
}

/**
 * try_next() - try the present address, and the next ones until one begins to connect
 * @tc: endpoint
 */
static void try_next(struct tcp_connect *tc)
{
	while (tc->at && !try_this(tc))
		tc->at = tc->at->ai_next;
	if (!tc->at)
		give_up(tc);
}

/**
 * resolved() - the host's addresses are known
 * @arg: endpoint
 * @list: addresses, or NULL
 * @why: why there are none
 */
static void resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_connect *tc = arg;

	tc->list = tc->at = list;
	if (!list)
		snprintf(tc->why, sizeof(tc->why), "%s: %s", tc->address.host, why);
	try_next(tc);
}

/**
 * attempt() - see struct dial_ops
 * @arg: endpoint
 */
static void attempt(void *arg)
{
	struct tcp_connect *tc = arg;

	if (tc->tls && tls_check(tc->tls, tc->why)) {
		tc->handshakes_failed++;
		give_up(tc);
		return;
	}
	resolver_start(&tc->resolver);
}

static const struct dial_ops dial_ops = { .attempt = attempt, .abort = let_go };

/**
 * opened() - see struct tls_ops
 * @arg: endpoint
 * @link: the link
 * @fd: for the stream
 */
static void opened(void *arg, struct tls_link *link, int fd)
{
	struct tcp_connect *tc = arg;

	tc->link = NULL; /* it lives on by itself, until the stream has closed */
	let_go(tc);
	dial_connected(&tc->dial, fd);
}

/**
 * failed() - see struct tls_ops
 * @arg: endpoint
 * @link: the link
 * @why: a sentence
 */
static void failed(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_connect *tc = arg;

	tc->handshakes_failed++;
	tc->link = NULL;
	note(tc, why);
	give_up(tc);
}

/**
 * torn() - see struct tls_ops
 * @arg: endpoint
 * @link: the link
 * @why: a sentence
 */
static void torn(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_connect *tc = arg;
	char text[ENDPOINT_ERROR_BYTES];

	tc->torn++;
	snprintf(text, sizeof(text), "tcp-connect: %s: torn: %s; what came may not be all",
		 tls_link_peer(link), why);
	dial_note(&tc->dial, text);
	channel_log(tc->ep.ch, LOG_LEVEL_WARNING, "%s", text);
}

/* @arg is the dial: this is a hook of its stream */
static void tear_tls(void *arg, int fd)
{
	const struct dial *d = arg;
	struct tcp_connect *tc = d->arg;

	tls_tear(tc->tls, fd);
}

static const struct tls_ops tls_ops = { opened, failed, torn };

/**
 * tcp_connect_info() - see struct endpoint_ops
 * @ep: endpoint
 * @info: to be filled
 */
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

/**
 * tcp_connect_free() - see struct endpoint_ops
 * @ep: endpoint
 */
static void tcp_connect_free(struct endpoint *ep)
{
	struct tcp_connect *tc = (struct tcp_connect *)ep;

	dial_deinit(&tc->dial);
	let_go(tc);
	resolver_deinit(&tc->resolver);
	tls_free(tc->tls);
	free(tc);
}

/**
 * tcp_connect_new() - see struct endpoint_ops
 * @out: out
 * @cfg: address, and files for TLS
 * @ch: channel
 *
 * Files that are missing are told at the first attempt; they may come until then.
 *
 * Return: 0 or -errno.
 */
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
		.loop = ch->loop, .address = &tc->address, .done = resolved, .arg = tc
	};
	r = address_parse(&tc->address, cfg->address) ? -EINVAL : 0;
	if (!r && cfg->tls)
		r = tls_new(&tc->tls, ch, cfg, cfg->tls_name ? cfg->tls_name : tc->address.host,
			    false, &tls_ops, tc);
	if (!r)
		r = dial_init(&tc->dial, ch, cfg->address, &dial_ops, tc);
	tc->dial.stream.tear = cfg->tls ? tear_tls : NULL;
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
