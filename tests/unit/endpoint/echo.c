// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo.c - the endpoints echo and discard
 */
#include <criterion/criterion.h>
#include <libfs/checked.h>

#include "echo_rig.h"

Test(echo, every_length_at_every_place)
{
	struct rig rig;

	echo_open(&rig, 4096);
	for (uint64_t n = 1; n <= 4096; n += 37) {
		guest_sends(&rig, n);
		guest_gets(&rig, n);
	}
	guest_sees(&rig, -OKL4_AGAIN);
	cr_assert_eq(rig.ch.fwd.bytes, rig.out);
	cr_assert_eq(rig.ch.bwd.bytes, rig.out);
	rig_deinit(&rig);
}

Test(echo, a_stream_with_a_reader_that_comes_late)
{
	const uint64_t total = 16 << 20;
	uint64_t rng = rng_seeded("a_stream_with_a_reader_that_comes_late");
	struct rig rig;

	echo_open(&rig, 65536);
	while (rig.in < total) {
		if (rig.out < total)
			guest_writes_some(&rig,
					  okl4_min(1 + rng_below(&rng, 65536), total - rig.out));
		if (rng_below(&rng, 3))
			rig_turns(&rig, 1);
		guest_reads_some(&rig, 1 + rng_below(&rng, 65536));
	}
	guest_sees(&rig, -OKL4_AGAIN);
	/* Both rings were full at times, and no side was woken for each piece. */
	cr_assert_gt(rig.ch.bwd.full_stalls, 0);
	rig_deinit(&rig);
}

Test(echo, a_turn_is_bounded_and_the_rest_comes_by_itself)
{
	const uint64_t total = 3 * CHANNEL_TURN_BYTES;
	struct rig rig;

	echo_open(&rig, 4 << 20);
	channel_suspend(&rig.ch);
	guest_sends(&rig, total);
	cr_assert_eq(rig_attach(&rig), 0);
	cr_assert_leq(rig.ch.bwd.bytes, CHANNEL_TURN_BYTES);
	cr_assert_gt(rig.ch.bwd.bytes, 0);
	guest_gets(&rig, total);
	rig_deinit(&rig);
}

Test(echo, is_open_before_anybody_comes)
{
	struct rig rig;

	echo_attached(&rig, ENDPOINT_ECHO, 4096);
	echo_play(&rig, "sees open writer; sees open reader; opens read; sees nothing;"
			"closes read; sees open writer");
	rig_deinit(&rig);
}

/* A writer never gets EPIPE: the reader stays open. */
ECHO_TEST(a_writers_end_goes_round_behind_its_bytes, 8192,
	  THRICE("sends 5000; closes write; sees open reader; gets 5000; sees end; sees end;"
		 "opens write; sees nothing;"))

/* A reader that comes again waits for the next writer. */
Test(echo, echo_then_cat)
{
	struct rig rig;

	echo_attached(&rig, ENDPOINT_ECHO, 4096);
	/* A reader that comes again waits for the next writer. */
	echo_play(&rig, THRICE("opens write; sends 100; closes write; opens read; gets 100;"
			       "sees end; closes read; opens read; sees nothing; closes read;"));
	rig_deinit(&rig);
}

ECHO_TEST(a_writer_that_came_and_went_between_two_looks, 4096,
	  "closes write; sees end;"
	  /* With bytes; the host does not see what happens without memory */
	  "opens write unseen; loses memory; sends 10; closes write unseen;"
	  "attaches; gets 10; sees end;"
	  /* And without: a reader that waits for the next end gets it */
	  "closes read; opens read; sees nothing;"
	  "opens write unseen; closes write unseen; rings; sees end")

/* Nothing is pushed without a reader, and the writer is held up by a full fwd */
ECHO_TEST(bytes_wait_for_a_reader_to_come_back, 4096,
	  "sends 1000; closes read; sends 3000; echo has returned 1000; ring takes only 1096")

ECHO_TEST(the_end_waits_behind_the_bytes, 4096,
	  "sends 1000; closes read; sends 3000; closes write; sees open writer;"
	  "opens read; gets 4000; sees end")

/* A writer that opens before a reader took the end: the end is not seen, the bytes are */
ECHO_TEST(the_reader_closes_after_the_end, 4096,
	  "sends 10; closes write; closes read; opens write; sends 10;"
	  "opens read; gets 20; sees nothing")

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
	struct rig rig;

	echo_open(&rig, 4096);
	echo_play(&rig, "sends 10; closes write; gets 10; sees end;"
			"closes read; opens read; sees nothing");
	opens_behind_a_look = &rig.guest.tx;
	echo_play(&rig, "rings");
	cr_assert_null(opens_behind_a_look);
	/* The second ring is this writer's bell. */
	echo_play(&rig, "sees nothing; rings; sends 10; gets 10; sees nothing;"
			"closes write; sees end");
	rig_deinit(&rig);
}

Test(discard, takes_everything_and_gives_nothing)
{
	struct rig rig;

	echo_attached(&rig, ENDPOINT_DISCARD, 65536);
	echo_play(&rig, "sees open writer; sees open reader; opens read");
	for (uint64_t round = 1; round <= 3; round++) {
		guest_open_write(&rig);
		while (rig.out < round * (8 << 20)) {
			guest_writes_some(&rig, 1 << 20);
			rig_turns(&rig, 1);
		}
		guest_close_write(&rig);
	}
	rig_turns(&rig, 2);
	cr_assert_eq(rig.ch.fwd.bytes, rig.out);
	cr_assert_eq(okl4_pipe_writable(&rig.guest.tx), 65536);
	guest_sees(&rig, -OKL4_AGAIN);
	rig_deinit(&rig);
}

Test(discard, goes_on_after_a_restart)
{
	struct rig rig;

	echo_attached(&rig, ENDPOINT_DISCARD, 4096);
	echo_play(&rig, "opens write; daemon dies; daemon starts; sends 4096; is held up;"
			"attaches; sends 1; connected; idles");
	rig_deinit(&rig);
}
