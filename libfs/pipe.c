// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pipe.c - one direction of a channel
 *
 * How it works
 * ============
 *
 * Cursors. The ring is a memsection of a power of two bytes. `head` counts the bytes ever written,
 * `tail` those ever read; neither is ever reduced to the ring's size. So `head - tail` is the fill
 * (also when they wrap at 2^64), empty and full differ, and no byte of the ring is wasted. A byte
 * lies at its count & mask. Only the producer writes head, only the consumer writes tail. An end
 * keeps its own cursor in private memory and only publishes it: what a peer writes over it is never
 * read. Each call loads the peer's cursor once. That cursor must lie between where it was last seen
 * and where it can have come to, else the end fails with the name of what it saw. So at all times
 *
 *	producer: peer_cursor (tail as seen) <= cursor (head) <= peer_cursor + size
 *	consumer: cursor (tail) <= peer_cursor (head as seen) <= cursor + size
 *
 * hold for the private copies whatever the peer does, and all lengths follow from private copies.
 *
 * Data. The bytes need no atomics: each byte of the ring belongs to one end at a time, and the
 * cursors hand it over. Two pairs of barriers do it:
 *
 *	(A) producer: bytes, then head by store-release	  - consumer: head by load-acquire, then bytes
 *	(B) consumer: bytes, then tail by store-release	  - producer: tail by load-acquire, then bytes
 *
 * (A) lets no byte be read before it was written, (B) lets none be overwritten before it was read.
 *
 * Waking. A notification costs as much as copying some hundred kilobytes, so each end publishes the
 * value at which it wants one (its `event`), and the other end notifies only when its cursor moves
 * from at most that value to past it. An end that does not sleep leaves its event in the past and
 * gets no notification. The reader asks for any byte, the writer for a good part of the ring.
 * Sleeping and moving race, so at least one of the two sides must see what the other stored:
 *
 *	sleeper: event = e; (C) fence; look at the peer's cursor again; sleep if it is not past e
 *	mover:   cursor = c; (C) fence; look at the peer's event; notify if c went past it
 *
 * Both fences are full ones, since each orders a store before a later load. The fence that comes
 * second in their single order sees what was stored before the first: either the sleeper sees c and
 * stays awake, or the mover sees e and notifies. No wake-up is lost in between.
 *
 * Several threads may sleep on one writing end and want different amounts of room, and there is one
 * word for it: it holds the nearest value, and a thread that wakes asks again. But a value must not
 * be replaced unseen while a thread sleeps on it. Between the reader's move and its look at the
 * event, a second writer may find the first one's value passed and publish its own; then the reader
 * finds only that one, and the first writer sleeps on. So a writer that replaces a value which has
 * passed, or publishes one that passes at once, says so (okl4_pipe_take_overdue()), and its own
 * side wakes the sleepers. Readers do not have this problem: all of them want any byte, and a value
 * is replaced by a later one only after the bytes before it are gone.
 *
 * Opening. Each end has a `phase`: 0 never opened, odd open, even closed. It grows by one at each
 * open and each close, so it tells both the state and that there was a change. There is no
 * rendezvous: an end may be opened, used and closed before the other one is.
 *
 *	(D) producer: head by store-release, then phase by store-release at close
 *	    consumer: phase by load-acquire, then head
 *
 * End-of-file is that order read backwards: a phase that says closed, and a head *loaded after it*
 * that says empty. A consumer that looked at head first could miss what was written between the two
 * loads, and the last bytes of a stream would be lost. An end-of-file stays for as long as the
 * reading end is open (as with a fifo, every read returns 0). When that end closes, the phase goes
 * to `eof_seen`, and a later opening waits for the next end-of-file. It does so too when the last
 * opening left while the writer was still there, and the writer has closed since without another
 * byte: that end-of-file was meant for the earlier opening.
 *
 *	(E) consumer: eof_seen, then phase by store-release; read back by the same side only
 *
 * A consumer's phase that says closed is EPIPE for the writer, though the ring may have room. Bytes
 * that lie in the ring stay there for the next opener. The caller always notifies after a change of
 * phase, so no fence is needed for it: the notification reaches a sleeper after the store.
 *
 * No lock. If an end died or lied while it held a lock in shared memory, the lock would be held for
 * ever. One producer and one consumer need none; each side has a lock of its own to serialise the
 * threads of one end.
 *
 * Resuming. All that an end needs is in the shared words that it wrote itself, so a new process can
 * take up where another was killed: a move was either published or not made. The other process may
 * have died between publishing and notifying, so the one that takes up an end wakes the peer once.
 */
