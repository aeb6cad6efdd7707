// SPDX-License-Identifier: BSD-3-Clause
/*
 * tail.c - two guests that are joined: what is left when one of them has gone
 */
#include <criterion/criterion.h>

#include "rig.h"

/* Both rings full: the target's, and the source's behind it. Return: bytes of the source's. */
static uint64_t fill_both(struct pair *p)
{
	pair_send(p, 0, 8192);
	pair_send(p, 0, 8192);
	return (uint64_t)channel_readable(&p->rig[0].ch);
}

Test(joined, what_a_guest_leaves_goes_over)
{
	struct pair p;

	pair_open(&p, 8192);
	cr_assert_eq(fill_both(&p), 8192);
	pair_play(&p, 0, "writer loses memory; writer is gone; writer has a tail of 8192");
	pair_play(&p, 0, "reader gets 16384; reader sees end; writer has a tail of 0");
	/* The next boot is another stream */
	pair_play(&p, 0, "writer has fresh memory; writer attaches; writer opens write");
	cr_assert_eq(guest_write(&p.rig[0], "x", 1), 1);
	guest_close_read(&p.rig[1]);
	guest_open_read(&p.rig[1]);
	pair_turns(&p);
	cr_assert_eq(guest_read(&p.rig[1], &(uint8_t){ 0 }, 1), 1);
	pair_deinit(&p);
}

Test(joined, a_stream_that_lost_bytes_fails_its_reader)
{
	struct pair p;

	pair_open(&p, 8192);
	p.rig[0].budget.limit_bytes = 5000;
	cr_assert_eq(fill_both(&p), 8192);
	pair_play(&p, 0, "writer loses memory; writer is gone");
	cr_assert_eq(p.rig[0].ch.lost_bytes, 8192 - 5000);
	pair_receive(&p, 0, 8192);
	pair_turns(&p);
	cr_assert_eq(p.rig[1].ch.state, CHANNEL_FAILED);
	cr_assert_eq(p.rig[1].told, OKL4_CHANNEL_RESET);
	pair_deinit(&p);
}
