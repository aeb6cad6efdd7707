// SPDX-License-Identifier: BSD-3-Clause
/*
 * joined.c - two guests that are joined: bytes, ends of file, EPIPE, guests that come and go
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#define BOTH_WAYS for (unsigned int w = 0; w < 2; w++)

Test(joined, bytes_both_ways)
{
	struct pair p;

	pair_open(&p, 8192);
	for (unsigned int w = 0; w < 2; w++) {
		pair_play(&p, w, "reader sees nothing");
		for (uint64_t n = 1; n <= 8192; n = n * 3 + 1) {
			guest_sends(&p.rig[w], n);
			guest_gets(&p.rig[!w], n);
			pair_play(&p, w, "reader sees nothing");
		}
	}
	pair_play(&p, 0,
		  "writer sends 5000; reader sends 8000; reader gets 5000; writer gets 8000;"
		  "writer connected; reader connected");
	pair_deinit(&p);
}

Test(joined, a_slow_reader_holds_the_writer_up)
{
	struct pair p;

	pair_open(&p, 4096);
	for (int rounds = 0; rounds < 20; rounds++) {
		while (pair_write_one(&p, 0) == 1)
			pair_turns(&p);
		/* Two rings, and not a byte more */
		cr_assert_eq(p.rig[0].out - p.rig[1].in, 8192, "round %d", rounds);
		guest_gets(&p.rig[1], rounds % 2 ? 8192 : 3000);
		pair_turns(&p);
	}
	guest_gets(&p.rig[1], p.rig[0].out - p.rig[1].in);
	pair_deinit(&p);
}

PAIR_TEST(a_writer_that_closes_is_an_end_behind_its_bytes, open, 2,
	  "writer sends 4000; writer turns; writer sends 4000;"
	  "writer closes write; reader gets 8000; reader sees end;"
	  /* Half a close: the other direction goes on. */
	  "reader sends 100; writer gets 100;"
	  "writer opens write; reader sees nothing;"
	  "writer sends 10; reader gets 10; reader sees nothing")

PAIR_TEST(an_end_is_taken_once, open, 2,
	  THRICE("writer closes write; reader sees end;"
		 "reader closes read; reader opens read; reader sees nothing;"
		 /* An opening that writes nothing, unseen by the daemon */
		 "writer opens write unseen; writer closes write;"
		 "reader sees end; reader closes read; reader opens read;"
		 "writer opens write; reader sees nothing;"))

PAIR_TEST(a_reader_that_closes_is_epipe, open, 2,
	  "writer sends 1; reader gets 1; reader closes read; reader turns; writer has EPIPE;"
	  "reader opens read; reader turns; writer sends 1; reader gets 1")

PAIR_TEST(a_reader_that_came_and_went_unseen, attached, 1,
	  "writer opens write; writer sends 1;"
	  "reader opens read unseen; reader closes read; reader turns; writer has EPIPE;"
	  "reader opens read; reader gets 1")

PAIR_TEST(before_a_reader_a_writer_fills_the_rings, attached, 1,
	  "writer opens write; writer sends 4096; writer turns; writer sends 4096; writer turns;"
	  "writer is held up; writer closes write; writer turns; reader opens read;"
	  "reader gets 8192; reader sees end; writer sees nothing")

/* The writer's kernel tells it by a signal; what it had written before waits. */
PAIR_TEST(bytes_wait_for_the_next_reader, open, 1,
	  "reader closes read; reader turns; reader opens read; reader turns;"
	  "writer sends 4096; writer turns; writer sends 4096;"
	  "reader closes read; reader turns; writer closes write; writer turns;"
	  "reader opens read; reader gets 8192; reader sees end")

Test(joined, a_guest_that_attaches_later_gets_all)
{
	struct pair p;

	for (unsigned int first = 0; first < 2; first++) {
		pair_init(&p, 4096, false);
		pair_play(&p, first,
			  "writer attaches; writer disconnected; writer opens write;"
			  "writer opens read; writer sends 4096; writer closes write; writer turns;"
			  "reader attaches; writer connected; reader opens read;"
			  "reader gets 4096; reader sees end");
		pair_deinit(&p);
	}
}

PAIR_TEST(memory_that_comes_back_goes_on, open, 2,
	  "writer sends 4096; writer loses memory; writer turns; reader disconnected;"
	  "writer attaches; reader gets 4096; reader sees nothing;"
	  "writer sends 4096; reader loses memory; reader turns; writer disconnected;"
	  "reader attaches; reader gets 4096; reader sees nothing")

/* What the living side sees of a writer that has died, and of the next one */
#define DIED "reader sees end; reader has EPIPE;"
#define BORN                                                                          \
	"writer attaches; writer turns; reader has EPIPE;" /* nobody reads yet */     \
	"writer opens write; writer opens read; writer sends 1000; reader gets 1000;" \
	"reader sees nothing; reader sends 1000; writer gets 1000; writer sees nothing;"

