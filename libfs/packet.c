// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * packet.c - messages in a pipe
 *
 * A message begins at a multiple of 4, and so do the chunks of a ring: a head is never split. It is
 * plain data to the barriers of pipe.c: published with the bytes behind it by one move of head (A).
 *
 * The length comes from the peer. It is loaded once and checked against what lies in the ring by
 * private copies; from then on the caller's copy counts, whatever the peer writes over the head.
 */
#include <libfs/checked.h>
#include <libfs/packet.h>

#include "pipe_look.h"

#define HEAD_BYTES sizeof(struct okl4_packet_shm)

static struct okl4_packet_shm *head_at(const struct okl4_pipe *p, uint64_t cursor)
{
	uint64_t bytes = HEAD_BYTES;

	return (struct okl4_packet_shm *)(void *)okl4_memsec_span(p->ring, cursor & p->mask,
								  &bytes);
}

/* The other side, or a former holder of this end, may have left a cursor anywhere */
static bool is_aligned(uint64_t cursor)
{
	return cursor % HEAD_BYTES == 0;
}

int okl4_packet_next(struct okl4_pipe *p, uint64_t *bytes)
{
	uint64_t filled;
	int r = look_for_bytes(p);

	*bytes = 0;
	if (r <= 0)
		return r;
	filled = filled_bytes(p);
	if (!is_aligned(p->cursor) || !is_aligned(filled))
		return fail_end(p, OKL4_PACKET_LENGTH);
	*bytes = okl4_le32_to_cpu(okl4_load(&head_at(p, p->cursor)->bytes));
	/* At most the ring, so the sum does not overflow */
	if (*bytes > filled || okl4_packet_ring_bytes(*bytes) > filled) {
		*bytes = 0;
		return fail_end(p, OKL4_PACKET_LENGTH);
	}
	return 1;
}

int okl4_packet_room(struct okl4_pipe *p, uint64_t bytes)
{
	int r = look_at_reader(p);

	if (r)
		return r;
	if (!is_aligned(p->cursor))
		return fail_end(p, OKL4_PACKET_LENGTH);
	if (bytes > OKL4FS_PACKET_MAX(ring_bytes(p)))
		return -OKL4_ARG;
	return okl4_packet_ring_bytes(bytes) <= room_bytes(p) ? 0 : -OKL4_AGAIN;
}

struct okl4_pipe_seg okl4_packet_seg(const struct okl4_pipe *p, uint64_t at, uint64_t bytes)
{
	struct okl4_pipe_seg seg = { NULL, bytes };

	if (bytes)
		seg.base = okl4_memsec_span(p->ring, (p->cursor + HEAD_BYTES + at) & p->mask,
					    &seg.bytes);
	return seg;
}

bool okl4_packet_commit_read(struct okl4_pipe *p, uint64_t bytes)
{
	return okl4_pipe_commit_read(p, okl4_packet_ring_bytes(bytes));
}

void okl4_packet_head(struct okl4_pipe *p, uint64_t bytes)
{
	if (!p->error && okl4_packet_ring_bytes(bytes) <= room_bytes(p))
		okl4_store(&head_at(p, p->cursor)->bytes, okl4_cpu_to_le32((uint32_t)bytes));
}

bool okl4_packet_commit_write(struct okl4_pipe *p, uint64_t bytes)
{
	okl4_packet_head(p, bytes);
	/* Which refuses what has no room */
	return okl4_pipe_commit_write(p, okl4_packet_ring_bytes(bytes));
}

int okl4_packet_write(struct okl4_pipe *p, const void *buf, uint64_t bytes, bool *notify)
{
	const uint8_t *from = buf;
	struct okl4_pipe_seg seg;
	uint64_t done = 0;
	int r = okl4_packet_room(p, bytes);

	*notify = false;
	if (r)
		return r;
	while ((seg = okl4_packet_seg(p, done, bytes - done)).bytes) {
		memcpy(seg.base, from + done, seg.bytes);
		done += seg.bytes;
	}
	*notify = okl4_packet_commit_write(p, bytes);
	return p->error;
}

int okl4_packet_read(struct okl4_pipe *p, void *buf, uint64_t size, uint64_t *bytes, bool *notify)
{
	uint8_t *to = buf;
	struct okl4_pipe_seg seg;
	uint64_t done = 0;
	int r = okl4_packet_next(p, bytes);

	*notify = false;
	if (r <= 0)
		return r;
	size = okl4_min(size, *bytes);
	while ((seg = okl4_packet_seg(p, done, size - done)).bytes) {
		memcpy(to + done, seg.base, seg.bytes);
		done += seg.bytes;
	}
	*notify = okl4_packet_commit_read(p, *bytes);
	return p->error ? p->error : 1;
}

int64_t okl4_packet_glance(const struct okl4_pipe *p)
{
	/* Tail first, as in okl4_pipe_glance_read() */
	uint64_t tail = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->consumer.tail));
	uint64_t head = okl4_le64_to_cpu(okl4_load_acquire(&p->shm->producer.head));
	uint64_t bytes;

	if (p->error)
		return p->error;
	if (head == tail || !is_aligned(tail))
		return 0;
	bytes = okl4_le32_to_cpu(okl4_load(&head_at(p, tail)->bytes));
	return (int64_t)okl4_min(bytes, OKL4FS_PACKET_MAX(ring_bytes(p)));
}
