// SPDX-License-Identifier: BSD-3-Clause
/*
 * channel.c - what a channel does, with an endpoint that takes notes
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "rig.h"
#include "steps.h"
#include "util/log.h"

/* An endpoint */
struct probe {
	struct rig *rig;
	char calls[64]; /* a letter each: F up(fresh), U up, D down, G gone, w woken */
	int fail_in_up; /* status with which up() is to fail the channel */
	uint64_t take; /* bytes that woken() takes */
};

static void note(struct probe *p, char c)
{
	size_t n = strlen(p->calls);

	cr_assert_lt(n, sizeof(p->calls) - 1);
	p->calls[n] = c;
}

static void probe_up(void *arg, bool fresh)
{
	struct probe *p = arg;

	cr_assert(channel_usable(&p->rig->ch));
	note(p, fresh ? 'F' : 'U');
	if (p->fail_in_up)
		channel_fail(&p->rig->ch, p->fail_in_up);
}

static void probe_down(void *arg, bool gone)
{
	struct probe *p = arg;

	cr_assert_not(channel_usable(&p->rig->ch));
	note(p, gone ? 'G' : 'D');
}

static void probe_woken(void *arg)
{
	struct probe *p = arg;
	struct okl4_pipe_seg seg[2];
	int64_t n;

	note(p, 'w');
	if (!p->take)
		return;
	n = channel_peek_read(&p->rig->ch, seg);
	if (n > 0)
		channel_commit_read(&p->rig->ch, (uint64_t)n < p->take ? (uint64_t)n : p->take);
}

static const struct channel_endpoint_ops probe_ops = {
	.up = probe_up,
	.down = probe_down,
	.woken = probe_woken,
};

static void probed(struct rig *rig, struct probe *p, uint64_t ring_bytes)
{
	rig_init(rig, NULL, ring_bytes);
	*p = (struct probe){ .rig = rig };
	channel_bind(&rig->ch, &probe_ops, p);
}

/* Since the last time */
static void check_calls(struct probe *p, const char *want)
{
	cr_assert_str_eq(p->calls, want);
	memset(p->calls, 0, sizeof(p->calls));
}

/* These steps, and the calls that they cause */
static void plays(struct probe *p, const char *steps, const char *calls)
{
	rig_play(p->rig, steps);
	check_calls(p, calls);
}

Test(channel, attach_suspend_and_detach)
{
	struct probe p;
	struct rig rig;

	probed(&rig, &p, 8192);
	plays(&p, "attaches", "F");
	cr_assert_eq(rig.rings, 1, "a predecessor may have died before its notification");
	plays(&p, "attaches", "DU");
	plays(&p, "loses memory; loses memory", "D");
	cr_assert_eq(rig.ch.state, CHANNEL_SUSPENDED);
	plays(&p, "attaches", "U");
	plays(&p, "loses memory; has fresh memory; attaches", "DGF");
	cr_assert_eq(rig.ch.attaches, 4);
	plays(&p, "detaches", "wG");
	plays(&p, "detaches", "");
	plays(&p, "attaches", "F");
	plays(&p, "is gone", "G");
	cr_assert_eq(rig.ch.instance, 0);
	plays(&p, "attaches", "F");
	cr_assert_eq(rig.tells, 0);
	rig_deinit(&rig);
}

Test(channel, new_memory_replaces_what_is_attached)
{
	struct probe p;
	struct rig rig;
	uint8_t *old;

	probed(&rig, &p, 4096);
	plays(&p, "attaches", "F");
	old = rig.page;
	rig.page = NULL;
	plays(&p, "has fresh memory; attaches", "GF");
	free(old); /* the host no longer touches it */
	guest_open_write(&rig);
	cr_assert_eq(rig.ch.state, CHANNEL_ATTACHED);
	rig_deinit(&rig);
}

