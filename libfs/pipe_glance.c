// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pipe_glance.c - a look at a pipe by somebody who does not hold its end
 *
 * All that is needed lies in the shared words, the own end's too, so nothing private is read that
 * the holder may be changing.
 */
#include <libfs/checked.h>

#include "pipe_look.h"

/* filled() - bytes in the ring; never more than it holds, whatever the peer wrote there */
static uint64_t filled(const struct pipe *p)
{
	/* Tail first: head may only have grown since, and a hint that is too large is bounded */
	uint64_t tail = fs_le64_to_cpu(fs_load_acquire(&p->shm->consumer.tail));
	uint64_t head = fs_le64_to_cpu(fs_load_acquire(&p->shm->producer.head));

	return fs_min(head - tail, ring_bytes(p));
}

/* state_of() - what a phase says */
static enum pipe_state state_of(uint64_t phase)
{
	if (!phase)
		return PIPE_NEVER_OPENED;
	return phase_closed(phase) ? PIPE_CLOSED : PIPE_OPEN;
}

struct pipe_glance pipe_glance_read(const struct pipe *p)
{
	struct pipe_glance seen;
	/* (D): the phase before head, as look_at_writer() */
	uint64_t phase = fs_le64_to_cpu(fs_load_acquire(&p->shm->producer.phase));

	seen.bytes = p->error ? p->error : (int64_t)filled(p);
	seen.peer = state_of(phase);
	seen.at_eof = !seen.bytes && seen.peer == PIPE_CLOSED &&
		      phase != fs_le64_to_cpu(fs_load(&p->shm->consumer.eof_seen));
	return seen;
}

struct pipe_glance pipe_glance_write(const struct pipe *p)
{
	struct pipe_glance seen;

	seen.peer = state_of(fs_le64_to_cpu(fs_load_acquire(&p->shm->consumer.phase)));
	seen.bytes = p->error ? p->error : (int64_t)(ring_bytes(p) - filled(p));
	seen.at_eof = false;
	return seen;
}
