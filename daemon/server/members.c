/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * members.c - guests and workers start and end
 */
#include "server/members.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/events.h"
#include "server/server.h"
#include "util/log.h"

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

static void keep_first(void *arg, const char *sentence)
{
	char *why = arg;

	if (!*why)
		snprintf(why, SERVER_WHY_BYTES, "%s", sentence);
}

int server_member_start(struct server *s, struct member *m, const struct guest_config *cfg,
			unsigned int worker, char *why)
{
	int r;

	*m = (struct member){ .worker = worker };
	r = guest_new(&m->guest, cfg, s->main_loop, s->worker[m->worker].loop);
	if (r) {
		log_guest(LOG_LEVEL_ERR, cfg->name, "cannot be served: %s", strerror(-r));
		return r;
	}
	if (why)
		guest_problems(m->guest, keep_first, why);
	if (why && *why) {
		m->guest = guest_free(m->guest);
		return -EIO;
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
	s->saved_digest = 0;
}

struct member *server_find_member(const struct server *s, const char *name)
{
	for (size_t i = 0; i < s->n_members; i++) {
		struct member *m = &s->member[i];

		if (m->guest && !strcmp(guest_config(m->guest)->name, name))
			return m;
	}
	return NULL;
}
