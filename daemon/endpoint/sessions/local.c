// SPDX-License-Identifier: BSD-3-Clause
/*
 * local.c - sessions that need nobody on the host: each has an echo, or a discard, of its own
 *
 * All their state is in the guest's memory, so the next daemon makes them anew from it.
 */
#include <errno.h>
#include <stdlib.h>

#include "endpoint/endpoint.h"

static int local_new(struct endpoint **out, const struct endpoint_ops *ops, struct channel *ch)
{
	struct endpoint *board = calloc(1, sizeof(*board));

	if (!board)
		return -ENOMEM;
	board->ops = ops;
	board->ch = ch;
	*out = board;
	return 0;
}

static int echo_board_new(struct endpoint **out, const struct endpoint_config *cfg,
			  struct channel *ch)
{
	return local_new(out, &sessions_echo, ch);
}

static int discard_board_new(struct endpoint **out, const struct endpoint_config *cfg,
			     struct channel *ch)
{
	return local_new(out, &sessions_discard, ch);
}

static int open_echo(struct endpoint *board, struct channel *ch, uint32_t flags,
		     struct endpoint **ep)
{
	return endpoint_echo.new(ep, &ch->cfg->endpoint, ch) ? -OKL4_NO_MEMORY : 0;
}

static int open_discard(struct endpoint *board, struct channel *ch, uint32_t flags,
			struct endpoint **ep)
{
	return endpoint_discard.new(ep, &ch->cfg->endpoint, ch) ? -OKL4_NO_MEMORY : 0;
}

static void local_info(const struct endpoint *board, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ .connected = true };
}

static void local_free(struct endpoint *board)
{
	free(board);
}

const struct endpoint_ops sessions_echo = {
	.type = ENDPOINT_ECHO,
	.new = echo_board_new,
	.open = open_echo,
	.resumes = true,
	.info = local_info,
	.free = local_free,
};

const struct endpoint_ops sessions_discard = {
	.type = ENDPOINT_DISCARD,
	.new = discard_board_new,
	.open = open_discard,
	.resumes = true,
	.info = local_info,
	.free = local_free,
};
