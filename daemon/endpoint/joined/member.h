/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * member.h - all endpoints `channel` of this process, and how two of them find each other
 */
#ifndef OKL4FSD_ENDPOINT_JOINED_MEMBER_H
#define OKL4FSD_ENDPOINT_JOINED_MEMBER_H

#include "channel/channel.h"
#include "endpoint/joined/file.h"
#include "endpoint/joined/joined.h"

/**
 * struct joined_member - an endpoint `channel`
 * @mine: its guest and channel
 * @other: those that it names
 * @has_sessions: its channel has
 * @packets: it carries messages
 * @ring_bytes: of its rings
 * @owner: the endpoint
 * @next: of all; protected by the list's lock
 * @loop: its worker's; NULL: no endpoint finds it any longer; likewise protected
 */
struct joined_member {
	struct joined_name mine, other;
	bool has_sessions, packets;
	uint64_t ring_bytes;
	void *owner;
	struct joined_member *next;
	const struct loop *loop;
};

/** joined_member_add() - from here on it can be found; Return: 0, or -EINVAL with a log line */
int joined_member_add(struct joined_member *m, struct channel *ch,
		      const struct endpoint_config *cfg, bool has_sessions, void *owner);

/** joined_member_remove() - the reverse */
void joined_member_remove(struct joined_member *m);

/** joined_member_part() - from here on no endpoint finds it, so none joins it again */
void joined_member_part(struct joined_member *m);

/**
 * joined_member_partner() - the endpoint that names this one and is named by it
 *
 * Return: NULL when it is not there, belongs to another worker, or the two do not go together
 * (joined_member_problem()).
 */
struct joined_member *joined_member_partner(const struct joined_member *m);

/** joined_member_problem() - @why: out: why the two that name each other cannot be joined, or "" */
void joined_member_problem(const struct joined_member *m, char why[]);

/** joined_member_side() - which of the two it is: 0: the lesser (joined_name_compare()) */
unsigned int joined_member_side(const struct joined_member *m);

/** joined_member_names() - both, the lesser first */
void joined_member_names(const struct joined_member *m, struct joined_name name[2]);

#endif
