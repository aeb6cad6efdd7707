/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.h - how many clients the control socket serves, and which one makes room (private to control)
 *
 * The number of places is bounded for each user, and for all users together. When there is no place left,
 * the client that has asked nothing for the longest time leaves. A client that has an answer to take, or
 * that is subscribed to events, leaves only for an admin. So an admin is never refused, and one user
 * cannot lock out another. Clients without any right do not count: they have places of their own, which
 * they take from each other. Nothing here does I/O.
 */
#ifndef OKL4FSD_CONTROL_PLACE_H
#define OKL4FSD_CONTROL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "control/rights.h"

#define CONTROL_MAX_CLIENTS 64
#define CONTROL_MAX_READERS \
	48 /* of these, so that an admin seldom takes the place of another client */
#define CONTROL_MAX_OF_USER   16 /* root and the daemon's own user may have all of them */
#define CONTROL_MAX_STRANGERS 8 /* clients without any right, besides those */

/**
 * struct control_place - what decides whether a client stays
 * @right: what the client may do
 * @uid: its user
 * @busy: it has an answer to take, or is subscribed to events
 * @entry: in the list of all; the one that has asked nothing for the longest time is first
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
 * @all: the clients that are connected
 * @who: the new client; not in @all
 * @leaves: out: a client that must leave first; then call this again; NULL: none must
 * @why: out, when there is no room: a sentence
 * @size: bytes of @why
 *
 * Return: true when there is room, or will be.
 */
bool control_place_find(const struct control_places *all, const struct control_place *who,
			struct control_place **leaves, char *why, size_t size);

#endif
