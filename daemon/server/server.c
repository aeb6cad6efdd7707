/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - the server starts and ends, and guests are added and removed
 */
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/joined/file.h"
#include "endpoint/tear.h"
#include "guest/control.h"
#include "guest/leaver.h"
#include "server/members.h"
#include "server/place.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/folder.h"
#include "util/log.h"
#include "vhost/library.h"

static int start_all(struct server *s, const struct config *cfg)
{
	_cleanup_free_ size_t *group = calloc(cfg->n_guests + 1, sizeof(*group));
	int r = group ? joined_set_dir(cfg->control_path) : -ENOMEM;

	if (!r)
		r = server_groups(cfg->guests, cfg->n_guests, group);
	if (!r)
		joined_sweep(cfg->guests, cfg->n_guests);
	for (size_t i = 0; i < cfg->n_guests && !r; i++) {
		r = server_member_start(s, &s->member[i], &cfg->guests[i],
					server_place(s, s->member, cfg->n_guests, group, i), NULL);
		s->n_members += !r;
	}
	return r;
}

int server_new(struct server **out, struct loop *main_loop, struct config *cfg,
	       const char *config_path)
{
	struct server *s = calloc(1, sizeof(*s));
	_cleanup_free_ char *folder = folder_of(cfg->control_path);
	int r = -ENOMEM;

	*out = NULL;
	if (!s) {
		config_free(cfg);
		return -ENOMEM;
	}
	config_paths_begin_at(cfg->control_path);
	s->main_loop = main_loop;
	s->started_ms = clock_ms();
	s->started_us = clock_wall_us();
	s->member = calloc(cfg->n_guests + 1, sizeof(*s->member));
	if (config_path)
		s->config_path = strdup(config_path);
	if (s->member && folder && (s->config_path || !config_path))
		r = vhost_library_init(folder);
	if (!r)
		r = server_add_workers(s, cfg->n_guests);
	if (!r)
		r = start_all(s, cfg);
	server_take_config(s, cfg);
	if (r)
		s = server_free(s);
	*out = s;
	return r;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	/* Guests that are joined do not see each other's end: they wait for the next daemon. */
	for (size_t i = 0; i < s->n_members; i++)
		guest_part(s->member[i].guest);
	for (size_t i = 0; i < s->n_members; i++)
		server_member_stop(s, &s->member[i]);
	for (unsigned int i = 0; i < s->n_workers; i++) {
		loop_call(s->worker[i].loop, guest_leavers_end, s->worker[i].loop);
		loop_call(s->worker[i].loop, tear_end, s->worker[i].loop);
		loop_stop(s->worker[i].loop);
		loop_free(s->worker[i].loop);
	}
	config_free(s->cfg);
	free(s->metrics_problem);
	free(s->worker);
	free(s->member);
	free(s->config_path);
	free(s);
	return NULL;
}

int server_guest_add(struct server *s, const struct guest_config *cfg, char *why)
{
	struct member *list;
	unsigned int worker;
	int r;

	*why = 0;
	if (server_find_member(s, cfg->name))
		return -EEXIST;
	list = reallocarray(s->member, s->n_members + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->member = list;
	r = server_place_new(s, cfg, &worker, why, SERVER_WHY_BYTES);
	if (r)
		return r;
	joined_sweep(cfg, 1);
	r = server_member_start(s, &list[s->n_members], cfg, worker, why);
	if (!r) {
		s->n_members++;
		log_guest(LOG_LEVEL_NOTICE, cfg->name, "added");
	}
	return r;
}

int server_guest_remove(struct server *s, const char *name)
{
	struct member *m = server_find_member(s, name);

	if (!m)
		return -ENOENT;
	log_guest(LOG_LEVEL_NOTICE, name, "removed");
	server_member_stop(s, m);
	s->n_members--;
	memmove(m, m + 1, (size_t)(&s->member[s->n_members] - m) * sizeof(*m));
	return 0;
}

int server_channel_add(struct server *s, struct guest *guest, const struct channel_config *cfg,
		       uint32_t *id, char *why)
{
	int r;

	*why = 0;
	r = server_place_channel(s, guest, cfg, why, SERVER_WHY_BYTES);
	return r ? r : guest_channel_add(guest, cfg, id, why, SERVER_WHY_BYTES);
}

const struct config *server_config(const struct server *s)
{
	return s->cfg;
}

size_t server_n_guests(const struct server *s)
{
	return s->n_members;
}

struct guest *server_guest(struct server *s, size_t idx)
{
	return idx < s->n_members ? s->member[idx].guest : NULL;
}

struct guest *server_find(struct server *s, const char *name)
{
	struct member *m = server_find_member(s, name);

	return m ? m->guest : NULL;
}

struct loop *server_worker(const struct server *s, unsigned int idx)
{
	return idx < s->n_workers ? s->worker[idx].loop : NULL;
}

unsigned int server_n_workers(const struct server *s)
{
	return s->n_workers;
}

uint64_t server_instance(void)
{
	return guest_host_instance();
}

const char *server_version(void)
{
	return OKL4FS_VERSION_STRING;
}

uint64_t server_started_us(const struct server *s)
{
	return s->started_us;
}

uint64_t server_uptime_ms(const struct server *s)
{
	return clock_ms() - s->started_ms;
}
