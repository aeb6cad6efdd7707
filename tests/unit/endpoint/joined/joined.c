// SPDX-License-Identifier: BSD-3-Clause
/*
 * joined.c - two guests that are joined: bytes, ends of file, EPIPE, guests that come and go
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define BOTH_WAYS for (unsigned int w = 0; w < 2; w++)

/* Steps with streams 0 and 1, one after the other, in one pair that is open */
static void both_ways(const char *steps)
{
	struct pair p;

	pair_open(&p, 4096);
	BOTH_WAYS
	pair_play(&p, w, steps);
	pair_deinit(&p);
}

/* Steps with stream 0 of a pair that is attached; the guests have opened nothing */
static void fresh_pair(const char *steps)
{
	struct pair p;

	pair_init(&p, 4096, false);
	pair_attach(&p);
	pair_play(&p, 0, steps);
	pair_deinit(&p);
}

Test(joined, bytes_both_ways)
{
	struct pair p;

	pair_open(&p, 8192);
	BOTH_WAYS
	{
		pair_nothing(&p, w, -OKL4_AGAIN);
		for (uint64_t n = 1; n <= 8192; n = n * 3 + 1) {
			pair_send(&p, w, n);
			pair_receive(&p, w, n);
			pair_nothing(&p, w, -OKL4_AGAIN);
		}
	}
	pair_send(&p, 0, 5000);
	pair_send(&p, 1, 8000);
	pair_receive(&p, 0, 5000);
	pair_receive(&p, 1, 8000);
	cr_assert(pair_is_joined(&p, 0) && pair_is_joined(&p, 1));
	pair_deinit(&p);
}

Test(joined, a_slow_reader_holds_the_writer_up)
{
	struct pair p;

	pair_open(&p, 4096);
	for (int rounds = 0; rounds < 20; rounds++) {
		uint64_t before = p.out[0];

		while (pair_write_one(&p, 0) == 1)
			pair_turns(&p);
		/* Two rings, and not a byte more */
		cr_assert_eq(p.out[0] - p.in[0], 8192, "%llu", (unsigned long long)before);
		pair_receive(&p, 0, rounds % 2 ? 8192 : 3000);
		pair_turns(&p);
	}
	pair_receive(&p, 0, p.out[0] - p.in[0]);
	pair_deinit(&p);
}

Test(joined, a_writer_that_closes_is_an_end_behind_its_bytes)
{
	struct pair p;

	pair_open(&p, 4096);
	BOTH_WAYS
	{
		pair_play(&p, w,
			  "writer sends 4000; writer waits; writer sends 4000;"
			  "writer closes write; reader gets 8000; reader sees end");
		/* Half a close: the other direction goes on. */
		if (!w)
			pair_play(&p, 1, "writer sends 100; reader gets 100");
		pair_play(&p, w,
			  "writer opens write; reader sees nothing;"
			  "writer sends 10; reader gets 10; reader sees nothing");
	}
	pair_deinit(&p);
}

Test(joined, an_end_is_taken_once)
{
	struct pair p;

	pair_open(&p, 4096);
	BOTH_WAYS
	{
		for (int i = 0; i < 3; i++) {
			pair_play(&p, w,
				  "writer closes write; reader sees end;"
				  "reader closes read; reader opens read; reader sees nothing");
			/* An opening that writes nothing, unseen by the daemon */
			pair_play(&p, w,
				  "writer opens write unseen; writer closes write;"
				  "reader sees end; reader closes read; reader opens read;"
				  "writer opens write; reader sees nothing");
		}
	}
	pair_deinit(&p);
}

Test(joined, a_reader_that_closes_is_epipe)
{
	both_ways("writer sends 1; reader gets 1;"
		  "reader closes read; reader waits; writer has EPIPE;"
		  "reader opens read; reader waits; writer sends 1; reader gets 1");
}

Test(joined, a_reader_that_came_and_went_unseen)
{
	fresh_pair("writer opens write; writer sends 1;"
		   "reader opens read unseen; reader closes read; reader waits; writer has EPIPE;"
		   "reader opens read; reader gets 1");
}

