/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * echo_rig.h - a rig with the endpoint echo or discard, and the stream of its guest
 */
#ifndef TESTS_UNIT_ENDPOINT_ECHO_RIG_H
#define TESTS_UNIT_ENDPOINT_ECHO_RIG_H

#include "../channel/rig.h"

/**
 * struct echo - a rig with an echo
 * @rig: rig
 * @out: bytes of the stream that the guest wrote
 * @in: bytes that it read
 */
struct echo {
	struct rig rig;
	uint64_t out, in;
};

/** echo_attached() - an attached rig with this endpoint, none of the guest's ends open */
void echo_attached(struct echo *e, enum endpoint_type type, uint64_t ring_bytes);

/** echo_open() - an attached rig with an echo, both of the guest's ends open */
void echo_open(struct echo *e, uint64_t ring_bytes);

/** echo_killed() - the daemon is killed; the new one's endpoint is there, not attached */
void echo_killed(struct echo *e);

/** echo_send() - the guest writes so much of the stream, all of it */
void echo_send(struct echo *e, uint64_t bytes);

/** echo_receive() - the guest must read so much of the stream */
void echo_receive(struct echo *e, uint64_t bytes);

/** echo_nothing() - a read must return this, 0 (end-of-file) or -OKL4_AGAIN, and no byte */
void echo_nothing(struct echo *e, int64_t want);

/** echo_play() - take these steps, one after the other, separated by ";"; echo_rig.c has the list */
void echo_play(struct echo *e, const char *steps);

/** echo_test() - take steps with an echo, attached, both of the guest's ends open */
void echo_test(uint64_t ring_bytes, const char *steps);

#endif
