// SPDX-License-Identifier: BSD-3-Clause
/*
 * A session is made when OPEN names sound memory, and is gone with CLOSE, or when its memory is. Its
 * end on the host may fail while that end's own code runs, so it is removed later then, in a turn of
 * its own (struct guest, @reap). The driver hears of that at once, and the id is not given out again
 * before.
 */
#include "guest/sessions.h"

#include <stdlib.h>

#include "guest/attach.h"
#include "guest/bell.h"
#include "guest/leaver.h"
#include "guest/state.h"

bool guest_find_id(const struct guest *g, bool for_session, uint32_t *id)
{
	for (*id = 0; *id < OKL4FS_MAX_CHANNELS; ++*id) {
		if (!g->channel[*id] && !guest_bell_keeps_id(g, *id, for_session))
			return true;
	}
	return false;
}

/* The session's memory has been let go. */
static void drop_session(struct guest *g, struct guest_channel *gc)
{
	struct guest_channel *board = gc->board;
	uint32_t id = gc->ch.id;
	bool lives_on;

	board->sessions.live--;
	board->sessions.waiting -= gc->is_waiting;
	guest_bell_forget(g, id);
	guest_id_free(g, id);
	lives_on = guest_leaver_add(gc, g);
	if (!lives_on)
		channel_give_up(&gc->ch, "they were not taken before the session ended");
	channel_add_counters(&board->ch, &gc->ch);
	if (!lives_on)
		guest_channel_free(gc);
}

static void end_session(struct guest *g, struct guest_channel *gc)
{
	gc->is_quiet = true;
	channel_detach(&gc->ch);
	drop_session(g, gc);
}

static void reap_sessions(void *arg)
{
	struct guest *g = arg;

	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = g->channel[id];

		if (gc && gc->board && gc->is_over)
			end_session(g, gc);
	}
}

void guest_sessions_init(struct guest *g)
{
	g->reap = (struct loop_task){ .fn = reap_sessions, .arg = g };
}

/* Return: the session of @board with that memory; NULL: there is none */
static struct guest_channel *find_session(const struct guest *g, const struct guest_channel *board,
					  uint64_t instance)
{
	for (uint32_t id = 0; id < g->n_ids && board->sessions.live; id++) {
		struct guest_channel *gc = guest_session_of(g, id);

		if (gc && gc->board == board && gc->ch.instance == instance)
			return gc;
	}
	return NULL;
}

static struct guest_channel *make_session(struct guest *g, struct guest_channel *board, uint32_t id)
{
	struct guest_channel *gc = calloc(1, sizeof(*gc));

	if (!gc || config_channel_copy(&gc->cfg, &board->cfg)) {
		free(gc);
		return NULL;
	}
	gc->generation = g->generation[id];
	gc->board = board;
	gc->is_quiet = gc->is_settled = true;
	channel_init(&gc->ch, &gc->cfg, g->cfg.name, id, g->worker, &guest_bell_ops, g);
	channel_set_session(&gc->ch, &board->ch);
	gc->ch.budget = &g->tails;
	g->channel[id] = gc;
	if (id >= g->n_ids)
		g->n_ids = id + 1;
	board->sessions.live++;
	if (board->sessions.live > board->sessions.peak)
		board->sessions.peak = board->sessions.live;
	return gc;
}

/* Memory first: nothing of the host is called for memory that is not sound. */
static int begin_session(struct guest *g, struct guest_channel *gc, const struct attachment *att,
			 uint32_t flags)
{
	struct endpoint *ep = gc->board->endpoint;
	int r = guest_attach_take(g, gc, att);

	if (r)
		return r;
	r = ep->ops->open(ep, &gc->ch, flags, &gc->endpoint);
	if (r < 0)
		return r;
	gc->is_waiting = r;
	channel_begin(&gc->ch);
	if (gc->ch.state == CHANNEL_FAILED)
		return -(int)gc->ch.failed_status;
	gc->board->sessions.waiting += gc->is_waiting;
	gc->board->sessions.opened += !gc->is_waiting;
	gc->is_quiet = false;
	return 0;
}

static int new_session(struct guest *g, struct guest_channel *board, const struct wire_attach *req,
		       const struct guest_channel **out)
{
	struct guest_channel *gc;
	struct attachment att;
	uint32_t id;
	int r;

	if (req->flags & OKL4FS_OPEN_RESUME && !board->endpoint->ops->resumes)
		return -OKL4_CONNECTION_RESET;
	if (board->sessions.live >= board->cfg.sessions || !guest_find_id(g, true, &id))
		return -OKL4_SESSIONS_FULL;
	r = guest_attach_check(g, NULL, req, board->cfg.ring_bytes, &att);
	if (r)
		return r;
	gc = make_session(g, board, id);
	if (!gc) {
		attachment_drop(&att);
		return -OKL4_NO_MEMORY;
	}
	r = begin_session(g, gc, &att, req->flags);
	if (!r) {
		*out = gc;
		return 0;
	}
	gc->is_waiting = false; /* which was not counted */
	end_session(g, gc);
	return r;
}

