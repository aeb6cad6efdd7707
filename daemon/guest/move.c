/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest goes to another worker in the middle of its life, since it is to be joined to one that is
 * there. Main holds off DPDK's thread, has the one worker let go of everything, and has the other one
 * take it up; between the two nobody touches the guest. What the frontend or the driver does
 * meanwhile lies in eventfds and rings, and is found there.
 *
 * An endpoint that can come along says how (struct endpoint_ops, leave and enter). One that cannot is
 * made anew, if nobody is connected to it; else the guest stays.
 */
#include <errno.h>
#include <string.h>

#include "endpoint/types.h"
#include "guest/state.h"

/**
 * struct move - arguments of a call on a worker
 * @g: guest
 * @stuck: out: a channel that cannot go; NULL: there is none
 */
struct move {
	struct guest *g;
	const struct guest_channel *stuck;
};

/**
 * can_go() - whether a channel can go to another worker
 * @gc: channel
 *
 * Return: true when it can.
 */
static bool can_go(const struct guest_channel *gc)
{
	return !gc->endpoint || gc->endpoint->ops->leave || !endpoint_is_connected(gc->endpoint);
}

/**
 * leave_channel() - let a channel's endpoint go from the worker
 * @gc: channel that can go
 */
static void leave_channel(struct guest_channel *gc)
{
	struct channel *ch = &gc->ch;

	loop_cancel(ch->loop, &ch->task);
	if (gc->endpoint && gc->endpoint->ops->leave) {
		gc->endpoint->ops->leave(gc->endpoint);
		return;
	}
	if (gc->endpoint && channel_usable(ch))
		ch->endpoint_ops->down(ch->endpoint, false);
	gc->endpoint = endpoint_free(gc->endpoint);
}

/**
 * leave() - let go of the worker
 * @arg: struct move
 */
static void leave(void *arg)
{
	struct move *m = arg;
	struct guest *g = m->g;

	for (uint32_t id = 0; id < g->n_ids && !m->stuck; id++) {
		if (g->channel[id] && !can_go(g->channel[id]))
			m->stuck = g->channel[id];
	}
	if (m->stuck)
		return;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_leave(&g->queue[i]);
	for (uint32_t id = 0; id < g->n_ids; id++) {
		if (g->channel[id])
			leave_channel(g->channel[id]);
	}
	vhost_backend_leave(g->vhost);
}

/**
 * enter_channel() - let a channel go on
 * @g: guest, with its new worker
 * @id: the channel's id
 */
static void enter_channel(struct guest *g, uint32_t id)
{
	struct guest_channel *gc = g->channel[id];
	struct channel *ch = &gc->ch;
	int r;

	ch->loop = g->worker;
	if (gc->endpoint) {
		r = gc->endpoint->ops->enter(gc->endpoint);
	} else {
		r = endpoint_new(&gc->endpoint, ch);
		if (!r && channel_usable(ch))
			ch->endpoint_ops->up(ch->endpoint, false);
	}
	if (r)
		log_about(LOG_LEVEL_ERR, &g->about, "channel %s: nobody can be joined to it: %s",
			  gc->cfg.name, strerror(-r));
	if (channel_usable(ch) || channel_has_tail(ch))
		channel_again(ch);
}

/**
 * enter() - take up the other worker
 * @arg: struct move
 */
static void enter(void *arg)
{
	struct move *m = arg;
	struct guest *g = m->g;

	vhost_backend_enter(g->vhost, g->worker);
	for (uint32_t id = 0; id < g->n_ids; id++) {
		if (g->channel[id])
			enter_channel(g, id);
	}
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_enter(&g->queue[i]);
}

int guest_move(struct guest *g, struct loop *worker)
{
	struct move m = { .g = g };

	vhost_backend_hold(g->vhost);
	loop_call(g->worker, leave, &m);
	if (!m.stuck) {
		g->worker = worker;
		loop_call(worker, enter, &m);
	}
	vhost_backend_release(g->vhost);
	if (!m.stuck)
		return 0;
	log_about(LOG_LEVEL_WARNING, &g->about,
		  "it cannot go to another worker while somebody is connected to channel %s (%s)",
		  m.stuck->cfg.name, endpoint_type_name(m.stuck->cfg.endpoint.type));
	return -EBUSY;
}

/**
 * part() - guest_part(), on the worker
 * @arg: guest
 */
static void part(void *arg)
{
	struct guest *g = arg;

	g->is_parting = true;
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct endpoint *ep = g->channel[id] ? g->channel[id]->endpoint : NULL;

		if (ep && ep->ops->type == ENDPOINT_CHANNEL)
			ep->ops->leave(ep);
	}
}

void guest_part(struct guest *g)
{
	loop_call(g->worker, part, g);
}
