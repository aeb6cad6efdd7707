// SPDX-License-Identifier: BSD-3-Clause
/*
 * board.c - the endpoint `channel` of a channel that has sessions
 *
 * A session of one guest and one of the other are joined in the order in which they came. What is
 * known of the two lies in a file from then on (couple.h). So the next daemon finds the two again: the
 * sides come one after the other (OPEN with RESUME), and a side that its driver does not resume before
 * SETTLE has ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "endpoint/endpoint.h"
#include "endpoint/joined/couple.h"
#include "endpoint/joined/member.h"

/**
 * struct joined_board - endpoint
 * @ep: common part
 * @member: how the other guest's finds it
 * @waiting: sessions that wait for one of the other guest, the oldest first
 * @side: which of the two this is
 * @n_joined: sessions that are joined now
 * @joins: those that were, so far
 * @is_loaded: the files that a former daemon has left are in the list of couples
 */
struct joined_board {
	struct endpoint ep;
	struct joined_member member;
	TAILQ_HEAD(, half) waiting;
	unsigned int side;
	unsigned int n_joined;
	uint64_t joins;
	bool is_loaded;
};

/**
 * struct half - the host end of a session
 * @ep: common part
 * @board: of its channel; NULL: that has gone
 * @next: in @waiting of the board, while there is no @couple
 * @couple: with which it is joined; NULL: it waits, or has parted
 * @is_waiting: it is in that list
 * @side: as in the board
 */
struct half {
	struct endpoint ep;
	struct joined_board *board;
	TAILQ_ENTRY(half) next;
	struct couple *couple;
	bool is_waiting;
	unsigned int side;
};

static struct couple *find_couple(const struct joined_board *b, uint64_t instance)
{
	struct joined_name name[2];

	joined_member_names(&b->member, name);
	return couple_find(name, b->side, instance);
}

static void load_couples(struct joined_board *b)
{
	struct joined_name name[2];

	if (b->is_loaded)
		return;
	b->is_loaded = true;
	joined_member_names(&b->member, name);
	couple_load_all(name);
}

static void half_up(void *arg, bool fresh)
{
	struct half *h = arg;
	struct couple *c = h->couple;

	if (!c)
		return;
	couple_use(c);
	joined_pair_up(c->pair, h->side);
	couple_let_go(c);
}

static void leave_couple(struct half *h)
{
	struct couple *c = h->couple;
	struct half *other;

	if (!c)
		return;
	other = c->half[!h->side];
	h->couple = NULL;
	c->half[h->side] = NULL;
	c->pair->ch[h->side] = NULL;
	c->pair->up[h->side] = false;
	if (h->board)
		h->board->n_joined--;
	/* What the other one has left would be for this one */
	if (other && other->ep.ch->ending)
		loop_schedule(other->ep.ch->loop, other->ep.ch->ending);
	couple_end_side(c, h->side);
}

static void half_down(void *arg, bool gone)
{
	struct half *h = arg;
	struct couple *c = h->couple;

	if (!c)
		return;
	couple_use(c);
	joined_pair_down(c->pair, h->side, gone);
	if (gone)
		leave_couple(h);
	couple_let_go(c);
}

static void half_woken(void *arg)
{
	struct half *h = arg;
	struct couple *c = h->couple;

	if (!c)
		return;
	couple_use(c);
	joined_pair_woken(c->pair, h->side);
	couple_let_go(c);
}

static const struct channel_endpoint_ops half_channel_ops = {
	.up = half_up,
	.down = half_down,
	.woken = half_woken,
	.delivers = true,
};

static void unwait(struct half *h)
{
	if (h->is_waiting)
		TAILQ_REMOVE(&h->board->waiting, h, next);
	h->is_waiting = false;
}

static void half_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ .connected = ((const struct half *)ep)->couple };
}

static void half_part(struct endpoint *ep)
{
	struct half *h = (struct half *)ep;
	struct couple *c = h->couple;

	unwait(h);
	if (!c)
		return;
	for (int side = 0; side < 2; side++) {
		if (c->half[side])
			c->half[side]->couple = NULL;
	}
	couple_free(c, false);
}

/* From here on the board may go: what is left of the session is between it and its couple. */
static void half_close(struct endpoint *ep)
{
	struct half *h = (struct half *)ep;

	unwait(h);
	if (!channel_has_tail(ep->ch))
		leave_couple(h);
	if (h->couple)
		h->board->n_joined--;
	h->board = NULL;
}

static bool half_is_busy(const struct endpoint *ep)
{
	const struct half *h = (const struct half *)ep;

	return h->couple && channel_has_tail(ep->ch) && h->couple->half[!h->side];
}

