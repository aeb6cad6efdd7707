// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/joined/couple.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t couples_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, couple) couples = LIST_HEAD_INITIALIZER(couples);

static struct couple *make_couple(const struct joined_name name[2], uint64_t number)
{
	struct channel *nobody[2] = { NULL, NULL };
	struct couple *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	memcpy(c->name, name, sizeof(c->name));
	c->number = number;
	if (joined_pair_new(&c->pair, nobody, name, number)) {
		free(c);
		return NULL;
	}
	pthread_mutex_lock(&couples_lock);
	LIST_INSERT_HEAD(&couples, c, next);
	pthread_mutex_unlock(&couples_lock);
	return c;
}

static bool is_listed(uint64_t number)
{
	const struct couple *c;

	pthread_mutex_lock(&couples_lock);
	LIST_FOREACH(c, &couples, next)
	{
		if (c->number == number)
			break;
	}
	pthread_mutex_unlock(&couples_lock);
	return c;
}

struct couple *couple_new(const struct joined_name name[2])
{
	uint64_t number;

	do
		arc4random_buf(&number, sizeof(number));
	while (!number || is_listed(number));
	return make_couple(name, number);
}

void couple_free(struct couple *c, bool ended)
{
	pthread_mutex_lock(&couples_lock);
	LIST_REMOVE(c, next);
	pthread_mutex_unlock(&couples_lock);
	joined_pair_free(c->pair);
	if (ended)
		joined_file_remove(c->name, c->number);
	free(c);
}

void couple_use(struct couple *c)
{
	c->n_users++;
}

void couple_let_go(struct couple *c)
{
	if (!--c->n_users && c->is_over)
		couple_free(c, true);
}

void couple_end_side(struct couple *c, unsigned int side)
{
	struct joined_state *st = &c->pair->file.state;

	couple_use(c);
	joined_pair_end_side(c->pair, side);
	st->instance[side] = 0;
	joined_file_commit(&c->pair->file);
	c->is_over = !st->instance[!side];
	couple_let_go(c);
}

static void load_file(const struct joined_name name[2], uint64_t number)
{
	const struct joined_state *st;
	struct couple *c = is_listed(number) ? NULL : make_couple(name, number);

	if (!c)
		return;
	st = &c->pair->file.state;
	if (!st->instance[0] && !st->instance[1])
		couple_free(c, true);
}

void couple_load_all(const struct joined_name name[2])
{
	joined_file_sessions(name, load_file);
}

static bool is_of(const struct couple *c, const struct joined_name name[2])
{
	return !joined_name_compare(&c->name[0], &name[0]) &&
	       !joined_name_compare(&c->name[1], &name[1]);
}

struct couple *couple_find(const struct joined_name name[2], unsigned int side, uint64_t instance)
{
	struct couple *c;

	pthread_mutex_lock(&couples_lock);
	LIST_FOREACH(c, &couples, next)
	{
		uint64_t its;

		if (!is_of(c, name) || c->half[side])
			continue;
		its = c->pair->file.state.instance[side];
		if (instance ? its == instance : its != 0)
			break;
	}
	pthread_mutex_unlock(&couples_lock);
	return c;
}
