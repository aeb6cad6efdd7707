// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo_rig.c - a rig with the endpoint echo or discard, and the stream of its guest
 */
#include "echo_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>

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
