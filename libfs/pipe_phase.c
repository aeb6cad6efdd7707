// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pipe_phase.c - taking up an end of a pipe, opening and closing it
 *
 * The essay at the head of pipe.c says what a phase is, and explains the barriers (A) to (E).
 */
#include <libfs/checked.h>

#include "pipe_look.h"

static int end_init(struct okl4_pipe *p, struct okl4_pipe_shm *shm, const struct okl4_memsec *ring)
{
	if (!okl4_is_pow2(ring->bytes) || ring->bytes < OKL4FS_RING_BYTES_MIN ||
	    ring->bytes > OKL4FS_RING_BYTES_MAX)
		return -OKL4_ARG;

	memset(p, 0, sizeof(*p));
	p->shm = shm;
	p->ring = ring;
	p->mask = ring->bytes - 1;
	return 0;
}

int okl4_pipe_producer_init(struct okl4_pipe *p, struct okl4_pipe_shm *shm,
			    const struct okl4_memsec *ring)
{
	int r = end_init(p, shm, ring);

	if (r)
		return r;
	p->cursor = okl4_le64_to_cpu(okl4_load(&shm->producer.head));
	p->event = okl4_le64_to_cpu(okl4_load(&shm->producer.space_event));
	p->phase = okl4_le64_to_cpu(okl4_load(&shm->producer.phase));
	p->peer_phase = okl4_le64_to_cpu(okl4_load_acquire(&shm->consumer.phase));
	/* (B), as in load_tail() */
	p->peer_cursor = okl4_le64_to_cpu(okl4_load_acquire(&shm->consumer.tail));
	if (p->cursor - p->peer_cursor > ring_bytes(p))
		return fail_end(p, OKL4_RESUME_CURSORS);
	return 0;
}

int okl4_pipe_consumer_init(struct okl4_pipe *p, struct okl4_pipe_shm *shm,
			    const struct okl4_memsec *ring)
{
	int r = end_init(p, shm, ring);

	if (r)
		return r;
	p->cursor = okl4_le64_to_cpu(okl4_load(&shm->consumer.tail));
	p->event = okl4_le64_to_cpu(okl4_load(&shm->consumer.data_event));
	p->phase = okl4_le64_to_cpu(okl4_load(&shm->consumer.phase));
	p->eof_seen = okl4_le64_to_cpu(okl4_load(&shm->consumer.eof_seen));
	/* (D), (A), as in load_phase() and load_head() */
	p->peer_phase = okl4_le64_to_cpu(okl4_load_acquire(&shm->producer.phase));
	p->peer_cursor = okl4_le64_to_cpu(okl4_load_acquire(&shm->producer.head));
	if (p->peer_cursor - p->cursor > ring_bytes(p))
		return fail_end(p, OKL4_RESUME_CURSORS);
	return 0;
}

static void step_phase(struct okl4_pipe *p, okl4_le64 *word)
{
	p->phase++;
	if (p->error)
		return;
	/* (D), (E): after all that this end stored before. Pairs with load_phase() */
	okl4_store_release(word, okl4_cpu_to_le64(p->phase));
}

void okl4_pipe_producer_open(struct okl4_pipe *p)
{
	if (!okl4_pipe_is_open(p))
		step_phase(p, &p->shm->producer.phase);
}

void okl4_pipe_producer_close(struct okl4_pipe *p)
{
	if (okl4_pipe_is_open(p))
		step_phase(p, &p->shm->producer.phase);
}

/* A later opening does not see the end-of-file of this phase again */
static void use_up_eof(struct okl4_pipe *p, uint64_t phase)
{
	p->eof_seen = phase;
	if (!p->error)
		okl4_store(&p->shm->consumer.eof_seen, okl4_cpu_to_le64(phase));
}

void okl4_pipe_consumer_open(struct okl4_pipe *p)
{
	if (okl4_pipe_is_open(p))
		return;
	if (p->left_phase & 1 && !look_at_writer(p) && !filled_bytes(p) &&
	    p->peer_phase == p->left_phase + 1)
		use_up_eof(p, p->peer_phase);
	step_phase(p, &p->shm->consumer.phase);
}

void okl4_pipe_consumer_close(struct okl4_pipe *p)
{
	if (!okl4_pipe_is_open(p))
		return;
	if (p->eof_pending)
		use_up_eof(p, p->eof_pending);
	p->eof_pending = 0;
	p->left_phase = look_at_writer(p) ? 0 : p->peer_phase;
	step_phase(p, &p->shm->consumer.phase);
}

bool okl4_pipe_is_open(const struct okl4_pipe *p)
{
	return p->phase & 1;
}

static int peer_state(struct okl4_pipe *p, const okl4_le64 *word, enum okl4_pipe_state *state)
{
	if (p->error || load_phase(p, word))
		return p->error;
	if (!p->peer_phase)
		*state = OKL4_PIPE_NEVER_OPENED;
	else
		*state = phase_closed(p->peer_phase) ? OKL4_PIPE_CLOSED : OKL4_PIPE_OPEN;
	return 0;
}

int okl4_pipe_producer_peer(struct okl4_pipe *p, enum okl4_pipe_state *state)
{
	return peer_state(p, &p->shm->consumer.phase, state);
}

int okl4_pipe_consumer_peer(struct okl4_pipe *p, enum okl4_pipe_state *state)
{
	return peer_state(p, &p->shm->producer.phase, state);
}