static void half_free(struct endpoint *ep)
{
	struct half *h = (struct half *)ep;

	unwait(h);
	leave_couple(h);
	free(h);
}

static const struct endpoint_ops half_ops = {
	.type = ENDPOINT_CHANNEL,
	.info = half_info,
	.part = half_part,
	.close = half_close,
	.is_busy = half_is_busy,
	.free = half_free,
};

static void enter_couple(struct half *h, struct couple *c)
{
	unwait(h);
	h->couple = c;
	c->half[h->side] = h;
	c->pair->ch[h->side] = h->ep.ch;
	h->board->n_joined++;
	h->board->joins++;
}

/* Return: 0: joined to the one that has waited longest; 1: there is none; or a negated okl4_status */
static int join_half(struct half *h, struct joined_board *partner)
{
	struct half *other = partner ? TAILQ_FIRST(&partner->waiting) : NULL;
	struct joined_name name[2];
	struct channel *ch;
	struct couple *c;

	if (!other)
		return 1;
	joined_member_names(&h->board->member, name);
	c = couple_new(name);
	if (!c)
		return -OKL4_NO_MEMORY;
	enter_couple(h, c);
	enter_couple(other, c);
	ch = other->ep.ch;
	if (channel_usable(ch))
		half_up(other, true);
	ch->guest_ops->opened(ch->guest, ch);
	return 0;
}

/* Return: 0, or a negated okl4_status */
static int resume_half(struct half *h)
{
	const struct joined_state *st;
	struct couple *c;

	load_couples(h->board);
	c = find_couple(h->board, h->ep.ch->instance);
	if (!c)
		return -OKL4_CONNECTION_RESET;
	st = &c->pair->file.state;
	/* A daemon that was killed while it joined the two: the other side does not know of it */
	if (!st->instance[!h->side] && !st->way[!h->side].writer_phase) {
		couple_end_side(c, h->side);
		return -OKL4_CONNECTION_RESET;
	}
	enter_couple(h, c);
	return 0;
}

static int open_half(struct endpoint *ep, struct channel *ch, uint32_t flags, struct endpoint **out)
{
	struct joined_board *b = (struct joined_board *)ep;
	struct joined_member *partner = joined_member_partner(&b->member);
	struct half *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -OKL4_NO_MEMORY;
	h->ep = (struct endpoint){ .ops = &half_ops, .ch = ch };
	h->board = b;
	h->side = b->side;
	channel_bind(ch, &half_channel_ops, h);
	r = flags & OKL4FS_OPEN_RESUME ? resume_half(h) :
					 join_half(h, partner ? partner->owner : NULL);
	if (r == 1 && flags & OKL4FS_OPEN_NOWAIT)
		r = -OKL4_NO_CLIENT;
	if (r < 0) {
		endpoint_free(&h->ep);
		return r;
	}
	h->is_waiting = r;
	if (r)
		TAILQ_INSERT_TAIL(&b->waiting, h, next);
	*out = &h->ep;
	return r;
}

/* The guest has no other session of a former daemon */
static void board_settled(struct endpoint *ep)
{
	struct joined_board *b = (struct joined_board *)ep;
	struct couple *c;

	load_couples(b);
	while ((c = find_couple(b, 0)))
		couple_end_side(c, b->side);
}

static void joined_board_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct joined_board *b = (const struct joined_board *)ep;

	*info = (struct endpoint_info){ .connected = b->n_joined, .clients = b->joins };
	joined_member_problem(&b->member, info->error);
}

static void joined_board_part(struct endpoint *ep)
{
	joined_member_part(&((struct joined_board *)ep)->member);
}

/* Also the sessions of a former daemon that are nobody's now */
static void joined_board_removed(struct endpoint *ep)
{
	board_settled(ep);
}

static void joined_board_free(struct endpoint *ep)
{
	struct joined_board *b = (struct joined_board *)ep;

	joined_member_remove(&b->member);
	free(b);
}

static int joined_board_new(struct endpoint **out, const struct endpoint_config *cfg,
			    struct channel *ch)
{
	struct joined_board *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->ep = (struct endpoint){ .ops = &sessions_channel, .ch = ch };
	TAILQ_INIT(&b->waiting);
	r = joined_member_add(&b->member, ch, cfg, true, b);
	if (r) {
		free(b);
		return r;
	}
	b->side = joined_member_side(&b->member);
	*out = &b->ep;
	return 0;
}

const struct endpoint_ops sessions_channel = {
	.type = ENDPOINT_CHANNEL,
	.new = joined_board_new,
	.open = open_half,
	.resumes = true,
	.settled = board_settled,
	.info = joined_board_info,
	.part = joined_board_part,
	.removed = joined_board_removed,
	.free = joined_board_free,
};
