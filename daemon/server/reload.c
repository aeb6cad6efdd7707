/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reload.c - becoming what the configuration file says now
 *
 * The whole file is read and checked before anything changes. Then guests that are gone or changed
 * end, and new ones start. A guest of which only channels change is kept: it adds and removes them
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

/* Copies a guest to the new list when nothing but its channels is to change. */
static void keep_member(struct server *s, struct member *to, const struct guest_config *cfg)
{
	const struct member *m = server_find_member(s, cfg->name);

	if (m && config_guest_equal(guest_config(m->guest), cfg))
		*to = *m;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What only a start can apply */
static void tell_fixed(const struct config *old, const struct config *new, FILE *errors)
{
	static const char fixed[] = "control.path, control.mode or control.group has changed; "
				    "restart the daemon to apply that";

	if (strcmp(old->control_path, new->control_path) != 0 ||
	    !same_text(old->control_group, new->control_group) ||
	    old->control_mode != new->control_mode) {
		log_warning("reload: %s", fixed);
		fprintf(errors, "%s\n", fixed);
	}
}

/* @list has the members that are kept; it becomes the server's. */
static void become_config(struct server *s, const struct config *cfg, struct member *list,
			  const size_t *group)
{
	size_t n = 0;

	for (size_t i = 0; i < cfg->n_guests; i++) {
		if (list[i].guest)
			server_find_member(s, cfg->guests[i].name)->guest = NULL;
	}
	/* Old ones end first: a new one may want the socket of an old one. */
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
					      server_place(s, list, cfg->n_guests, group, i), NULL))
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

/* Writes each error as a line; the caller frees the plan in every case. */
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

/* As make_plan(); also tells subscribers of events the first error. */
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

static void write_line(void *arg, const char *sentence)
{
	fprintf(arg, "%s\n", sentence);
}

/* @errors has what cannot be applied so far. */
static void tell_outcome(struct server *s, FILE *errors)
{
	size_t n = s->n_members, n_problems = server_problems(s, write_line, errors);

	if (n_problems)
		log_event(LOG_LEVEL_WARNING, LOG_EVENT_RELOADED,
			  "reloaded, %zu guest%s; %zu problem%s", n, n == 1 ? "" : "s", n_problems,
			  n_problems == 1 ? "" : "s");
	else
		log_event(LOG_LEVEL_NOTICE, LOG_EVENT_RELOADED, "reloaded, %zu guest%s", n,
			  n == 1 ? "" : "s");
	events_post(&(struct events_fact){ .kind = EVENTS_CONFIG_RELOADED, .number = n });
}

static int carry_out_reload(struct server *s, FILE *errors)
{
	struct plan p = { 0 };
	struct server_watch *watch;
	int r = plan_or_tell(s, &p, errors);

	if (r) {
		config_free(p.cfg);
		free(p.list);
	} else {
		tell_fixed(s->cfg, p.cfg, errors);
		server_add_workers(s, p.cfg->n_guests); /* fewer than wanted will do */
		become_config(s, p.cfg, p.list, p.group);
		server_take_config(s, p.cfg);
		LIST_FOREACH(watch, &s->watches, entry)
		watch->reloaded(watch->arg);
		tell_outcome(s, errors);
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
	r = carry_out_reload(s, errors);
	LIST_FOREACH(watch, &s->watches, entry)
	{
		if (watch->reloading)
			watch->reloading(watch->arg, false);
	}
	return r;
}
