/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An id is free as soon as its channel is removed. The driver may not know that yet and still mean
 * the old channel; the generation in its request says which one it means.
 */
#include "guest/channels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/types.h"
#include "guest/bell.h"
#include "guest/leaver.h"
#include "guest/serial/port.h"
#include "guest/sessions.h"
#include "guest/state.h"
#include "loop/events.h"

/* Arguments and results of a call on the worker */
struct change {
	struct guest *g;
	const struct channel_config *cfg; /* guest_channel_add() */
	const char *name; /* guest_channel_remove(), guest_channel_reset() */
	const struct guest_config *all; /* guest_become(), guest_drop_others() */
	bool drop_only;
	bool keep; /* also a channel whose endpoint cannot be made */
	uint32_t id; /* out */
	int r; /* out */
	char *why; /* out, where there is room for it: why the endpoint cannot be made */
	size_t why_bytes;
};

static struct guest_channel *find_channel(const struct guest *g, const char *name)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = g->channel[id];

		if (gc && !gc->board && !strcmp(gc->cfg.name, name))
			return gc;
	}
	return NULL;
}

/* @why: out: a sentence when it fails; ENDPOINT_ERROR_BYTES */
static int make_endpoint(struct guest_channel *gc, char *why)
{
	int r;

	log_keep(why, ENDPOINT_ERROR_BYTES);
	r = endpoint_new(&gc->endpoint, &gc->ch);
	if (!r && gc->port)
		r = serial_port_start(gc->port, &gc->ch);
	if (r)
		gc->endpoint = endpoint_free(gc->endpoint);
	log_keep(NULL, 0);
	if (r && !*why)
		snprintf(why, ENDPOINT_ERROR_BYTES, "%s", strerror(-r));
	return r;
}

static void port_changed(void *arg, bool there)
{
	struct guest *g = arg;
	uint32_t before = g->n_ports;

	g->n_ports += there ? 1 : -1;
	g->connected = g->n_ports > 0;
	if (!before != !g->n_ports)
		events_post(&(struct events_fact){ .kind = there ? EVENTS_GUEST_CONNECTED :
								   EVENTS_GUEST_GONE,
						   .guest = g->cfg.name });
}

/* @cfg is this channel's own. Return: 0, or -ENOMEM */
static int set_up_channel(struct guest *g, struct guest_channel *gc, uint32_t id)
{
	const struct channel_guest_ops *ops = &guest_bell_ops;
	void *guest = g;

	if (g->cfg.way == WAY_SERIAL) {
		gc->port = serial_port_new(&g->cfg, gc->cfg.name, port_changed, g);
		if (!gc->port)
			return -ENOMEM;
		ops = &serial_port_ops;
		guest = gc->port;
	}
	channel_init(&gc->ch, &gc->cfg, g->cfg.name, id, g->worker, ops, guest);
	gc->ch.budget = &g->tails;
	return 0;
}

static int channel_make(struct guest_channel **out, struct guest *g,
			const struct channel_config *cfg, uint32_t id, struct change *c)
{
	struct guest_channel *gc = calloc(1, sizeof(*gc));
	char why[ENDPOINT_ERROR_BYTES];
	int r;

	if (!gc)
		return -ENOMEM;
	r = config_channel_copy(&gc->cfg, cfg);
	if (!r)
		r = set_up_channel(g, gc, id);
	if (r) {
		config_channel_deinit(&gc->cfg);
		free(gc);
		return r;
	}
	gc->generation = g->generation[id];
	r = make_endpoint(gc, why);
	if (r && c->why)
		snprintf(c->why, c->why_bytes, "%s", why);
	if (r && c->keep) {
		channel_set_unavailable(&gc->ch);
		gc->why_not = strdup(why);
		r = 0;
	}
	if (r)
		guest_channel_free(gc);
	else
		*out = gc;
	return r;
}

/* The channels that a guest begins with are not posted: it has no frontend yet. */
static void post_channel(const struct guest *g, enum events_kind kind,
			 const struct guest_channel *gc)
{
	if (g->begun)
		events_post(&(struct events_fact){ .kind = kind,
						   .guest = g->cfg.name,
						   .channel = gc->cfg.name,
						   .number = gc->ch.id });
}

