/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * joined.h - two channels joined to each other, inside
 *
 *	bridge.c       the endpoint `channel`: finds its partner
 *	bridge_pair.c  two of them, and what goes from one guest to the other
 *	bridge_file.c  what must outlive the process
 */
#ifndef OKL4FS_BRIDGE_H
#define OKL4FS_BRIDGE_H

#include "endpoint/joined/file.h"
#include "endpoint/endpoint.h"

/**
 * struct bridge_pair - two channels that are joined; both belong to guests of one worker, which is
 * the only thread that touches this
 * @ch: the channel of each side
 * @up: the side's memory is there, and the host's ends in it are where @file says
 * @file: what was moved and carried over
 */
struct bridge_pair {
	struct channel *ch[2];
	bool up[2];
	struct bridge_file file;
};

/**
 * bridge_pair_new() - join two channels
 * @pair: out
 * @ch: the two, the lesser first (bridge_name_compare())
 * @name: theirs
 *
 * Sides whose channel is usable have still to be brought up.
 *
 * Return: 0 or -errno, with a log line.
 */
int bridge_pair_new(struct bridge_pair **pair, struct channel *const ch[2],
		    const struct bridge_name name[2]);

/** bridge_pair_free() - part them; neither memory nor file is touched; NULL is allowed; Return: NULL */
struct bridge_pair *bridge_pair_free(struct bridge_pair *pair);

/** bridge_pair_up() - a side's channel has become usable: go on, or begin, and move what can be moved */
void bridge_pair_up(struct bridge_pair *pair, unsigned int side);

/** bridge_pair_down() - it is usable no longer; @gone: its stream has ended, and the other side is told */
void bridge_pair_down(struct bridge_pair *pair, unsigned int side, bool gone);

/** bridge_pair_woken() - move a turn's share both ways, on account of one side's guest */
void bridge_pair_woken(struct bridge_pair *pair, unsigned int side);

#endif
