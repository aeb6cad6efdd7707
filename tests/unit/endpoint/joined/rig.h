/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - two rigs whose channels are joined to each other, and their streams
 *
 * Side 0 is vm1/a, side 1 is vm2/b; stream w is what side w writes and the other reads.
 */
#ifndef TESTS_UNIT_ENDPOINT_JOINED_RIG_H
#define TESTS_UNIT_ENDPOINT_JOINED_RIG_H

#include "../../channel/rig.h"
#include "endpoint/joined/file.h"

/**
 * struct pair - two guests that are joined
 * @rig: each
 * @loop: of both
 * @dir: where the daemon keeps its state
 * @file: of the pair
 * @out: bytes that each wrote
 * @in: bytes of each stream that the other one read
 */
struct pair {
	struct rig rig[2];
	struct loop *loop;
	char dir[32], file[128];
	uint64_t out[2], in[2];
};

/** pair_init() - a daemon with both channels, not attached; @shared: as in struct rig */
void pair_init(struct pair *p, uint64_t ring_bytes, bool shared);

/** pair_open() - the same, attached, all ends of the guests' open */
void pair_open(struct pair *p, uint64_t ring_bytes);

/** pair_deinit() - end it; the directory goes */
void pair_deinit(struct pair *p);

/** pair_attach() - both guests attach */
void pair_attach(struct pair *p);

/** pair_killed() - the daemon is killed; the new one is there, nobody has attached */
void pair_killed(struct pair *p);

/** pair_turns() - run the loop for some rounds */
void pair_turns(struct pair *p);

/** pair_send() - side @w writes so much of its stream, all of it */
void pair_send(struct pair *p, unsigned int w, uint64_t bytes);

/** pair_receive() - the other side must read so much of stream @w */
void pair_receive(struct pair *p, unsigned int w, uint64_t bytes);

/** pair_nothing() - reading stream @w must give this, 0 (end-of-file) or -OKL4_AGAIN, and no byte */
void pair_nothing(struct pair *p, unsigned int w, int64_t want);

/** pair_write_one() - side @w writes the next byte of its stream; Return: as guest_write() */
int64_t pair_write_one(struct pair *p, unsigned int w);

/** pair_is_joined() - what the endpoint of a side says of itself */
bool pair_is_joined(struct pair *p, unsigned int side);

/**
 * pair_play() - take steps with a stream and the two sides of it
 * @p: pair
 * @w: the stream: its writer is side @w, its reader the other side
 * @steps: separated by ";". A number may follow a step: bytes, or how many. rig.c has the list
 */
void pair_play(struct pair *p, unsigned int w, const char *steps);

/** stream_fill(), stream_check() - as pattern_fill() and pattern_check(), for stream @w */
void stream_fill(unsigned int w, uint8_t *buf, uint64_t pos, uint64_t bytes);
void stream_check(unsigned int w, const uint8_t *buf, uint64_t pos, uint64_t bytes);

#endif