#include <libfs/checked.h>

#include "pipe_look.h"

/* Whether event lies in [from, to), counted modulo 2^64 */
static bool crossed(uint64_t event, uint64_t from, uint64_t to)
{
	return to - event - 1 < to - from;
}

int64_t okl4_pipe_writable(struct okl4_pipe *p)
{
	if (p->error || load_tail(p))
		return p->error;
	return (int64_t)room_bytes(p);
}

uint64_t okl4_pipe_written(const struct okl4_pipe *p)
{
	return p->cursor;
}

int64_t okl4_pipe_readable(struct okl4_pipe *p)
{
	if (p->error || load_head(p))
		return p->error;
	return (int64_t)filled_bytes(p);
}

/* At most room_bytes() bytes; true when the peer must be woken */
static bool publish_head(struct okl4_pipe *p, uint64_t bytes)
{
	uint64_t from = p->cursor;
	uint64_t event;

	p->cursor += bytes;
	/* (A): after the bytes themselves. Pairs with load_head() */
	okl4_store_release(&p->shm->producer.head, okl4_cpu_to_le64(p->cursor));
	/* (C): head before the look at the event. Pairs with the fence in okl4_pipe_arm_read() */
	okl4_fence();
	event = okl4_le64_to_cpu(okl4_load(&p->shm->consumer.data_event));
	return crossed(event, from, p->cursor);
}

/* At most filled_bytes() bytes; true when the peer must be woken */
static bool publish_tail(struct okl4_pipe *p, uint64_t bytes)
{
	uint64_t from = p->cursor;
	uint64_t event;

	p->cursor += bytes;
	/* (B): after the bytes were used. Pairs with load_tail() */
	okl4_store_release(&p->shm->consumer.tail, okl4_cpu_to_le64(p->cursor));
	/* (C): tail before the look at the event. Pairs with the fence in want_room() */
	okl4_fence();
	event = okl4_le64_to_cpu(okl4_load(&p->shm->producer.space_event));
	return crossed(event, from, p->cursor);
}

/* The first two contiguous pieces of some bytes (1 to the ring's size) from the own cursor on */
static int64_t two_segs(const struct okl4_pipe *p, uint64_t bytes, struct okl4_pipe_seg seg[2])
{
	seg[0].bytes = bytes;
	seg[0].base = okl4_memsec_span(p->ring, p->cursor & p->mask, &seg[0].bytes);
	seg[1].base = NULL;
	seg[1].bytes = bytes - seg[0].bytes;
	if (seg[1].bytes)
		seg[1].base = okl4_memsec_span(p->ring, (p->cursor + seg[0].bytes) & p->mask,
					       &seg[1].bytes);
	return (int64_t)(seg[0].bytes + seg[1].bytes);
}

int64_t okl4_pipe_peek_write(struct okl4_pipe *p, struct okl4_pipe_seg seg[2])
{
	int r;

	memset(seg, 0, 2 * sizeof(seg[0]));
	r = look_at_reader(p);
	if (r)
		return r;
	if (!room_bytes(p))
		return -OKL4_AGAIN;
	return two_segs(p, room_bytes(p), seg);
}

bool okl4_pipe_commit_write(struct okl4_pipe *p, uint64_t bytes)
{
	if (!bytes || p->error)
		return false;
	if (bytes > room_bytes(p)) {
		fail_end(p, OKL4_ARG);
		return false;
	}
	return publish_head(p, bytes);
}

int64_t okl4_pipe_peek_read(struct okl4_pipe *p, struct okl4_pipe_seg seg[2])
{
	int r;

	memset(seg, 0, 2 * sizeof(seg[0]));
	r = look_for_bytes(p);
	if (r <= 0)
		return r;
	return two_segs(p, filled_bytes(p), seg);
}

bool okl4_pipe_commit_read(struct okl4_pipe *p, uint64_t bytes)
{
	if (!bytes || p->error)
		return false;
	if (bytes > filled_bytes(p)) {
		fail_end(p, OKL4_ARG);
		return false;
	}
	return publish_tail(p, bytes);
}

static uint64_t copy_to_segs(const struct okl4_pipe_seg seg[2], const uint8_t *from, uint64_t bytes)
{
	uint64_t first = okl4_min(bytes, seg[0].bytes),
		 second = okl4_min(bytes - first, seg[1].bytes);

	if (first)
		memcpy(seg[0].base, from, first);
	if (second)
		memcpy(seg[1].base, from + first, second);
	return first + second;
}

