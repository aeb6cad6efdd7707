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

#include "loop/events.h"
#include "server/private.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/notify.h"

/**
 * keep_member() - if a guest is there as it is to be, but for its channels, move it to the new list
 * @s: server
 * @to: its place in the new list
 * @cfg: its new configuration
 */
static void keep_member(struct server *s, struct member *to, const struct guest_config *cfg)
{
	struct member *m = server_find_member(s, cfg->name);

	if (!m || !config_guest_equal(guest_config(m->guest), cfg))
		return;
	*to = *m;
	m->guest = NULL;
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
 * @list: room for a member each; becomes the server's
 * @group: of server_groups()
 */
static void become(struct server *s, const struct config *cfg, struct member *list,
		   const size_t *group)
{
	size_t n = 0;

	for (size_t i = 0; i < cfg->n_guests; i++)
		keep_member(s, &list[i], &cfg->guests[i]);
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
	server_collect(s, list, cfg->n_guests, group);
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

/**
 * load() - read the configuration file again
 * @s: server
 * @cfg: out
 * @errors: each error is written here as a line
 *
 * Who is told of events gets to know the first one.
 *
 * Return: as server_reload().
 */
static int load(const struct server *s, struct config **cfg, FILE *errors)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	FILE *own = open_memstream(&text, &bytes);
	int r = -ENOENT;

	if (!own)
		return -ENOMEM;
	if (s->config_path)
		r = config_load(cfg, s->config_path, own);
	else
		fprintf(own, "there is no configuration file to reload\n");
	fclose(own);
	if (!r)
		return 0;
	fputs(text, errors);
	text[strcspn(text, "\n")] = 0;
	events_post(&(struct events_fact){ .kind = EVENTS_CONFIG_REFUSED, .text = text });
	return r;
}

/**
 * reload() - server_reload(), without telling the service manager
 * @s: server
 * @errors: as server_reload()
 *
 * Return: as server_reload().
 */
static int reload(struct server *s, FILE *errors)
{
	_cleanup_free_ size_t *group = NULL;
	struct config *cfg = NULL;
	struct server_watch *watch;
	struct member *list;
	int r = load(s, &cfg, errors);

	if (r)
		return r;
	list = calloc(cfg->n_guests + 1, sizeof(*list));
	group = calloc(cfg->n_guests + 1, sizeof(*group));
	if (!list || !group || server_groups(cfg->guests, cfg->n_guests, group)) {
		free(list);
		config_free(cfg);
		return -ENOMEM;
	}
	warn_fixed(s->cfg, cfg);
	server_add_workers(s, cfg->n_guests); /* fewer than wanted will do */
	become(s, cfg, list, group);
	server_take_config(s, cfg);
	LIST_FOREACH(watch, &s->watches, entry)
	watch->reloaded(watch->arg);
	events_post(
		&(struct events_fact){ .kind = EVENTS_CONFIG_RELOADED, .number = s->n_members });
	return 0;
}

int server_reload(struct server *s, FILE *errors)
{
	int r;

	notify_reloading();
	r = reload(s, errors);
	notify("READY=1");
	return r;
}
