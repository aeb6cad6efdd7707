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

/* The machine is switched off: the device is stopped, then the frontend leaves. */
static void machine_goes(struct host *h)
{
	channel_suspend(&h->rig.ch);
	channel_guest_gone(&h->rig.ch);
	memset(h->rig.page, 0xdd, 4096 + 2 * RING); /* what comes now must not come from there */
}

/* Another machine, or the same one booted again */
static void machine_comes(struct host *h)
{
	rig_new_memory(&h->rig);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_write(&h->rig);
}

static void expect_no_tail(struct host *h)
{
	cr_assert_eq(channel_tail_bytes(&h->rig.ch), 0);
	cr_assert_eq(h->rig.budget.used_bytes, 0);
}

Test(tail, is_delivered_to_a_client_that_is_there)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	fd = host_client(&h);
	/* Until the socket is full, and the ring too */
	while (channel_readable(&h.rig.ch) < (int64_t)RING)
		guest_sends(&h, &out, RING - (uint64_t)channel_readable(&h.rig.ch));
	machine_goes(&h);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), RING);
	cr_assert_eq(h.rig.budget.used_bytes, RING);
	client_gets(&h, fd, &got, out);
	client_sees(&h, fd, 0);
	expect_no_tail(&h);
	cr_assert_eq(h.rig.ch.lost_bytes, 0);
	close(fd);
	host_finish(&h);
}

Test(tail, is_delivered_to_one_who_comes_later)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &out, 40000);
	guest_close_write(&h.rig);
	machine_goes(&h);
	fd = host_client(&h);
	client_gets(&h, fd, &got, out);
	client_sees(&h, fd, 0);
	close(fd);
	expect_no_tail(&h);
	/* and to no client twice */
	fd = host_client(&h);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

Test(tail, one_after_the_other_each_with_its_own_end)
{
	uint64_t out = 0, got = 0, sizes[] = { 1, 40000, RING, 7 };
	struct host h;
	int fd;

	host_listening(&h, RING);
	for (int i = 0; i < 4; i++) {
		machine_comes(&h);
		guest_sends(&h, &out, sizes[i]);
		machine_goes(&h);
	}
	machine_comes(&h); /* this one is there, and waits */
	guest_open_read(&h.rig);
	guest_sends(&h, &out, 5);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), 1 + 40000 + RING + 7);
	for (int i = 0; i < 4; i++) {
		fd = host_client(&h);
		client_gets(&h, fd, &got, sizes[i]);
		client_sees(&h, fd, 0);
		close(fd);
	}
	expect_no_tail(&h);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 5);
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(client_sends(&h, fd, &(uint64_t){ 0 }, 3), 3);
	guest_gets(&h, &(uint64_t){ 0 }, 3);
	close(fd);
	host_finish(&h);
}

Test(tail, a_client_may_take_a_part_of_it_and_the_next_one_the_rest)
{
	uint64_t out = 0, got = 0, moved;
	struct host h;
	uint8_t c;
	int fd;

	host_attached(&h, 1U << 20);
	while (channel_readable(&h.rig.ch) < 1 << 20)
		guest_sends(&h, &out, (1U << 20) - (uint64_t)channel_readable(&h.rig.ch));
	channel_suspend(&h.rig.ch);
	channel_guest_gone(&h.rig.ch);
	fd = host_client(&h);
	cr_assert_eq(recv(fd, &c, 1, 0), 1);
	cr_assert_eq(send(fd, "who is there?", 13, 0), 13);
	host_leave(&h, fd);
	moved = h.rig.ch.fwd.bytes; /* the socket took so much, read or not */
	cr_assert_lt(moved, out);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), out - moved);
	got = moved;
	fd = host_client(&h);
	client_gets(&h, fd, &got, out - moved);
	client_sees(&h, fd, 0);
	close(fd);
	host_finish(&h);
}

