// SPDX-License-Identifier: BSD-3-Clause
/*
 * hostile.c - a peer that writes anything into a pipe's shared words
 */
#include <stdlib.h>

#include <libfs/checked.h>

#include "rig.h"

#define SIZE 4096ULL

/* A call that looks at the peer */
typedef int64_t (*call)(struct okl4_pipe *p);

static int64_t call_pipe_write(struct okl4_pipe *p)
{
	bool notify;

	return okl4_pipe_write(p, "x", 1, &notify);
}

static int64_t call_peek_write(struct okl4_pipe *p)
{
	struct okl4_pipe_seg seg[2];

	return okl4_pipe_peek_write(p, seg);
}

static int64_t call_arm_write(struct okl4_pipe *p)
{
	return okl4_pipe_arm_write(p, SIZE);
}

static int64_t call_producer_peer(struct okl4_pipe *p)
{
	enum okl4_pipe_state state;

	return okl4_pipe_producer_peer(p, &state);
}

static int64_t call_pipe_read(struct okl4_pipe *p)
{
	uint8_t byte;
	bool notify;

	return okl4_pipe_read(p, &byte, 1, &notify);
}

static int64_t call_peek_read(struct okl4_pipe *p)
{
	struct okl4_pipe_seg seg[2];

	return okl4_pipe_peek_read(p, seg);
}

static int64_t call_arm_read(struct okl4_pipe *p)
{
	return okl4_pipe_arm_read(p);
}

static int64_t call_consumer_peer(struct okl4_pipe *p)
{
	enum okl4_pipe_state state;

	return okl4_pipe_consumer_peer(p, &state);
}

/* The last call of each table looks at the phase only */
static const call tx_call[] = { call_pipe_write, call_peek_write, call_arm_write,
				okl4_pipe_writable, call_producer_peer };
static const call rx_call[] = { call_pipe_read, call_peek_read, call_arm_read, okl4_pipe_readable,
				call_consumer_peer };
#define N_CALLS      5
#define LOOKS_CURSOR 4
#define PIPE_START   (UINT64_MAX - 1000)

/* A ring with 3000 bytes written and 1000 read, each end having seen the other's cursor */
static void busy_pipe(struct rig_pipe *r, uint64_t start)
{
	static uint8_t buf[3000];
	bool notify;

	rig_pipe_plain(r, start);
	okl4_pipe_producer_open(&r->tx);
	okl4_pipe_consumer_open(&r->rx);
	require_eq(okl4_pipe_write(&r->tx, buf, 3000, &notify), 3000);
	require_eq(okl4_pipe_read(&r->rx, buf, 1000, &notify), 1000);
	require_eq(okl4_pipe_writable(&r->tx), SIZE - 2000);
	require_eq(okl4_pipe_readable(&r->rx), 2000);
	require_eq(call_producer_peer(&r->tx), 0);
	require_eq(call_consumer_peer(&r->rx), 0);
}

/* After a failure every call returns the same status, and nothing is published */
static void check_failed(struct okl4_pipe *p, const call *calls, struct rig_pipe *r, int status)
{
	struct okl4_pipe_shm before = *r->shm;
	int i;

	require_status(okl4_pipe_error(p), status);
	for (i = 0; i < N_CALLS; i++)
		require_status(calls[i](p), status);
	if (p == &r->tx) {
		require(!okl4_pipe_commit_write(p, 1));
		okl4_pipe_producer_close(p);
		okl4_pipe_producer_open(p);
	} else {
		require(!okl4_pipe_commit_read(p, 1));
		okl4_pipe_consumer_close(p);
		okl4_pipe_consumer_open(p);
	}
	require(okl4_pipe_is_open(p));
	require(!memcmp(&before, r->shm, sizeof(before)));
}

/* The peer of the end that writes or reads stores this cursor, relative to @start */
static void try_cursor(bool tx, uint64_t start, uint64_t cursor, int want)
{
	const call *calls = tx ? tx_call : rx_call;
	struct rig_pipe r;
	int i;

	for (i = 0; i < LOOKS_CURSOR; i++) {
		struct okl4_pipe *p = tx ? &r.tx : &r.rx;

		busy_pipe(&r, start);
		*(tx ? &r.shm->consumer.tail : &r.shm->producer.head) =
			okl4_cpu_to_le64(start + cursor);
		if (want) {
			require_status(calls[i](p), want);
			check_failed(p, calls, &r, want);
		} else {
			require(calls[i](p) >= 0);
			require_eq(tx ? okl4_pipe_writable(p) : okl4_pipe_readable(p),
				   cursor + (tx ? SIZE - 3000 : -1000ULL) - (i == 0));
		}
		rig_pipe_deinit(&r);
	}
}

