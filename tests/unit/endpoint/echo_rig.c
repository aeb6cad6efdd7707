// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo_rig.c - a rig with the endpoint echo or discard, and the stream of its guest
 */
#include "echo_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../channel/steps.h"

void echo_attached(struct echo *e, enum endpoint_type type, uint64_t ring_bytes)
{
	struct endpoint_config cfg = { .type = type };

	rig_init(&e->rig, &cfg, ring_bytes);
	cr_assert_eq(rig_attach(&e->rig), 0);
	e->out = e->in = 0;
}

void echo_open(struct echo *e, uint64_t ring_bytes)
{
	echo_attached(e, ENDPOINT_ECHO, ring_bytes);
	guest_open_write(&e->rig);
	guest_open_read(&e->rig);
}

void echo_killed(struct echo *e)
{
	rig_kill(&e->rig);
	rig_restart(&e->rig);
}

void echo_send(struct echo *e, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, e->out, bytes);
	cr_assert_eq(guest_write(&e->rig, buf, bytes), (int64_t)bytes);
	free(buf);
	e->out += bytes;
}

void echo_receive(struct echo *e, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);
	uint64_t done = 0;

	while (done < bytes) {
		int64_t n = guest_read(&e->rig, buf, bytes - done);

		if (n == -OKL4_AGAIN) {
			rig_turns(&e->rig, 1);
			n = guest_read(&e->rig, buf, bytes - done);
		}
		cr_assert_gt(n, 0, "%lld after %llu bytes", (long long)n, (long long)done);
		pattern_check(buf, e->in, (uint64_t)n);
		done += (uint64_t)n;
		e->in += (uint64_t)n;
	}
	free(buf);
}

void echo_nothing(struct echo *e, int64_t want)
{
	uint8_t byte;

	rig_turns(&e->rig, 2);
	cr_assert_eq(guest_read(&e->rig, &byte, 1), want);
}

/* ------------------------------------------------------------------------------------------- */
/* Steps                                                                                       */

/* What the guest sees of the host's reader (of fwd) or writer (of bwd) */
static void sees_open_reader(struct echo *e, uint64_t n)
{
	enum okl4_pipe_state state;

	cr_assert_eq(okl4_pipe_producer_peer(&e->rig.guest.tx, &state), 0);
	cr_assert_eq(state, OKL4_PIPE_OPEN);
}

static void sees_open_writer(struct echo *e, uint64_t n)
{
	enum okl4_pipe_state state;

	cr_assert_eq(okl4_pipe_consumer_peer(&e->rig.guest.rx, &state), 0);
	cr_assert_eq(state, OKL4_PIPE_OPEN);
}

static void ring_takes_only(struct echo *e, uint64_t n)
{
	static const uint8_t buf[4096];

	cr_assert_eq(guest_write(&e->rig, buf, sizeof(buf)), n);
	cr_assert_eq(guest_write(&e->rig, "x", 1), -OKL4_AGAIN);
}

static void echo_step(struct echo *e, const struct steps *s)
{
	uint64_t n = s->n;

	STEP(s->words, "opens write unseen",
	     okl4_pipe_producer_open(&e->rig.guest.tx)); /* the daemon's bell does not ring */
	STEP(s->words, "closes write unseen", okl4_pipe_producer_close(&e->rig.guest.tx));
	STEP(s->words, "sends", echo_send(e, n));
	STEP(s->words, "gets", echo_receive(e, n));
	STEP(s->words, "sees nothing", echo_nothing(e, -OKL4_AGAIN));
	STEP(s->words, "sees end", echo_nothing(e, 0));
	STEP(s->words, "sees open reader", sees_open_reader(e, n));
	STEP(s->words, "sees open writer", sees_open_writer(e, n));
	STEP(s->words, "ring takes only", ring_takes_only(e, n)); /* of 4096 bytes */
	STEP(s->words, "rings", channel_rung(&e->rig.ch));
	STEP(s->words, "echo has returned", cr_assert_eq(e->rig.ch.bwd.bytes, n));
	STEP(s->words, "memory goes", channel_suspend(&e->rig.ch));
	STEP(s->words, "memory comes", cr_assert_eq(rig_attach(&e->rig), 0));
	STEP(s->words, "daemon is killed", echo_killed(e)); /* the next one has not attached */
	cr_assert(step_of_guest(&e->rig, s->words), "no step is called \"%s\"", s->words);
}

void echo_play(struct echo *e, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s))
		echo_step(e, &s);
}

void echo_test(uint64_t ring_bytes, const char *steps)
{
	struct echo e;

	echo_open(&e, ring_bytes);
	echo_play(&e, steps);
	rig_deinit(&e.rig);
}
