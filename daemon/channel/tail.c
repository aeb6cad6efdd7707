/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/tail.h"

#include <stdlib.h>
#include <string.h>

#include <libfs/checked.h>
#include <libfs/packet.h>

/* The phase of a guest's end that has closed for good */
static uint64_t closed_phase(uint64_t phase)
{
	return phase && !(phase & 1) ? phase : (phase | 1) + 1;
}

static void copy_ring(uint8_t *to, uint64_t mask, const struct okl4_pipe *from, uint64_t bytes)
{
	uint64_t pos = from->cursor, end = from->cursor + bytes;

	while (pos != end) {
		uint64_t n = okl4_min(end - pos, (mask & ~(pos & mask)) + 1);
		const uint8_t *piece = okl4_memsec_span(from->ring, pos & from->mask, &n);

		memcpy(to + (pos & mask), piece, n);
		pos += n;
	}
}

/* Drop what is not a whole message: it was cut by the budget, or the guest lied. Looks at the copy, which
 * the guest cannot change */
static void keep_whole_messages(struct tail *t, const struct okl4_pipe *from)
{
	const uint8_t *ring = t->chunk;
	uint64_t mask = t->sp.ring_bytes - 1, whole = 0;
	struct okl4_packet_shm head;

	while (t->bytes - whole >= sizeof(head) && from->cursor % sizeof(head) == 0) {
		uint64_t takes;

		memcpy(&head, ring + ((from->cursor + whole) & mask), sizeof(head));
		takes = okl4_packet_ring_bytes(okl4_le32_to_cpu(head.bytes));
		if (takes > t->bytes - whole)
			break;
		whole += takes;
	}
	t->lost_bytes += t->bytes - whole;
	t->bytes = whole;
}

/* The shared words as the guest's two ends leave them when they close. A stream that has lost bytes has
 * no end-of-file: its writer stays open until the endpoint is told that the stream is torn. */
static void fill_words(struct tail *t, const struct okl4_socketpair *sp)
{
	const struct okl4_pipe *rx = &sp->rx, *tx = &sp->tx;
	struct okl4_pipe_shm *fwd = &t->shm[0], *bwd = &t->shm[1];

	fwd->producer.head = okl4_cpu_to_le64(rx->cursor + t->bytes);
	fwd->producer.phase =
		okl4_cpu_to_le64(t->lost_bytes ? rx->peer_phase | 1 : closed_phase(rx->peer_phase));
	fwd->consumer.tail = okl4_cpu_to_le64(rx->cursor);
	fwd->consumer.data_event = okl4_cpu_to_le64(rx->cursor - 1);
	fwd->consumer.phase = okl4_cpu_to_le64(rx->phase);

	bwd->producer.head = okl4_cpu_to_le64(tx->cursor);
	bwd->producer.space_event = okl4_cpu_to_le64(tx->cursor - 1);
	bwd->producer.phase = okl4_cpu_to_le64(tx->phase);
	bwd->consumer.tail = okl4_cpu_to_le64(tx->cursor);
	bwd->consumer.phase = okl4_cpu_to_le64(closed_phase(tx->peer_phase));
}

/* Nothing is ever written to bwd, since its reader has closed: one ring serves both directions. */
static int fill_tail(struct tail *t, const struct okl4_socketpair *sp, bool packets)
{
	uint64_t ring_bytes = OKL4FS_PAGE_BYTES;

	while (ring_bytes < t->bytes)
		ring_bytes *= 2;
	t->shm = aligned_alloc(OKL4FS_PIPE_ALIGN, 2 * sizeof(*t->shm));
	t->chunk = aligned_alloc(OKL4FS_PAGE_BYTES, ring_bytes);
	if (!t->shm || !t->chunk)
		return -OKL4_NO_MEMORY;
	memset(t->shm, 0, 2 * sizeof(*t->shm));
	copy_ring(t->chunk, ring_bytes - 1, &sp->rx, t->bytes);
	t->sp.instance = sp->instance;
	t->sp.ring_bytes = ring_bytes;
	if (packets)
		keep_whole_messages(t, &sp->rx);
	fill_words(t, sp);
	if (okl4_memsec_init(&t->ring, &t->chunk, 1, ring_bytes) ||
	    okl4_pipe_consumer_init(&t->sp.rx, &t->shm[0], &t->ring))
		return -OKL4_ARG;
	return okl4_pipe_producer_init(&t->sp.tx, &t->shm[1], &t->ring);
}

struct tail *tail_take(struct okl4_socketpair *sp, struct tail_budget *budget, bool packets)
{
	int64_t left = okl4_pipe_readable(&sp->rx);
	struct tail *t = left > 0 ? calloc(1, sizeof(*t)) : NULL;
	enum okl4_pipe_state state;
	uint64_t room = 0;

	if (!t)
		return NULL;
	/* Called only to load the phases as they are now */
	okl4_pipe_consumer_peer(&sp->rx, &state);
	okl4_pipe_producer_peer(&sp->tx, &state);
	if (budget)
		room = budget->limit_bytes - okl4_min(budget->limit_bytes, budget->used_bytes);
	t->bytes = okl4_min((uint64_t)left, room);
	t->lost_bytes = (uint64_t)left - t->bytes;
	t->budget = budget;
	if (!t->bytes)
		return t;
	t->charged_bytes = t->bytes < OKL4FS_PAGE_BYTES ? OKL4FS_PAGE_BYTES : t->bytes;
	budget->used_bytes += t->charged_bytes;
	if (fill_tail(t, sp, packets) || !t->bytes)
		tail_drop_bytes(t);
	return t;
}

void tail_leave_budget(struct tail *t)
{
	if (t->budget)
		t->budget->used_bytes -= t->charged_bytes;
	t->budget = NULL;
	t->charged_bytes = 0;
}

static void free_memory(struct tail *t)
{
	tail_leave_budget(t);
	free(t->shm);
	free(t->chunk);
	t->shm = NULL;
	t->chunk = NULL;
}

void tail_drop_bytes(struct tail *t)
{
	free_memory(t);
	t->lost_bytes += t->bytes;
	t->bytes = 0;
}

struct tail *tail_free(struct tail *t)
{
	if (t)
		free_memory(t);
	free(t);
	return NULL;
}
