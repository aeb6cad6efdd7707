// SPDX-License-Identifier: BSD-3-Clause
/*
 * daemon_echo.c - the endpoints echo and discard
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daemon_rig.h"

static const struct endpoint_config echo = { .type = ENDPOINT_ECHO };
static const struct endpoint_config discard = { .type = ENDPOINT_DISCARD };

/**
 * echoing() - an attached rig with an echo, both of the guest's ends open
 * @rig: rig
 * @ring_bytes: ring
 */
static void echoing(struct rig *rig, uint64_t ring_bytes)
{
	rig_init(rig, &echo, ring_bytes);
	cr_assert_eq(rig_attach(rig), 0);
	guest_open_write(rig);
	guest_open_read(rig);
}

/**
 * state_of() - what the guest sees of one of the host's ends
 * @rig: rig
 * @writer: of bwd's writing end; else of fwd's reading end
 *
 * Return: its state.
 */
static enum pipe_state state_of(struct rig *rig, bool writer)
{
	enum pipe_state state;

	if (writer)
		cr_assert_eq(pipe_consumer_peer(&rig->guest.rx, &state), 0);
	else
		cr_assert_eq(pipe_producer_peer(&rig->guest.tx, &state), 0);
	return state;
}

/**
 * send() - write a part of the stream, all of it
 * @rig: rig
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
static void send(struct rig *rig, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, *pos, bytes);
	cr_assert_eq(guest_write(rig, buf, bytes), (int64_t)bytes);
	free(buf);
	*pos += bytes;
}

/**
 * receive() - read a part of the stream, and check it
 * @rig: rig
 * @pos: position in the stream; moved on
 * @bytes: how many there must be, and no more
 */
static void receive(struct rig *rig, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);
	uint64_t done = 0;

	while (done < bytes) {
		int64_t n = guest_read(rig, buf, bytes - done);

		if (n == -FS_AGAIN) {
			rig_turns(rig, 1);
			n = guest_read(rig, buf, bytes - done);
		}
		cr_assert_gt(n, 0, "%lld after %llu bytes", (long long)n, (long long)done);
		pattern_check(buf, *pos, (uint64_t)n);
		done += (uint64_t)n;
		*pos += (uint64_t)n;
	}
	free(buf);
}

/**
 * nothing() - a read must return this and no byte
 * @rig: rig
 * @want: 0 (end-of-file) or -FS_AGAIN
 */
static void nothing(struct rig *rig, int64_t want)
{
	uint8_t byte;

	rig_turns(rig, 2);
	cr_assert_eq(guest_read(rig, &byte, 1), want);
}

/* ------------------------------------------------------------------------------------------- */
/* Bytes                                                                                       */

Test(echo, every_length_at_every_place)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	for (uint64_t n = 1; n <= 4096; n += 37) {
		send(&rig, &out, n);
		receive(&rig, &in, n);
	}
	nothing(&rig, -FS_AGAIN);
	cr_assert_eq(rig.ch.fwd.bytes, out);
	cr_assert_eq(rig.ch.bwd.bytes, out);
	rig_deinit(&rig);
}

Test(echo, a_stream_with_a_reader_that_comes_late)
{
	const uint64_t total = 16 << 20;
	uint64_t out = 0, in = 0, rng = rng_seeded("a_stream_with_a_reader_that_comes_late");
	struct rig rig;
	uint8_t *buf = malloc(65536);

	echoing(&rig, 65536);
	while (in < total) {
		uint64_t want = 1 + rng_below(&rng, 65536);
		int64_t n;

		if (want > total - out)
			want = total - out;
		pattern_fill(buf, out, want);
		n = want ? guest_write(&rig, buf, want) : -FS_AGAIN;
		out += n > 0 ? (uint64_t)n : 0;
		if (rng_below(&rng, 3))
			rig_turns(&rig, 1);
		n = guest_read(&rig, buf, 1 + rng_below(&rng, 65536));
		if (n > 0) {
			pattern_check(buf, in, (uint64_t)n);
			in += (uint64_t)n;
		}
	}
	nothing(&rig, -FS_AGAIN);
	/* Both rings were full at times, and nobody was woken for each piece. */
	cr_assert_gt(rig.ch.bwd.full_stalls, 0);
	free(buf);
	rig_deinit(&rig);
}

