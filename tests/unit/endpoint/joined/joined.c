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

/* What a write of one byte by a side gives */
static int64_t writes(struct pair *p, unsigned int w)
{
	uint8_t byte;
	int64_t n;

	stream_fill(w, &byte, p->out[w], 1);
	n = guest_write(&p->rig[w], &byte, 1);
	p->out[w] += n == 1;
	return n;
}

/* What the side's endpoint says of itself */
static bool is_joined(struct pair *p, unsigned int side)
{
	struct endpoint_info info;

	p->rig[side].ep->ops->info(p->rig[side].ep, &info);
	return info.connected;
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
	cr_assert(is_joined(&p, 0) && is_joined(&p, 1));
	pair_deinit(&p);
}

Test(joined, a_slow_reader_holds_the_writer_up)
{
	struct pair p;

	pair_open(&p, 4096);
	for (int rounds = 0; rounds < 20; rounds++) {
		uint64_t before = p.out[0];

		while (writes(&p, 0) == 1)
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
		pair_send(&p, w, 4000);
		pair_turns(&p);
		pair_send(&p, w, 4000);
		guest_close_write(&p.rig[w]);
		pair_receive(&p, w, 8000);
		pair_nothing(&p, w, 0);
		/* Half a close: the other direction goes on. */
		if (!w) {
			pair_send(&p, 1, 100);
			pair_receive(&p, 1, 100);
		}
		guest_open_write(&p.rig[w]);
		pair_nothing(&p, w, -OKL4_AGAIN);
		pair_send(&p, w, 10);
		pair_receive(&p, w, 10);
		pair_nothing(&p, w, -OKL4_AGAIN);
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
			guest_close_write(&p.rig[w]);
			pair_nothing(&p, w, 0);
			guest_close_read(&p.rig[!w]);
			guest_open_read(&p.rig[!w]);
			pair_nothing(&p, w, -OKL4_AGAIN);
			/* An opening that writes nothing, unseen by the daemon */
			okl4_pipe_producer_open(&p.rig[w].guest.tx);
			guest_close_write(&p.rig[w]);
			pair_nothing(&p, w, 0);
			guest_close_read(&p.rig[!w]);
			guest_open_read(&p.rig[!w]);
			guest_open_write(&p.rig[w]);
			pair_nothing(&p, w, -OKL4_AGAIN);
		}
	}
	pair_deinit(&p);
}

Test(joined, a_reader_that_closes_is_epipe)
{
	struct pair p;

	pair_open(&p, 4096);
	BOTH_WAYS
	{
		cr_assert_eq(writes(&p, w), 1);
		pair_receive(&p, w, 1);
		guest_close_read(&p.rig[!w]);
		pair_turns(&p);
		cr_assert_eq(writes(&p, w), -OKL4_PIPE);
		guest_open_read(&p.rig[!w]);
		pair_turns(&p);
		cr_assert_eq(writes(&p, w), 1);
		pair_receive(&p, w, 1);
	}
	pair_deinit(&p);
}

Test(joined, a_reader_that_came_and_went_unseen)
{
	struct pair p;

	pair_init(&p, 4096, false);
	pair_attach(&p);
	guest_open_write(&p.rig[0]);
	cr_assert_eq(writes(&p, 0), 1);
	okl4_pipe_consumer_open(&p.rig[1].guest.rx);
	guest_close_read(&p.rig[1]);
	pair_turns(&p);
	cr_assert_eq(writes(&p, 0), -OKL4_PIPE);
	guest_open_read(&p.rig[1]);
	pair_receive(&p, 0, 1);
	pair_deinit(&p);
}

Test(joined, before_a_reader_a_writer_fills_the_rings)
{
	struct pair p;
	uint8_t byte;

	pair_init(&p, 4096, false);
	pair_attach(&p);
	guest_open_write(&p.rig[0]);
	for (int i = 0; i < 8192; i++) {
		cr_assert_eq(writes(&p, 0), 1);
		if (i % 4096 == 4095)
			pair_turns(&p);
	}
	cr_assert_eq(writes(&p, 0), -OKL4_AGAIN);
	guest_close_write(&p.rig[0]);
	pair_turns(&p);
	guest_open_read(&p.rig[1]);
	pair_receive(&p, 0, 8192);
	pair_nothing(&p, 0, 0);
	cr_assert_eq(guest_read(&p.rig[0], &byte, 1), -OKL4_AGAIN);
	pair_deinit(&p);
}

Test(joined, bytes_wait_for_the_next_reader)
{
	struct pair p;

	pair_open(&p, 4096);
	guest_close_read(&p.rig[1]);
	pair_turns(&p);
	/* The writer is told by a signal of its kernel's; what it had written before lies there. */
	guest_open_read(&p.rig[1]);
	pair_turns(&p);
	pair_send(&p, 0, 4096);
	pair_turns(&p);
	pair_send(&p, 0, 4096);
	guest_close_read(&p.rig[1]);
	pair_turns(&p);
	guest_close_write(&p.rig[0]);
	pair_turns(&p);
	guest_open_read(&p.rig[1]);
	pair_receive(&p, 0, 8192);
	pair_nothing(&p, 0, 0);
	pair_deinit(&p);
}

