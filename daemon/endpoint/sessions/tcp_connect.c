// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_connect.c - the endpoint tcp-connect with sessions
 *
 * Each session makes one attempt. The host is looked up once for all sessions that want to know it at
 * the same time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/sessions/session.h"
#include "endpoint/stream/resolver.h"
#include "endpoint/stream/tcp_attempt.h"
#include "util/sandbox.h"

/**
 * struct tcp_connect_board - endpoint
 * @board: common part
 * @target: what is configured; borrowed
 * @address: the same, read
 * @resolver: looks the host up
 * @tls: credentials; NULL: none
 */
struct tcp_connect_board {
	struct board board;
	const char *target;
	struct address address;
	struct resolver resolver;
	struct tls *tls;
};

/**
 * struct tcp_session - a session
 * @s: common part
 * @attempt: its attempt
 * @is_resolving: it waits for the host's addresses
 * @is_opening: its OPEN is being served
 * @refusal: (with @is_opening) it was refused
 */
struct tcp_session {
	struct session s;
	struct tcp_attempt attempt;
	bool is_resolving, is_opening;
	enum okl4_status refusal;
};

static struct tcp_connect_board *board_of(const struct tcp_session *ts)
{
	return (struct tcp_connect_board *)ts->s.board;
}

static void refuse_tcp_session(struct tcp_session *ts, enum okl4_status status)
{
	ts->s.board->failed++;
	if (ts->is_opening)
		ts->refusal = status;
	else
		session_refuse(&ts->s, status);
}

static void session_attempt_connected(void *arg, int fd)
{
	struct tcp_session *ts = arg;

	session_connect(&ts->s, fd);
}

static void session_attempt_failed(void *arg)
{
	struct tcp_session *ts = arg;

	board_note(ts->s.board, "tcp-connect: %s: %s", board_of(ts)->target, ts->attempt.why);
	refuse_tcp_session(ts, ts->attempt.timed_out ? OKL4_CONNECTION_TIMEOUT :
						       OKL4_CONNECTION_REFUSED);
}

static void session_link_opened(void *arg, struct tls_link *link, int fd)
{
	struct tcp_session *ts = arg;

	tcp_attempt_link_opened(&ts->attempt, fd);
}

static void session_link_failed(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_session *ts = arg;

	ts->s.board->handshakes_failed++;
	tcp_attempt_link_failed(&ts->attempt, why);
}

static void session_link_torn(void *arg, struct tls_link *link, const char *why)
{
	struct tcp_session *ts = arg;

	session_torn(&ts->s, tls_link_peer(link), why);
}

static const struct tls_ops tcp_session_tls_ops = { session_link_opened, session_link_failed,
						    session_link_torn };

static void cancel_attempt(struct session *s)
{
	struct tcp_session *ts = (struct tcp_session *)s;

	ts->is_resolving = false;
	tcp_attempt_end(&ts->attempt);
}

static void session_host_resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_connect_board *tb = arg;
	struct tcp_addresses *addresses = list ? tcp_addresses_new(list) : NULL;
	struct session *s, *after;

	if (!addresses)
		board_note(&tb->board, "tcp-connect: %s: %s: %s%s", tb->target, tb->address.host,
			   list ? strerror(ENOMEM) : why, sandbox_network_hint(0));
	for (s = TAILQ_FIRST(&tb->board.waiting); s; s = after) {
		struct tcp_session *ts = (struct tcp_session *)s;

		after = TAILQ_NEXT(s, next);
		if (!ts->is_resolving)
			continue;
		ts->is_resolving = false;
		if (addresses)
			tcp_attempt_start(&ts->attempt, addresses);
		else
			refuse_tcp_session(ts, OKL4_CONNECTION_REFUSED);
	}
	tcp_addresses_let_go(addresses);
}

/* Return: 0 or -errno */
static int give_credentials(struct tcp_session *ts)
{
	struct tcp_connect_board *tb = board_of(ts);
	int r;

	if (!tb->tls)
		return 0;
	r = tls_check(tb->tls, ts->attempt.why);
	if (r) {
		tb->board.handshakes_failed++;
		board_note(&tb->board, "tcp-connect: %s: %s", tb->target, ts->attempt.why);
		return r;
	}
	r = tls_share(&ts->s.tls, tb->tls, ts->s.ep.ch, &tcp_session_tls_ops, ts);
	ts->attempt.tls = ts->s.tls;
	return r;
}

static int open_tcp_connect(struct endpoint *ep, struct channel *ch, uint32_t flags,
			    struct endpoint **out)
{
	struct tcp_connect_board *tb = (struct tcp_connect_board *)ep;
	struct tcp_session *ts = (struct tcp_session *)session_new(sizeof(*ts), &tb->board, ch);

	if (!ts)
		return -OKL4_NO_MEMORY;
	ts->attempt = (struct tcp_attempt){ .ch = ch,
					    .target = tb->target,
					    .connected = session_attempt_connected,
					    .failed = session_attempt_failed,
					    .arg = ts,
					    .fd = -1 };
	ts->s.cancel = cancel_attempt;
	ts->is_opening = true;
	session_wait(&ts->s);
	if (give_credentials(ts)) {
		refuse_tcp_session(ts, OKL4_CONNECTION_REFUSED);
	} else {
		ts->is_resolving = true;
		resolver_start(&tb->resolver);
	}
	ts->is_opening = false;
	if (ts->refusal) {
		endpoint_free(&ts->s.ep);
		return -(int)ts->refusal;
	}
	*out = &ts->s.ep;
	return 1;
}

static void tcp_connect_board_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ 0 };
	board_info((const struct board *)ep, info);
}

static void tcp_connect_board_free(struct endpoint *ep)
{
	struct tcp_connect_board *tb = (struct tcp_connect_board *)ep;

	resolver_deinit(&tb->resolver);
	tb->tls = tls_free(tb->tls);
	board_leave(&tb->board);
}

/* Missing files are reported at the first attempt; they may come until then */
static int tcp_connect_board_new(struct endpoint **out, const struct endpoint_config *cfg,
				 struct channel *ch)
{
	struct tcp_connect_board *tb = calloc(1, sizeof(*tb));
	int r;

	if (!tb)
		return -ENOMEM;
	board_init(&tb->board, &sessions_tcp_connect, ch);
	tb->target = cfg->address;
	tb->resolver = (struct resolver){
		.loop = ch->loop, .address = &tb->address, .done = session_host_resolved, .arg = tb
	};
	r = address_parse(&tb->address, cfg->address) ? -EINVAL : 0;
	if (!r && cfg->tls)
		r = tls_new(&tb->tls, ch, cfg, cfg->tls_name ? cfg->tls_name : tb->address.host,
			    false, &tcp_session_tls_ops, NULL);
	if (r)
		tcp_connect_board_free(&tb->board.ep);
	else
		*out = &tb->board.ep;
	return r;
}

const struct endpoint_ops sessions_tcp_connect = {
	.type = ENDPOINT_TCP_CONNECT,
	.new = tcp_connect_board_new,
	.open = open_tcp_connect,
	.info = tcp_connect_board_info,
	.free = tcp_connect_board_free,
};