Test(channel, each_header_that_is_refused)
{
	static const struct {
		size_t offset;
		uint32_t value;
		enum okl4_status status;
	} lies[] = {
		{ offsetof(struct okl4_ctl_shm, magic), 0, OKL4_CTL_MAGIC },
		{ offsetof(struct okl4_ctl_shm, version), 2, OKL4_CTL_VERSION },
		{ offsetof(struct okl4_ctl_shm, header_bytes), 64, OKL4_CTL_HEADER_BYTES },
		{ offsetof(struct okl4_ctl_shm, ctl_bytes), 8192, OKL4_CTL_BYTES },
		{ offsetof(struct okl4_ctl_shm, ring_bytes), 4096, OKL4_CTL_RING_BYTES },
		{ offsetof(struct okl4_ctl_shm, instance), 1, OKL4_CTL_INSTANCE },
		{ offsetof(struct okl4_ctl_shm, heap_offset), 0, OKL4_CTL_HEAP },
		{ offsetof(struct okl4_ctl_shm, pipe_offset), 3, OKL4_CTL_PIPE_OFFSET },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct probe p;
		struct rig rig;

		probed(&rig, &p, 8192);
		memcpy((char *)rig.chunk[OKL4FS_SEC_CTL][0] + lies[i].offset, &lies[i].value, 4);
		cr_assert_eq(rig_attach(&rig), -(int)lies[i].status, "%s",
			     okl4_status_name((int)lies[i].status));
		cr_assert_eq(rig.ch.state, CHANNEL_FAILED);
		cr_assert_eq(rig.ch.failed_status, lies[i].status);
		cr_assert_eq(rig.ch.errors[lies[i].status], 1);
		cr_assert_eq(rig.tells, 0, "the reply tells");
		cr_assert_eq(rig_attach(&rig), -OKL4_CHANNEL_FAILED);
		check_calls(&p, "");
		plays(&p, "has fresh memory; attaches", "F");
		rig_deinit(&rig);
	}
}

/* 100 bytes each way, 50 of them taken and seen to be */
static void busy(struct rig *rig, struct probe *p)
{
	struct okl4_pipe_seg seg[2];
	uint8_t buf[100] = { 0 };

	probed(rig, p, 4096);
	cr_assert_eq(rig_attach(rig), 0);
	channel_set_open(&rig->ch, true, true);
	guest_open_write(rig);
	guest_open_read(rig);
	cr_assert_eq(guest_write(rig, buf, 100), 100);
	cr_assert_eq(channel_peek_read(&rig->ch, seg), 100);
	channel_commit_read(&rig->ch, 50);
	cr_assert_geq(channel_peek_write(&rig->ch, seg), 100);
	channel_commit_write(&rig->ch, 100);
	cr_assert_eq(guest_read(rig, buf, 50), 50);
	cr_assert_eq(channel_writable(&rig->ch), 4046);
	memset(p->calls, 0, sizeof(p->calls));
	rig->rings = 0;
}

/* A word that no honest guest writes, and what the channel calls it */
Test(channel, each_violation_fails_the_channel_by_its_name)
{
	static const struct {
		size_t word;
		uint64_t value;
		enum okl4_status status;
	} lies[] = {
		{ offsetof(struct okl4_pipe_shm, producer.head), 50 + 4097, OKL4_HEAD_PAST_RING },
		{ offsetof(struct okl4_pipe_shm, producer.head), 49, OKL4_HEAD_BACK },
		{ offsetof(struct okl4_pipe_shm, consumer.tail), 101, OKL4_TAIL_PAST_HEAD },
		{ offsetof(struct okl4_pipe_shm, consumer.tail), 49, OKL4_TAIL_BACK },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct okl4_pipe_shm *shm;
		struct probe p;
		struct rig rig;

		busy(&rig, &p);
		/* The guest's words: a head of fwd, a tail of bwd */
		shm = i < 2 ? rig.guest.tx.shm : rig.guest.rx.shm;
		memcpy((char *)shm + lies[i].word, &lies[i].value, 8);
		plays(&p, "rings", "G");
		cr_assert_eq(rig.ch.state, CHANNEL_FAILED);
		cr_assert_eq(rig.told, lies[i].status, "%s", okl4_status_name((int)rig.told));
		cr_assert_eq(rig.tells, 1);
		cr_assert_eq(rig.ch.errors[lies[i].status], 1);
		plays(&p, "rings; detaches; loses memory", "");
		cr_assert_eq(rig_attach(&rig), -OKL4_CHANNEL_FAILED);
		rig_deinit(&rig);
	}
}

Test(channel, a_phase_that_moves_back)
{
	struct okl4_pipe_seg seg[2];
	struct probe p;
	struct rig rig;

	busy(&rig, &p);
	cr_assert_eq(channel_peek_read(&rig.ch, seg), 50);
	rig.guest.tx.shm->producer.phase = 0;
	cr_assert_eq(channel_peek_read(&rig.ch, seg), -OKL4_PHASE_BACK);
	check_calls(&p, "G");
	cr_assert_eq(rig.told, OKL4_PHASE_BACK);
	rig_deinit(&rig);
}

