/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot takes one call on the worker, however many channels are asked for.
 */
#include "guest/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/opener.h"
#include "guest/guest.h"
#include "guest/serial/port.h"
#include "guest/state.h"

/* Arguments and results of a call on the worker */
struct guest_call {
	struct guest *g;
	struct guest_snapshot *guest_snap; /* guest_snapshot() */
	uint32_t from, max; /* guest_channel_snapshots() */
	struct channel_snapshot *list; /* out */
	int n; /* out: entries, or a negated errno */
};

/* A channel with sessions has no memory of its own: it is attached while it has one */
static enum channel_state shown_state(const struct guest_channel *gc)
{
	return gc->sessions.live ? CHANNEL_ATTACHED : gc->ch.state;
}

static void take_guest_snapshot(void *arg)
{
	struct guest_call *c = arg;
	struct guest *g = c->g;

	*c->guest_snap = (struct guest_snapshot){
		.requests = g->stats.requests,
		.refused = g->stats.refused,
		.declined_fuse = g->stats.declined_fuse,
		.dropped_messages = g->stats.dropped_messages,
		.device_errors = g->stats.device_errors,
	};
	c->guest_snap->connected = g->connected;
	c->guest_snap->why_away = g->vhost ? vhost_front_why_away(g->vhost) : 0;
	c->guest_snap->negotiated = g->vhost && vhost_front_is_negotiated(g->vhost);
	c->guest_snap->ready = g->driver.ready || (!g->vhost && g->connected);
	c->guest_snap->memory_bytes = guest_memory_bytes(&g->mem);
	c->guest_snap->tail_bytes = g->tails.used_bytes;
	c->guest_snap->driver_instance = g->driver.instance;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		c->guest_snap->n_queues += g->queue[i].up;
	for (uint32_t id = 0; id < g->n_ids; id++) {
		const struct channel *ch = g->channel[id] ? &g->channel[id]->ch : NULL;

		if (!ch)
			continue;
		if (g->channel[id]->port && serial_port_is_lost(g->channel[id]->port))
			c->guest_snap->port_lost = true;
		c->guest_snap->moved_bytes += ch->fwd.bytes + ch->bwd.bytes;
		if (ch->is_session)
			continue;
		c->guest_snap->n_channels++;
		c->guest_snap->n_in_state[shown_state(g->channel[id])]++;
	}
}

void guest_snapshot(struct guest *g, struct guest_snapshot *snap)
{
	struct guest_call c = { .g = g, .guest_snap = snap };

	loop_call(g->worker, take_guest_snapshot, &c);
	snap->served = !*guest_error(g);
}

static void take_ring_state(struct channel_snapshot *s, struct channel *ch)
{
	struct okl4_socketpair *end = channel_end(ch);
	int64_t fill = okl4_pipe_readable(&end->rx), room = okl4_pipe_writable(&end->tx);
	enum okl4_pipe_state writer, reader;
	int r;

	s->fwd_fill = fill > 0 ? (uint64_t)fill : 0;
	s->bwd_fill = room >= 0 ? ch->cfg->ring_bytes - (uint64_t)room : 0;
	okl4_pipe_consumer_peer(&end->rx, &writer);
	okl4_pipe_producer_peer(&end->tx, &reader);
	r = okl4_pipe_error(&end->rx) ? okl4_pipe_error(&end->rx) : okl4_pipe_error(&end->tx);
	if (r) { /* looking at the rings has found a violation */
		channel_fail(ch, r);
		return;
	}
	s->fwd_guest_phase = end->rx.peer_phase;
	s->bwd_guest_phase = end->tx.peer_phase;
	s->fwd_host_phase = end->rx.phase;
	s->bwd_host_phase = end->tx.phase;
	channel_look_openers(ch);
	if (ch->writer.phase & 1)
		s->writer = ch->writer.program;
	if (ch->reader.phase & 1)
		s->reader = ch->reader.program;
}

/* What the sessions that are there now add to what former ones have left in the board's counters */
static void take_sessions(struct channel_snapshot *s, const struct guest *g,
			  const struct guest_channel *board)
{
	struct channel sum = board->ch;

	for (uint32_t id = 0; id < g->n_ids && board->sessions.live; id++) {
		struct guest_channel *gc = g->channel[id];
		struct channel_snapshot one = { 0 };

		if (!gc || gc->board != board)
			continue;
		if (gc->ch.state == CHANNEL_ATTACHED)
			take_ring_state(&one, &gc->ch);
		s->fwd_fill += one.fwd_fill;
		s->bwd_fill += one.bwd_fill;
		s->tail_bytes += channel_tail_bytes(&gc->ch);
		channel_add_counters(&sum, &gc->ch);
	}
	s->attaches = sum.attaches;
	s->lost_bytes = sum.lost_bytes;
	s->fwd = sum.fwd;
	s->bwd = sum.bwd;
	memcpy(s->errors, sum.errors, sizeof(s->errors));
	s->sessions.max = board->cfg.sessions;
	s->sessions.live = board->sessions.live;
	s->sessions.waiting = board->sessions.waiting;
	s->sessions.peak = board->sessions.peak;
	s->sessions.opened = board->sessions.opened;
	s->sessions.refused = board->sessions.refused;
}

static void take_channel(struct channel_snapshot *s, const struct guest *g,
			 struct guest_channel *gc)
{
	struct channel *ch = &gc->ch;

	if (ch->state == CHANNEL_ATTACHED)
		take_ring_state(s, ch);
	s->cfg = &gc->cfg;
	s->id = ch->id;
	if (gc->endpoint)
		gc->endpoint->ops->info(gc->endpoint, &s->info);
	else
		snprintf(s->info.error, sizeof(s->info.error), "%s",
			 gc->why_not ? gc->why_not : "");
	if (gc->port) {
		s->port = serial_port_path(gc->port);
		s->port_why_away = serial_port_why_away(gc->port);
	}
	s->state = shown_state(gc);
	s->instance = ch->instance;
	s->failed_status = ch->failed_status;
	s->attaches = ch->attaches;
	s->tail_bytes = channel_tail_bytes(ch);
	s->lost_bytes = ch->lost_bytes;
	s->fwd = ch->fwd;
	s->bwd = ch->bwd;
	memcpy(s->errors, ch->errors, sizeof(s->errors));
	if (gc->cfg.sessions && gc->endpoint)
		take_sessions(s, g, gc);
}

static void take_channels(void *arg)
{
	struct guest_call *c = arg;
	const struct guest *g = c->g;
	uint32_t ids = c->from < g->n_ids ? g->n_ids - c->from : 0;
	uint32_t max = c->max < ids ? c->max : ids;

	c->list = calloc((size_t)max + 1, sizeof(*c->list));
	if (!c->list) {
		c->n = -ENOMEM;
		return;
	}
	for (uint32_t id = c->from; id < g->n_ids && (uint32_t)c->n < max; id++) {
		if (g->channel[id] && !g->channel[id]->board)
			take_channel(&c->list[c->n++], g, g->channel[id]);
	}
}

int guest_channel_snapshots(struct guest *g, uint32_t from, uint32_t max,
			    struct channel_snapshot **list)
{
	struct guest_call c = { .g = g, .from = from, .max = max };

	loop_call(g->worker, take_channels, &c);
	*list = c.list;
	return c.n;
}