/* @c: says what to do where the endpoint cannot be made; @c->id: out */
static int offer_channel(struct guest *g, const struct channel_config *cfg, struct change *c)
{
	uint32_t id = 0;
	int r;

	if (!guest_find_id(g, false, &id))
		return -ENOSPC;
	r = channel_make(&g->channel[id], g, cfg, id, c);
	if (r)
		return r;
	c->id = id;
	if (id >= g->n_ids)
		g->n_ids = id + 1;
	if (!g->channel[id]->endpoint)
		return 0;
	post_channel(g, EVENTS_CHANNEL_ADDED, g->channel[id]);
	guest_bell_changed(g, id);
	return 0;
}

/* Return: true when the channel lives on until a client has the rest of it. */
static bool take_channel_out(struct guest *g, struct guest_channel *gc)
{
	struct endpoint *ep = gc->endpoint;
	bool lives_on;

	if (gc->port)
		serial_port_pump(gc->port);
	channel_remove(&gc->ch, gc->port || (ep->ops->close && endpoint_is_connected(ep)));
	g->channel[gc->ch.id] = NULL;
	lives_on = guest_leaver_add(gc, NULL);
	gc->port = serial_port_free(gc->port);
	return lives_on;
}

static void remove_channel(struct guest *g, struct guest_channel *gc)
{
	uint32_t id = gc->ch.id;
	bool lives_on;

	if (!gc->endpoint) {
		guest_id_free(g, id);
		guest_channel_free(gc);
		return;
	}
	post_channel(g, EVENTS_CHANNEL_REMOVED, gc);
	guest_sessions_remove(g, gc, OKL4_NO_CHANNEL);
	lives_on = take_channel_out(g, gc);
	guest_id_free(g, id);
	if (!lives_on && gc->endpoint->ops->removed)
		gc->endpoint->ops->removed(gc->endpoint);
	if (!lives_on)
		guest_channel_free(gc);
	guest_bell_changed(g, id);
}

static void call_add(void *arg)
{
	struct change *c = arg;

	c->r = find_channel(c->g, c->cfg->name) ? -EEXIST : offer_channel(c->g, c->cfg, c);
}

int guest_channel_add(struct guest *g, const struct channel_config *cfg, uint32_t *id, char *why,
		      size_t why_bytes)
{
	struct change c = { .g = g, .cfg = cfg, .why = why, .why_bytes = why_bytes };

	*why = 0;
	loop_call(g->worker, call_add, &c);
	*id = c.id;
	return c.r;
}

int guest_channel_begin(struct guest *g, const struct channel_config *cfg)
{
	struct change c = { .g = g, .cfg = cfg, .keep = true };

	loop_call(g->worker, call_add, &c);
	return c.r;
}

static void call_remove(void *arg)
{
	struct change *c = arg;
	struct guest_channel *gc = find_channel(c->g, c->name);

	c->r = gc ? 0 : -ENOENT;
	if (gc)
		remove_channel(c->g, gc);
}

int guest_channel_remove(struct guest *g, const char *name)
{
	struct change c = { .g = g, .name = name };

	loop_call(g->worker, call_remove, &c);
	return c.r;
}

static void call_reset(void *arg)
{
	struct change *c = arg;
	struct guest_channel *gc = find_channel(c->g, c->name);

	c->r = gc ? 0 : -ENOENT;
	if (!gc)
		return;
	if (!gc->endpoint)
		return;
	post_channel(c->g, EVENTS_CHANNEL_RESET, gc);
	guest_sessions_remove(c->g, gc, OKL4_CHANNEL_RESET);
	channel_reset(&gc->ch);
}

int guest_channel_reset(struct guest *g, const char *name)
{
	struct change c = { .g = g, .name = name };

	loop_call(g->worker, call_reset, &c);
	return c.r;
}

