/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.c - which worker a guest belongs to
 *
 * Guests that are joined by endpoints `channel` belong to one worker, so that the only thread that
 * touches their rings moves the bytes from one to the other. A group is all guests that are joined
 * to each other, directly or through other guests. Groups and single guests are spread evenly.
 *
 * At the start the configuration says which guests form a group. A guest that runs stays on its
 * worker. So a channel, a guest or a configuration that would join guests of two workers is
 * refused, before anything changes.
 */
#include "server/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/joined/joined.h"
#include "util/fd.h"

struct name {
	const char *name;
	size_t idx; /* of the guest in the configuration */
};

static int compare_guest_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/* @group holds for each guest itself or an earlier one of the same group; paths are shortened. */
static size_t group_leader(size_t *group, size_t i)
{
	while (group[i] != i)
		i = group[i] = group[group[i]];
	return i;
}

static void unite_groups(size_t *group, size_t a, size_t b)
{
	a = group_leader(group, a);
	b = group_leader(group, b);
	if (a < b)
		group[b] = a;
	else
		group[a] = b;
}

int server_groups(const struct guest_config *guest, size_t n, size_t *group)
{
	_cleanup_free_ struct name *by_name = calloc(n + 1, sizeof(*by_name));

	if (!by_name)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		by_name[i] = (struct name){ guest[i].name, i };
		group[i] = i;
	}
	qsort(by_name, n, sizeof(*by_name), compare_guest_names);
	for (size_t i = 0; i < n; i++) {
		for (size_t c = 0; c < guest[i].n_channels; c++) {
			const struct endpoint_config *ep = &guest[i].channels[c].endpoint;
			struct name key = { .name = ep->guest };
			const struct name *other = NULL;

			if (ep->type == ENDPOINT_CHANNEL)
				other = bsearch(&key, by_name, n, sizeof(key), compare_guest_names);
			if (other)
				unite_groups(group, i, other->idx);
		}
	}
	for (size_t i = 0; i < n; i++)
		group[i] = group_leader(group, i);
	return 0;
}

static unsigned int least_busy(const struct server *s)
{
	unsigned int least = 0;

	for (unsigned int i = 1; i < s->n_workers; i++) {
		if (s->worker[i].n_guests < s->worker[least].n_guests)
			least = i;
	}
	return least;
}

unsigned int server_place(const struct server *s, const struct member *list, size_t n,
			  const size_t *group, size_t idx)
{
	for (size_t i = group[idx]; i < n; i++) {
		if (list[i].guest && group[i] == group[idx])
			return list[i].worker;
	}
	return least_busy(s);
}

static bool names_guest(const struct guest_config *cfg, const char *guest)
{
	for (size_t i = 0; i < cfg->n_channels; i++) {
		const struct endpoint_config *ep = &cfg->channels[i].endpoint;

		if (ep->type == ENDPOINT_CHANNEL && !strcmp(ep->guest, guest))
			return true;
	}
	return false;
}

static int refuse_to_join(const struct member *a, const struct member *b, char *why,
			  size_t why_bytes)
{
	snprintf(why, why_bytes,
		 "guests %s and %s run on different workers, so they cannot be joined while both "
		 "run; remove one of them first and add it again afterwards, or restart the daemon "
		 "with a configuration that joins them",
		 guest_config(a->guest)->name, guest_config(b->guest)->name);
	return -EXDEV;
}

int server_check_groups(const struct member *list, size_t n, const size_t *group, char *why,
			size_t why_bytes)
{
	for (size_t i = 0; i < n; i++) {
		size_t first = group[i];

		while (first < i && !(list[first].guest && group[first] == group[i]))
			first++;
		if (list[i].guest && list[first].worker != list[i].worker)
			return refuse_to_join(&list[first], &list[i], why, why_bytes);
	}
	return 0;
}

int server_place_new(struct server *s, const struct guest_config *cfg, unsigned int *worker,
		     char *why, size_t why_bytes)
{
	const struct member *first = NULL;

	for (size_t i = 0; i < s->n_members; i++) {
		const struct member *m = &s->member[i];
		const char *name = guest_config(m->guest)->name;

		if (!names_guest(cfg, name) && !joined_links(cfg->name, name))
			continue;
		if (!first)
			first = m;
		else if (first->worker != m->worker)
			return refuse_to_join(first, m, why, why_bytes);
	}
	if (!first)
		server_add_workers(s, s->n_members + 1); /* fewer than wanted will do */
	*worker = first ? first->worker : least_busy(s);
	return 0;
}

int server_place_channel(const struct server *s, const struct guest *guest,
			 const struct channel_config *cfg, char *why, size_t why_bytes)
{
	const struct member *a = server_find_member(s, guest_config(guest)->name), *b = NULL;

	if (cfg->endpoint.type == ENDPOINT_CHANNEL)
		b = server_find_member(s, cfg->endpoint.guest);
	return b && b->worker != a->worker ? refuse_to_join(a, b, why, why_bytes) : 0;
}