Test(echo, a_turn_is_bounded_and_the_rest_comes_by_itself)
{
	const uint64_t total = 3 * CHANNEL_TURN_BYTES;
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4 << 20);
	channel_suspend(&rig.ch);
	send(&rig, &out, total);
	cr_assert_eq(rig_attach(&rig), 0);
	cr_assert_leq(rig.ch.bwd.bytes, CHANNEL_TURN_BYTES);
	cr_assert_gt(rig.ch.bwd.bytes, 0);
	receive(&rig, &in, total);
	rig_deinit(&rig);
}

/* ------------------------------------------------------------------------------------------- */
/* Opening and closing                                                                         */

Test(echo, is_open_before_anybody_comes)
{
	struct rig rig;

	rig_init(&rig, &echo, 4096);
	cr_assert_eq(rig_attach(&rig), 0);
	cr_assert_eq(state_of(&rig, true), PIPE_OPEN);
	cr_assert_eq(state_of(&rig, false), PIPE_OPEN);
	guest_open_read(&rig);
	nothing(&rig, -FS_AGAIN);
	guest_close_read(&rig);
	cr_assert_eq(state_of(&rig, true), PIPE_OPEN);
	rig_deinit(&rig);
}

Test(echo, a_writers_end_goes_round_behind_its_bytes)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 8192);
	for (int round = 0; round < 5; round++) {
		send(&rig, &out, 5000);
		guest_close_write(&rig);
		cr_assert_eq(state_of(&rig, false), PIPE_OPEN, "a writer never gets EPIPE");
		receive(&rig, &in, 5000);
		nothing(&rig, 0);
		nothing(&rig, 0);
		guest_open_write(&rig);
		nothing(&rig, -FS_AGAIN);
	}
	rig_deinit(&rig);
}

Test(echo, echo_then_cat)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	rig_init(&rig, &echo, 4096);
	cr_assert_eq(rig_attach(&rig), 0);
	for (int round = 0; round < 3; round++) {
		guest_open_write(&rig);
		send(&rig, &out, 100);
		guest_close_write(&rig);
		guest_open_read(&rig);
		receive(&rig, &in, 100);
		nothing(&rig, 0);
		guest_close_read(&rig);
		/* Who comes again waits for the next writer. */
		guest_open_read(&rig);
		nothing(&rig, -FS_AGAIN);
		guest_close_read(&rig);
	}
	rig_deinit(&rig);
}

Test(echo, a_writer_that_came_and_went_between_two_looks)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	guest_close_write(&rig);
	nothing(&rig, 0);

	/* with bytes */
	pipe_producer_open(&rig.guest.tx);
	channel_suspend(&rig.ch); /* the host does not see what happens now */
	send(&rig, &out, 10);
	pipe_producer_close(&rig.guest.tx);
	cr_assert_eq(rig_attach(&rig), 0);
	receive(&rig, &in, 10);
	nothing(&rig, 0);

	/* and without: a reader that waits for the next end gets it */
	guest_close_read(&rig);
	guest_open_read(&rig);
	nothing(&rig, -FS_AGAIN);
	pipe_producer_open(&rig.guest.tx);
	pipe_producer_close(&rig.guest.tx);
	channel_rung(&rig.ch);
	nothing(&rig, 0);
	rig_deinit(&rig);
}