Test(channel, cursors_that_cannot_be_taken_up)
{
	struct probe p;
	struct rig rig;

	busy(&rig, &p);
	rig_kill(&rig);
	rig.guest.tx.shm->consumer.tail = 1000;
	rig_restart(&rig);
	channel_bind(&rig.ch, &probe_ops, &p);
	cr_assert_eq(rig_attach(&rig), -OKL4_RESUME_CURSORS);
	check_calls(&p, "");
	cr_assert_eq(rig.ch.state, CHANNEL_FAILED);
	rig_deinit(&rig);
}

Test(channel, memory_that_does_not_come_back)
{
	struct probe p;
	struct rig rig;

	busy(&rig, &p);
	channel_suspend(&rig.ch);
	channel_fail(&rig.ch, OKL4_MEMORY_LOST);
	check_calls(&p, "DG");
	cr_assert_eq(rig.ch.state, CHANNEL_FAILED);
	cr_assert_eq(rig.told, OKL4_MEMORY_LOST);
	cr_assert_eq(rig_attach(&rig), -OKL4_CHANNEL_FAILED);
	rig_deinit(&rig);
}

Test(channel, an_endpoint_may_fail_it_in_up)
{
	struct probe p;
	struct rig rig;

	probed(&rig, &p, 4096);
	p.fail_in_up = -OKL4_MEMORY_LOST;
	cr_assert_eq(rig_attach(&rig), -OKL4_MEMORY_LOST);
	check_calls(&p, "FG");
	cr_assert_eq(rig.told, OKL4_MEMORY_LOST);
	rig_deinit(&rig);
}

Test(channel, counters)
{
	struct okl4_pipe_seg seg[2];
	uint8_t buf[4096] = { 0 };
	struct probe p;
	struct rig rig;

	probed(&rig, &p, 4096);
	cr_assert_eq(rig_attach(&rig), 0);
	rig.rings = 0;
	channel_set_open(&rig.ch, true, true);
	channel_set_open(&rig.ch, true, true);
	cr_assert_eq(rig.rings, 2, "a change of phase wakes, and only that");
	cr_assert_eq(rig.ch.fwd.opens, 1);
	cr_assert_eq(rig.ch.bwd.opens, 1);

	cr_assert_eq(channel_wait_read(&rig.ch), 0);
	cr_assert_eq(rig.ch.fwd.empty_stalls, 1);
	guest_open_write(&rig);
	cr_assert_eq(rig.ch.fwd.wakes_received, 0, "nothing has moved");
	cr_assert_eq(guest_write(&rig, buf, 10), 10);
	cr_assert_eq(rig.ch.fwd.wakes_received, 1);
	cr_assert_eq(rig.ch.bwd.wakes_received, 0);
	cr_assert_eq(channel_readable(&rig.ch), 10);
	cr_assert_eq(channel_peek_read(&rig.ch, seg), 10);
	channel_commit_read(&rig.ch, 4);
	channel_commit_read(&rig.ch, 0);
	channel_commit_read(&rig.ch, 6);
	cr_assert_eq(rig.ch.fwd.bytes, 10);
	cr_assert_eq(rig.ch.fwd.messages, 2);
	cr_assert_eq(channel_read_pos(&rig.ch), 10);

	cr_assert_eq(okl4_pipe_arm_read(&rig.guest.rx), 0);
	rig.rings = 0;
	cr_assert_eq(channel_peek_write(&rig.ch, seg), 4096);
	channel_commit_write(&rig.ch, 4096);
	cr_assert_eq(rig.rings, 1, "the guest slept");
	cr_assert_eq(guest_read(&rig, buf, 4096), 4096);
	cr_assert_eq(channel_writable(&rig.ch), 4096);
	rig.ch.bwd.wakes_received = 0;

	channel_commit_write(&rig.ch, 4096);
	cr_assert_eq(channel_peek_write(&rig.ch, seg), -OKL4_AGAIN);
	cr_assert_eq(channel_wait_write(&rig.ch, 2048), 0);
	cr_assert_eq(rig.ch.bwd.full_stalls, 1);
	cr_assert_eq(guest_read(&rig, buf, 2047), 2047);
	cr_assert_eq(rig.ch.bwd.wakes_received, 0, "not worth a wake-up yet");
	cr_assert_eq(guest_read(&rig, buf, 1), 1);
	cr_assert_eq(rig.ch.bwd.wakes_received, 1);
	cr_assert_eq(channel_writable(&rig.ch), 2048);
	cr_assert_eq(channel_write_pos(&rig.ch), 8192);
	cr_assert_eq(channel_write_phase(&rig.ch), 1);
	channel_set_open(&rig.ch, false, false);
	channel_set_open(&rig.ch, true, false);
	cr_assert_eq(rig.ch.fwd.opens, 2);
	cr_assert_eq(channel_write_phase(&rig.ch), 2);
	rig_deinit(&rig);
}

