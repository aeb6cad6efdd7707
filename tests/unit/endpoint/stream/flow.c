// SPDX-License-Identifier: BSD-3-Clause
/*
 * flow.c - the endpoint unix-listen: back-pressure, and memory that comes and goes
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

/* ------------------------------------------------------------------------------------------- */
/* Back-pressure                                                                               */

Test(unix_listen, a_client_that_does_not_take_fills_the_ring_and_no_more)
{
	uint64_t stalled;
	uint8_t buf[4096];
	struct host h;

	host_attached(&h, 16384);
	host_play(&h, "client comes");
	for (int idle = 0; idle < 3;) {
		int64_t n;

		pattern_fill(buf, h.out, sizeof(buf));
		n = guest_write(&h.rig, buf, sizeof(buf));
		h.out += n > 0 ? (uint64_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		rig_turns(&h.rig, 2);
	}
	stalled = h.rig.ch.fwd.bytes;
	cr_assert_eq(h.out - stalled, 16384);
	host_play(&h, "ring is full; idle");
	cr_assert_eq(h.rig.ch.fwd.bytes, stalled);
	client_gets(&h, h.fd, &h.got, h.out);
	host_play(&h, "client sees nothing");
	host_finish(&h);
}

Test(unix_listen, a_guest_that_does_not_take_holds_up_the_client)
{
	struct host h;

	host_attached(&h, 16384);
	host_play(&h, "client comes");
	while (client_sends(&h, h.fd, &h.in, 65536))
		;
	cr_assert_eq(h.rig.ch.bwd.bytes, 16384);
	host_play(&h, "idle");
	guest_gets(&h, &h.seen, h.in);
	host_play(&h, "guest sees nothing");
	host_finish(&h);
}

Test(unix_listen, a_guest_without_reader_holds_up_the_client)
{
	struct host h;

	host_attached(&h, 4096);
	host_play(&h, "client comes; closes read; client sends 1000");
	cr_assert_eq(h.rig.ch.bwd.bytes, 0);
	/* A client that goes meanwhile is noticed, though nothing of it is read. */
	host_play(&h,
		  "idle; opens read; guest gets 1000; closes read; client leaves; disconnected");
	host_finish(&h);
}

Test(unix_listen, a_stalled_client_that_goes_makes_room_for_the_next)
{
	uint8_t buf[4096] = { 0 };
	struct host h;

	host_attached(&h, 4096);
	host_play(&h, "client comes");
	while (guest_write(&h.rig, buf, sizeof(buf)) > 0)
		rig_turns(&h.rig, 2);
	host_play(&h, "client leaves; disconnected; guest has EPIPE; client comes; refused 0");
	cr_assert_gt(recv(h.fd, buf, sizeof(buf), 0), 0, "what was left in the ring");
	host_finish(&h);
}

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
	const uint64_t total = 32 << 20;
	pthread_t thread;
	uint64_t out = 0;
	struct host h;
	int fd;

	host_attached(&h, total);
	guest_sends(&h, &out, total);
	fd = host_client(&h);
	fcntl(fd, F_SETFL, 0);
	cr_assert_eq(pthread_create(&thread, NULL, read_all, &fd), 0);
	rig_until(&h.rig, all_sent, &h, "the ring to be taken");
	guest_close_write(&h.rig);
	pthread_join(thread, NULL);
	close(fd);
	host_finish(&h);
}

/* ------------------------------------------------------------------------------------------- */
/* Memory that comes and goes                                                                  */

Test(unix_listen, memory_away_for_a_while)
{
	struct host h;

	host_attached(&h, 4096);
	host_play(&h, "client comes; client sends 1000; memory goes; client sends 1000; idle; "
		      "client sees nothing; memory comes; guest gets 2000; guest sends 1000; "
		      "client gets 1000");
	cr_assert_eq(channel_write_phase(&h.rig.ch), 1, "nobody saw it close");
	/* A client that goes meanwhile is noticed when the memory is back. */
	host_play(&h, "memory goes; client leaves; memory comes; guest sees end; disconnected");
	host_finish(&h);
}

Test(unix_listen, half_closed_over_a_suspension)
{
	attached_plays(4096,
		       "client comes; client ends; guest sees end; memory goes; memory comes; "
		       "guest sees end; guest sends 10; client gets 10");
}

Test(unix_listen, memory_gone_for_good_ends_the_client)
{
	static const char *const ways[] = { "guest detaches", "guest dies", "memory comes" };
	struct host h;

	for (int i = 0; i < 3; i++) {
		host_attached(&h, 4096);
		host_play(&h, "client comes; memory goes");
		if (i == 2)
			rig_new_memory(&h.rig);
		host_play(&h, ways[i]);
		host_play(&h, "client sees end; disconnected");
		host_finish(&h);
	}
}

Test(unix_listen, what_the_guest_wrote_before_it_detached_is_delivered)
{
	struct host h;

	host_attached(&h, 16384);
	host_play(&h, "client comes");
	okl4_pipe_producer_open(&h.rig.guest.tx);
	host_play(&h, "memory goes; guest sends 16384; memory comes; guest detaches; "
		      "client gets 16384; client sees end");
	host_finish(&h);
}

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
	host_play(&h,
		  "client sees nothing; client sends 1; turns; client sees reset; client closes");
	/* The next one is held until there is good memory. */
	host_play(&h, "client comes; client sees nothing");
	rig_new_memory(&h.rig);
	host_play(&h, "memory comes; opens write; guest sends 1; client gets 1");
	host_finish(&h);
}

Test(unix_listen, a_restart_is_a_client_that_went)
{
	attached_plays(
		4096,
		"client comes; daemon dies; client closes; guest sees nothing; guest sends 100; "
		"daemon starts; memory comes; guest sees end; guest has EPIPE; "
		/* What was written and not taken is there, once. */
		"client comes; client gets 100; client sees nothing");
}

Test(unix_listen, both_ways_at_once_with_interruptions)
{
	const uint64_t total = 8 << 20;
	uint64_t rng = rng_seeded("both_ways_at_once_with_interruptions");
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	static uint8_t buf[65536];
	struct host h;
	int fd;

	host_attached(&h, 16384);
	fd = host_client(&h);
	while (seen < total || got < total) {
		uint64_t want = 1 + rng_below(&rng, sizeof(buf));
		int64_t n;

		if (in < total)
			client_sends(&h, fd, &in, want < total - in ? want : total - in);
		if (out < total) {
			want = want < total - out ? want : total - out;
			pattern_fill(buf, out, want);
			n = guest_write(&h.rig, buf, want);
			out += n > 0 ? (uint64_t)n : 0;
		}
		if (!rng_below(&rng, 50)) {
			channel_suspend(&h.rig.ch);
			cr_assert_eq(rig_attach(&h.rig), 0);
		}
		n = guest_read(&h.rig, buf, 1 + rng_below(&rng, sizeof(buf)));
		if (n > 0)
			pattern_check(buf, seen, (uint64_t)n);
		seen += n > 0 ? (uint64_t)n : 0;
		n = recv(fd, buf, 1 + rng_below(&rng, sizeof(buf)), 0);
		if (n > 0)
			pattern_check(buf, got, (uint64_t)n);
		got += n > 0 ? (uint64_t)n : 0;
		rig_turns(&h.rig, 1);
	}
	guest_sees(&h, -OKL4_AGAIN);
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(h.rig.ch.fwd.bytes, total);
	cr_assert_eq(h.rig.ch.bwd.bytes, total);
	close(fd);
	host_finish(&h);
}
