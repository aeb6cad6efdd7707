// SPDX-License-Identifier: BSD-3-Clause
/*
 * tail.c - what a guest has written is delivered when it has gone, or never ends cleanly
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

#define RING 65536ULL

Test(tail, is_delivered_to_a_client_that_is_there)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "client comes");
	/* Until the socket is full, and the ring too */
	host_play(&h, "guest fills ring; machine goes");
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), RING);
	cr_assert_eq(h.rig.budget.used_bytes, RING);
	client_gets(&h, h.fd, &h.got, h.out);
	host_play(&h, "client sees end; tail 0; lost 0; client closes");
	host_finish(&h);
}

Test(tail, is_delivered_to_one_who_comes_later)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 40000; closes write; machine goes; client comes");
	client_gets(&h, h.fd, &h.got, h.out);
	host_play(&h, "client sees end; client closes; tail 0");
	/* and to nobody twice */
	host_play(&h, "client comes; client sees nothing; client closes");
	host_finish(&h);
}

Test(tail, one_after_the_other_each_with_its_own_end)
{
	uint64_t sizes[] = { 1, 40000, RING, 7 };
	struct host h;

	host_listening(&h, RING);
	for (int i = 0; i < 4; i++) {
		host_play(&h, "machine comes");
		guest_sends(&h, &h.out, sizes[i]);
		host_play(&h, "machine goes");
	}
	/* This one is there, and waits. */
	host_play(&h, "machine comes; opens read; guest sends 5");
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), 1 + 40000 + RING + 7);
	for (int i = 0; i < 4; i++) {
		host_play(&h, "client comes");
		client_gets(&h, h.fd, &h.got, sizes[i]);
		host_play(&h, "client sees end; client closes");
	}
	host_play(&h, "tail 0; client comes; client gets 5; client sees nothing");
	cr_assert_eq(client_sends(&h, h.fd, &(uint64_t){ 0 }, 3), 3);
	guest_gets(&h, &(uint64_t){ 0 }, 3);
	host_play(&h, "client closes");
	host_finish(&h);
}

Test(tail, a_client_may_take_a_part_of_it_and_the_next_one_the_rest)
{
	uint64_t moved;
	struct host h;
	uint8_t c;

	host_attached(&h, 1U << 20);
	host_play(&h, "guest fills ring; memory goes; guest dies; client comes");
	cr_assert_eq(recv(h.fd, &c, 1, 0), 1);
	cr_assert_eq(send(h.fd, "who is there?", 13, 0), 13);
	host_play(&h, "client leaves");
	moved = h.rig.ch.fwd.bytes; /* the socket took so much, whoever read it */
	cr_assert_lt(moved, h.out);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), h.out - moved);
	h.got = moved;
	host_play(&h, "client comes");
	client_gets(&h, h.fd, &h.got, h.out - moved);
	host_play(&h, "client sees end; client closes");
	host_finish(&h);
}

Test(tail, memory_that_comes_back_goes_on_where_it_was)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 3000; memory goes");
	cr_assert_eq(h.rig.budget.used_bytes, 4096, "a copy is kept");
	host_play(&h, "guest sends 2000; memory comes; tail 0; client comes");
	client_gets(&h, h.fd, &h.got, h.out);
	host_play(&h, "client sees nothing; client closes");
	host_finish(&h);
}

/* The device is unplugged, and plugged in again: the frontend goes, and the memory is the same. */
Test(tail, memory_that_comes_back_after_all_is_not_delivered_twice)
{
	struct host h;

	for (int taken = 0; taken < 3; taken++) {
		host_attached(&h, 1U << 20);
		host_play(&h, "guest fills ring; memory goes; guest dies");
		host_play(&h, "client comes"); /* the socket takes a part */
		if (taken)
			client_gets(&h, h.fd, &h.got, taken == 1 ? 1000 : h.out);
		if (taken == 2)
			host_play(&h, "client sees end");
		host_play(&h, "memory comes; tail 0");
		guest_sends(&h, &h.out, taken == 2 ? 77 : 0);
		if (taken == 2)
			host_play(&h, "client closes; client comes");
		client_gets(&h, h.fd, &h.got, h.out - h.got);
		host_play(&h, "client sees nothing; client closes");
		host_finish(&h);
	}
}

Test(tail, memory_that_comes_back_behind_another_tail)
{
	attached_plays(RING, "guest sends 300; machine goes; machine comes; guest sends 20; "
			     "memory goes; guest dies; memory comes; tail 300; client comes; "
			     "client gets 300; client sees end; client closes; client comes; "
			     "client gets 20; client sees nothing; client closes");
}

/* A unix socket can tell its client of an error only when something of the client's lies unread. */
static void expect_torn(struct host *h)
{
	host_play(h, "client sees nothing");
	cr_assert_eq(send(h->fd, "x", 1, MSG_NOSIGNAL), 1);
	host_play(h, "client sees reset; client closes");
}

