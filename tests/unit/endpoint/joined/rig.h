/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - two rigs whose channels are joined to each other, and their streams
 *
 * Side 0 is vm1/a, side 1 is vm2/b; stream w is what side w writes and the other reads.
 */
#ifndef TESTS_UNIT_ENDPOINT_JOINED_RIG_H
#define TESTS_UNIT_ENDPOINT_JOINED_RIG_H

#include "../../channel/steps.h"
#include "endpoint/joined/file.h"

/**
 * struct pair - two guests that are joined
 * @rig: each
 * @loop: of both
 * @dir: where the daemon keeps its state
 * @file: of the pair
 */
struct pair {
	struct rig rig[2];
	struct loop *loop;
	char dir[32], file[128];
};

/** pair_init() - a daemon with both channels, not attached; @shared: as in struct rig */
void pair_init(struct pair *p, uint64_t ring_bytes, bool shared);

/** pair_attached() - the same, attached */
void pair_attached(struct pair *p, uint64_t ring_bytes);

/** pair_open() - the same, all ends of the guests' open */
void pair_open(struct pair *p, uint64_t ring_bytes);

/** pair_deinit() - end it; the directory goes */
void pair_deinit(struct pair *p);

/** pair_turns() - run the loop for some rounds */
void pair_turns(struct pair *p);

/** pair_write_one() - side @w writes the next byte of its stream; Return: as guest_write() */
int64_t pair_write_one(struct pair *p, unsigned int w);

/**
 * pair_play() - take steps with a stream and the two sides of it
 * @p: pair
 * @w: the stream: its writer is side @w, its reader the other side
 * @steps: separated by ";", each with "writer" or "reader" before it; rig.c and steps.c have the lists
 */
void pair_play(struct pair *p, unsigned int w, const char *steps);

/** pair_test() - begin, take these steps with the first @n streams, one after the other, end it */
void pair_test(void (*begin)(struct pair *p, uint64_t ring_bytes), unsigned int n,
	       const char *steps);

/* A test that is nothing but steps; @begin: attached or open */
#define PAIR_TEST(name, begin, n, steps)           \
	Test(joined, name)                         \
	{                                          \
		pair_test(pair_##begin, n, steps); \
	}

#endif
