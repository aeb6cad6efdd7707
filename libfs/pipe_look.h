/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * pipe_look.h - how an end of a pipe looks at the other end (private to libfs)
 *
 * Everything that comes from the peer passes through load_tail(), load_head() or load_phase():
 * loaded once, checked against what was seen before, kept as a private copy in struct pipe. The
 * essay at the head of pipe.c says why, and explains the barriers (A) to (E).
 */
#ifndef LIBFS_PIPE_LOOK_H
#define LIBFS_PIPE_LOOK_H

#include <libfs/pipe.h>

/**
 * ring_bytes() - size of the ring
 * @p: either end
 *
 * Return: bytes.
 */
static inline uint64_t ring_bytes(const struct pipe *p)
{
	return p->mask + 1;
}

/**
 * fail() - put an end into its failed state
 * @p: either end
 * @status: why, not negated
 *
 * Return: the negated status.
 */
static inline int fail(struct pipe *p, enum fs_status status)
{
	p->error = -(int)status;
	return p->error;
}

/**
 * phase_closed() - whether a phase says that there was an opener and is none
 * @phase: a phase
 *
 * Return: true when it does.
 */
static inline bool phase_closed(uint64_t phase)
{
	return phase && !(phase & 1);
}

/**
 * load_tail() - look at the reader's cursor
 * @p: writing end
 *
 * Return: 0, with @p->peer_cursor up to date, or the error that failed the end.
 */
static inline int load_tail(struct pipe *p)
{
	/* (B): what the reader did with its bytes is over. Pairs with publish_tail() */
	uint64_t tail = fs_le64_to_cpu(fs_load_acquire(&p->shm->consumer.tail));

	if (tail - p->peer_cursor > p->cursor - p->peer_cursor)
		return fail(p, (int64_t)(tail - p->peer_cursor) < 0 ? FS_TAIL_BACK :
								      FS_TAIL_PAST_HEAD);
	p->peer_cursor = tail;
	return 0;
}

/**
 * load_head() - look at the writer's cursor
 * @p: reading end
 *
 * Return: 0, with @p->peer_cursor up to date, or the error that failed the end.
 */
static inline int load_head(struct pipe *p)
{
	/* (A): the bytes below head are there. Pairs with publish_head() */
	uint64_t head = fs_le64_to_cpu(fs_load_acquire(&p->shm->producer.head));

	if (head - p->peer_cursor > p->cursor + ring_bytes(p) - p->peer_cursor)
		return fail(p, (int64_t)(head - p->peer_cursor) < 0 ? FS_HEAD_BACK :
								      FS_HEAD_PAST_RING);
	p->peer_cursor = head;
	return 0;
}

/**
 * load_phase() - look at the peer's phase
 * @p: either end
 * @word: the peer's phase
 *
 * Return: 0, with @p->peer_phase up to date, or the error that failed the end.
 */
static inline int load_phase(struct pipe *p, const le64 *word)
{
	/* (D): what a closing writer wrote is in the head loaded next. Pairs with step_phase() */
	uint64_t phase = fs_le64_to_cpu(fs_load_acquire(word));

	if (phase < p->peer_phase)
		return fail(p, FS_PHASE_BACK);
	p->peer_phase = phase;
	return 0;
}

/**
 * look_at_reader() - the reader's phase and cursor
 * @p: writing end
 *
 * Return: 0, -FS_PIPE when it has closed, or the error of a failed end.
 */
static inline int look_at_reader(struct pipe *p)
{
	if (p->error)
		return p->error;
	if (load_phase(p, &p->shm->consumer.phase))
		return p->error;
	if (phase_closed(p->peer_phase))
		return -FS_PIPE;
	return load_tail(p);
}

/**
 * look_at_writer() - the writer's phase, then its cursor
 * @p: reading end
 *
 * Return: 0 or the error of a failed end.
 */
static inline int look_at_writer(struct pipe *p)
{
	if (p->error)
		return p->error;
	if (load_phase(p, &p->shm->producer.phase))
		return p->error;
	return load_head(p);
}

/**
 * at_eof() - whether what look_at_writer() saw is an end-of-file
 * @p: reading end
 *
 * Return: true when the ring was empty after the writer had closed, and no earlier opening of this
 * end has taken that end-of-file.
 */
static inline bool at_eof(const struct pipe *p)
{
	return p->peer_cursor == p->cursor && phase_closed(p->peer_phase) &&
	       p->peer_phase != p->eof_seen;
}

/**
 * room() - free bytes by the last look
 * @p: writing end
 *
 * Return: bytes.
 */
static inline uint64_t room(const struct pipe *p)
{
	return ring_bytes(p) - (p->cursor - p->peer_cursor);
}

/**
 * fill() - filled bytes by the last look
 * @p: reading end
 *
 * Return: bytes.
 */
static inline uint64_t fill(const struct pipe *p)
{
	return p->peer_cursor - p->cursor;
}

#endif /* LIBFS_PIPE_LOOK_H */
