// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo.c - the endpoints echo and discard
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "echo_rig.h"

/* ------------------------------------------------------------------------------------------- */
/* Bytes                                                                                       */

Test(echo, every_length_at_every_place)
{
	struct echo e;

	echo_open(&e, 4096);
	for (uint64_t n = 1; n <= 4096; n += 37) {
		echo_send(&e, n);
		echo_receive(&e, n);
	}
	echo_nothing(&e, -OKL4_AGAIN);
	cr_assert_eq(e.rig.ch.fwd.bytes, e.out);
	cr_assert_eq(e.rig.ch.bwd.bytes, e.out);
	rig_deinit(&e.rig);
}

Test(echo, a_stream_with_a_reader_that_comes_late)
{
	const uint64_t total = 16 << 20;
	uint64_t rng = rng_seeded("a_stream_with_a_reader_that_comes_late");
	struct echo e;
	uint8_t *buf = malloc(65536);

	echo_open(&e, 65536);
	while (e.in < total) {
		uint64_t want = 1 + rng_below(&rng, 65536);
		int64_t n;

		if (want > total - e.out)
			want = total - e.out;
		pattern_fill(buf, e.out, want);
		n = want ? guest_write(&e.rig, buf, want) : -OKL4_AGAIN;
		e.out += n > 0 ? (uint64_t)n : 0;
		if (rng_below(&rng, 3))
			rig_turns(&e.rig, 1);
		n = guest_read(&e.rig, buf, 1 + rng_below(&rng, 65536));
		if (n > 0) {
			pattern_check(buf, e.in, (uint64_t)n);
			e.in += (uint64_t)n;
		}
	}
	echo_nothing(&e, -OKL4_AGAIN);
	/* Both rings were full at times, and no side was woken for each piece. */
	cr_assert_gt(e.rig.ch.bwd.full_stalls, 0);
	free(buf);
	rig_deinit(&e.rig);
}

Test(echo, a_turn_is_bounded_and_the_rest_comes_by_itself)
{
	const uint64_t total = 3 * CHANNEL_TURN_BYTES;
	struct echo e;

	echo_open(&e, 4 << 20);
	channel_suspend(&e.rig.ch);
	echo_send(&e, total);
	cr_assert_eq(rig_attach(&e.rig), 0);
	cr_assert_leq(e.rig.ch.bwd.bytes, CHANNEL_TURN_BYTES);
	cr_assert_gt(e.rig.ch.bwd.bytes, 0);
	echo_receive(&e, total);
	rig_deinit(&e.rig);
}

/* ------------------------------------------------------------------------------------------- */
/* Opening and closing                                                                         */

Test(echo, is_open_before_anybody_comes)
{
	struct echo e;

	echo_attached(&e, ENDPOINT_ECHO, 4096);
	echo_play(&e, "sees open writer; sees open reader; opens read; sees nothing;"
		      "closes read; sees open writer");
	rig_deinit(&e.rig);
}

Test(echo, a_writers_end_goes_round_behind_its_bytes)
{
	struct echo e;

	echo_open(&e, 8192);
	for (int round = 0; round < 5; round++) {
		/* A writer never gets EPIPE: the reader stays open. */
		echo_play(&e, "sends 5000; closes write; sees open reader; gets 5000;"
			      "sees end; sees end; opens write; sees nothing");
	}
	rig_deinit(&e.rig);
}

Test(echo, echo_then_cat)
{
	struct echo e;

	echo_attached(&e, ENDPOINT_ECHO, 4096);
	for (int round = 0; round < 3; round++) {
		echo_play(&e, "opens write; sends 100; closes write;"
			      "opens read; gets 100; sees end; closes read");
		/* A reader that comes again waits for the next writer. */
		echo_play(&e, "opens read; sees nothing; closes read");
	}
	rig_deinit(&e.rig);
}

Test(echo, a_writer_that_came_and_went_between_two_looks)
{
	struct echo e;

	echo_open(&e, 4096);
	echo_play(&e, "closes write; sees end");
	/* With bytes; the host does not see what happens without memory */
	echo_play(&e, "opens write unseen; memory goes; sends 10; closes write unseen;"
		      "memory comes; gets 10; sees end");
	/* And without: a reader that waits for the next end gets it */
	echo_play(&e, "closes read; opens read; sees nothing;"
		      "opens write unseen; closes write unseen; rings; sees end");
	rig_deinit(&e.rig);
}

