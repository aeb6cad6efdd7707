// SPDX-License-Identifier: BSD-3-Clause
/*
 * unix.c - the endpoints unix-listen and unix-connect, with sessions
 *
 * connect(2) on a unix socket succeeds or fails at once. It also fails when the server's queue is full,
 * where a program would wait; nothing tells when there is a place, so a session tries again, with
 * growing pauses, for some seconds.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include <libfs/checked.h>

#include "endpoint/sessions/backlog.h"
#include "endpoint/stream/unix_attempt.h"
#include "util/clock.h"
#include "util/log.h"

#define QUEUE_WAIT_MIN_MS 2U
#define QUEUE_WAIT_MAX_MS 100U
#define QUEUE_LIMIT_MS    10000U

struct unix_listen_board {
	struct board board;
	struct backlog backlog;
	struct unix_place place;
};

static void pause_place(struct backlog *b, bool yes)
{
	struct unix_listen_board *ub = (struct unix_listen_board *)b->board;

	if (yes)
		listener_pause(&ub->place.listener);
	else
		listener_go_on(&ub->place.listener);
}

static void unix_client_came(void *arg, int fd)
{
	struct unix_listen_board *ub = arg;

	backlog_come(&ub->backlog, fd, NULL);
}

static int open_unix_listen(struct endpoint *ep, struct channel *ch, uint32_t flags,
			    struct endpoint **session)
{
	return backlog_open(&((struct unix_listen_board *)ep)->backlog, ch, flags, session);
}

static void unix_listen_board_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct unix_listen_board *ub = (const struct unix_listen_board *)ep;

	*info = (struct endpoint_info){ .path_lost = unix_place_is_lost(&ub->place) };
	board_info(&ub->board, info);
}

static void unix_listen_board_reloaded(struct endpoint *ep)
{
	struct unix_listen_board *ub = (struct unix_listen_board *)ep;

	unix_place_reloaded(&ub->place);
	if (ub->backlog.n == SESSION_BACKLOG)
		listener_pause(&ub->place.listener);
}

static void unix_listen_board_free(struct endpoint *ep)
{
	struct unix_listen_board *ub = (struct unix_listen_board *)ep;

	backlog_deinit(&ub->backlog);
	unix_place_leave(&ub->place);
	board_leave(&ub->board);
}

static int unix_listen_board_new(struct endpoint **out, const struct endpoint_config *cfg,
				 struct channel *ch)
{
	struct unix_listen_board *ub = calloc(1, sizeof(*ub));
	int r;

	if (!ub)
		return -ENOMEM;
	board_init(&ub->board, &sessions_unix_listen, ch);
	ub->place = endpoint_place(ch, cfg, unix_client_came, ub);
	r = backlog_init(&ub->backlog, &ub->board, pause_place);
	if (!r)
		r = unix_place_listen(&ub->place);
	if (r)
		unix_listen_board_free(&ub->board.ep);
	else
		*out = &ub->board.ep;
	return r;
}

static const char *connect_path(const struct board *board)
{
	return board->ep.ch->cfg->endpoint.path;
}

/* Return: 0: connected; 1: the server's queue is full; or a negated okl4_status */
static int try_to_connect(struct session *s)
{
	bool packets = s->board->ep.ch->cfg->packets;
	const char *path = connect_path(s->board);
	int fd = unix_attempt(path, packets);

	if (fd >= 0)
		return session_connect(s, fd);
	if (fd == -EAGAIN && (!s->until_ms || clock_ms() < s->until_ms))
		return 1;
	s->board->failed++;
	board_note(s->board, "unix-connect: %s: %s", path, unix_attempt_why(fd, packets));
	return fd == -EAGAIN ? -OKL4_CONNECTION_TIMEOUT : -OKL4_CONNECTION_REFUSED;
}

static void plan_next_attempt(struct session *s)
{
	s->wait_ms = s->wait_ms ? (unsigned int)okl4_min(2ULL * s->wait_ms, QUEUE_WAIT_MAX_MS) :
				  QUEUE_WAIT_MIN_MS;
	loop_start_timer(s->timer, s->wait_ms);
}

static void on_attempt_time(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	int r = try_to_connect(s);

	if (r > 0)
		plan_next_attempt(s);
	else if (r < 0)
		session_refuse(s, (enum okl4_status) - r);
}

static int wait_for_place(struct session *s)
{
	s->timer = evtimer_new(loop_base(s->ep.ch->loop), on_attempt_time, s);
	if (!s->timer)
		return -OKL4_NO_MEMORY;
	s->until_ms = clock_ms() + QUEUE_LIMIT_MS;
	session_wait(s);
	plan_next_attempt(s);
	return 1;
}

static int open_unix_connect(struct endpoint *ep, struct channel *ch, uint32_t flags,
			     struct endpoint **out)
{
	struct session *s = session_new(sizeof(*s), (struct board *)ep, ch);
	int r;

	if (!s)
		return -OKL4_NO_MEMORY;
	r = try_to_connect(s);
	if (r > 0)
		r = wait_for_place(s);
	if (r < 0)
		endpoint_free(&s->ep);
	else
		*out = &s->ep;
	return r;
}

static void unix_connect_board_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ 0 };
	board_info((const struct board *)ep, info);
}

static void unix_connect_board_free(struct endpoint *ep)
{
	board_leave((struct board *)ep);
}

static int unix_connect_board_new(struct endpoint **out, const struct endpoint_config *cfg,
				  struct channel *ch)
{
	struct board *board;
	int r = unix_attempt_check(LOG_CHANNEL(ch->guest_name, ch->cfg->name), "unix-connect",
				   cfg->path);

	if (r)
		return r;
	board = calloc(1, sizeof(*board));
	if (!board)
		return -ENOMEM;
	board_init(board, &sessions_unix_connect, ch);
	*out = &board->ep;
	return 0;
}

const struct endpoint_ops sessions_unix_listen = {
	.type = ENDPOINT_UNIX_LISTEN,
	.new = unix_listen_board_new,
	.open = open_unix_listen,
	.info = unix_listen_board_info,
	.reloaded = unix_listen_board_reloaded,
	.free = unix_listen_board_free,
};

const struct endpoint_ops sessions_unix_connect = {
	.type = ENDPOINT_UNIX_CONNECT,
	.new = unix_connect_board_new,
	.open = open_unix_connect,
	.info = unix_connect_board_info,
	.free = unix_connect_board_free,
};
