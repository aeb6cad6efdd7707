// SPDX-License-Identifier: BSD-3-Clause
/*
 * flow.c - the endpoint unix-listen: back-pressure, and memory that comes and goes
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <libfs/checked.h>
#include <pthread.h>
#include <sys/socket.h>

#include "rig.h"

Test(unix_listen, a_client_that_does_not_take_fills_the_ring_and_no_more)
{
	uint64_t stalled;
	struct host h;

	host_attached(&h, 16384);
	host_play(&h, "client comes; guest fills ring");
	stalled = h.rig.ch.fwd.bytes;
	cr_assert_eq(h.rig.out - stalled, 16384);
	host_play(&h, "is held up; idles");
	cr_assert_eq(h.rig.ch.fwd.bytes, stalled);
	host_play(&h, "client gets all; client sees nothing");
	host_finish(&h);
}

HOST_TEST(unix_listen, a_guest_that_does_not_take_holds_up_the_client, attached, 16384,
	  "client comes; client floods; moved to guest 16384; idles; guest gets all;"
	  "guest sees nothing")

/* A client that goes meanwhile is noticed, though nothing of it is read. */
HOST_TEST(unix_listen, a_guest_without_reader_holds_up_the_client, attached, 4096,
	  "client comes; closes read; client sends 1000; moved to guest 0; idles; opens read;"
	  "guest gets 1000; closes read; client leaves; disconnected")

HOST_TEST(unix_listen, a_stalled_client_that_goes_makes_room_for_the_next, attached, 4096,
	  "client comes; guest fills ring; client leaves; disconnected; guest has EPIPE;"
	  "moved is gone; client comes; refused 0; client gets all")

/* A client that takes what it can until the end, in a thread of its own */
static void *read_all(void *arg)
{
	static char buf[1 << 20];
	int fd = *(int *)arg;

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	return NULL;
}

static bool all_sent(void *arg)
{
	struct host *h = arg;

	return okl4_pipe_writable(&h->rig.guest.tx) == (int64_t)h->rig.cfg.ring_bytes;
}

Test(unix_listen, a_client_that_keeps_up_gets_turn_after_turn)
{
	pthread_t thread;
	struct host h;

	host_attached(&h, 32 << 20);
	host_play(&h, "guest sends 33554432; client comes");
	fcntl(h.fd, F_SETFL, 0);
	cr_assert_eq(pthread_create(&thread, NULL, read_all, &h.fd), 0);
	rig_until(&h.rig, all_sent, &h, "the ring to be taken");
	guest_close_write(&h.rig);
	pthread_join(thread, NULL);
	host_finish(&h);
}

/* A client that goes meanwhile is noticed when the memory is back. */
HOST_TEST(unix_listen, memory_away_for_a_while, attached, 4096,
	  "client comes; client sends 1000; guest loses memory; client sends 1000; idles;"
	  "client sees nothing; guest attaches; guest gets 2000; guest sends 1000;"
	  "client gets 1000; host has phase 1;" /* nobody saw it close */
	  "guest loses memory; client leaves; guest attaches; guest sees end; disconnected")

HOST_TEST(unix_listen, half_closed_over_a_suspension, attached, 4096,
	  "client comes; client ends; guest sees end; guest loses memory; guest attaches;"
	  "guest sees end; guest sends 10; client gets 10")

Test(unix_listen, memory_gone_for_good_ends_the_client)
{
#define GONE(way) "client comes; guest loses memory;" way "; client sees end; disconnected"
	host_test(host_attached, 4096, GONE("guest detaches"));
	host_test(host_attached, 4096, GONE("guest is gone"));
	host_test(host_attached, 4096, GONE("guest has fresh memory; guest attaches"));
}

HOST_TEST(unix_listen, what_the_guest_wrote_before_it_detached_is_delivered, attached, 16384,
	  "client comes; opens write unseen; guest loses memory; guest sends 16384;"
	  "guest attaches; guest detaches; client gets 16384; client sees end")

Test(unix_listen, a_violation_ends_the_client)
{
	struct host h;

	host_attached(&h, 4096);
	host_play(&h, "client comes");
	h.rig.guest.tx.shm->producer.head = 1 << 20;
	host_play(&h, "guest rings");
	cr_assert_eq(h.rig.ch.state, CHANNEL_FAILED);
	cr_assert_eq(h.rig.told, OKL4_HEAD_PAST_RING);
	/* Nobody knows what is missing: no end-of-file, and an error as soon as the client says something */
	host_play(&h, "client is torn");
	/* The next one is held until there is good memory. */
	host_play(&h, "client comes; client sees nothing; guest has fresh memory; guest attaches;"
		      "opens write; guest sends 1; client gets 1");
	host_finish(&h);
}

HOST_TEST(unix_listen, a_restart_is_a_client_that_went, attached, 4096,
	  "client comes; daemon dies; client closes; guest sees nothing; guest sends 100;"
	  "daemon starts; guest attaches; guest sees end; guest has EPIPE;"
	  /* What was written and not taken is there, once. */
	  "client comes; client gets 100; client sees nothing")

Test(unix_listen, both_ways_at_once_with_interruptions)
{
	const uint64_t total = 8 << 20, most = 65536;
	uint64_t rng = rng_seeded("both_ways_at_once_with_interruptions");
	static uint8_t buf[65536];
	struct host h;

	host_attached(&h, 16384);
	host_play(&h, "client comes");
	while (h.rig.in < total || h.got < total) {
		uint64_t want = 1 + rng_below(&rng, most);
		ssize_t n;

		if (h.sent < total)
			client_sends(&h, okl4_min(want, total - h.sent));
		if (h.rig.out < total)
			guest_writes_some(&h.rig, okl4_min(want, total - h.rig.out));
		if (!rng_below(&rng, 50))
			host_play(&h, "guest loses memory; guest attaches");
		guest_reads_some(&h.rig, 1 + rng_below(&rng, most));
		n = recv(h.fd, buf, 1 + rng_below(&rng, most), 0);
		if (n > 0)
			pattern_check(buf, h.got, (uint64_t)n);
		h.got += n > 0 ? (uint64_t)n : 0;
		rig_turns(&h.rig, 1);
	}
	host_play(&h, "guest sees nothing; client sees nothing");
	cr_assert_eq(h.rig.ch.fwd.bytes, total);
	cr_assert_eq(h.rig.ch.bwd.bytes, total);
	host_finish(&h);
}