Test(echo, bytes_wait_for_a_reader_to_come_back)
{
	static const uint8_t buf[4096];
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	send(&rig, &out, 1000);
	guest_close_read(&rig);
	send(&rig, &out, 3000);
	cr_assert_eq(rig.ch.bwd.bytes, 1000, "nothing is pushed to nobody");
	cr_assert_eq(guest_write(&rig, buf, 4096), 1096, "the writer is held up by a full fwd");
	cr_assert_eq(guest_write(&rig, "x", 1), -FS_AGAIN);
	rig_deinit(&rig);

	echoing(&rig, 4096);
	out = in = 0;
	send(&rig, &out, 1000);
	guest_close_read(&rig);
	send(&rig, &out, 3000);
	guest_close_write(&rig);
	cr_assert_eq(state_of(&rig, true), PIPE_OPEN, "the end waits behind the bytes");
	guest_open_read(&rig);
	receive(&rig, &in, 4000);
	nothing(&rig, 0);
	rig_deinit(&rig);
}

Test(echo, the_reader_closes_after_the_end)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	send(&rig, &out, 10);
	guest_close_write(&rig);
	guest_close_read(&rig);
	guest_open_write(&rig); /* before anybody took the end: it is not seen, the bytes are */
	send(&rig, &out, 10);
	guest_open_read(&rig);
	receive(&rig, &in, 20);
	nothing(&rig, -FS_AGAIN);
	rig_deinit(&rig);
}

/**
 * struct model - what a guest may expect of an echo
 * @out: bytes written
 * @in: bytes read
 * @open_write: the guest's writer is open
 * @open_read: the guest's reader is open
 */
struct model {
	uint64_t out, in;
	bool open_write, open_read;
};

/**
 * act() - one random action of the guest
 * @rig: rig
 * @m: model
 * @rng: random numbers
 */
static void act(struct rig *rig, struct model *m, uint64_t *rng)
{
	uint8_t buf[3000];
	uint64_t want = 1 + rng_below(rng, sizeof(buf));
	int64_t n;

	switch (rng_below(rng, 10)) {
	case 0:
		if (m->open_write)
			guest_close_write(rig);
		else
			guest_open_write(rig);
		m->open_write = !m->open_write;
		return;
	case 1:
		if (m->open_read)
			guest_close_read(rig);
		else
			guest_open_read(rig);
		m->open_read = !m->open_read;
		return;
	case 2:
		channel_suspend(&rig->ch);
		cr_assert_eq(rig_attach(rig), 0);
		return;
	case 3:
		rig_kill(rig);
		rig_restart(rig);
		cr_assert_eq(rig_attach(rig), 0);
		return;
	case 4:
	case 5:
	case 6:
		if (!m->open_write)
			return;
		pattern_fill(buf, m->out, want);
		n = guest_write(rig, buf, want);
		cr_assert(n > 0 || n == -FS_AGAIN, "write: %s", fs_status_name((int)n));
		m->out += n > 0 ? (uint64_t)n : 0;
		return;
	default:
		if (!m->open_read)
			return;
		n = guest_read(rig, buf, want);
		cr_assert(n >= 0 || n == -FS_AGAIN, "read: %s", fs_status_name((int)n));
		if (n > 0)
			pattern_check(buf, m->in, (uint64_t)n);
		m->in += n > 0 ? (uint64_t)n : 0;
		return;
	}
}

Test(echo, openings_closings_restarts_in_any_order)
{
	uint64_t rng = rng_seeded("openings_closings_restarts_in_any_order");

	for (int run = 0; run < 20; run++) {
		struct model m = { 0 };
		struct rig rig;
		uint8_t byte;
		int64_t n;

		rig_init(&rig, &echo, run % 2 ? 4096 : 16384);
		cr_assert_eq(rig_attach(&rig), 0);
		for (int i = 0; i < 2000; i++) {
			act(&rig, &m, &rng);
			if (!rng_below(&rng, 4))
				rig_turns(&rig, 1);
		}
		if (!m.open_read)
			guest_open_read(&rig);
		if (m.open_write)
			guest_close_write(&rig);
		receive(&rig, &m.in, m.out - m.in);
		/* A writer that has just closed ends the reader; another one's end may be taken */
		rig_turns(&rig, 2);
		n = guest_read(&rig, &byte, 1);
		cr_assert(!n || (!m.open_write && n == -FS_AGAIN), "%s", fs_status_name((int)n));
		rig_deinit(&rig);
	}
}

