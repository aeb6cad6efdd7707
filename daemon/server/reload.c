/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reload.c - becoming what the configuration file says now
 *
 * The file is read whole, and checked, before anything changes. Then guests that are gone or changed
 * end, new ones start, and one that is as it is to be is kept: it becomes its channels' configuration
 * itself (guest_become()).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/joined/file.h"
#include "loop/events.h"
#include "server/members.h"
#include "server/place.h"
#include "server/server.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * keep_member() - if a guest is there as it is to be, but for its channels, copy it to the new list
 * @s: server
 * @to: its place in the new list
 * @cfg: its new configuration
 */
static void keep_member(struct server *s, struct member *to, const struct guest_config *cfg)
{
	const struct member *m = server_find_member(s, cfg->name);

	if (!m || !config_guest_equal(guest_config(m->guest), cfg))
		return;
	*to = *m;
}

/**
 * same_text() - whether two texts are the same
 * @a: text, or NULL
 * @b: likewise
 *
 * Return: true when they are, or when neither is there.
 */
static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/**
 * warn_fixed() - tell what a reload does not change
 * @old: configuration in force
 * @new: configuration to come
 */
static void warn_fixed(const struct config *old, const struct config *new)
{
	if (strcmp(old->control_path, new->control_path) != 0 ||
	    !same_text(old->control_group, new->control_group) ||
	    old->control_mode != new->control_mode)
		log_warning("reload: control.path, control.mode or control.group has changed; "
			    "that takes a restart");
}

/**
 * become() - end, keep and start guests as a configuration says
 * @s: server
 * @cfg: the configuration
 * @list: a member for each guest, with those that are kept; becomes the server's
 * @group: of server_groups()
 */
static void become(struct server *s, const struct config *cfg, struct member *list,
		   const size_t *group)
{
	size_t n = 0;

	for (size_t i = 0; i < cfg->n_guests; i++) {
		if (list[i].guest)
			server_find_member(s, cfg->guests[i].name)->guest = NULL;
	}
	/* The old ones first: a new one may want the socket of an old one. */
	for (size_t i = 0; i < cfg->n_guests; i++) {
		if (list[i].guest)
			guest_drop_others(list[i].guest, &cfg->guests[i]);
	}
	for (size_t i = 0; i < s->n_members; i++) {
		if (s->member[i].guest)
			log_guest(LOG_LEVEL_NOTICE, guest_config(s->member[i].guest)->name,
				  "gone or changed by the reload");
		server_member_stop(s, &s->member[i]);
	}
	joined_sweep(cfg->guests, cfg->n_guests);
	for (size_t i = 0; i < cfg->n_guests; i++) {
		if (list[i].guest)
			guest_become(list[i].guest, &cfg->guests[i]);
		else if (!server_member_start(s, &list[i], &cfg->guests[i],
					      server_place(s, list, cfg->n_guests, group, i)))
			log_guest(LOG_LEVEL_NOTICE, cfg->guests[i].name,
				  "new or changed by the reload");
	}
	for (size_t i = 0; i < cfg->n_guests; i++) {
		if (list[i].guest)
			list[n++] = list[i];
	}
	free(s->member);
	s->member = list;
	s->n_members = n;
}

void server_watch(struct server *s, struct server_watch *watch)
{
	LIST_INSERT_HEAD(&s->watches, watch, entry);
}

void server_unwatch(struct server *s, struct server_watch *watch)
{
	LIST_REMOVE(watch, entry);
}

/* What a reload makes of the server, before anything changes */
struct plan {
	struct config *cfg;
	struct member *list;
	size_t *group;
};

/* Return: as server_reload(), with a line in @errors */
static int make_plan(struct server *s, struct plan *p, FILE *errors)
{
	char why[SERVER_WHY_BYTES];
	int r;

	if (!s->config_path) {
		fprintf(errors, "there is no configuration file to reload\n");
		return -ENOENT;
	}
	r = config_load(&p->cfg, s->config_path, errors);
	if (r)
		return r;
	p->list = calloc(p->cfg->n_guests + 1, sizeof(*p->list));
	p->group = calloc(p->cfg->n_guests + 1, sizeof(*p->group));
	if (!p->list || !p->group || server_groups(p->cfg->guests, p->cfg->n_guests, p->group))
		return -ENOMEM;
	for (size_t i = 0; i < p->cfg->n_guests; i++)
		keep_member(s, &p->list[i], &p->cfg->guests[i]);
	r = server_check_groups(p->list, p->cfg->n_guests, p->group, why, sizeof(why));
	if (r)
		fprintf(errors, "%s\n", why);
	return r;
}

/* make_plan(), and subscribers to events are told of the first error; Return: as server_reload() */
static int plan_or_tell(struct server *s, struct plan *p, FILE *errors)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	FILE *own = open_memstream(&text, &bytes);
	int r;

	if (!own)
		return -ENOMEM;
	r = make_plan(s, p, own);
	fclose(own);
	if (!r || !bytes)
		return r;
	fputs(text, errors);
	text[strcspn(text, "\n")] = 0;
	events_post(&(struct events_fact){ .kind = EVENTS_CONFIG_REFUSED, .text = text });
	return r;
}

/* server_reload(), but for those that watch its begin and end */
static int reload(struct server *s, FILE *errors)
{
	struct plan p = { 0 };
	struct server_watch *watch;
	int r = plan_or_tell(s, &p, errors);

	if (r) {
		config_free(p.cfg);
		free(p.list);
	} else {
		warn_fixed(s->cfg, p.cfg);
		server_add_workers(s, p.cfg->n_guests); /* fewer than wanted will do */
		become(s, p.cfg, p.list, p.group);
		server_take_config(s, p.cfg);
		LIST_FOREACH(watch, &s->watches, entry)
		watch->reloaded(watch->arg);
		events_post(&(struct events_fact){ .kind = EVENTS_CONFIG_RELOADED,
						   .number = s->n_members });
	}
	free(p.group);
	return r;
}

int server_reload(struct server *s, FILE *errors)
{
	struct server_watch *watch;
	int r;

	LIST_FOREACH(watch, &s->watches, entry)
	{
		if (watch->reloading)
			watch->reloading(watch->arg, true);
	}
	r = reload(s, errors);
	LIST_FOREACH(watch, &s->watches, entry)
	{
		if (watch->reloading)
			watch->reloading(watch->arg, false);
	}
	return r;
}
