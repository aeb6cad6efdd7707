/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.c - which worker a guest belongs to
 *
 * Guests that are joined by endpoints `channel` belong to one worker, so that a byte goes from one's
 * ring to the other's on the only thread that touches either. A group is all guests that are joined,
 * through whomever. The others are spread evenly.
 *
 * At the start, and in a reload, the configuration tells the groups. What is added while the daemon
 * runs can join two groups that have different workers: then one of them goes to the other's.
 */
#include "server/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/joined/joined.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * struct name - a guest's place by its name
 * @name: it
 * @idx: its place
 */
struct name {
	const char *name;
	size_t idx;
};

/**
 * compare() - for qsort(3), bsearch(3): by name
 * @a: a name
 * @b: the other
 *
 * Return: as they want it.
 */
static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/**
 * leader() - the first guest of a group, as far as it is known
 * @group: of each guest, itself or one before it in the same group
 * @i: a guest
 *
 * Return: the first.
 */
static size_t leader(size_t *group, size_t i)
{
	while (group[i] != i)
		i = group[i] = group[group[i]];
	return i;
}

/**
 * unite() - two guests are in one group
 * @group: groups
 * @a: one
 * @b: the other
 */
static void unite(size_t *group, size_t a, size_t b)
{
	a = leader(group, a);
	b = leader(group, b);
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
	qsort(by_name, n, sizeof(*by_name), compare);
	for (size_t i = 0; i < n; i++) {
		for (size_t c = 0; c < guest[i].n_channels; c++) {
			const struct endpoint_config *ep = &guest[i].channels[c].endpoint;
			struct name key = { .name = ep->guest };
			const struct name *other = NULL;

			if (ep->type == ENDPOINT_CHANNEL)
				other = bsearch(&key, by_name, n, sizeof(key), compare);
			if (other)
				unite(group, i, other->idx);
		}
	}
	for (size_t i = 0; i < n; i++)
		group[i] = leader(group, i);
	return 0;
}

/**
 * least_busy() - the worker with the fewest guests
 * @s: server with workers
 *
 * Return: its index.
 */
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

/**
 * move() - have a guest served by another worker
 * @s: server
 * @m: guest
 * @worker: index of the worker
 *
 * Return: 0, or -EBUSY with a log line.
 */
static int move(struct server *s, struct member *m, unsigned int worker)
{
	int r = m->worker == worker ? 0 : guest_move(m->guest, s->worker[worker].loop);

	if (r)
		return r;
	s->worker[m->worker].n_guests--;
	s->worker[worker].n_guests++;
	m->worker = worker;
	return 0;
}

void server_collect(struct server *s, struct member *list, size_t n, const size_t *group)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].guest)
			move(s, &list[i], server_place(s, list, n, group, i));
	}
}

/**
 * move_group() - have a guest, and all that it is joined to, served by another worker
 * @s: server
 * @idx: the guest's index
 * @worker: index of the worker
 *
 * Return: 0; -EBUSY: all are where they were; or -ENOMEM.
 */
static int move_group(struct server *s, size_t idx, unsigned int worker)
{
	_cleanup_free_ size_t *queue = calloc(s->n_members, sizeof(*queue));
	unsigned int from = s->member[idx].worker;
	size_t n = 1;
	int r = queue ? 0 : -ENOMEM;

	if (r)
		return r;
	queue[0] = idx;
	for (size_t at = 0; at < n && !r; at++) {
		struct member *m = &s->member[queue[at]];

		r = move(s, m, worker);
		/* Who is still there and joined to it comes next; who has moved is not there. */
		for (size_t i = 0; i < s->n_members && !r && n < s->n_members; i++) {
			bool queued = false;

			for (size_t q = 0; q < n; q++)
				queued |= queue[q] == i;
			if (!queued && s->member[i].worker == from &&
			    joined_links(guest_config(m->guest)->name,
					 guest_config(s->member[i].guest)->name))
				queue[n++] = i;
		}
		if (r) {
			while (at--)
				move(s, &s->member[queue[at]], from);
			break;
		}
	}
	return r;
}

/**
 * gather() - bring two guests to one worker, and those with them that they are joined to
 * @s: server
 * @a: index of one
 * @b: index of the other
 *
 * Return: 0, or -EBUSY with log lines.
 */
static int gather(struct server *s, size_t a, size_t b)
{
	unsigned int to = s->member[a].worker, from = s->member[b].worker;

	if (to == from || !move_group(s, b, to))
		return 0;
	return move_group(s, a, from);
}

/**
 * names() - whether a configuration has an endpoint `channel` that names a guest
 * @cfg: configuration
 * @guest: the guest's name
 *
 * Return: true when it has.
 */
static bool names(const struct guest_config *cfg, const char *guest)
{
	for (size_t i = 0; i < cfg->n_channels; i++) {
		const struct endpoint_config *ep = &cfg->channels[i].endpoint;

		if (ep->type == ENDPOINT_CHANNEL && !strcmp(ep->guest, guest))
			return true;
	}
	return false;
}

int server_place_new(struct server *s, const struct guest_config *cfg, unsigned int *worker)
{
	size_t first = s->n_members;

	for (size_t i = 0; i < s->n_members; i++) {
		const char *name = guest_config(s->member[i].guest)->name;

		if (!names(cfg, name) && !joined_links(cfg->name, name))
			continue;
		if (first == s->n_members)
			first = i;
		else if (gather(s, first, i))
			return -EBUSY;
	}
	/* If the first had to go to a later one, those between them, whom only @cfg joins, follow. */
	for (size_t i = first; i < s->n_members; i++) {
		const char *name = guest_config(s->member[i].guest)->name;

		if ((names(cfg, name) || joined_links(cfg->name, name)) &&
		    s->member[i].worker != s->member[first].worker &&
		    move_group(s, i, s->member[first].worker))
			return -EBUSY;
	}
	*worker = first < s->n_members ? s->member[first].worker : least_busy(s);
	return 0;
}

int server_channel_add(struct server *s, struct guest *guest, const struct channel_config *cfg,
		       uint32_t *id)
{
	const struct member *a = server_find_member(s, guest_config(guest)->name), *b = NULL;

	if (cfg->endpoint.type == ENDPOINT_CHANNEL)
		b = server_find_member(s, cfg->endpoint.guest);
	if (b && gather(s, (size_t)(a - s->member), (size_t)(b - s->member)))
		return -EBUSY;
	return guest_channel_add(guest, cfg, id);
}