/* ------------------------------------------------------------------------------------------- */
/* Killed                                                                                      */

/**
 * host_end() - the host's end as the killed daemon had it
 * @rig: rig without a daemon
 * @s: to be filled
 */
static void host_end(struct rig *rig, struct socketpair *s)
{
	cr_assert_eq(socketpair_attach(s, &rig->sec[OKL4FS_SEC_CTL], &rig->sec[OKL4FS_SEC_FWD],
				       &rig->sec[OKL4FS_SEC_BWD], rig->instance),
		     0);
}

/**
 * die_in_a_move() - do what an echo does, up to the moment of its death
 * @rig: rig without a daemon
 * @bytes: of the piece; that much lies in fwd
 * @published: bwd's head was published
 */
static void die_in_a_move(struct rig *rig, uint64_t bytes, bool published)
{
	uint8_t *buf = malloc(bytes);
	struct pipe_seg seg[2];
	struct socketpair s;
	uint64_t done = 0;
	bool notify;

	host_end(rig, &s);
	while (done < bytes) {
		/* Read without giving back: through a second handle that is thrown away */
		int64_t n = pipe_peek_read(&s.rx, seg);

		cr_assert_gt(n, 0);
		for (int i = 0; i < 2 && done < bytes; i++) {
			uint64_t k = seg[i].bytes < bytes - done ? seg[i].bytes : bytes - done;

			memcpy(buf + done, seg[i].base, k);
			done += k;
		}
		s.rx.cursor += (uint64_t)n; /* private: nothing is published */
	}
	if (published)
		cr_assert_eq(pipe_write(&s.tx, buf, bytes, &notify), (int64_t)bytes);
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
				uint64_t out = 0, in = 0;
				struct rig rig;

				echoing(&rig, 8192);
				/* Somewhere in the rings, and empty. */
				for (uint64_t left = before; left;) {
					uint64_t n = left < 8192 ? left : 8192;

					send(&rig, &out, n);
					receive(&rig, &in, n);
					left -= n;
				}
				rig_kill(&rig);
				rig_restart(&rig);
				send(&rig, &out, sizes[i]);
				die_in_a_move(&rig, sizes[i], published);
				cr_assert_eq(rig_attach(&rig), 0);
				receive(&rig, &in, sizes[i]);
				nothing(&rig, -FS_AGAIN);
				send(&rig, &out, 8192);
				receive(&rig, &in, 8192);
				rig_deinit(&rig);
			}
		}
	}
}

Test(echo, killed_in_a_move_with_more_behind_it_and_the_writer_gone)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 8192);
	rig_kill(&rig);
	rig_restart(&rig);
	send(&rig, &out, 6000);
	die_in_a_move(&rig, 5000, true);
	guest_close_write(&rig);
	cr_assert_eq(rig_attach(&rig), 0);
	receive(&rig, &in, 6000);
	nothing(&rig, 0);
	rig_deinit(&rig);
}

Test(echo, an_end_that_was_passed_on_is_not_passed_on_twice)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	send(&rig, &out, 10);
	guest_close_write(&rig);
	receive(&rig, &in, 10);
	nothing(&rig, 0);
	guest_close_read(&rig);
	rig_kill(&rig);
	rig_restart(&rig);
	guest_open_read(&rig);
	cr_assert_eq(rig_attach(&rig), 0);
	nothing(&rig, -FS_AGAIN);
	guest_open_write(&rig);
	send(&rig, &out, 10);
	receive(&rig, &in, 10);
	rig_deinit(&rig);
}

