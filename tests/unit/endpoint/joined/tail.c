// SPDX-License-Identifier: BSD-3-Clause
/*
 * tail.c - two guests that are joined: what is left when one of them has gone
 */
#include <criterion/criterion.h>

#include "rig.h"

/* Both rings are full: the target's, and the source's behind it */
static void pair_full(struct pair *p)
{
	pair_open(p, 8192);
	guest_sends(&p->rig[0], 8192);
	guest_sends(&p->rig[0], 8192);
	cr_assert_eq(channel_readable(&p->rig[0].ch), 8192);
}

Test(joined, what_a_guest_leaves_goes_over)
{
	struct pair p;

	pair_full(&p);
	pair_play(&p, 0,
		  "writer loses memory; writer is gone; writer tail 8192;"
		  "reader gets 16384; reader sees end; writer tail 0;"
		  /* The next boot is another stream */
		  "writer has fresh memory; writer attaches; writer opens write; writer sends 1;"
		  "reader closes read; reader opens read; reader turns; reader gets 1");
	pair_deinit(&p);
}

Test(joined, a_stream_that_lost_bytes_fails_its_reader)
{
	struct pair p;

	pair_full(&p);
	p.rig[0].budget.limit_bytes = 5000;
	pair_play(&p, 0,
		  "writer loses memory; writer is gone; writer lost 3192; reader gets 8192;"
		  "reader turns");
	cr_assert_eq(p.rig[1].ch.state, CHANNEL_FAILED);
	cr_assert_eq(p.rig[1].told, OKL4_CHANNEL_RESET);
	pair_deinit(&p);
}