static uint64_t copy_from_segs(const struct okl4_pipe_seg seg[2], uint8_t *to, uint64_t bytes)
{
	uint64_t first = okl4_min(bytes, seg[0].bytes),
		 second = okl4_min(bytes - first, seg[1].bytes);

	if (first)
		memcpy(to, seg[0].base, first);
	if (second)
		memcpy(to + first, seg[1].base, second);
	return first + second;
}

int64_t okl4_pipe_write(struct okl4_pipe *p, const void *buf, uint64_t bytes, bool *notify)
{
	const uint8_t *from = buf;
	struct okl4_pipe_seg seg[2];
	int64_t r = p->error;
	uint64_t done = 0;

	*notify = false;
	while (done < bytes) {
		uint64_t n;

		r = okl4_pipe_peek_write(p, seg);
		if (r < 0)
			break;
		n = copy_to_segs(seg, from + done, bytes - done);
		*notify |= okl4_pipe_commit_write(p, n);
		done += n;
	}
	return done ? (int64_t)done : r;
}

int64_t okl4_pipe_read(struct okl4_pipe *p, void *buf, uint64_t bytes, bool *notify)
{
	struct okl4_pipe_seg seg[2];
	int64_t r = p->error;
	uint64_t done = 0;
	uint8_t *to = buf;

	*notify = false;
	while (done < bytes) {
		uint64_t n;

		/* A second peek would note an end-of-file that this call does not report */
		if (done && okl4_pipe_readable(p) <= 0)
			break;
		r = okl4_pipe_peek_read(p, seg);
		if (r <= 0)
			break;
		n = copy_from_segs(seg, to + done, bytes - done);
		*notify |= okl4_pipe_commit_read(p, n);
		done += n;
	}
	return done ? (int64_t)done : r;
}

int okl4_pipe_arm_read(struct okl4_pipe *p)
{
	if (p->error)
		return p->error;

	p->event = p->cursor;
	okl4_store(&p->shm->consumer.data_event, okl4_cpu_to_le64(p->event));
	/* (C): the event before the look at head. Pairs with the fence in publish_head() */
	okl4_fence();
	if (look_at_writer(p))
		return p->error;
	return filled_bytes(p) || at_eof(p);
}

/* Whether the reader, as last seen, has not gone past our wake value */
static bool event_ahead(const struct okl4_pipe *p)
{
	return p->event - p->peer_cursor < p->cursor - p->peer_cursor;
}

/* A thread that sleeps on a published wake value which the reader has passed may not be notified */
static void note_overdue(struct okl4_pipe *p, bool passed)
{
	if (!p->armed || !passed)
		return;
	p->armed = false;
	p->overdue = true;
}

/* An earlier wake value that still lies ahead stays, since another thread waits for it */
static int want_room(struct okl4_pipe *p, uint64_t event)
{
	if (!event_ahead(p) || event - p->peer_cursor < p->event - p->peer_cursor)
		p->event = event;
	okl4_store(&p->shm->producer.space_event, okl4_cpu_to_le64(p->event));
	/* (C): the event before the look at tail. Pairs with the fence in publish_tail() */
	okl4_fence();
	return look_at_reader(p);
}

int okl4_pipe_arm_write(struct okl4_pipe *p, uint64_t bytes)
{
	uint64_t event;
	int r;

	bytes = bytes ? okl4_min(bytes, ring_bytes(p)) : 1;
	/* Past this value of tail the ring has that much room */
	event = p->cursor + bytes - ring_bytes(p) - 1;

	r = look_at_reader(p);
	while (!r && room_bytes(p) < bytes) {
		/* The reader may have just passed the value, and looks for one that we overwrite now */
		note_overdue(p, !event_ahead(p));
		r = want_room(p, event);
		if (!r && room_bytes(p) < bytes && event_ahead(p)) {
			p->armed = true;
			return 0;
		}
		/*
		 * The reader passed the published value, be it ours or an earlier one that was
		 * nearer. If there still is not enough room, ours is ahead: two rounds are enough.
		 */
		note_overdue(p, true);
	}
	return p->error ? p->error : 1;
}

bool okl4_pipe_take_overdue(struct okl4_pipe *p)
{
	bool overdue = p->overdue;

	p->overdue = false;
	return overdue;
}

int okl4_pipe_error(const struct okl4_pipe *p)
{
	return p->error;
}
