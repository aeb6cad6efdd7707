/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pair.h - two channels that are joined, and what goes from one guest to the other
 */
#ifndef OKL4FSD_ENDPOINT_JOINED_PAIR_H
#define OKL4FSD_ENDPOINT_JOINED_PAIR_H

#include "channel/channel.h"
#include "endpoint/joined/file.h"

/**
 * struct joined_pair - two channels that are joined; both belong to guests of one worker, which is
 * the only thread that touches this
 * @ch: the channel of each side
 * @is_session: the two are sessions: there is one stream each way, and a side that has gone is NULL in @ch
 * @up: the side's memory is there, and the host's ends in it are where @file says
 * @file: what was moved and carried over
 */
struct joined_pair {
	struct channel *ch[2];
	bool is_session;
	bool up[2];
	struct joined_file file;
};

/**
 * joined_pair_new() - join two channels
 * @pair: out
 * @ch: the two, the lesser first (joined_name_compare())
 * @name: theirs
 * @session: as joined_file_open()
 *
 * Sides whose channel is usable have still to be brought up.
 *
 * Return: 0 or -errno, with a log line.
 */
int joined_pair_new(struct joined_pair **pair, struct channel *const ch[2],
		    const struct joined_name name[2], uint64_t session);

/** joined_pair_free() - part them; neither memory nor file is touched; NULL is allowed; Return: NULL */
struct joined_pair *joined_pair_free(struct joined_pair *pair);

/** joined_pair_up() - a side's channel has become usable: go on, or begin, and move what can be moved */
void joined_pair_up(struct joined_pair *pair, unsigned int side);

/** joined_pair_down() - it is no longer usable; @gone: its stream has ended, tell the other side */
void joined_pair_down(struct joined_pair *pair, unsigned int side, bool gone);

/** joined_pair_end_side() - what @side wrote has gone over, and no more follows: tell the other side */
void joined_pair_end_side(struct joined_pair *pair, unsigned int side);

/** joined_pair_woken() - move a turn's share both ways, on account of one side's guest */
void joined_pair_woken(struct joined_pair *pair, unsigned int side);

#endif