Test(tail, what_is_too_much_is_counted_and_never_ends_cleanly)
{
	struct host h;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 10000;
	host_play(&h, "guest sends 30000; machine goes; tail 10000; lost 20000; client comes; "
		      "client gets 10000");
	expect_torn(&h);
	host_play(&h, "tail 0");

	/* Another client can come while a torn one is still there. */
	host_play(&h, "machine comes; guest sends 5; client comes");
	h.got = 30000;
	host_play(&h, "client gets 5; client sees nothing; client closes");
	host_finish(&h);
}

Test(tail, nothing_is_kept_when_nothing_may_be)
{
	uint64_t taken;
	struct host h;
	int other;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 0;
	host_play(&h, "client comes; guest fills ring; machine goes; tail 0");
	cr_assert_eq(h.rig.ch.lost_bytes, RING);
	taken = h.out - RING;
	client_gets(&h, h.fd, &h.got, taken);
	host_play(&h, "client sees nothing");
	/* It does not keep others away */
	other = host_client(&h);
	host_play(&h, "connected");
	client_sees(&h, other, EAGAIN);
	close(other);
	expect_torn(&h);
	host_finish(&h);
}

Test(tail, a_client_with_bytes_on_their_way_sees_the_tear_at_once)
{
	struct host h;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 0;
	host_play(&h, "client comes");
	guest_close_read(&h.rig); /* so that nobody takes what the client writes */
	host_play(&h, "guest fills ring");
	cr_assert_eq(send(h.fd, "question", 8, 0), 8);
	host_play(&h, "machine goes");
	client_gets(&h, h.fd, &h.got, h.out - RING);
	host_play(&h, "client sees reset; client closes");
	host_finish(&h);
}

Test(tail, a_torn_client_that_only_ends_its_direction_is_held_until_it_hangs_up)
{
	struct pollfd p;
	struct host h;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 0;
	host_play(&h, "client comes; client ends; turns; guest fills ring; machine goes");
	p = (struct pollfd){ .fd = h.fd, .events = POLLRDHUP };
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS, "it sleeps meanwhile");
	cr_assert_eq(poll(&p, 1, 0), 0);
	host_play(&h, "client closes");
	host_finish(&h);
}

Test(tail, zeros_in_place_of_lost_memory_are_no_tail)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 3000");
	h.rig.memory_is_lost = true;
	host_play(&h, "machine goes; tail 0; lost 3000; client comes; client sees nothing; "
		      "client closes");
	host_finish(&h);
}

Test(tail, memory_that_the_guest_takes_back_is_not_delivered_twice)
{
	attached_plays(RING, "guest sends 3000; guest detaches; tail 3000; memory comes; "
			     "guest sends 500; client comes; client gets 3000; client sees end; "
			     "client closes; client comes; client gets 500; client sees nothing; "
			     "client closes");
}

Test(tail, a_removed_channel_without_a_client_leaves_the_bytes_to_the_guest)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 3000");
	channel_remove(&h.rig.ch, false);
	host_play(&h, "tail 0; lost 0; daemon dies; daemon starts; memory comes; client comes");
	client_gets(&h, h.fd, &h.got, h.out);
	host_play(&h, "client closes");
	host_finish(&h);
}

Test(tail, of_a_channel_that_ends_is_lost_and_torn)
{
	uint64_t taken;
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "client comes; guest fills ring; machine goes; machine comes; "
		      "guest sends 9; machine goes");
	taken = h.rig.ch.fwd.bytes;
	channel_give_up(&h.rig.ch, "the test wants it");
	cr_assert_eq(h.rig.ch.lost_bytes, h.out - taken);
	host_play(&h, "tail 0");
	client_gets(&h, h.fd, &h.got, taken);
	expect_torn(&h);
	host_finish(&h);
}

Test(tail, a_reset_drops_tails_too)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 3000; machine goes; machine comes; guest sends 100");
	channel_reset(&h.rig.ch);
	cr_assert_eq(h.rig.ch.state, CHANNEL_FAILED);
	host_play(&h, "lost 3100; tail 0; machine comes");
	h.got = h.out;
	host_play(&h, "guest sends 10; client comes; client gets 10; client closes");
	host_finish(&h);
}

Test(tail, none_for_an_endpoint_that_gives_it_to_nobody)
{
	static const enum endpoint_type types[] = { ENDPOINT_ECHO, ENDPOINT_DISCARD };

	for (int i = 0; i < 2; i++) {
		struct endpoint_config cfg = { .type = types[i] };
		struct rig rig;

		rig_init(&rig, &cfg, 4096);
		cr_assert_eq(rig_attach(&rig), 0);
		guest_open_write(&rig);
		cr_assert_eq(guest_write(&rig, "abc", 3), 3);
		channel_suspend(&rig.ch);
		channel_guest_gone(&rig.ch);
		cr_assert_eq(channel_tail_bytes(&rig.ch), 0);
		cr_assert_eq(rig.ch.lost_bytes, 0);
		rig_deinit(&rig);
	}
}
