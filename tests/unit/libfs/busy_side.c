// SPDX-License-Identifier: BSD-3-Clause
/*
 * busy_side.c - one side of a busy channel
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <libfs/checked.h>

#include "busy_side.h"

#define BLOCK_BYTES 65536

/* struct work - the state of a running side */
struct work {
	struct busy_side *p;
	uint64_t state;
	uint8_t block[BLOCK_BYTES];
	uint8_t taken[BLOCK_BYTES];
	uint64_t block_used;
	bool at_eof;
};

static void roll_word(struct roll *r, const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	r->hash = (r->hash ^ word) * 0x9e3779b97f4a7c15ULL;
	r->hash ^= r->hash >> 31;
}

static void roll_bytes(struct roll *r, const uint8_t *at, uint64_t bytes)
{
	const uint8_t *end = at + bytes;

	for (; at < end && r->bytes % 8; r->bytes++) {
		r->part[r->bytes % 8] = *at++;
		if (r->bytes % 8 == 7)
			roll_word(r, r->part);
	}
	for (; end - at >= 8; at += 8, r->bytes += 8)
		roll_word(r, at);
	for (; at < end; r->bytes++)
		r->part[r->bytes % 8] = *at++;
}

static void roll_end(struct roll *r)
{
	uint64_t left = r->bytes % 8;

	memset(r->part + left, 0, 8 - left);
	roll_word(r, r->part);
}

static uint64_t next_random(struct work *w)
{
	w->state = w->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return w->state >> 24;
}

static uint64_t piece(struct work *w)
{
	return 1 + next_random(w) % (next_random(w) % 4 ? w->p->most : 1 + w->p->most / 64);
}

static void refill_block(struct work *w)
{
	uint64_t word = w->state, i;

	for (i = 0; i < BLOCK_BYTES; i += 8) {
		word = word * 6364136223846793005ULL + 1442695040888963407ULL;
		memcpy(w->block + i, &word, 8);
	}
	w->state = word;
	w->block_used = 0;
}

static void side_notify(struct work *w)
{
	w->p->report->n_notified++;
	if (eventfd_write(w->p->wake_peer, 1))
		snprintf(w->p->report->problem, sizeof(w->p->report->problem), "eventfd: %s",
			 strerror(errno));
}

static void problem(struct work *w, const char *what, int64_t status)
{
	snprintf(w->p->report->problem, sizeof(w->p->report->problem), "%s: %s", what,
		 okl4_status_name((int)status));
}

/* Copy into both pieces of the ring; returns what okl4_pipe_write() does */
static int64_t side_write_in_place(struct okl4_pipe *tx, const uint8_t *from, uint64_t bytes,
				   bool *wake)
{
	struct okl4_pipe_seg seg[2];
	int64_t r = okl4_pipe_peek_write(tx, seg);
	uint64_t first, second;

	if (r < 0)
		return r;
	first = okl4_min(bytes, seg[0].bytes);
	second = okl4_min(bytes - first, seg[1].bytes);
	memcpy(seg[0].base, from, first);
	if (second)
		memcpy(seg[1].base, from + first, second);
	*wake = okl4_pipe_commit_write(tx, first + second);
	return (int64_t)(first + second);
}

static bool side_send_some(struct work *w)
{
	struct roll *sent = &w->p->report->sent;
	uint64_t bytes = okl4_min(piece(w), w->p->total - sent->bytes);
	struct okl4_pipe *tx = &w->p->end->tx;
	bool wake = false;
	int64_t r;

	if (!okl4_pipe_is_open(tx))
		return false;
	if (w->block_used == BLOCK_BYTES)
		refill_block(w);
	bytes = okl4_min(bytes, BLOCK_BYTES - w->block_used);
	if (next_random(w) & 1)
		r = okl4_pipe_write(tx, w->block + w->block_used, bytes, &wake);
	else
		r = side_write_in_place(tx, w->block + w->block_used, bytes, &wake);
	if (r == -OKL4_AGAIN)
		return false;
	if (r < 0) {
		problem(w, "write", r);
		return false;
	}
	roll_bytes(sent, w->block + w->block_used, (uint64_t)r);
	w->block_used += (uint64_t)r;
	if (sent->bytes == w->p->total) {
		okl4_pipe_producer_close(tx);
		wake = true;
	}
	if (wake)
		side_notify(w);
	return true;
}

/* Hash both pieces where they lie; returns what okl4_pipe_read() does */
static int64_t side_read_in_place(struct work *w, uint64_t bytes, bool *wake)
{
	struct okl4_pipe *rx = &w->p->end->rx;
	struct okl4_pipe_seg seg[2];
	int64_t r = okl4_pipe_peek_read(rx, seg);
	uint64_t first, second;

	if (r <= 0)
		return r;
	first = okl4_min(bytes, seg[0].bytes);
	second = okl4_min(bytes - first, seg[1].bytes);
	roll_bytes(&w->p->report->got, seg[0].base, first);
	if (second)
		roll_bytes(&w->p->report->got, seg[1].base, second);
	*wake = okl4_pipe_commit_read(rx, first + second);
	return (int64_t)(first + second);
}

static bool take_some(struct work *w)
{
	struct okl4_pipe *rx = &w->p->end->rx;
	bool wake = false;
	int64_t r;

	if (w->at_eof)
		return false;
	if (next_random(w) & 1) {
		r = side_read_in_place(w, piece(w), &wake);
	} else {
		r = okl4_pipe_read(rx, w->taken, okl4_min(piece(w), BLOCK_BYTES), &wake);
		if (r > 0)
			roll_bytes(&w->p->report->got, w->taken, (uint64_t)r);
	}
	if (r == -OKL4_AGAIN)
		return false;
	if (r < 0)
		problem(w, "read", r);
	w->at_eof = !r;
	if (wake)
		side_notify(w);
	return true;
}

static void wait_for_peer(struct work *w)
{
	struct pollfd fd = { .fd = w->p->wake_me, .events = POLLIN };
	struct okl4_socketpair *end = w->p->end;
	eventfd_t n;

	if (!w->at_eof && okl4_pipe_arm_read(&end->rx))
		return;
	if (okl4_pipe_is_open(&end->tx) && okl4_pipe_arm_write(&end->tx, piece(w)))
		return;
	w->p->report->n_sleeps++;
	if (poll(&fd, 1, BUSY_LIMIT_MS) != 1)
		problem(w, "a wake-up was lost", 0);
	else if (eventfd_read(w->p->wake_me, &n))
		problem(w, "eventfd", 0);
}

void busy_side_run(struct busy_side *p)
{
	static _Thread_local struct work work;
	struct work *w = &work;

	memset(w, 0, sizeof(*w));
	memset(p->report, 0, sizeof(*p->report));
	w->p = p;
	w->state = p->seed;
	refill_block(w);
	okl4_pipe_consumer_open(&p->end->rx);
	okl4_pipe_producer_open(&p->end->tx);
	while (!*p->report->problem && (okl4_pipe_is_open(&p->end->tx) || !w->at_eof)) {
		bool moved = side_send_some(w);

		moved = take_some(w) || moved;
		if (!moved)
			wait_for_peer(w);
	}
	roll_end(&p->report->sent);
	roll_end(&p->report->got);
}