static int compare_names(const void *a, const void *b)
{
	const struct channel_config *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void tell_reloaded(struct guest_channel *gc)
{
	char why[ENDPOINT_ERROR_BYTES];

	log_keep(why, sizeof(why));
	if (gc->endpoint->ops->reloaded)
		gc->endpoint->ops->reloaded(gc->endpoint);
	if (gc->port)
		serial_port_reloaded(gc->port);
	log_keep(NULL, 0);
	free(gc->why_not);
	gc->why_not = *why ? strdup(why) : NULL;
}

/*
 * What is there already becomes NULL in @wanted; @sorted are the same channels by name. A channel that is
 * not offered is taken out even if it is wanted, so that its endpoint is tried again.
 */
static void remove_others(struct guest *g, const struct guest_config *all,
			  const struct channel_config **wanted,
			  const struct channel_config *const *sorted, bool drop_only)
{
	for (uint32_t id = g->n_ids; id--;) {
		struct guest_channel *gc = id < g->n_ids ? g->channel[id] : NULL;
		const struct channel_config *key = gc ? &gc->cfg : NULL, *const *found = NULL;

		if (gc && gc->board)
			continue;
		if (gc)
			found = bsearch(&key, sorted, all->n_channels, sizeof(key), compare_names);
		if (gc && !gc->endpoint) {
			if (!drop_only || !found)
				remove_channel(g, gc);
		} else if (found && config_channel_equal(*found, key)) {
			wanted[*found - all->channels] = NULL;
			if (!drop_only && (gc->endpoint->ops->reloaded || gc->port))
				tell_reloaded(gc);
		} else if (gc) {
			log_channel(LOG_LEVEL_NOTICE, g->cfg.name, gc->cfg.name,
				    "gone or changed by the reload");
			remove_channel(g, gc);
		}
	}
}

static void call_become(void *arg)
{
	struct change *c = arg;
	size_t n = c->all->n_channels;
	const struct channel_config **wanted = calloc(2 * n + 1, sizeof(*wanted));

	c->keep = true;
	if (!wanted) {
		log_about(LOG_LEVEL_ERR, &c->g->about,
			  "reload: out of memory; its channels stay as they are");
		return;
	}
	for (size_t i = 0; i < n; i++)
		wanted[i] = wanted[n + i] = &c->all->channels[i];
	qsort(wanted + n, n, sizeof(*wanted), compare_names);
	c->g->cfg.tail_bytes = c->g->tails.limit_bytes =
		c->all->tail_bytes; /* tails that are kept already stay */
	remove_others(c->g, c->all, wanted, wanted + n, c->drop_only);
	for (size_t i = 0; i < n && !c->drop_only; i++) {
		int r = wanted[i] ? offer_channel(c->g, wanted[i], c) : 1;

		if (r < 0)
			log_channel(LOG_LEVEL_ERR, c->g->cfg.name, wanted[i]->name,
				    "cannot be offered: %s", strerror(-r));
		else if (!r && c->g->channel[c->id]->endpoint)
			log_channel(LOG_LEVEL_NOTICE, c->g->cfg.name, wanted[i]->name,
				    "new or changed by the reload");
	}
	free(wanted);
}

void guest_become(struct guest *g, const struct guest_config *cfg)
{
	struct change c = { .g = g, .all = cfg };

	loop_call(g->worker, call_become, &c);
	if (g->vhost)
		vhost_front_reloaded(g->vhost);
}

void guest_drop_others(struct guest *g, const struct guest_config *cfg)
{
	struct change c = { .g = g, .all = cfg, .drop_only = true };

	loop_call(g->worker, call_become, &c);
}

void guest_channels_leave(struct guest *g)
{
	guest_sessions_leave(g);
	guest_leavers_let_go(g);
	for (uint32_t id = 0; id < g->n_ids; id++) {
		struct guest_channel *gc = guest_channel_of(g, id);

		if (gc && !take_channel_out(g, gc))
			guest_channel_free(gc);
	}
}

void guest_channels_end(struct guest *g)
{
	guest_sessions_end(g);
	guest_leavers_let_go(g);
	for (uint32_t id = 0; id < g->n_ids; id++) {
		guest_channel_free(g->channel[id]);
		g->channel[id] = NULL;
	}
	g->n_ids = 0;
}