static const uint64_t start_at[] = { 0, 1, PIPE_START, (1ULL << 63) - 1500, UINT64_MAX };
#define N_STARTS (sizeof(start_at) / sizeof(start_at[0]))

/* Tail was last seen at 1000, head at 3000; the ring is 4096 bytes long */
Test(libfs_hostile, every_tail_and_every_head)
{
	static const struct {
		bool tx;
		uint64_t cursor;
		int want;
	} c[] = {
		{ true, 1000, 0 },
		{ true, 1001, 0 },
		{ true, 2999, 0 },
		{ true, 3000, 0 },
		{ true, 3001, -OKL4_TAIL_PAST_HEAD },
		{ true, 1000 + SIZE, -OKL4_TAIL_PAST_HEAD },
		{ true, 3000 + SIZE, -OKL4_TAIL_PAST_HEAD },
		{ true, 1ULL << 32, -OKL4_TAIL_PAST_HEAD },
		{ true, 1000 + (1ULL << 63) - 1, -OKL4_TAIL_PAST_HEAD },
		{ true, 999, -OKL4_TAIL_BACK },
		{ true, 0, -OKL4_TAIL_BACK },
		{ true, 0ULL - 1, -OKL4_TAIL_BACK },
		{ true, 1000 - SIZE, -OKL4_TAIL_BACK },
		{ true, 3000 - SIZE, -OKL4_TAIL_BACK },
		{ true, 1000 + (1ULL << 63), -OKL4_TAIL_BACK },
		{ false, 3000, 0 },
		{ false, 3001, 0 },
		{ false, 1000 + SIZE, 0 },
		{ false, 1001 + SIZE, -OKL4_HEAD_PAST_RING },
		{ false, 3000 + SIZE, -OKL4_HEAD_PAST_RING },
		{ false, 1ULL << 40, -OKL4_HEAD_PAST_RING },
		{ false, 3000 + (1ULL << 63) - 1, -OKL4_HEAD_PAST_RING },
		{ false, 2999, -OKL4_HEAD_BACK },
		{ false, 1000, -OKL4_HEAD_BACK },
		{ false, 999, -OKL4_HEAD_BACK },
		{ false, 0, -OKL4_HEAD_BACK },
		{ false, 0ULL - SIZE, -OKL4_HEAD_BACK },
		{ false, 3000 + (1ULL << 63), -OKL4_HEAD_BACK },
	};
	size_t i, k;

	for (k = 0; k < N_STARTS; k++) {
		for (i = 0; i < sizeof(c) / sizeof(c[0]); i++)
			try_cursor(c[i].tx, start_at[k], c[i].cursor, c[i].want);
	}
}

static void try_phase(bool tx, call look, uint64_t phase)
{
	const call *calls = tx ? tx_call : rx_call;
	struct okl4_pipe *p;
	struct rig_pipe r;
	okl4_le64 *word;

	if (look == okl4_pipe_writable || look == okl4_pipe_readable)
		return; /* they do not look at it */
	busy_pipe(&r, 0);
	p = tx ? &r.tx : &r.rx;
	word = tx ? &r.shm->consumer.phase : &r.shm->producer.phase;
	*word = okl4_cpu_to_le64(3);
	require_status((tx ? call_producer_peer : call_consumer_peer)(p), 0);
	*word = okl4_cpu_to_le64(phase);
	require_status(look(p), -OKL4_PHASE_BACK);
	check_failed(p, calls, &r, -OKL4_PHASE_BACK);
	rig_pipe_deinit(&r);
}

Test(libfs_hostile, a_phase_that_moves_back)
{
	uint64_t phase;
	size_t k;

	for (phase = 0; phase < 3; phase++) {
		for (k = 0; k < N_CALLS; k++) {
			try_phase(true, tx_call[k], phase);
			try_phase(false, rx_call[k], phase);
		}
	}
}

/* An end only publishes its own words: what a peer writes over them is never read */
Test(libfs_hostile, own_words_are_not_read_back)
{
	struct rig_pipe r;
	uint8_t buf[64];
	bool notify;

	busy_pipe(&r, 0);
	memset(&r.shm->producer, 0xff, sizeof(r.shm->producer));
	require_eq(okl4_pipe_write(&r.tx, buf, 64, &notify), 64);
	require_eq(okl4_le64_to_cpu(r.shm->producer.head), 3064);
	okl4_pipe_producer_close(&r.tx);
	require_eq(okl4_le64_to_cpu(r.shm->producer.phase), 2);
	memset(&r.shm->consumer, 0xff, sizeof(r.shm->consumer));
	require_eq(okl4_pipe_read(&r.rx, buf, 64, &notify), 64);
	require_eq(okl4_le64_to_cpu(r.shm->consumer.tail), 1064);
	okl4_pipe_consumer_close(&r.rx);
	require_eq(okl4_le64_to_cpu(r.shm->consumer.phase), 2);
	rig_pipe_deinit(&r);
}

