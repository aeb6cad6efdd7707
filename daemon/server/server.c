/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - workers and guests start and end
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "endpoint/tear.h"
#include "loop/events.h"
#include "guest/control.h"
#include "guest/leaver.h"
#include "server/private.h"
#include "util/fd.h"
#include "util/log.h"
#include "vhost/backend.h"

/**
 * now_ms() - the monotonic clock
 *
 * Return: milliseconds.
 */
static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/**
 * wall_clock_us() - the wall clock
 *
 * Return: microseconds since 1970.
 */
static uint64_t wall_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/**
 * count_cpus() - CPUs that this process may run on
 *
 * Return: 1 or more.
 */
static unsigned int count_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned int)CPU_COUNT(&cpus);
}

int server_add_workers(struct server *s, size_t n_guests)
{
	unsigned int want = count_cpus();
	struct worker *worker;
	char name[16];
	int r;

	if (want > n_guests)
		want = n_guests ? (unsigned int)n_guests : 1;
	if (want <= s->n_workers)
		return 0;
	worker = realloc(s->worker, want * sizeof(*worker));
	if (!worker)
		return -ENOMEM;
	s->worker = worker;
	while (s->n_workers < want) {
		struct worker *w = &s->worker[s->n_workers];

		memset(w, 0, sizeof(*w));
		snprintf(name, sizeof(name), "worker-%u", s->n_workers);
		r = loop_new(&w->loop, name);
		if (!r)
			r = loop_start(w->loop);
		if (r) {
			w->loop = loop_free(w->loop);
			log_err("cannot start a worker: %s", strerror(-r));
			return r;
		}
		s->n_workers++;
	}
	return 0;
}

int server_member_start(struct server *s, struct member *m, const struct guest_config *cfg,
			unsigned int worker)
{
	int r;

	*m = (struct member){ .worker = worker };
	r = guest_new(&m->guest, cfg, s->main_loop, s->worker[m->worker].loop);
	if (r) {
		log_guest(LOG_LEVEL_ERR, cfg->name, "cannot be served: %s", strerror(-r));
		return r;
	}
	s->worker[m->worker].n_guests++;
	events_post(&(struct events_fact){ .kind = EVENTS_GUEST_ADDED, .guest = cfg->name });
	return 0;
}

void server_member_stop(struct server *s, struct member *m)
{
	char name[OKL4FS_NAME_MAX + 1];

	if (!m->guest)
		return;
	snprintf(name, sizeof(name), "%s", guest_config(m->guest)->name);
	m->guest = guest_free(m->guest);
	events_post(&(struct events_fact){ .kind = EVENTS_GUEST_REMOVED, .guest = name });
	s->worker[m->worker].n_guests--;
}

void server_take_config(struct server *s, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_guests; i++)
		config_guest_deinit(&cfg->guests[i]);
	cfg->n_guests = 0;
	config_free(s->cfg);
	s->cfg = cfg;
}

/**
 * start_all() - make the guests of a configuration
 * @s: server with workers and room for them
 * @cfg: configuration
 *
 * Return: 0 or -errno, with a log line.
 */
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
					server_place(s, s->member, cfg->n_guests, group, i));
		s->n_members += !r;
	}
	return r;
}

int server_new(struct server **out, struct loop *main_loop, struct config *cfg,
	       const char *config_path)
{
	struct server *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	*out = NULL;
	if (!s) {
		config_free(cfg);
		return -ENOMEM;
	}
	s->main_loop = main_loop;
	s->started_ms = now_ms();
	s->started_us = wall_clock_us();
	s->member = calloc(cfg->n_guests + 1, sizeof(*s->member));
	if (config_path)
		s->config_path = strdup(config_path);
	if (s->member && (s->config_path || !config_path))
		r = vhost_backend_init();
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
	/* To one that is joined to another this is no end: both wait for the next daemon. */
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
	free(s->worker);
	free(s->member);
	free(s->config_path);
	free(s);
	return NULL;
}

struct member *server_find_member(struct server *s, const char *name)
{
	for (size_t i = 0; i < s->n_members; i++) {
		struct member *m = &s->member[i];

		if (m->guest && !strcmp(guest_config(m->guest)->name, name))
			return m;
	}
	return NULL;
}

int server_guest_add(struct server *s, const struct guest_config *cfg, char *why)
{
	struct member *list;
	unsigned int worker;
	int r;

	if (server_find_member(s, cfg->name))
		return -EEXIST;
	list = reallocarray(s->member, s->n_members + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->member = list;
	r = server_place_new(s, cfg, &worker, why);
	if (r)
		return r;
	joined_sweep(cfg, 1);
	r = server_member_start(s, &list[s->n_members], cfg, worker);
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
	return now_ms() - s->started_ms;
}