Test(joined, a_guest_that_attaches_later_gets_all)
{
	struct pair p;

	for (unsigned int first = 0; first < 2; first++) {
		pair_init(&p, 4096, false);
		cr_assert_eq(rig_attach(&p.rig[first]), 0);
		cr_assert(!is_joined(&p, first));
		guest_open_write(&p.rig[first]);
		guest_open_read(&p.rig[first]);
		pair_send(&p, first, 4096);
		guest_close_write(&p.rig[first]);
		pair_turns(&p);
		cr_assert_eq(rig_attach(&p.rig[!first]), 0);
		cr_assert(is_joined(&p, first));
		guest_open_read(&p.rig[!first]);
		pair_receive(&p, first, 4096);
		pair_nothing(&p, first, 0);
		pair_deinit(&p);
	}
}

Test(joined, memory_that_comes_back_goes_on)
{
	struct pair p;

	pair_open(&p, 4096);
	BOTH_WAYS
	{
		for (unsigned int side = 0; side < 2; side++) {
			pair_send(&p, w, 4096);
			channel_suspend(&p.rig[side].ch);
			pair_turns(&p);
			cr_assert(!is_joined(&p, !side));
			cr_assert_eq(rig_attach(&p.rig[side]), 0);
			pair_receive(&p, w, 4096);
			pair_nothing(&p, w, -OKL4_AGAIN);
		}
	}
	pair_deinit(&p);
}

/* What the living side sees of one that has died */
static void died(struct pair *p, unsigned int side)
{
	pair_nothing(p, side, 0);
	cr_assert_eq(writes(p, !side), -OKL4_PIPE);
}

static void born(struct pair *p, unsigned int side)
{
	cr_assert_eq(rig_attach(&p->rig[side]), 0);
	pair_turns(p);
	cr_assert_eq(writes(p, !side), -OKL4_PIPE); /* there is no reader yet */
	guest_open_write(&p->rig[side]);
	guest_open_read(&p->rig[side]);
	BOTH_WAYS
	{
		pair_send(p, w, 1000);
		pair_receive(p, w, 1000);
		pair_nothing(p, w, -OKL4_AGAIN);
	}
}

Test(joined, a_guest_that_dies)
{
	struct pair p;

	for (unsigned int side = 0; side < 2; side++) {
		pair_open(&p, 4096);
		pair_send(&p, side, 1000); /* gone over, and not read */
		pair_turns(&p);
		channel_suspend(&p.rig[side].ch);
		channel_guest_gone(&p.rig[side].ch);
		pair_receive(&p, side, 1000);
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
		pair_send(&p, side, 1000);
		pair_turns(&p);
		channel_suspend(&p.rig[side].ch);
		rig_new_memory(&p.rig[side]);
		pair_receive(&p, side, 1000);
		pair_nothing(&p, side, -OKL4_AGAIN); /* it may come back */
		cr_assert_eq(rig_attach(&p.rig[side]), 0);
		died(&p, side);
		born(&p, side);
		pair_deinit(&p);
	}
}

Test(joined, a_reader_that_changes_while_the_writer_reboots)
{
	struct pair p;

	for (int again = 0; again < 2; again++) {
		pair_open(&p, 4096);
		channel_suspend(&p.rig[0].ch);
		channel_guest_gone(&p.rig[0].ch);
		pair_nothing(&p, 0, 0);
		guest_close_read(&p.rig[1]);
		if (again)
			guest_open_read(&p.rig[1]);
		rig_new_memory(&p.rig[0]);
		cr_assert_eq(rig_attach(&p.rig[0]), 0);
		guest_open_write(&p.rig[0]);
		/* A reader of the former stream does not count for the new one. */
		cr_assert_eq(writes(&p, 0), 1);
		if (!again)
			guest_open_read(&p.rig[1]);
		pair_receive(&p, 0, 1);
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
		cr_assert_eq(rig_attach(&p.rig[w]), 0);
		pair_turns(&p);
		pair_send(&p, !w, 10);
		pair_receive(&p, !w, 10);
		pair_send(&p, w, 10);
		pair_receive(&p, w, 10);
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
		pair_send(&p, side, 4096);
		pair_turns(&p);
		pair_send(&p, side, 4096);
		p.rig[side].ep->ops->part(p.rig[side].ep);
		cr_assert(!is_joined(&p, !side));
		pair_receive(&p, side, 4096);
		pair_nothing(&p, side, -OKL4_AGAIN);
		pair_killed(&p);
		pair_attach(&p);
		cr_assert(is_joined(&p, !side));
		pair_receive(&p, side, 4096);
		pair_nothing(&p, side, -OKL4_AGAIN);
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
	cr_assert(!is_joined(&p, 1));
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
	pair_send(&p, 0, 10);
	pair_receive(&p, 0, 10);
	cr_assert_leq(rig_cpu_ms(&p.rig[0], 100), 30);
	guest_close_write(&p.rig[0]);
	pair_nothing(&p, 0, 0);
	cr_assert_leq(rig_cpu_ms(&p.rig[0], 100), 30);
	guest_close_read(&p.rig[1]);
	guest_close_read(&p.rig[0]);
	cr_assert_leq(rig_cpu_ms(&p.rig[0], 100), 30);
	pair_deinit(&p);
}
