// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo_kill.c - an echo whose daemon is killed, and the one that comes after it
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "echo_rig.h"

/* As the killed daemon had it */
static void host_end(struct rig *rig, struct okl4_socketpair *s)
{
	cr_assert_eq(okl4_socketpair_attach(s, &rig->sec[OKL4FS_SEC_CTL], &rig->sec[OKL4FS_SEC_FWD],
					    &rig->sec[OKL4FS_SEC_BWD], rig->instance),
		     0);
}

/*
 * Do what an echo does up to its death; @bytes lie in fwd, and their tail was not given back;
 * @published: bwd's head was
 */
static void die_in_a_move(struct rig *rig, uint64_t bytes, bool published)
{
	uint8_t *buf = malloc(bytes);
	struct okl4_socketpair s;
	bool notify;

	host_end(rig, &s);
	cr_assert_geq(okl4_pipe_readable(&s.rx), (int64_t)bytes);
	pattern_fill(buf, rig->in, bytes);
	if (published)
		cr_assert_eq(okl4_pipe_write(&s.tx, buf, bytes, &notify), (int64_t)bytes);
	else
		memset(rig->chunk[OKL4FS_SEC_BWD][0], 0x55, 16); /* copied, not published */
	free(buf);
}

/* @before: bytes that went through before, so that it happens at any place in the rings */
static void die_after(uint64_t before, uint64_t bytes, bool published)
{
	struct rig rig;

	echo_open(&rig, 8192);
	while (rig.out < before) {
		guest_sends(&rig, before - rig.out < 8192 ? before - rig.out : 8192);
		guest_gets(&rig, rig.out - rig.in);
	}
	rig_kill(&rig);
	rig_restart(&rig);
	guest_sends(&rig, bytes);
	die_in_a_move(&rig, bytes, published);
	echo_play(&rig, "attaches");
	guest_gets(&rig, bytes);
	echo_play(&rig, "sees nothing; sends 8192; gets 8192");
	rig_deinit(&rig);
}

Test(echo, killed_at_every_step_of_pieces_of_every_kind)
{
	static const uint64_t sizes[] = { 1, 100, 4095, 4096, 4097, 8192 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (uint64_t before = 0; before < 16384; before += 1777) {
			die_after(before, sizes[i], false);
			die_after(before, sizes[i], true);
		}
	}
}

Test(echo, killed_in_a_move_with_more_behind_it_and_the_writer_gone)
{
	struct rig rig;

	echo_open(&rig, 8192);
	echo_play(&rig, "daemon dies; daemon starts; sends 6000");
	die_in_a_move(&rig, 5000, true);
	echo_play(&rig, "closes write; attaches; gets 6000; sees end");
	rig_deinit(&rig);
}

ECHO_TEST(an_end_that_was_passed_on_is_not_passed_on_twice, 4096,
	  "sends 10; closes write; gets 10; sees end; closes read;"
	  "daemon dies; daemon starts; opens read; attaches; sees nothing;"
	  "opens write; sends 10; gets 10")

ECHO_TEST(an_end_that_was_not_passed_on_is, 4096,
	  "sends 10; daemon dies; daemon starts; closes write unseen; attaches;"
	  "gets 10; sees end")

Test(echo, cursors_that_no_echo_made)
{
	const struct endpoint_config echo = { .type = ENDPOINT_ECHO };
	struct okl4_socketpair s;
	struct rig rig;
	bool notify;

	rig_init(&rig, &echo, 4096);
	host_end(&rig, &s);
	cr_assert_eq(okl4_pipe_write(&s.tx, "abc", 3, &notify), 3); /* written, and nothing read */
	cr_assert_eq(rig_attach(&rig), -OKL4_RESUME_CURSORS);
	cr_assert_eq(rig.ch.state, CHANNEL_FAILED);
	rig_deinit(&rig);

	rig_init(&rig, &echo, 4096);
	host_end(&rig, &s);
	guest_open_write(&rig);
	cr_assert_eq(guest_write(&rig, "abc", 3), 3);
	cr_assert_eq(okl4_pipe_read(&s.rx, (uint8_t[3]){ 0 }, 3, &notify),
		     3); /* read, and not written */
	cr_assert_eq(rig_attach(&rig), -OKL4_RESUME_CURSORS);
	cr_assert_eq(rig.told, OKL4_RESUME_CURSORS);
	rig_deinit(&rig);
}

Test(echo, fresh_memory_begins_anew)
{
	struct rig rig;

	echo_open(&rig, 4096);
	echo_play(&rig, "sends 100; has fresh memory; attaches;"
			"opens write; opens read; sees nothing");
	rig.out = rig.in = 0;
	echo_play(&rig, "sends 100; gets 100");
	rig_deinit(&rig);
}

/* One of the guest's actions, or of the daemon's; @open: the guest's writer and reader */
static void act(struct rig *rig, bool open[2], uint64_t *rng)
{
	uint64_t most = 1 + rng_below(rng, 3000);

	switch (rng_below(rng, 10)) {
	case 0:
		(open[0] ? guest_close_write : guest_open_write)(rig);
		open[0] = !open[0];
		return;
	case 1:
		(open[1] ? guest_close_read : guest_open_read)(rig);
		open[1] = !open[1];
		return;
	case 2:
		echo_play(rig, "loses memory; attaches");
		return;
	case 3:
		echo_play(rig, "daemon dies; daemon starts; attaches");
		return;
	case 4:
	case 5:
	case 6:
		if (open[0])
			guest_writes_some(rig, most);
		return;
	default:
		if (open[1])
			guest_reads_some(rig, most);
		return;
	}
}

Test(echo, openings_closings_restarts_in_any_order)
{
	uint64_t rng = rng_seeded("openings_closings_restarts_in_any_order");

	for (int run = 0; run < 20; run++) {
		bool open[2] = { false, false };
		struct rig rig;
		int64_t n;

		echo_attached(&rig, ENDPOINT_ECHO, run % 2 ? 4096 : 16384);
		for (int i = 0; i < 2000; i++) {
			act(&rig, open, &rng);
			if (!rng_below(&rng, 4))
				rig_turns(&rig, 1);
		}
		if (!open[1])
			guest_open_read(&rig);
		if (open[0])
			guest_close_write(&rig);
		guest_gets(&rig, rig.out - rig.in);
		/* A writer that has just closed ends the reader; another one's end may be taken */
		rig_turns(&rig, 2);
		n = guest_reads_some(&rig, 1);
		cr_assert(!n || (!open[0] && n == -OKL4_AGAIN), "%s", okl4_status_name((int)n));
		rig_deinit(&rig);
	}
}
