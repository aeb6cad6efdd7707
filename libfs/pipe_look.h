/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * pipe_look.h - how an end of a pipe looks at the other end (private to libfs)
 *
 * Everything that comes from the peer passes through load_tail(), load_head() or load_phase(). They
 * load it once, check it against what was seen before, and keep a private copy in struct okl4_pipe.
 * The essay at the head of pipe.c says why, and explains the barriers (A) to (E).
 */
#ifndef LIBFS_PIPE_LOOK_H
#define LIBFS_PIPE_LOOK_H

#include <libfs/pipe.h>

static inline uint64_t ring_bytes(const struct okl4_pipe *p)
{
	return p->mask + 1;
}

static inline int fail_end(struct okl4_pipe *p, enum okl4_status status)
{
	p->error = -(int)status;
	return p->error;
}

static inline bool phase_closed(uint64_t phase)
{
	return phase && !(phase & 1);
}

/* 0, with peer_cursor up to date, or the error that failed the end */
static inline int load_tail(struct okl4_pipe *p)
{
	/* (B): the reader has finished with its bytes. Pairs with publish_tail() */
	uint64_t tail = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->consumer.tail));

	if (tail - p->peer_cursor > p->cursor - p->peer_cursor)
		return fail_end(p, (int64_t)(tail - p->peer_cursor) < 0 ? OKL4_TAIL_BACK :
									  OKL4_TAIL_PAST_HEAD);
	p->peer_cursor = tail;
	return 0;
}

/* As load_tail(), for the reading end */
static inline int load_head(struct okl4_pipe *p)
{
	/* (A): the bytes below head are there. Pairs with publish_head() */
	uint64_t head = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->producer.head));

	if (head - p->peer_cursor > p->cursor + ring_bytes(p) - p->peer_cursor)
		return fail_end(p, (int64_t)(head - p->peer_cursor) < 0 ? OKL4_HEAD_BACK :
									  OKL4_HEAD_PAST_RING);
	p->peer_cursor = head;
	return 0;
}

/* 0, with peer_phase up to date, or the error that failed the end */
static inline int load_phase(struct okl4_pipe *p, const okl4_le64 *word)
{
	/* (D): the head loaded next counts all that a closing writer wrote. Pairs with step_phase() */
	uint64_t phase = okl4_le64_to_cpu(okl4_load_acquire(word));

	if (phase < p->peer_phase)
		return fail_end(p, OKL4_PHASE_BACK);
	p->peer_phase = phase;
	return 0;
}

/* 0, -OKL4_PIPE when the reader has closed, or the error of a failed end */
static inline int look_at_reader(struct okl4_pipe *p)
{
	if (p->error)
		return p->error;
	if (load_phase(p, &p->shm->consumer.phase))
		return p->error;
	if (phase_closed(p->peer_phase))
		return -OKL4_PIPE;
	return load_tail(p);
}

/* (D): the phase before the cursor. 0 or the error of a failed end */
static inline int look_at_writer(struct okl4_pipe *p)
{
	if (p->error)
		return p->error;
	if (load_phase(p, &p->shm->producer.phase))
		return p->error;
	return load_head(p);
}

/* By the last look: closed, empty, and not an end-of-file that an earlier opening has taken */
static inline bool at_eof(const struct okl4_pipe *p)
{
	return p->peer_cursor == p->cursor && phase_closed(p->peer_phase) &&
	       p->peer_phase != p->eof_seen;
}

/* Free bytes by the last look */
static inline uint64_t room_bytes(const struct okl4_pipe *p)
{
	return ring_bytes(p) - (p->cursor - p->peer_cursor);
}

/* Filled bytes by the last look */
static inline uint64_t filled_bytes(const struct okl4_pipe *p)
{
	return p->peer_cursor - p->cursor;
}

/* 1 when there are bytes, 0 at end-of-file (noted as reported), -OKL4_AGAIN, or the error */
static inline int look_for_bytes(struct okl4_pipe *p)
{
	int r = look_at_writer(p);

	if (r)
		return r;
	if (filled_bytes(p))
		return 1;
	if (!at_eof(p))
		return -OKL4_AGAIN;
	p->eof_pending = p->peer_phase;
	return 0;
}

#endif /* LIBFS_PIPE_LOOK_H */
