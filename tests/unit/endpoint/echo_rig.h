/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * echo_rig.h - a rig with the endpoint echo or discard
 */
#ifndef TESTS_UNIT_ENDPOINT_ECHO_RIG_H
#define TESTS_UNIT_ENDPOINT_ECHO_RIG_H

#include "../channel/steps.h"

/** echo_attached() - an attached rig with this endpoint, none of the guest's ends open */
void echo_attached(struct rig *rig, enum endpoint_type type, uint64_t ring_bytes);

/** echo_open() - an attached rig with an echo, both of the guest's ends open */
void echo_open(struct rig *rig, uint64_t ring_bytes);

/** echo_play() - take these steps, separated by ";"; echo_rig.c and steps.c have the lists */
void echo_play(struct rig *rig, const char *steps);

/** echo_test() - echo_open(), these steps, rig_deinit() */
void echo_test(uint64_t ring_bytes, const char *steps);

/* A test that is nothing but steps */
#define ECHO_TEST(name, ring_bytes, steps)    \
	Test(echo, name)                      \
	{                                     \
		echo_test(ring_bytes, steps); \
	}

#endif
