/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * couple.h - two sessions of two guests that are joined
 *
 * What is known of the two lies in a file of their own (file.h), which knows each side by the instance of
 * its memory. In the file a side that has ended has no instance, and when both have, the file goes.
 *
 * A couple belongs to the worker of its two guests. Only the list of all has a lock.
 */
#ifndef OKL4FSD_ENDPOINT_JOINED_COUPLE_H
#define OKL4FSD_ENDPOINT_JOINED_COUPLE_H

#include <sys/queue.h>

#include "endpoint/joined/pair.h"

struct half;

/**
 * struct couple - two sessions that are joined, or what a former daemon has left of them
 * @next: of all; protected by the list's lock
 * @name: the two channels, the lesser first
 * @number: of its file
 * @pair: what goes from one to the other; a side that is not here, or has ended, is NULL there
 * @half: (the owner's) the sides that are here
 * @n_users: calls that use @pair now, one within the other
 * @is_over: both sides have ended; it goes when no call uses it
 */
struct couple {
	LIST_ENTRY(couple) next;
	struct joined_name name[2];
	uint64_t number;
	struct joined_pair *pair;
	struct half *half[2];
	unsigned int n_users;
	bool is_over;
};

/** couple_new() - with a file of its own, and without its sides; Return: NULL: out of memory, or there can be no file */
struct couple *couple_new(const struct joined_name name[2]);

/** couple_free() - no side is here; @ended: both have ended, so the file goes, too */
void couple_free(struct couple *c, bool ended);

/** couple_use() - a call may end both sides, since one that fails can take the other one with it */
void couple_use(struct couple *c);

/** couple_let_go() - that call has ended; the couple may be gone afterwards */
void couple_let_go(struct couple *c);

/** couple_end_side() - a side, which is not here, has ended; the couple may be gone afterwards */
void couple_end_side(struct couple *c, unsigned int side);

/** couple_load_all() - add those of two channels that a former daemon has left */
void couple_load_all(const struct joined_name name[2]);

/**
 * couple_find() - one of two channels with a side that is not here and has not ended
 * @name: the channels
 * @side: which side
 * @instance: of that side's memory; 0: any
 *
 * Return: NULL: there is none.
 */
struct couple *couple_find(const struct joined_name name[2], unsigned int side, uint64_t instance);

#endif