/* The driver's memory was away, or it does not know whether its OPEN was served. */
static int resume_session(struct guest *g, struct guest_channel *gc, const struct wire_attach *req)
{
	struct attachment att;
	int r;

	gc->is_settled = true;
	if (gc->ch.state == CHANNEL_ATTACHED)
		return 0;
	r = guest_attach_check(g, gc, req, gc->cfg.ring_bytes, &att);
	if (r)
		return r;
	gc->is_quiet = true;
	r = guest_attach_take(g, gc, &att);
	gc->is_quiet = false;
	if (!r)
		return 0;
	end_session(g, gc);
	return r;
}

int guest_session_open(struct guest *g, const struct wire_attach *req,
		       const struct guest_channel **out)
{
	struct guest_channel *board = guest_channel_of(g, req->channel), *gc;
	int r;

	if (!board || board->generation != req->generation)
		return -OKL4_NO_CHANNEL;
	if (!board->cfg.sessions)
		return -OKL4_REQ_SESSION;
	gc = find_session(g, board, req->instance);
	if (gc) {
		*out = gc;
		return resume_session(g, gc, req);
	}
	r = new_session(g, board, req, out);
	board->sessions.refused += r < 0;
	return r;
}

int guest_session_close(struct guest *g, uint32_t id, uint32_t generation)
{
	struct guest_channel *gc = guest_session_of(g, id);

	if (!gc || gc->generation != generation)
		return -OKL4_NO_CHANNEL;
	end_session(g, gc);
	return 0;
}

bool guest_session_is_outcome(uint16_t type, int status)
{
	/* A session may end on the host while its CLOSE is on the way. */
	if (type == OKL4FS_REQ_CLOSE)
		return status == -OKL4_NO_CHANNEL;
	if (type != OKL4FS_REQ_OPEN)
		return false;
	switch (-status) {
	case OKL4_NO_CHANNEL:
	case OKL4_SESSIONS_FULL:
	case OKL4_NO_CLIENT:
	case OKL4_CONNECTION_REFUSED:
	case OKL4_CONNECTION_TIMEOUT:
	case OKL4_CONNECTION_RESET:
		return true;
	}
	return false;
}

void guest_sessions_unsettle(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		if (g->channel[id])
			g->channel[id]->is_settled = false;
	}
}

/* The memory of @gc does not come back. */
static void leave_session(struct guest *g, struct guest_channel *gc)
{
	gc->is_quiet = true;
	channel_guest_gone(&gc->ch);
	drop_session(g, gc);
}

/* What a former daemon's sessions have left, and no driver has taken up, is nobody's. */
static void tell_boards_settled(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids && g->last_driver; id++) {
		struct guest_channel *gc = guest_channel_of(g, id);

		if (gc && gc->endpoint->ops->settled)
			gc->endpoint->ops->settled(gc->endpoint);
	}
}

void guest_sessions_settle(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = guest_session_of(g, id);

		if (gc && !gc->is_settled)
			leave_session(g, gc);
	}
	tell_boards_settled(g);
}

void guest_sessions_guest_gone(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = g->channel[id];

		if (gc && gc->board)
			leave_session(g, gc);
	}
	tell_boards_settled(g);
}

void guest_sessions_remove(struct guest *g, struct guest_channel *board, enum okl4_status status)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = g->channel[id];
		uint64_t instance = gc ? gc->ch.instance : 0;
		bool is_over;

		if (!gc || gc->board != board)
			continue;
		is_over = gc->is_over; /* the driver has been told */
		if (status == OKL4_CHANNEL_RESET) {
			gc->is_quiet = true;
			channel_reset(&gc->ch);
		}
		end_session(g, gc);
		if (!is_over)
			guest_bell_tell_failed(g, id, instance, status);
	}
}

void guest_sessions_leave(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = g->channel[id];

		if (gc && gc->board)
			end_session(g, gc);
	}
}

void guest_sessions_end(struct guest *g)
{
	loop_cancel(g->worker, &g->reap);
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = g->channel[id];

		if (!gc || !gc->board)
			continue;
		g->channel[id] = NULL;
		guest_channel_free(gc);
	}
}