/* Steps with each side as the writer of a pair of its own */
static void each_side(const char *steps)
{
	struct pair p;

	for (unsigned int side = 0; side < 2; side++) {
		pair_open(&p, 4096);
		pair_play(&p, side, steps);
		pair_deinit(&p);
	}
}

/* Its bytes have gone over, and were not read */
Test(joined, a_guest_that_dies)
{
	each_side("writer sends 1000; writer turns; writer loses memory;"
		  "writer is gone; reader gets 1000;" DIED "writer has fresh memory;" BORN);
}

/* It may come back */
Test(joined, a_guest_that_reboots)
{
	each_side("writer sends 1000; writer turns; writer loses memory; writer has fresh memory;"
		  "reader gets 1000; reader sees nothing; writer attaches;" DIED BORN);
}

/* A reader of the former stream does not count for the new one. */
#define GONE "writer loses memory; writer is gone; reader sees end; reader closes read;"
#define BACK "writer has fresh memory; writer attaches; writer opens write; writer sends 1;"

PAIR_TEST(a_reader_that_opens_before_the_writer_reboots, open, 1,
	  GONE "reader opens read;" BACK "reader gets 1")
PAIR_TEST(a_reader_that_opens_after_the_writer_reboots, open, 1,
	  GONE BACK "reader opens read; reader gets 1")

Test(joined, a_guest_that_detaches_gives_what_it_has)
{
	struct pair p;

	pair_open(&p, 65536);
	for (unsigned int w = 0; w < 2; w++) {
		uint8_t buf[60000];
		bool notify;

		/* Unseen by the daemon until it detaches */
		pattern_fill(buf, p.rig[w].out, sizeof(buf));
		cr_assert_eq(okl4_pipe_write(&p.rig[w].guest.tx, buf, sizeof(buf), &notify), 60000);
		p.rig[w].out += sizeof(buf);
		pair_play(&p, w,
			  "writer detaches; reader gets 60000;" DIED
			  /* The same memory again: where it was */
			  "writer attaches; writer turns; reader sends 10; writer gets 10;"
			  "writer sends 10; reader gets 10");
	}
	pair_deinit(&p);
}

Test(joined, an_operators_reset_ends_the_stream)
{
	struct pair p;

	pair_open(&p, 4096);
	channel_fail(&p.rig[0].ch, OKL4_CHANNEL_RESET);
	pair_play(&p, 0, DIED "writer has fresh memory;" BORN);
	pair_deinit(&p);
}

PAIR_TEST(a_daemon_that_ends_is_no_end_of_a_stream, open, 2,
	  "writer sends 4096; writer turns; writer sends 4096;"
	  "writer parts; reader disconnected; reader gets 4096;"
	  "reader sees nothing; reader sees a new daemon;"
	  "writer attaches; reader attaches; reader connected;"
	  "reader gets 4096; reader sees nothing")

Test(joined, a_channel_that_is_removed_ends_and_its_file_goes)
{
	struct pair p;

	pair_open(&p, 4096);
	pair_play(&p, 0, "writer sends 100; writer turns; writer detaches");
	p.rig[0].ep->ops->removed(p.rig[0].ep);
	cr_assert_neq(access(p.file, F_OK), 0);
	pair_play(&p, 0,
		  "writer daemon dies; reader gets 100;" DIED "reader disconnected;"
		  "writer has fresh memory; writer daemon starts;" BORN);
	pair_deinit(&p);
}

Test(joined, an_endpoint_that_names_another_channel_is_not_joined)
{
	struct endpoint_config to = { .type = ENDPOINT_CHANNEL,
				      .guest = (char *)"vm1",
				      .channel = (char *)"a" };
	struct rig_options options = { .guest = "vm3", .channel = "c" };
	struct endpoint *ep = NULL;
	struct rig other;
	struct pair p;

	pair_open(&p, 4096);
	options.loop = p.loop;
	rig_init_as(&other, &options, &to, 4096);
	cr_assert_eq(rig_attach(&other), 0);
	guest_open_write(&other);
	guest_sends(&other, 1);
	pair_play(&p, 1, "reader sees nothing; writer sends 10; reader gets 10");
	rig_deinit(&other);
	pair_deinit(&p);

	options = (struct rig_options){ .guest = "vm1", .channel = "a" };
	rig_init_as(&other, &options, NULL, 4096);
	other.cfg.endpoint = to;
	cr_assert_eq(endpoint_new(&ep, &other.ch), -EINVAL);
	rig_deinit(&other);
}

PAIR_TEST(an_idle_pair_sleeps, open, 1,
	  "writer sends 10; reader gets 10; writer idles;"
	  "writer closes write; reader sees end; writer idles;"
	  "reader closes read; writer closes read; writer idles")
