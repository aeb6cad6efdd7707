// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pipe_glance.c - a look at a pipe by a thread that does not hold the lock of its end
 *
 * All that is needed lies in the shared words, those of our own end too. So nothing private is read
 * that the holder of the lock may be changing.
 */
#include <libfs/checked.h>

#include "pipe_look.h"

/* Never more than the ring holds, whatever the peer wrote there */
static uint64_t glance_filled(const struct okl4_pipe *p)
{
	/* Tail first: head can only have grown since, and too large a hint is cut to the ring */
	uint64_t tail = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->consumer.tail));
	uint64_t head = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->producer.head));

	return okl4_min(head - tail, ring_bytes(p));
}

static enum okl4_pipe_state glance_state(uint64_t phase)
{
	if (!phase)
		return OKL4_PIPE_NEVER_OPENED;
	return phase_closed(phase) ? OKL4_PIPE_CLOSED : OKL4_PIPE_OPEN;
}

struct okl4_pipe_glance okl4_pipe_glance_read(const struct okl4_pipe *p)
{
	struct okl4_pipe_glance seen;
	/* (D): the phase before head, as in look_at_writer() */
	uint64_t phase = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->producer.phase));

	seen.bytes = p->error ? p->error : (int64_t)glance_filled(p);
	seen.peer = glance_state(phase);
	seen.at_eof = !seen.bytes && seen.peer == OKL4_PIPE_CLOSED &&
		      phase != okl4_le64_to_cpu(okl4_load(&p->shm->consumer.eof_seen));
	return seen;
}

struct okl4_pipe_glance okl4_pipe_glance_write(const struct okl4_pipe *p)
{
	struct okl4_pipe_glance seen;

	seen.peer = glance_state(okl4_le64_to_cpu(okl4_load_acquire(&p->shm->consumer.phase)));
	seen.bytes = p->error ? p->error : (int64_t)(ring_bytes(p) - glance_filled(p));
	seen.at_eof = false;
	return seen;
}
