// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo_rig.c - a rig with the endpoint echo or discard
 */
#include "echo_rig.h"

#include <criterion/criterion.h>

void echo_attached(struct rig *rig, enum endpoint_type type, uint64_t ring_bytes)
{
	rig_init(rig, &(struct endpoint_config){ .type = type }, ring_bytes);
	cr_assert_eq(rig_attach(rig), 0);
}

void echo_open(struct rig *rig, uint64_t ring_bytes)
{
	echo_attached(rig, ENDPOINT_ECHO, ring_bytes);
	guest_open_write(rig);
	guest_open_read(rig);
}

/* What the guest sees of the host's reader (of fwd) and writer (of bwd) */
static void sees_open(struct rig *rig, bool reader)
{
	enum okl4_pipe_state state;

	cr_assert_eq(reader ? okl4_pipe_producer_peer(&rig->guest.tx, &state) :
			      okl4_pipe_consumer_peer(&rig->guest.rx, &state),
		     0);
	cr_assert_eq(state, OKL4_PIPE_OPEN, "%s", step_text);
}

static void ring_takes_only(struct rig *rig, uint64_t n)
{
	static const uint8_t buf[4096];

	cr_assert_eq(guest_write(rig, buf, sizeof(buf)), n);
	cr_assert_eq(guest_write(rig, "x", 1), -OKL4_AGAIN);
}

static void echo_step(struct rig *rig, const char *words, uint64_t n)
{
	STEP(words, "sees open reader", sees_open(rig, true));
	STEP(words, "sees open writer", sees_open(rig, false));
	STEP(words, "ring takes only", ring_takes_only(rig, n)); /* of 4096 bytes */
	STEP(words, "echo has returned", cr_assert_eq(rig->ch.bwd.bytes, n));
	rig_step(rig, words, n);
}

void echo_play(struct rig *rig, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s))
		echo_step(rig, s.words, s.n);
}

void echo_test(uint64_t ring_bytes, const char *steps)
{
	struct rig rig;

	echo_open(&rig, ring_bytes);
	echo_play(&rig, steps);
	rig_deinit(&rig);
}