Test(echo, an_end_that_was_not_passed_on_is)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	send(&rig, &out, 10);
	rig_kill(&rig);
	rig_restart(&rig);
	pipe_producer_close(&rig.guest.tx);
	cr_assert_eq(rig_attach(&rig), 0);
	receive(&rig, &in, 10);
	nothing(&rig, 0);
	rig_deinit(&rig);
}

Test(echo, cursors_that_no_echo_made)
{
	struct socketpair s;
	struct rig rig;
	bool notify;

	rig_init(&rig, &echo, 4096);
	host_end(&rig, &s);
	cr_assert_eq(pipe_write(&s.tx, "abc", 3, &notify), 3); /* written, and nothing read */
	cr_assert_eq(rig_attach(&rig), -FS_RESUME_CURSORS);
	cr_assert_eq(rig.ch.state, CHANNEL_FAILED);
	rig_deinit(&rig);

	rig_init(&rig, &echo, 4096);
	host_end(&rig, &s);
	guest_open_write(&rig);
	cr_assert_eq(guest_write(&rig, "abc", 3), 3);
	cr_assert_eq(pipe_read(&s.rx, (uint8_t[3]){ 0 }, 3, &notify),
		     3); /* read, and not written */
	cr_assert_eq(rig_attach(&rig), -FS_RESUME_CURSORS);
	cr_assert_eq(rig.told, FS_RESUME_CURSORS);
	rig_deinit(&rig);
}

Test(echo, fresh_memory_begins_anew)
{
	uint64_t out = 0, in = 0;
	struct rig rig;

	echoing(&rig, 4096);
	send(&rig, &out, 100);
	rig_new_memory(&rig);
	cr_assert_eq(rig_attach(&rig), 0);
	guest_open_write(&rig);
	guest_open_read(&rig);
	nothing(&rig, -FS_AGAIN);
	out = in = 0;
	send(&rig, &out, 100);
	receive(&rig, &in, 100);
	rig_deinit(&rig);
}

/* ------------------------------------------------------------------------------------------- */
/* discard                                                                                     */

Test(discard, takes_everything_and_gives_nothing)
{
	static uint8_t buf[1 << 20];
	uint64_t total = 0;
	struct rig rig;

	rig_init(&rig, &discard, 65536);
	cr_assert_eq(rig_attach(&rig), 0);
	cr_assert_eq(state_of(&rig, true), PIPE_OPEN);
	cr_assert_eq(state_of(&rig, false), PIPE_OPEN);
	guest_open_read(&rig);
	for (int round = 0; round < 3; round++) {
		guest_open_write(&rig);
		while (total < (uint64_t)(round + 1) * (8 << 20)) {
			int64_t n = guest_write(&rig, buf, sizeof(buf));

			if (n > 0)
				total += (uint64_t)n;
			rig_turns(&rig, 1);
		}
		guest_close_write(&rig);
	}
	rig_turns(&rig, 2);
	cr_assert_eq(rig.ch.fwd.bytes, total);
	cr_assert_eq(pipe_writable(&rig.guest.tx), 65536);
	nothing(&rig, -FS_AGAIN);
	rig_deinit(&rig);
}

Test(discard, goes_on_after_a_restart)
{
	struct endpoint_info info;
	uint64_t out = 0;
	struct rig rig;

	rig_init(&rig, &discard, 4096);
	cr_assert_eq(rig_attach(&rig), 0);
	guest_open_write(&rig);
	rig_kill(&rig);
	rig_restart(&rig);
	send(&rig, &out, 4096);
	cr_assert_eq(guest_write(&rig, "x", 1), -FS_AGAIN);
	cr_assert_eq(rig_attach(&rig), 0);
	cr_assert_eq(guest_write(&rig, "x", 1), 1);
	rig.ep->ops->info(rig.ep, &info);
	cr_assert(info.joined);
	cr_assert_eq(rig_cpu_ms(&rig, 100) > 50, false, "it spins");
	rig_deinit(&rig);
}
