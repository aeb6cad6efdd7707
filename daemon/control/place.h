/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - for how many clients of the control socket there is room, and who makes room (private to control)
 *
 * A user has a bounded number of places, all users together another one. When there is no place, the
 * client that has asked nothing for the longest time leaves; one that takes an answer or is told of
 * events leaves only for an admin. So an admin is never refused, and one user cannot lock out another.
 * Clients without any right do not count: they have places of their own, which they take from each
 * other. Nothing here does I/O.
 */
#ifndef OKL4FSD_CONTROL_PLACE_H
#define OKL4FSD_CONTROL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "control/rights.h"

#define CONTROL_MAX_CLIENTS   64
#define CONTROL_MAX_READERS   48 /* of these, so that an admin seldom has to send somebody away */
#define CONTROL_MAX_OF_USER   16 /* root and the daemon's own user may have all of them */
#define CONTROL_MAX_STRANGERS 8 /* clients without any right, beside those */

/**
 * struct control_place - what decides who stays
 * @right: what the client may do
 * @uid: its user
 * @busy: it has an answer to take, or is told of events
 * @entry: in the list of all, the one whose last question is the oldest first
 */
struct control_place {
	enum control_right right;
	uid_t uid;
	bool busy;
	TAILQ_ENTRY(control_place) entry;
};

TAILQ_HEAD(control_places, control_place);

/**
 * control_place_find() - whether there is room for one more client
 * @all: the clients that are there
 * @who: the client that comes; not in @all
 * @leaves: out: the client that has to leave first, then ask again; NULL: none has to
 * @why: out, when there is no room: a sentence
 * @size: bytes of @why
 *
 * Return: true when there is room, or will be.
 */
bool control_place_find(const struct control_places *all, const struct control_place *who,
			struct control_place **leaves, char *why, size_t size);

#endif