Test(joined, before_a_reader_a_writer_fills_the_rings)
{
	struct pair p;
	uint8_t byte;

	pair_init(&p, 4096, false);
	pair_attach(&p);
	guest_open_write(&p.rig[0]);
	for (int i = 0; i < 8192; i++) {
		cr_assert_eq(pair_write_one(&p, 0), 1);
		if (i % 4096 == 4095)
			pair_turns(&p);
	}
	cr_assert_eq(pair_write_one(&p, 0), -OKL4_AGAIN);
	guest_close_write(&p.rig[0]);
	pair_turns(&p);
	guest_open_read(&p.rig[1]);
	pair_receive(&p, 0, 8192);
	pair_nothing(&p, 0, 0);
	cr_assert_eq(guest_read(&p.rig[0], &byte, 1), -OKL4_AGAIN);
	pair_deinit(&p);
}

/* The writer's kernel tells it by a signal; what it had written before waits. */
Test(joined, bytes_wait_for_the_next_reader)
{
	struct pair p;

	pair_open(&p, 4096);
	pair_play(&p, 0,
		  "reader closes read; reader waits; reader opens read; reader waits;"
		  "writer sends 4096; writer waits; writer sends 4096;"
		  "reader closes read; reader waits; writer closes write; writer waits;"
		  "reader opens read; reader gets 8192; reader sees end");
	pair_deinit(&p);
}

Test(joined, a_guest_that_attaches_later_gets_all)
{
	struct pair p;

	for (unsigned int first = 0; first < 2; first++) {
		pair_init(&p, 4096, false);
		pair_play(&p, first,
			  "writer attaches; writer is not joined; writer opens write;"
			  "writer opens read; writer sends 4096; writer closes write; writer waits;"
			  "reader attaches; writer is joined; reader opens read;"
			  "reader gets 4096; reader sees end");
		pair_deinit(&p);
	}
}

Test(joined, memory_that_comes_back_goes_on)
{
	both_ways("writer sends 4096; writer loses memory; writer waits; reader is not joined;"
		  "writer attaches; reader gets 4096; reader sees nothing;"
		  "writer sends 4096; reader loses memory; reader waits; writer is not joined;"
		  "reader attaches; reader gets 4096; reader sees nothing");
}

/* What the living side sees of one that has died */
static void died(struct pair *p, unsigned int side)
{
	pair_play(p, side, "reader sees end");
	pair_play(p, !side, "writer has EPIPE");
}

static void born(struct pair *p, unsigned int side)
{
	/* There is no reader yet */
	pair_play(p, !side,
		  "reader attaches; reader waits; writer has EPIPE;"
		  "reader opens write; reader opens read");
	BOTH_WAYS
	pair_play(p, w, "writer sends 1000; reader gets 1000; reader sees nothing");
}

Test(joined, a_guest_that_dies)
{
	struct pair p;

	for (unsigned int side = 0; side < 2; side++) {
		pair_open(&p, 4096);
		/* Gone over, and not read */
		pair_play(&p, side,
			  "writer sends 1000; writer waits; writer loses memory;"
			  "writer is gone; reader gets 1000");
		died(&p, side);
		rig_new_memory(&p.rig[side]);
		born(&p, side);
		pair_deinit(&p);
	}
}

Test(joined, a_guest_that_reboots)
{
	struct pair p;

	for (unsigned int side = 0; side < 2; side++) {
		pair_open(&p, 4096);
		/* It may come back */
		pair_play(&p, side,
			  "writer sends 1000; writer waits; writer loses memory;"
			  "writer has fresh memory; reader gets 1000;"
			  "reader sees nothing; writer attaches");
		died(&p, side);
		born(&p, side);
		pair_deinit(&p);
	}
}