Test(tail, memory_that_comes_back_goes_on_where_it_was)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &out, 3000);
	channel_suspend(&h.rig.ch);
	cr_assert_eq(h.rig.budget.used_bytes, 4096, "a copy is kept");
	guest_sends(&h, &out, 2000);
	cr_assert_eq(rig_attach(&h.rig), 0);
	expect_no_tail(&h);
	fd = host_client(&h);
	client_gets(&h, fd, &got, out);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

/* The device is unplugged, and plugged in again: the frontend goes, and the memory is the same. */
Test(tail, memory_that_comes_back_after_all_is_not_delivered_twice)
{
	uint64_t out, got;
	struct host h;
	int fd;

	for (int taken = 0; taken < 3; taken++) {
		out = got = 0;
		host_attached(&h, 1U << 20);
		while (channel_readable(&h.rig.ch) < 1 << 20)
			guest_sends(&h, &out, (1U << 20) - (uint64_t)channel_readable(&h.rig.ch));
		channel_suspend(&h.rig.ch);
		channel_guest_gone(&h.rig.ch);
		fd = host_client(&h); /* the socket takes a part */
		if (taken)
			client_gets(&h, fd, &got, taken == 1 ? 1000 : out);
		if (taken == 2)
			client_sees(&h, fd, 0);
		cr_assert_eq(rig_attach(&h.rig), 0);
		expect_no_tail(&h);
		guest_sends(&h, &out, taken == 2 ? 77 : 0);
		if (taken == 2) {
			close(fd);
			fd = host_client(&h);
		}
		client_gets(&h, fd, &got, out - got);
		client_sees(&h, fd, EAGAIN);
		close(fd);
		host_finish(&h);
	}
}

Test(tail, memory_that_comes_back_behind_another_tail)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &out, 300);
	machine_goes(&h);
	machine_comes(&h);
	guest_sends(&h, &out, 20);
	channel_suspend(&h.rig.ch);
	channel_guest_gone(&h.rig.ch);
	cr_assert_eq(rig_attach(&h.rig), 0);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), 300);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 300);
	client_sees(&h, fd, 0);
	close(fd);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 20);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

/* A unix socket can tell its client of an error only when something of the client's lies unread. */
static void expect_torn(struct host *h, int fd)
{
	client_sees(h, fd, EAGAIN);
	cr_assert_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	client_sees(h, fd, ECONNRESET);
	close(fd);
}

Test(tail, what_is_too_much_is_counted_and_never_ends_cleanly)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 10000;
	guest_sends(&h, &out, 30000);
	machine_goes(&h);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), 10000);
	cr_assert_eq(h.rig.ch.lost_bytes, 20000);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 10000);
	expect_torn(&h, fd);
	expect_no_tail(&h);

	/* Another client can come while a torn one is still there. */
	machine_comes(&h);
	guest_sends(&h, &out, 5);
	fd = host_client(&h);
	got = 30000;
	client_gets(&h, fd, &got, 5);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

Test(tail, nothing_is_kept_when_nothing_may_be)
{
	uint64_t out = 0, got = 0, taken;
	struct host h;
	int fd, other;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 0;
	fd = host_client(&h);
	while (channel_readable(&h.rig.ch) < (int64_t)RING)
		guest_sends(&h, &out, RING - (uint64_t)channel_readable(&h.rig.ch));
	machine_goes(&h);
	expect_no_tail(&h);
	cr_assert_eq(h.rig.ch.lost_bytes, RING);
	taken = out - RING;
	client_gets(&h, fd, &got, taken);
	client_sees(&h, fd, EAGAIN);
	/* It does not keep others away */
	other = host_client(&h);
	cr_assert(host_info(&h).connected);
	client_sees(&h, other, EAGAIN);
	close(other);
	expect_torn(&h, fd);
	host_finish(&h);
}