/* Nothing is pushed without a reader, and the writer is held up by a full fwd */
Test(echo, bytes_wait_for_a_reader_to_come_back)
{
	echo_test(4096, "sends 1000; closes read; sends 3000; echo has returned 1000;"
			"ring takes only 1096");
}

Test(echo, the_end_waits_behind_the_bytes)
{
	echo_test(4096, "sends 1000; closes read; sends 3000; closes write; sees open writer;"
			"opens read; gets 4000; sees end");
}

/* A writer that opens before a reader took the end: the end is not seen, the bytes are */
Test(echo, the_reader_closes_after_the_end)
{
	echo_test(4096, "sends 10; closes write; closes read; opens write; sends 10;"
			"opens read; gets 20; sees nothing");
}

/* The daemon's look at fwd comes here (ld's --wrap): this writer opens right behind it */
int64_t __real_channel_peek_read(struct channel *ch, struct okl4_pipe_seg seg[2]);
int64_t __wrap_channel_peek_read(struct channel *ch, struct okl4_pipe_seg seg[2]);

static struct okl4_pipe *opens_behind_a_look;

int64_t __wrap_channel_peek_read(struct channel *ch, struct okl4_pipe_seg seg[2])
{
	int64_t n = __real_channel_peek_read(ch, seg);

	if (opens_behind_a_look)
		okl4_pipe_producer_open(opens_behind_a_look);
	opens_behind_a_look = NULL;
	return n;
}

Test(echo, a_writer_that_comes_while_the_daemon_looks_ends_nothing)
{
	struct echo e;

	echo_open(&e, 4096);
	echo_play(&e, "sends 10; closes write; gets 10; sees end;"
		      "closes read; opens read; sees nothing");
	opens_behind_a_look = &e.rig.guest.tx;
	echo_play(&e, "rings");
	cr_assert_null(opens_behind_a_look);
	/* The second ring is this writer's bell. */
	echo_play(&e, "sees nothing; rings; sends 10; gets 10; sees nothing;"
		      "closes write; sees end");
	rig_deinit(&e.rig);
}

/* ------------------------------------------------------------------------------------------- */
/* discard                                                                                     */

Test(discard, takes_everything_and_gives_nothing)
{
	static uint8_t buf[1 << 20];
	uint64_t total = 0;
	struct echo e;

	echo_attached(&e, ENDPOINT_DISCARD, 65536);
	echo_play(&e, "sees open writer; sees open reader; opens read");
	for (int round = 0; round < 3; round++) {
		guest_open_write(&e.rig);
		while (total < (uint64_t)(round + 1) * (8 << 20)) {
			int64_t n = guest_write(&e.rig, buf, sizeof(buf));

			if (n > 0)
				total += (uint64_t)n;
			rig_turns(&e.rig, 1);
		}
		guest_close_write(&e.rig);
	}
	rig_turns(&e.rig, 2);
	cr_assert_eq(e.rig.ch.fwd.bytes, total);
	cr_assert_eq(okl4_pipe_writable(&e.rig.guest.tx), 65536);
	echo_nothing(&e, -OKL4_AGAIN);
	rig_deinit(&e.rig);
}

Test(discard, goes_on_after_a_restart)
{
	struct endpoint_info info;
	struct echo e;

	echo_attached(&e, ENDPOINT_DISCARD, 4096);
	guest_open_write(&e.rig);
	echo_killed(&e);
	echo_send(&e, 4096);
	cr_assert_eq(guest_write(&e.rig, "x", 1), -OKL4_AGAIN);
	cr_assert_eq(rig_attach(&e.rig), 0);
	cr_assert_eq(guest_write(&e.rig, "x", 1), 1);
	e.rig.ep->ops->info(e.rig.ep, &info);
	cr_assert(info.connected);
	cr_assert_eq(rig_cpu_ms(&e.rig, 100) > 50, false, "it spins");
	rig_deinit(&e.rig);
}