Test(libfs_hostile, cursors_found_at_taking_up)
{
	static const struct {
		uint64_t head, tail;
		int want;
	} c[] = {
		{ 0, 0, 0 },
		{ SIZE, 0, 0 },
		{ 5, UINT64_MAX, 0 },
		{ SIZE - 1, UINT64_MAX, 0 },
		{ SIZE + 1, 0, -OKL4_RESUME_CURSORS },
		{ 0, 1, -OKL4_RESUME_CURSORS },
		{ 0, UINT64_MAX - SIZE, -OKL4_RESUME_CURSORS },
		{ SIZE, UINT64_MAX, -OKL4_RESUME_CURSORS },
		{ 1ULL << 63, 0, -OKL4_RESUME_CURSORS },
		{ UINT64_MAX, 0, -OKL4_RESUME_CURSORS },
	};
	struct okl4_pipe_shm shm;
	struct rig_sec ring;
	struct okl4_pipe p;
	size_t i;

	rig_sec_plain(&ring, SIZE);
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		memset(&shm, 0, sizeof(shm));
		shm.producer.head = okl4_cpu_to_le64(c[i].head);
		shm.consumer.tail = okl4_cpu_to_le64(c[i].tail);
		require_status(okl4_pipe_producer_init(&p, &shm, &ring.sec), c[i].want);
		require_status(okl4_pipe_error(&p), c[i].want);
		if (!c[i].want)
			require_eq(okl4_pipe_writable(&p), SIZE - (c[i].head - c[i].tail));
		require_status(okl4_pipe_consumer_init(&p, &shm, &ring.sec), c[i].want);
		require_status(okl4_pipe_error(&p), c[i].want);
		if (!c[i].want)
			require_eq(okl4_pipe_readable(&p), c[i].head - c[i].tail);
	}
	rig_sec_deinit(&ring);
}

static bool is_named(int64_t status)
{
	return status == -OKL4_AGAIN || status == -OKL4_PIPE || status == -OKL4_HEAD_PAST_RING ||
	       status == -OKL4_HEAD_BACK || status == -OKL4_TAIL_PAST_HEAD ||
	       status == -OKL4_TAIL_BACK || status == -OKL4_PHASE_BACK;
}

static uint64_t nasty(struct rng *rng, uint64_t near)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return rng_next(rng);
	case 1:
		return near + rng_below(rng, 3) - 1;
	case 2:
		return near + rng_below(rng, 2 * SIZE);
	default:
		return near - rng_below(rng, 2 * SIZE);
	}
}

/* Whatever the words contain: a result in range or a named failure, and no byte outside the ring */
Test(libfs_hostile, anything_at_all, .timeout = 60)
{
	uint8_t *buf = malloc(SIZE);
	struct rng rng;
	int round, i;

	require(buf);
	rng_init(&rng, "libfs_hostile/anything_at_all");
	for (round = 0; round < 20000; round++) {
		uint64_t start = rng_below(&rng, 2) ? rng_next(&rng) : 0;
		struct rig_pipe r;
		bool notify;

		rig_pipe_init(&r, SIZE, 4096, LAYOUT_SCATTERED, start, &rng);
		for (i = 0; i < 20; i++) {
			okl4_le64 *word =
				(okl4_le64 *)r.shm + 16 * rng_below(&rng, 2) + rng_below(&rng, 4);
			uint64_t most = 1 + rng_below(&rng, SIZE);
			int64_t n;

			if (!rng_below(&rng, 3))
				*word = okl4_cpu_to_le64(nasty(&rng, okl4_le64_to_cpu(*word)));
			n = okl4_pipe_write(&r.tx, buf, most, &notify);
			require(n > 0 ? n <= (int64_t)most : is_named(n), "%lld", (long long)n);
			n = okl4_pipe_read(&r.rx, buf, most, &notify);
			require(n >= 0 ? n <= (int64_t)most : is_named(n), "%lld", (long long)n);
			n = tx_call[rng_below(&rng, N_CALLS)](&r.tx);
			require(n >= 0 ? n <= (int64_t)SIZE : is_named(n), "%lld", (long long)n);
			n = rx_call[rng_below(&rng, N_CALLS)](&r.rx);
			require(n >= 0 ? n <= (int64_t)SIZE : is_named(n), "%lld", (long long)n);
		}
		rig_pipe_deinit(&r);
	}
	free(buf);
}