Test(tail, a_client_with_bytes_on_their_way_sees_the_tear_at_once)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 0;
	fd = host_client(&h);
	guest_close_read(&h.rig); /* so that no reader takes what the client writes */
	while (channel_readable(&h.rig.ch) < (int64_t)RING)
		guest_sends(&h, &out, RING - (uint64_t)channel_readable(&h.rig.ch));
	cr_assert_eq(send(fd, "question", 8, 0), 8);
	machine_goes(&h);
	client_gets(&h, fd, &got, out - RING);
	client_sees(&h, fd, ECONNRESET);
	close(fd);
	host_finish(&h);
}

Test(tail, a_torn_client_that_only_ends_its_direction_is_held_until_it_hangs_up)
{
	struct pollfd p;
	struct host h;
	int fd;

	host_attached(&h, RING);
	h.rig.budget.limit_bytes = 0;
	fd = host_client(&h);
	shutdown(fd, SHUT_WR);
	rig_turns(&h.rig, 3);
	while (channel_readable(&h.rig.ch) < (int64_t)RING)
		guest_sends(&h, &(uint64_t){ 0 }, RING - (uint64_t)channel_readable(&h.rig.ch));
	machine_goes(&h);
	p = (struct pollfd){ .fd = fd, .events = POLLRDHUP };
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS, "it sleeps meanwhile");
	cr_assert_eq(poll(&p, 1, 0), 0);
	close(fd);
	host_finish(&h);
}

Test(tail, zeros_in_place_of_lost_memory_are_no_tail)
{
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &(uint64_t){ 0 }, 3000);
	h.rig.memory_is_lost = true;
	machine_goes(&h);
	expect_no_tail(&h);
	cr_assert_eq(h.rig.ch.lost_bytes, 3000);
	fd = host_client(&h);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

Test(tail, memory_that_the_guest_takes_back_is_not_delivered_twice)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &out, 3000);
	channel_detach(&h.rig.ch);
	cr_assert_eq(channel_tail_bytes(&h.rig.ch), 3000);
	cr_assert_eq(rig_attach(&h.rig), 0, "the same memory again");
	guest_sends(&h, &out, 500);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 3000);
	client_sees(&h, fd, 0);
	close(fd);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 500);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

Test(tail, a_removed_channel_without_a_client_leaves_the_bytes_to_the_guest)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &out, 3000);
	channel_remove(&h.rig.ch, false);
	expect_no_tail(&h);
	cr_assert_eq(h.rig.ch.lost_bytes, 0);
	rig_kill(&h.rig);
	rig_restart(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0, "it is offered again");
	fd = host_client(&h);
	client_gets(&h, fd, &got, out);
	close(fd);
	host_finish(&h);
}

Test(tail, of_a_channel_that_ends_is_lost_and_torn)
{
	uint64_t out = 0, got = 0, taken;
	struct host h;
	int fd;

	host_attached(&h, RING);
	fd = host_client(&h);
	while (channel_readable(&h.rig.ch) < (int64_t)RING)
		guest_sends(&h, &out, RING - (uint64_t)channel_readable(&h.rig.ch));
	machine_goes(&h);
	machine_comes(&h);
	guest_sends(&h, &out, 9);
	machine_goes(&h);
	taken = h.rig.ch.fwd.bytes;
	channel_give_up(&h.rig.ch, "the test wants it");
	cr_assert_eq(h.rig.ch.lost_bytes, out - taken);
	expect_no_tail(&h);
	client_gets(&h, fd, &got, taken);
	expect_torn(&h, fd);
	host_finish(&h);
}

Test(tail, a_reset_drops_tails_too)
{
	uint64_t out = 0, got;
	struct host h;
	int fd;

	host_attached(&h, RING);
	guest_sends(&h, &out, 3000);
	machine_goes(&h);
	machine_comes(&h);
	guest_sends(&h, &out, 100);
	channel_reset(&h.rig.ch);
	cr_assert_eq(h.rig.ch.state, CHANNEL_FAILED);
	cr_assert_eq(h.rig.ch.lost_bytes, 3100);
	expect_no_tail(&h);
	machine_comes(&h);
	got = out;
	guest_sends(&h, &out, 10);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 10);
	close(fd);
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
