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

/* Do what an echo does up to its death; @bytes lie in fwd; @published: bwd's head was */
static void die_in_a_move(struct rig *rig, uint64_t bytes, bool published)
{
	uint8_t *buf = malloc(bytes);
	struct okl4_pipe_seg seg[2];
	struct okl4_socketpair s;
	uint64_t done = 0;
	bool notify;

	host_end(rig, &s);
	while (done < bytes) {
		/* Read without giving back: through a second handle that is thrown away */
		int64_t n = okl4_pipe_peek_read(&s.rx, seg);

		cr_assert_gt(n, 0);
		for (int i = 0; i < 2 && done < bytes; i++) {
			uint64_t k = seg[i].bytes < bytes - done ? seg[i].bytes : bytes - done;

			memcpy(buf + done, seg[i].base, k);
			done += k;
		}
		s.rx.cursor += (uint64_t)n; /* private: nothing is published */
	}
	if (published)
		cr_assert_eq(okl4_pipe_write(&s.tx, buf, bytes, &notify), (int64_t)bytes);
	else
		memset(rig->chunk[OKL4FS_SEC_BWD][0], 0x55, 16); /* copied, not published */
	free(buf);
}

Test(echo, killed_at_every_step_of_pieces_of_every_kind)
{
	static const uint64_t sizes[] = { 1, 100, 4095, 4096, 4097, 8192 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (uint64_t before = 0; before < 16384; before += 1777) {
			for (int published = 0; published < 2; published++) {
				struct echo e;

				echo_open(&e, 8192);
				/* Somewhere in the rings, and empty. */
				for (uint64_t left = before; left;) {
					uint64_t n = left < 8192 ? left : 8192;

					echo_send(&e, n);
					echo_receive(&e, n);
					left -= n;
				}
				echo_killed(&e);
				echo_send(&e, sizes[i]);
				die_in_a_move(&e.rig, sizes[i], published);
				echo_play(&e, "memory comes");
				echo_receive(&e, sizes[i]);
				echo_play(&e, "sees nothing; sends 8192; gets 8192");
				rig_deinit(&e.rig);
			}
		}
	}
}

Test(echo, killed_in_a_move_with_more_behind_it_and_the_writer_gone)
{
	struct echo e;

	echo_open(&e, 8192);
	echo_play(&e, "daemon is killed; sends 6000");
	die_in_a_move(&e.rig, 5000, true);
	echo_play(&e, "closes write; memory comes; gets 6000; sees end");
	rig_deinit(&e.rig);
}

Test(echo, an_end_that_was_passed_on_is_not_passed_on_twice)
{
	echo_test(4096, "sends 10; closes write; gets 10; sees end; closes read;"
			"daemon is killed; opens read; memory comes; sees nothing;"
			"opens write; sends 10; gets 10");
}

Test(echo, an_end_that_was_not_passed_on_is)
{
	echo_test(4096, "sends 10; daemon is killed; closes write unseen; memory comes;"
			"gets 10; sees end");
}

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
	struct echo e;

	echo_open(&e, 4096);
	echo_send(&e, 100);
	rig_new_memory(&e.rig);
	echo_play(&e, "memory comes; opens write; opens read; sees nothing");
	e.out = e.in = 0;
	echo_play(&e, "sends 100; gets 100");
	rig_deinit(&e.rig);
}

/* ------------------------------------------------------------------------------------------- */
/* Anything, in any order                                                                      */

/**
 * struct model - which ends of the guest's are open
 * @open_write: the guest's writer is open
 * @open_read: the guest's reader is open
 */
struct model {
	bool open_write, open_read;
};

static void act(struct echo *e, struct model *m, uint64_t *rng)
{
	uint8_t buf[3000];
	uint64_t want = 1 + rng_below(rng, sizeof(buf));
	int64_t n;

	switch (rng_below(rng, 10)) {
	case 0:
		if (m->open_write)
			guest_close_write(&e->rig);
		else
			guest_open_write(&e->rig);
		m->open_write = !m->open_write;
		return;
	case 1:
		if (m->open_read)
			guest_close_read(&e->rig);
		else
			guest_open_read(&e->rig);
		m->open_read = !m->open_read;
		return;
	case 2:
		channel_suspend(&e->rig.ch);
		cr_assert_eq(rig_attach(&e->rig), 0);
		return;
	case 3:
		echo_killed(e);
		cr_assert_eq(rig_attach(&e->rig), 0);
		return;
	case 4:
	case 5:
	case 6:
		if (!m->open_write)
			return;
		pattern_fill(buf, e->out, want);
		n = guest_write(&e->rig, buf, want);
		cr_assert(n > 0 || n == -OKL4_AGAIN, "write: %s", okl4_status_name((int)n));
		e->out += n > 0 ? (uint64_t)n : 0;
		return;
	default:
		if (!m->open_read)
			return;
		n = guest_read(&e->rig, buf, want);
		cr_assert(n >= 0 || n == -OKL4_AGAIN, "read: %s", okl4_status_name((int)n));
		if (n > 0)
			pattern_check(buf, e->in, (uint64_t)n);
		e->in += n > 0 ? (uint64_t)n : 0;
		return;
	}
}

Test(echo, openings_closings_restarts_in_any_order)
{
	uint64_t rng = rng_seeded("openings_closings_restarts_in_any_order");

	for (int run = 0; run < 20; run++) {
		struct model m = { 0 };
		struct echo e;
		uint8_t byte;
		int64_t n;

		echo_attached(&e, ENDPOINT_ECHO, run % 2 ? 4096 : 16384);
		for (int i = 0; i < 2000; i++) {
			act(&e, &m, &rng);
			if (!rng_below(&rng, 4))
				rig_turns(&e.rig, 1);
		}
		if (!m.open_read)
			guest_open_read(&e.rig);
		if (m.open_write)
			guest_close_write(&e.rig);
		echo_receive(&e, e.out - e.in);
		/* A writer that has just closed ends the reader; another one's end may be taken */
		rig_turns(&e.rig, 2);
		n = guest_read(&e.rig, &byte, 1);
		cr_assert(!n || (!m.open_write && n == -OKL4_AGAIN), "%s",
			  okl4_status_name((int)n));
		rig_deinit(&e.rig);
	}
}
