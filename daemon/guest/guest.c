/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/bell.h"
#include "guest/control.h"
#include "guest/device.h"
#include "guest/queue.h"
#include "guest/sessions.h"
#include "guest/state.h"

static const struct guest_queue_ops control_queue = {
	.turn = guest_control_turn,
	.broken = guest_break,
};

static const struct guest_queue_ops event_queue = {
	.turn = guest_bell_turn,
	.broken = guest_break,
};

static void leave_channels(void *arg)
{
	struct guest *g = arg;

	/* The next daemon finds nothing of what lies in the rings of a port: they are this one's */
	if (!g->is_parting || g->cfg.way == WAY_SERIAL)
		guest_channels_leave(g);
}

static void end_all(void *arg)
{
	struct guest *g = arg;

	guest_channels_end(g);
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_stop(&g->queue[i]);
}

int guest_new(struct guest **out, const struct guest_config *cfg, struct loop *main_loop,
	      struct loop *worker)
{
	static uint64_t n_made; /* only main makes guests */
	struct guest *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->serial = ++n_made;
	g->worker = worker;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_init(g, i, i == OKL4FS_QUEUE_CONTROL ? &control_queue : &event_queue);
	r = config_guest_copy(&g->cfg, cfg);
	g->about.guest = g->cfg.name;
	g->tails.limit_bytes = g->cfg.tail_bytes;
	guest_sessions_init(g);
	for (size_t i = 0; i < cfg->n_channels && !r; i++)
		r = guest_channel_begin(g, &cfg->channels[i]);
	g->begun = true;
	if (!r && g->cfg.way == WAY_VHOST_USER)
		r = vhost_front_new(&g->vhost, &g->cfg, worker, &guest_device_ops, g);
	if (r)
		g = guest_free(g);
	*out = g;
	return r;
}

struct guest *guest_free(struct guest *g)
{
	if (!g)
		return NULL;
	loop_call(g->worker, leave_channels, g);
	if (g->vhost && g->is_parting)
		vhost_front_part(g->vhost);
	g->vhost = vhost_front_free(g->vhost); /* NULL is allowed */
	loop_call(g->worker, end_all, g);
	config_guest_deinit(&g->cfg);
	free(g);
	return NULL;
}

static void part_channels(void *arg)
{
	struct guest *g = arg;

	g->is_parting = true;
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = guest_end_of(g, id);

		if (gc && gc->endpoint->ops->part)
			gc->endpoint->ops->part(gc->endpoint);
	}
}

void guest_part(struct guest *g)
{
	loop_call(g->worker, part_channels, g);
}

bool guest_path_is_lost(const struct guest *g)
{
	return g->vhost && vhost_front_path_is_lost(g->vhost);
}

const char *guest_error(const struct guest *g)
{
	return g->vhost ? vhost_front_error(g->vhost) : "";
}

/* Arguments of a call on the worker */
struct problems_call {
	struct guest *g;
	void (*tell)(void *arg, const char *sentence);
	void *arg;
};

/* @info: room for the answer; Return: NULL: there is none */
static const char *channel_problem(const struct guest_channel *gc, struct endpoint_info *info)
{
	if (gc->why_not)
		return gc->why_not;
	if (!gc->endpoint)
		return "its endpoint cannot be made";
	/* It tries again by itself where a name has to be looked up */
	if (gc->endpoint->ops->type != ENDPOINT_TCP_LISTEN)
		return NULL;
	gc->endpoint->ops->info(gc->endpoint, info);
	return *info->error ? info->error : NULL;
}

static void tell_channels(void *arg)
{
	const struct problems_call *c = arg;
	char sentence[OKL4FS_NAME_MAX + ENDPOINT_ERROR_BYTES + 16];

	for (uint32_t id = 0; id < c->g->n_ids; id++) {
		const struct guest_channel *gc = c->g->channel[id];
		struct endpoint_info info;
		const char *problem = gc && !gc->board ? channel_problem(gc, &info) : NULL;

		if (!problem)
			continue;
		snprintf(sentence, sizeof(sentence), "channel %s: %s", gc->cfg.name, problem);
		c->tell(c->arg, sentence);
	}
}

void guest_problems(struct guest *g, void (*tell)(void *arg, const char *sentence), void *arg)
{
	struct problems_call c = { .g = g, .tell = tell, .arg = arg };

	if (*guest_error(g))
		tell(arg, guest_error(g));
	loop_call(g->worker, tell_channels, &c);
}

const struct guest_config *guest_config(const struct guest *g)
{
	return &g->cfg;
}

uint64_t guest_serial(const struct guest *g)
{
	return g->serial;
}