/* A reader of the former stream does not count for the new one. */
Test(joined, a_reader_that_changes_while_the_writer_reboots)
{
	static const char *const reboot = "writer has fresh memory; writer attaches;"
					  "writer opens write; writer sends 1";
	struct pair p;

	for (int again = 0; again < 2; again++) {
		pair_open(&p, 4096);
		pair_play(&p, 0,
			  "writer loses memory; writer is gone; reader sees end;"
			  "reader closes read");
		if (again)
			pair_play(&p, 0, "reader opens read");
		pair_play(&p, 0, reboot);
		if (!again)
			pair_play(&p, 0, "reader opens read");
		pair_play(&p, 0, "reader gets 1");
		pair_deinit(&p);
	}
}

Test(joined, a_guest_that_detaches_gives_what_it_has)
{
	struct pair p;

	pair_open(&p, 65536);
	/* Unseen by the daemon until it detaches */
	BOTH_WAYS
	{
		uint8_t buf[60000];
		bool notify;

		stream_fill(w, buf, p.out[w], sizeof(buf));
		cr_assert_eq(okl4_pipe_write(&p.rig[w].guest.tx, buf, sizeof(buf), &notify), 60000);
		p.out[w] += sizeof(buf);
		channel_detach(&p.rig[w].ch);
		pair_receive(&p, w, sizeof(buf));
		died(&p, w);
		/* The same memory again: where it was */
		pair_play(&p, w, "writer attaches; writer waits");
		pair_play(&p, !w, "writer sends 10; reader gets 10");
		pair_play(&p, w, "writer sends 10; reader gets 10");
	}
	pair_deinit(&p);
}

Test(joined, an_operators_reset_ends_the_stream)
{
	struct pair p;

	pair_open(&p, 4096);
	channel_fail(&p.rig[0].ch, OKL4_CHANNEL_RESET);
	died(&p, 0);
	rig_new_memory(&p.rig[0]);
	born(&p, 0);
	pair_deinit(&p);
}

Test(joined, a_daemon_that_ends_is_no_end_of_a_stream)
{
	struct pair p;

	pair_open(&p, 4096);
	for (unsigned int side = 0; side < 2; side++) {
		pair_play(&p, side,
			  "writer sends 4096; writer waits; writer sends 4096;"
			  "writer parts; reader is not joined; reader gets 4096;"
			  "reader sees nothing; reader sees a new daemon;"
			  "writer attaches; reader attaches; reader is joined;"
			  "reader gets 4096; reader sees nothing");
	}
	pair_deinit(&p);
}

Test(joined, a_channel_that_is_removed_ends_and_its_file_goes)
{
	struct pair p;

	pair_open(&p, 4096);
	pair_send(&p, 0, 100);
	pair_turns(&p);
	channel_detach(&p.rig[0].ch);
	p.rig[0].ep->ops->removed(p.rig[0].ep);
	cr_assert_neq(access(p.file, F_OK), 0);
	rig_kill(&p.rig[0]);
	pair_receive(&p, 0, 100);
	died(&p, 0);
	cr_assert(!pair_is_joined(&p, 1));
	rig_new_memory(&p.rig[0]);
	rig_restart(&p.rig[0]);
	born(&p, 0);
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
	cr_assert_eq(guest_write(&other, "x", 1), 1);
	pair_nothing(&p, 1, -OKL4_AGAIN);
	pair_send(&p, 1, 10);
	pair_receive(&p, 1, 10);
	rig_deinit(&other);
	pair_deinit(&p);

	options = (struct rig_options){ .guest = "vm1", .channel = "a" };
	rig_init_as(&other, &options, NULL, 4096);
	other.cfg.endpoint = to;
	cr_assert_eq(endpoint_new(&ep, &other.ch), -EINVAL);
	rig_deinit(&other);
}

Test(joined, an_idle_pair_sleeps)
{
	struct pair p;

	pair_open(&p, 4096);
	pair_play(&p, 0,
		  "writer sends 10; reader gets 10; writer idles;"
		  "writer closes write; reader sees end; writer idles;"
		  "reader closes read; writer closes read; writer idles");
	pair_deinit(&p);
}
