/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "guest_private.h"

/**
 * struct guest_call - arguments of a call on the worker
 * @g: guest
 * @r: result
 * @guest_snap: for guest_snapshot()
 * @channel_snap: for guest_channel_snapshot()
 * @idx: for guest_channel_snapshot()
 */
struct guest_call {
	struct guest *g;
	int r;
	struct guest_snapshot *guest_snap;
	struct channel_snapshot *channel_snap;
	size_t idx;
};

/**
 * end_channels() - end the channels, the guest's memory being out of reach
 * @arg: struct guest_call
 */
static void end_channels(void *arg)
{
	struct guest *g = ((struct guest_call *)arg)->g;

	for (uint32_t i = 0; i < g->n_channels; i++) {
		struct guest_channel *gc = &g->channel[i];

		gc->endpoint = endpoint_free(gc->endpoint);
		channel_deinit(&gc->ch);
		attachment_drop(&gc->att);
	}
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_stop(&g->queue[i]);
	g->n_channels = 0;
}

/**
 * make_channels() - make channels and endpoints
 * @arg: struct guest_call
 */
static void make_channels(void *arg)
{
	struct guest_call *c = arg;
	struct guest *g = c->g;

	for (uint32_t i = 0; i < g->cfg->n_channels && !c->r; i++) {
		struct guest_channel *gc = &g->channel[i];

		c->r = channel_init(&gc->ch, &g->cfg->channels[i], g->cfg->name, i, g->worker,
				    &guest_channel_ops, g);
		if (c->r)
			break;
		g->n_channels = i + 1;
		c->r = endpoint_new(&gc->endpoint, &gc->ch);
	}
}

int guest_new(struct guest **out, const struct guest_config *cfg, struct loop *main_loop,
	      struct loop *worker)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct guest_call c = { .g = g };

	if (!g)
		return -ENOMEM;
	g->cfg = cfg;
	g->worker = worker;
	snprintf(g->subject, sizeof(g->subject), "guest %s", cfg->name);
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_init(g, i);
	g->channel = calloc(cfg->n_channels, sizeof(*g->channel));
	c.r = g->channel ? 0 : -ENOMEM;
	if (!c.r)
		loop_call(worker, make_channels, &c);
	if (!c.r)
		c.r = vhost_backend_new(&g->vhost, cfg, main_loop, worker, &guest_device_ops, g);
	if (c.r)
		g = guest_free(g);
	*out = g;
	return c.r;
}

struct guest *guest_free(struct guest *g)
{
	struct guest_call c = { .g = g };

	if (!g)
		return NULL;
	g->vhost = vhost_backend_free(g->vhost);
	loop_call(g->worker, end_channels, &c);
	free(g->channel);
	free(g);
	return NULL;
}

uint64_t guest_host_instance(void)
{
	static _Atomic uint64_t instance;
	uint64_t mine, none = 0;

	if (!instance) {
		if (getrandom(&mine, sizeof(mine), 0) != sizeof(mine))
			mine = (uint64_t)getpid();
		/* Whoever is first has named the process. */
		atomic_compare_exchange_strong(&instance, &none, mine | 1);
	}
	return instance;
}

const struct guest_config *guest_config(const struct guest *g)
{
	return g->cfg;
}

/**
 * take_guest_snapshot() - guest_snapshot(), on the worker
 * @arg: struct guest_call
 */
static void take_guest_snapshot(void *arg)
{
	struct guest_call *c = arg;
	struct guest *g = c->g;

	*c->guest_snap = g->stats;
	c->guest_snap->connected = g->connected;
	c->guest_snap->ready = g->driver.ready;
	c->guest_snap->memory_bytes = guest_memory_bytes(&g->mem);
	c->guest_snap->driver_instance = g->driver.instance;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		c->guest_snap->n_queues += g->queue[i].up;
}

void guest_snapshot(struct guest *g, struct guest_snapshot *snap)
{
	struct guest_call c = { .g = g, .guest_snap = snap };

	loop_call(g->worker, take_guest_snapshot, &c);
}

/**
 * take_ring_state() - fill and phases of an attached channel
 * @s: snapshot
 * @ch: channel
 */
static void take_ring_state(struct channel_snapshot *s, struct channel *ch)
{
	struct channel_peer writer = { 0 }, reader = { 0 };
	int64_t fill = channel_readable(ch), room;

	/* Each look may find a violation, and then the channel has failed. */
	s->fwd_fill = fill > 0 ? (uint64_t)fill : 0;
	room = channel_usable(ch) ? channel_writable(ch) : -1;
	s->bwd_fill = room >= 0 ? ch->cfg->ring_bytes - (uint64_t)room : 0;
	if (!channel_usable(ch) || channel_guest_writer(ch, &writer) ||
	    channel_guest_reader(ch, &reader))
		return;
	s->fwd_guest_phase = writer.phase;
	s->bwd_guest_phase = reader.phase;
	s->fwd_host_phase = ch->sp.rx.phase;
	s->bwd_host_phase = ch->sp.tx.phase;
}

/**
 * take_channel_snapshot() - guest_channel_snapshot(), on the worker
 * @arg: struct guest_call
 */
static void take_channel_snapshot(void *arg)
{
	struct guest_call *c = arg;
	struct channel_snapshot *s = c->channel_snap;
	struct guest_channel *gc;
	struct channel *ch;

	if (c->idx >= c->g->n_channels) {
		c->r = -ENOENT;
		return;
	}
	gc = &c->g->channel[c->idx];
	ch = &gc->ch;
	memset(s, 0, sizeof(*s));
	if (channel_usable(ch))
		take_ring_state(s, ch);
	s->name = ch->cfg->name;
	s->id = ch->id;
	s->ring_bytes = ch->cfg->ring_bytes;
	s->exclusive = ch->cfg->exclusive;
	s->endpoint = ch->cfg->endpoint.type;
	gc->endpoint->ops->info(gc->endpoint, &s->info);
	s->state = ch->state;
	s->instance = ch->instance;
	s->failed_status = ch->failed_status;
	s->attaches = ch->attaches;
	s->fwd = ch->fwd;
	s->bwd = ch->bwd;
	memcpy(s->errors, ch->errors, sizeof(s->errors));
}

int guest_channel_snapshot(struct guest *g, size_t idx, struct channel_snapshot *snap)
{
	struct guest_call c = { .g = g, .channel_snap = snap, .idx = idx };

	loop_call(g->worker, take_channel_snapshot, &c);
	return c.r;
}
