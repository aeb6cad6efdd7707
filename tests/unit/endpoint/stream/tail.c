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

/* The socket is full, and the ring too */
HOST_TEST(tail, is_delivered_to_a_client_that_is_there, attached, RING,
	  "client comes; guest fills ring; machine goes; tail 65536; keeps 65536;"
	  "client gets all; client sees end; tail 0; lost 0; client closes")

/* and to nobody twice */
HOST_TEST(tail, is_delivered_to_one_who_comes_later, attached, RING,
	  "guest sends 40000; closes write; machine goes; client comes; client gets all;"
	  "client sees end; client closes; tail 0; client comes; client sees nothing;"
	  "client closes")

#define LEAVES(bytes)   "machine comes; guest sends " bytes "; machine goes;"
#define DELIVERS(bytes) "client comes; client gets " bytes "; client sees end; client closes;"

HOST_TEST(
	tail, one_after_the_other_each_with_its_own_end, listening, RING,
	LEAVES("1") LEAVES("40000") LEAVES("65536") LEAVES("7")
	/* This one is there, and waits. */
	"machine comes; opens read; guest sends 5; tail 105544;" DELIVERS("1") DELIVERS("40000")
		DELIVERS("65536") DELIVERS(
			"7") "tail 0; client comes; client gets 5; client sees nothing; client sends 3;"
			     "guest gets 3; client closes")

Test(tail, a_client_may_take_a_part_of_it_and_the_next_one_the_rest)
{
	uint64_t moved;
	struct host h;
	uint8_t c;

	host_attached(&h, 1U << 20);
	host_play(&h, "guest fills ring; guest loses memory; guest is gone; client comes");
	cr_assert_eq(recv(h.fd, &c, 1, 0), 1);
	cr_assert_eq(send(h.fd, "who is there?", 13, 0), 13);
	host_play(&h, "client leaves");
	moved = h.rig.ch.fwd.bytes; /* the socket took so much, whoever read it */
	cr_assert_lt(moved, h.rig.out);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), h.rig.out - moved);
	host_play(&h,
		  "moved is gone; client comes; client gets all; client sees end; client closes");
	host_finish(&h);
}

HOST_TEST(tail, memory_that_comes_back_goes_on_where_it_was, attached, RING,
	  "guest sends 3000; guest loses memory; keeps 4096;" /* a copy */
	  "guest sends 2000; guest attaches; tail 0; client comes; client gets all;"
	  "client sees nothing; client closes")

/* The device is unplugged, and plugged in again: the frontend goes, and the memory is the same. */
Test(tail, memory_that_comes_back_after_all_is_not_delivered_twice)
{
	/* The socket takes a part of it; then the client nothing, some or all */
#define GONE "guest fills ring; guest loses memory; guest is gone; client comes;"
#define BACK "guest attaches; tail 0;"
#define ALL  "client gets all; client sees nothing; client closes"
	host_test(host_attached, 1 << 20, GONE BACK ALL);
	host_test(host_attached, 1 << 20, GONE "client gets 1000;" BACK ALL);
	host_test(host_attached, 1 << 20,
		  GONE "client gets all; client sees end;" BACK
		       "guest sends 77; client closes; client comes;" ALL);
}

HOST_TEST(tail, memory_that_comes_back_behind_another_tail, attached, RING,
	  "guest sends 300; machine goes; machine comes; guest sends 20; guest loses memory;"
	  "guest is gone; guest attaches; tail 300; client comes; client gets 300;"
	  "client sees end; client closes; client comes; client gets 20; client sees nothing;"
	  "client closes")

HOST_TEST(tail, what_is_too_much_is_counted_and_never_ends_cleanly, attached, RING,
	  "may keep 10000; guest sends 30000; machine goes; tail 10000; lost 20000;"
	  "client comes; client gets 10000; client is torn; tail 0;"
	  /* Another client can come while a torn one is still there. */
	  "machine comes; the rest is gone; guest sends 5; client comes; client gets 5;"
	  "client sees nothing; client closes")

Test(tail, nothing_is_kept_when_nothing_may_be)
{
	struct host h;
	int other;

	host_attached(&h, RING);
	host_play(&h, "may keep 0; client comes; guest fills ring; machine goes; tail 0;"
		      "lost 65536");
	client_gets(&h, h.rig.out - RING);
	host_play(&h, "client sees nothing");
	/* It does not keep others away */
	other = host_client(&h);
	host_play(&h, "connected");
	client_sees(&h, other, EAGAIN);
	close(other);
	host_play(&h, "client is torn");
	host_finish(&h);
}

Test(tail, a_client_with_bytes_on_their_way_sees_the_tear_at_once)
{
	struct host h;

	host_attached(&h, RING);
	/* closes read: nobody takes what the client writes */
	host_play(&h, "may keep 0; client comes; closes read; guest fills ring");
	cr_assert_eq(send(h.fd, "question", 8, 0), 8);
	host_play(&h, "machine goes");
	client_gets(&h, h.rig.out - RING);
	host_play(&h, "client sees reset; client closes");
	host_finish(&h);
}

Test(tail, a_torn_client_that_only_ends_its_direction_is_held_until_it_hangs_up)
{
	struct pollfd p;
	struct host h;

	host_attached(&h, RING);
	host_play(&h,
		  "may keep 0; client comes; client ends; turns; guest fills ring; machine goes");
	p = (struct pollfd){ .fd = h.fd, .events = POLLRDHUP };
	host_play(&h, "idles");
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

HOST_TEST(tail, memory_that_the_guest_takes_back_is_not_delivered_twice, attached, RING,
	  "guest sends 3000; guest detaches; tail 3000; guest attaches;"
	  "guest sends 500; client comes; client gets 3000; client sees end;"
	  "client closes; client comes; client gets 500; client sees nothing; client closes")

Test(tail, a_removed_channel_without_a_client_leaves_the_bytes_to_the_guest)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 3000");
	channel_remove(&h.rig.ch, false);
	host_play(&h, "tail 0; lost 0; daemon dies; daemon starts; guest attaches; client comes;"
		      "client gets all; client closes");
	host_finish(&h);
}

Test(tail, of_a_channel_that_ends_is_lost_and_torn)
{
	uint64_t taken;
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "client comes; guest fills ring; machine goes; machine comes;"
		      "guest sends 9; machine goes");
	taken = h.rig.ch.fwd.bytes;
	channel_give_up(&h.rig.ch, "the test wants it");
	cr_assert_eq(h.rig.ch.lost_bytes, h.rig.out - taken);
	host_play(&h, "tail 0");
	client_gets(&h, taken);
	host_play(&h, "client is torn");
	host_finish(&h);
}

Test(tail, a_reset_drops_tails_too)
{
	struct host h;

	host_attached(&h, RING);
	host_play(&h, "guest sends 3000; machine goes; machine comes; guest sends 100");
	channel_reset(&h.rig.ch);
	cr_assert_eq(h.rig.ch.state, CHANNEL_FAILED);
	host_play(&h, "lost 3100; tail 0; machine comes; the rest is gone; guest sends 10;"
		      "client comes; client gets 10; client closes");
	host_finish(&h);
}

Test(tail, none_for_an_endpoint_that_gives_it_to_nobody)
{
	static const enum endpoint_type types[] = { ENDPOINT_ECHO, ENDPOINT_DISCARD };

	for (int i = 0; i < 2; i++) {
		struct rig rig;

		rig_init(&rig, &(struct endpoint_config){ .type = types[i] }, 4096);
		rig_play(&rig,
			 "attaches; opens write; sends 3; loses memory; is gone; tail 0; lost 0");
		rig_deinit(&rig);
	}
}
