// SPDX-License-Identifier: BSD-3-Clause
/*
 * mux_board.c - the endpoint mux-listen: as unix-listen, with a socket that several channels share
 *
 * The socket cannot be left alone when one channel's backlog is full, since the others go on. So a client
 * for which there is no place is dropped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "endpoint/sessions/mux.h"

/* The socket's buffer is empty, so all of it fits; a client that has left is noticed by the stream */
static void say_ok(struct board *board, struct channel *ch, int fd)
{
	char line[sizeof("OK 65535\n")];
	int bytes =
		snprintf(line, sizeof(line), "OK %u\n", mux_next_port((struct mux_board *)board));

	if (send(fd, line, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT) != bytes)
		shutdown(fd, SHUT_RDWR);
}

static void backlog_is_full(struct backlog *b, bool yes)
{
}

static int open_mux(struct endpoint *ep, struct channel *ch, uint32_t flags,
		    struct endpoint **session)
{
	return backlog_open(&((struct mux_board *)ep)->backlog, ch, flags, session);
}

static void mux_board_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct mux_board *mb = (const struct mux_board *)ep;

	*info = (struct endpoint_info){ .path_lost = mux_is_lost(mb), .refused = mb->refused };
	board_info(&mb->board, info);
}

static void mux_board_reloaded(struct endpoint *ep)
{
	mux_reloaded((struct mux_board *)ep);
}

static void mux_board_free(struct endpoint *ep)
{
	struct mux_board *mb = (struct mux_board *)ep;

	backlog_deinit(&mb->backlog);
	mux_leave(mb);
	board_leave(&mb->board);
}

static int mux_board_new(struct endpoint **out, const struct endpoint_config *cfg,
			 struct channel *ch)
{
	struct mux_board *mb = calloc(1, sizeof(*mb));
	int r;

	if (!mb)
		return -ENOMEM;
	board_init(&mb->board, &sessions_mux_listen, ch);
	mb->board.greet = say_ok;
	r = backlog_init(&mb->backlog, &mb->board, backlog_is_full);
	if (!r)
		r = mux_join(mb);
	if (r)
		mux_board_free(&mb->board.ep);
	else
		*out = &mb->board.ep;
	return r;
}

const struct endpoint_ops sessions_mux_listen = {
	.type = ENDPOINT_MUX_LISTEN,
	.new = mux_board_new,
	.open = open_mux,
	.info = mux_board_info,
	.reloaded = mux_board_reloaded,
	.free = mux_board_free,
};
