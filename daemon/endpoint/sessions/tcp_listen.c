// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp_listen.c - the endpoint tcp-listen with sessions
 *
 * With TLS, a connection becomes a client when both ends trust one another. Handshakes that are under
 * way have a place each, as clients that wait for a session have, so there are never more of both than
 * SESSION_BACKLOG.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "endpoint/sessions/backlog.h"
#include "endpoint/stream/tcp_place.h"

struct tcp_listen_board;

/* A handshake */
struct shaking {
	LIST_ENTRY(shaking) next; /* in @shaking of the board, or in @failed */
	struct tcp_listen_board *board;
	struct tls *tls;
};

/**
 * struct tcp_listen_board - endpoint
 * @board: common part
 * @backlog: clients that wait
 * @place: where they come
 * @tls: credentials; NULL: none
 * @shaking: handshakes
 * @n_shaking: how many
 * @failed: those that have failed; their links are still in use when that is known
 * @bury: frees them
 */
struct tcp_listen_board {
	struct board board;
	struct backlog backlog;
	struct tcp_place place;
	struct tls *tls;
	LIST_HEAD(, shaking) shaking, failed;
	unsigned int n_shaking;
	struct loop_task bury;
};

static void look_at_places(struct tcp_listen_board *tb)
{
	tcp_place_pause(&tb->place, tb->backlog.n + tb->n_shaking >= SESSION_BACKLOG);
}

static void tcp_backlog_full(struct backlog *b, bool yes)
{
	look_at_places((struct tcp_listen_board *)b->board);
}

static void end_shaking(struct shaking *sh)
{
	LIST_REMOVE(sh, next);
	sh->board->n_shaking--;
}

static void board_link_opened(void *arg, struct tls_link *link, int fd)
{
	struct shaking *sh = arg;
	struct tcp_listen_board *tb = sh->board;
	struct tls *tls = sh->tls;

	end_shaking(sh);
	free(sh);
	backlog_come(&tb->backlog, fd, tls);
	look_at_places(tb);
}

static void board_link_failed(void *arg, struct tls_link *link, const char *why)
{
	struct shaking *sh = arg;
	struct tcp_listen_board *tb = sh->board;

	tb->board.handshakes_failed++;
	board_note(&tb->board, "tcp-listen: %s: %s", tls_link_peer(link), why);
	end_shaking(sh);
	LIST_INSERT_HEAD(&tb->failed, sh, next);
	loop_schedule(tb->board.ep.ch->loop, &tb->bury);
	look_at_places(tb);
}

static const struct tls_ops board_tls_ops = { .opened = board_link_opened,
					      .failed = board_link_failed };

static void bury_failed(void *arg)
{
	struct tcp_listen_board *tb = arg;
	struct shaking *sh;

	while ((sh = LIST_FIRST(&tb->failed))) {
		LIST_REMOVE(sh, next);
		tls_free(sh->tls);
		free(sh);
	}
}

/* Return: 0 or -errno, and then @fd is still the caller's */
static int shake_hands_with(struct tcp_listen_board *tb, int fd)
{
	struct shaking *sh = calloc(1, sizeof(*sh));
	struct tls_link *link;
	int r;

	if (!sh)
		return -ENOMEM;
	sh->board = tb;
	r = tls_share(&sh->tls, tb->tls, tb->board.ep.ch, &board_tls_ops, sh);
	if (r) {
		free(sh);
		return r;
	}
	r = tls_link_new(&link, sh->tls, fd);
	if (!r) {
		LIST_INSERT_HEAD(&tb->shaking, sh, next);
		tb->n_shaking++;
		return 0;
	}
	tls_free(sh->tls);
	free(sh);
	board_note(&tb->board, "tcp-listen: a client is dropped: %s", strerror(-r));
	return 0;
}

static void tcp_client_came(void *arg, int fd)
{
	struct tcp_listen_board *tb = arg;
	char peer[TCP_NAME_BYTES], why[ENDPOINT_ERROR_BYTES];
	int r;

	tcp_peer_name(fd, peer);
	tcp_tune(fd, tb->board.ep.ch->cfg->endpoint.peer_timeout_s);
	if (!tb->tls) {
		backlog_come(&tb->backlog, fd, NULL);
		return;
	}
	if (tls_check(tb->tls, why)) {
		tb->board.handshakes_failed++;
		board_note(&tb->board, "tcp-listen: %s: %s", peer, why);
		close(fd);
		return;
	}
	r = shake_hands_with(tb, fd);
	if (r) {
		board_note(&tb->board, "tcp-listen: %s: %s", peer, strerror(-r));
		close(fd);
	}
	look_at_places(tb);
}

static int open_tcp_listen(struct endpoint *ep, struct channel *ch, uint32_t flags,
			   struct endpoint **session)
{
	return backlog_open(&((struct tcp_listen_board *)ep)->backlog, ch, flags, session);
}

static void tcp_listen_board_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ 0 };
	board_info((const struct board *)ep, info);
}

static void tcp_listen_board_free(struct endpoint *ep)
{
	struct tcp_listen_board *tb = (struct tcp_listen_board *)ep;
	struct shaking *sh;

	while ((sh = LIST_FIRST(&tb->shaking))) {
		end_shaking(sh);
		LIST_INSERT_HEAD(&tb->failed, sh, next);
	}
	bury_failed(tb);
	loop_cancel(ep->ch->loop, &tb->bury);
	backlog_deinit(&tb->backlog);
	tcp_place_deinit(&tb->place);
	tb->tls = tls_free(tb->tls);
	board_leave(&tb->board);
}

static int begin_tcp_board(struct tcp_listen_board *tb, const struct endpoint_config *cfg)
{
	char why[ENDPOINT_ERROR_BYTES];
	int r = backlog_init(&tb->backlog, &tb->board, tcp_backlog_full);

	if (!r && cfg->tls)
		r = tls_new(&tb->tls, tb->board.ep.ch, cfg, cfg->tls_name, true, &board_tls_ops,
			    NULL);
	if (!r)
		r = tcp_place_listen(&tb->place);
	/* The files may come until a client connects, but if they are missing, say so now. */
	if (!r && tb->tls && tls_check(tb->tls, why))
		board_note(&tb->board, "tcp-listen: %s: %s", cfg->address, why);
	return r;
}

static int tcp_listen_board_new(struct endpoint **out, const struct endpoint_config *cfg,
				struct channel *ch)
{
	struct tcp_listen_board *tb = calloc(1, sizeof(*tb));
	int r;

	if (!tb)
		return -ENOMEM;
	board_init(&tb->board, &sessions_tcp_listen, ch);
	tb->bury = (struct loop_task){ .fn = bury_failed, .arg = tb };
	tb->place = (struct tcp_place){ .ch = ch,
					.target = cfg->address,
					.error = tb->board.error,
					.has_tls = cfg->tls,
					.come = tcp_client_came,
					.arg = tb };
	r = begin_tcp_board(tb, cfg);
	if (r)
		tcp_listen_board_free(&tb->board.ep);
	else
		*out = &tb->board.ep;
	return r;
}

const struct endpoint_ops sessions_tcp_listen = {
	.type = ENDPOINT_TCP_LISTEN,
	.new = tcp_listen_board_new,
	.open = open_tcp_listen,
	.info = tcp_listen_board_info,
	.free = tcp_listen_board_free,
};
