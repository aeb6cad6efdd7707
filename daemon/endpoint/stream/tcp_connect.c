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
#include <stdlib.h>
#include <string.h>

#include "endpoint/stream/dial.h"
#include "endpoint/stream/resolver.h"
#include "endpoint/stream/tcp_attempt.h"
#include "util/sandbox.h"

/**
 * struct tcp_connect - endpoint
 * @ep: common part
 * @dial: the connection
 * @target: what is configured; borrowed
 * @address: the same, read
 * @resolver: looks the host up
 * @tls: credentials and encrypted connections; NULL: none
 * @attempt: the one that is under way
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
	struct tcp_attempt attempt;
	uint64_t handshakes_failed, torn;
};

/* Nothing of an attempt is left */
static void end_attempt(void *arg)
{
	struct tcp_connect *tc = arg;

	resolver_stop(&tc->resolver);
	tcp_attempt_end(&tc->attempt);
}

static void attempt_connected(void *arg, int fd)
{
	struct tcp_connect *tc = arg;

	dial_connected(&tc->dial, fd);
}

static void attempt_failed(void *arg)
{
	struct tcp_connect *tc = arg;

	dial_failed(&tc->dial, "tcp-connect: %s: %s", tc->target, tc->attempt.why);
}

static void connect_host_resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_connect *tc = arg;
	struct tcp_addresses *addresses = list ? tcp_addresses_new(list) : NULL;

	if (!addresses) {
		dial_failed(&tc->dial, "tcp-connect: %s: %s: %s%s", tc->target, tc->address.host,
			    list ? strerror(ENOMEM) : why, sandbox_network_hint(0));
		return;
	}
	tcp_attempt_start(&tc->attempt, addresses);
	tcp_addresses_let_go(addresses);
}

static void try_tcp_connect(void *arg)
{
	struct tcp_connect *tc = arg;

	if (tc->tls && tls_check(tc->tls, tc->attempt.why)) {
		tc->handshakes_failed++;
		attempt_failed(tc);
		return;
	}
	resolver_start(&tc->resolver);
}

static const struct dial_ops tcp_dial_ops = { .attempt = try_tcp_connect, .abort = end_attempt };

static void connect_link_opened(void *arg, struct tls_link *link, int fd)
{
	struct tcp_connect *tc = arg;

	tcp_attempt_link_opened(&tc->attempt, fd);
}

static void connect_link_failed(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_connect *tc = arg;

	tc->handshakes_failed++;
	tcp_attempt_link_failed(&tc->attempt, why);
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
	tc->resolver = (struct resolver){
		.loop = ch->loop, .address = &tc->address, .done = connect_host_resolved, .arg = tc
	};
	r = address_parse(&tc->address, cfg->address) ? -EINVAL : 0;
	if (!r && cfg->tls)
		r = tls_new(&tc->tls, ch, cfg, cfg->tls_name ? cfg->tls_name : tc->address.host,
			    false, &connect_tls_ops, tc);
	tc->attempt = (struct tcp_attempt){ .ch = ch,
					    .target = tc->target,
					    .tls = tc->tls,
					    .connected = attempt_connected,
					    .failed = attempt_failed,
					    .arg = tc,
					    .fd = -1 };
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