static void check_peer(int r, const struct channel_peer *peer, enum okl4_pipe_state state,
		       uint64_t phase)
{
	cr_assert_eq(r, 0);
	cr_assert_eq(peer->state, state);
	cr_assert_eq(peer->phase, phase);
}

Test(channel, what_is_known_of_the_guests_ends)
{
	struct channel_peer peer;
	struct probe p;
	struct rig rig;

	probed(&rig, &p, 4096);
	rig_play(&rig, "attaches");
	channel_set_open(&rig.ch, true, true);
	check_peer(channel_guest_writer(&rig.ch, &peer), &peer, OKL4_PIPE_NEVER_OPENED, 0);
	rig_play(&rig, "opens write; closes write; opens write");
	check_peer(channel_guest_writer(&rig.ch, &peer), &peer, OKL4_PIPE_OPEN, 3);
	rig_play(&rig, "opens read; closes read");
	check_peer(channel_guest_reader(&rig.ch, &peer), &peer, OKL4_PIPE_CLOSED, 2);

	cr_assert_not(channel_eof_taken(&rig.ch));
	guest_open_read(&rig);
	channel_set_open(&rig.ch, true, false);
	cr_assert_not(channel_eof_taken(&rig.ch));
	rig_play(&rig, "sees end");
	cr_assert_not(channel_eof_taken(&rig.ch), "the reader has not closed");
	guest_close_read(&rig);
	cr_assert(channel_eof_taken(&rig.ch));
	channel_set_open(&rig.ch, true, true);
	cr_assert_not(channel_eof_taken(&rig.ch));
	rig_deinit(&rig);
}

Test(channel, again_comes_on_a_later_turn_and_not_after_down)
{
	struct probe p;
	struct rig rig;

	probed(&rig, &p, 4096);
	plays(&p, "attaches", "F");
	channel_again(&rig.ch);
	channel_again(&rig.ch);
	check_calls(&p, "");
	plays(&p, "turns", "w");
	channel_again(&rig.ch);
	plays(&p, "loses memory; turns", "D");
	rig_deinit(&rig);
}

Test(channel, detach_lets_the_endpoint_take_what_it_can)
{
	static uint8_t buf[8 << 20];
	struct probe p;
	struct rig rig;

	probed(&rig, &p, sizeof(buf));
	cr_assert_eq(rig_attach(&rig), 0);
	channel_set_open(&rig.ch, true, true);
	guest_open_write(&rig);
	cr_assert_eq(guest_write(&rig, buf, sizeof(buf)), (int64_t)sizeof(buf));
	memset(p.calls, 0, sizeof(p.calls));
	/* It sees a page at a time here. As many turns as a ring has megabytes, and no more */
	p.take = 8192;
	channel_detach(&rig.ch);
	check_calls(&p, "wwwwwwwwwG");
	cr_assert_eq(rig.ch.fwd.bytes, 9 * 8192);
	rig_deinit(&rig);
}

Test(channel, lines_that_a_guest_can_cause_are_limited)
{
	struct probe p;
	struct rig rig;
	FILE *f = tmpfile();
	int saved = dup(2), n = 0;
	char line[512];

	cr_assert(f && saved >= 0);
	fflush(stderr);
	dup2(fileno(f), 2);
	probed(&rig, &p, 4096);
	for (int i = 0; i < 1000; i++) {
		rig_attach(&rig);
		channel_detach(&rig.ch);
		memset(p.calls, 0, sizeof(p.calls));
	}
	rig_deinit(&rig);
	dup2(saved, 2);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		cr_assert_not_null(strstr(line, "guest vm1: channel intervm_test: "), "%s", line);
		n++;
	}
	fclose(f);
	close(saved);
	cr_assert(n >= 2 && n < 500, "%d lines", n);
}
