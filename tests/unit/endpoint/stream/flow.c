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
	uint64_t out = 0, got = 0, stalled;
	uint8_t buf[4096];
	struct host h;
	int fd, idle;

	host_attached(&h, 16384);
	fd = host_client(&h);
	for (idle = 0; idle < 3;) {
		int64_t n;

		pattern_fill(buf, out, sizeof(buf));
		n = guest_write(&h.rig, buf, sizeof(buf));
		out += n > 0 ? (uint64_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		rig_turns(&h.rig, 2);
	}
	cr_assert_eq(guest_write(&h.rig, buf, 1), -FS_AGAIN);
	stalled = h.rig.ch.fwd.bytes;
	cr_assert_eq(out - stalled, 16384);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	cr_assert_eq(h.rig.ch.fwd.bytes, stalled);
	client_gets(&h, fd, &got, out);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_guest_that_does_not_take_holds_up_the_client)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	host_attached(&h, 16384);
	fd = host_client(&h);
	while (client_sends(&h, fd, &in, 65536))
		;
	cr_assert_eq(h.rig.ch.bwd.bytes, 16384);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	guest_gets(&h, &seen, in);
	guest_sees(&h, -FS_AGAIN);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_guest_without_reader_holds_up_the_client)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	guest_close_read(&h.rig);
	client_sends(&h, fd, &in, 1000);
	cr_assert_eq(h.rig.ch.bwd.bytes, 0);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	guest_open_read(&h.rig);
	guest_gets(&h, &seen, 1000);
	/* A client that goes meanwhile is noticed, though nothing of it is read. */
	guest_close_read(&h.rig);
	host_leave(&h, fd);
	cr_assert_not(host_info(&h).connected);
	host_finish(&h);
}

Test(unix_listen, a_stalled_client_that_goes_makes_room_for_the_next)
{
	uint8_t buf[4096] = { 0 };
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	while (guest_write(&h.rig, buf, sizeof(buf)) > 0)
		rig_turns(&h.rig, 2);
	host_leave(&h, fd);
	cr_assert_not(host_info(&h).connected);
	cr_assert_eq(guest_write(&h.rig, buf, 1), -FS_PIPE);
	fd = host_client(&h);
	cr_assert_eq(host_info(&h).refused, 0);
	cr_assert_gt(recv(fd, buf, sizeof(buf), 0), 0, "what was left in the ring");
	close(fd);
	host_finish(&h);
}

static void *read_to_end(void *arg)
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

	return pipe_writable(&h->rig.guest.tx) == (int64_t)h->rig.cfg.ring_bytes;
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
	cr_assert_eq(pthread_create(&thread, NULL, read_to_end, &fd), 0);
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
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	client_sends(&h, fd, &in, 1000);
	channel_suspend(&h.rig.ch);
	client_sends(&h, fd, &in, 1000);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_gets(&h, &seen, 2000);
	guest_sends(&h, &out, 1000);
	client_gets(&h, fd, &got, 1000);
	cr_assert_eq(channel_write_phase(&h.rig.ch), 1, "no look saw it close");
	/* A client that goes meanwhile is noticed when the memory is back. */
	channel_suspend(&h.rig.ch);
	host_leave(&h, fd);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	cr_assert_not(host_info(&h).connected);
	host_finish(&h);
}

Test(unix_listen, half_closed_over_a_suspension)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	shutdown(fd, SHUT_WR);
	guest_sees(&h, 0);
	channel_suspend(&h.rig.ch);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	guest_sends(&h, &out, 10);
	client_gets(&h, fd, &got, 10);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, memory_gone_for_good_ends_the_client)
{
	void (*const ways[])(struct channel *) = { channel_detach, channel_guest_gone };
	struct host h;
	int fd;

	for (int i = 0; i < 3; i++) {
		host_attached(&h, 4096);
		fd = host_client(&h);
		channel_suspend(&h.rig.ch);
		if (i < 2) {
			ways[i](&h.rig.ch);
		} else {
			rig_new_memory(&h.rig);
			cr_assert_eq(rig_attach(&h.rig), 0);
		}
		client_sees(&h, fd, 0);
		cr_assert_not(host_info(&h).connected);
		close(fd);
		host_finish(&h);
	}
}

Test(unix_listen, what_the_guest_wrote_before_it_detached_is_delivered)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 16384);
	fd = host_client(&h);
	pipe_producer_open(&h.rig.guest.tx);
	channel_suspend(&h.rig.ch);
	guest_sends(&h, &out, 16384);
	cr_assert_eq(rig_attach(&h.rig), 0);
	channel_detach(&h.rig.ch);
	client_gets(&h, fd, &got, 16384);
	client_sees(&h, fd, 0);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_violation_ends_the_client)
{
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	h.rig.guest.tx.shm->producer.head = 1 << 20;
	channel_rung(&h.rig.ch);
	cr_assert_eq(h.rig.ch.state, CHANNEL_FAILED);
	cr_assert_eq(h.rig.told, FS_HEAD_PAST_RING);
	/* What is missing is unknown: no end-of-file, and an error as soon as the client says something */
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(send(fd, "x", 1, 0), 1);
	rig_turns(&h.rig, 3);
	client_sees(&h, fd, ECONNRESET);
	close(fd);
	/* The next one is held until there is good memory. */
	fd = host_client(&h);
	client_sees(&h, fd, EAGAIN);
	rig_new_memory(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_open_write(&h.rig);
	cr_assert_eq(guest_write(&h.rig, "\0", 1), 1);
	client_gets(&h, fd, &(uint64_t){ 0 }, 1);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_restart_is_a_client_that_went)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	rig_kill(&h.rig);
	close(fd);
	guest_sees(&h, -FS_AGAIN);
	guest_sends(&h, &out, 100);
	rig_restart(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	/* What was written and not taken is there, once. */
	fd = host_client(&h);
	client_gets(&h, fd, &got, 100);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
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
	guest_sees(&h, -FS_AGAIN);
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(h.rig.ch.fwd.bytes, total);
	cr_assert_eq(h.rig.ch.bwd.bytes, total);
	close(fd);
	host_finish(&h);
}
