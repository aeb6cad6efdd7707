/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * pipe.h - one direction of a channel: a byte ring with one producer and one consumer
 *
 * The two ends share an okl4_pipe_shm (abi.h) and a ring memsection. Each end has a private struct
 * okl4_pipe. Its own cursor lives there and is only published. Each call loads the peer's words
 * once, checks them, and works on the copy. A violation puts the end into a failed state that names
 * it (okl4_pipe_error()); every later call returns that error, and nothing else is touched.
 *
 * Concurrency: the caller serialises the calls on one struct okl4_pipe (a mutex in the guest, the
 * owner thread in the daemon). The peer may do anything at any time.
 *
 * Sleeping: okl4_pipe_arm_*() publishes the cursor value at which this end wants to be woken,
 * fences and looks again; only when it returns 0 may the caller sleep. The mover's commit
 * publishes, fences, and tells its caller to notify if it crossed that value. So no wake-up is
 * lost, and a bulk stream wakes rarely (cf. virtio 1.2, section 2.7.10, event index).
 *
 * Moving bytes: the driver, the daemon and the benchmark use okl4_pipe_peek_*() and
 * okl4_pipe_commit_*(), which need no buffer between the ring and the caller's place;
 * okl4_pipe_read() and okl4_pipe_write() are the same path with a memcpy() in it, kept for programs
 * that want the like of read(2) and write(2).
 *
 * Opening: each end of each direction has a phase (abi.h). After a call that changes it, the caller
 * always wakes the peer.
 */
#ifndef LIBFS_PIPE_H
#define LIBFS_PIPE_H

#include <libfs/abi.h>
#include <libfs/memsec.h>
#include <libfs/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** enum okl4_pipe_state - what a phase says */
enum okl4_pipe_state { OKL4_PIPE_NEVER_OPENED, OKL4_PIPE_OPEN, OKL4_PIPE_CLOSED };

/**
 * struct okl4_pipe_seg - a contiguous piece of the ring
 * @base: first byte; NULL when @bytes is 0
 * @bytes: length
 */
struct okl4_pipe_seg {
	uint8_t *base;
	uint64_t bytes;
};

/**
 * struct okl4_pipe - one end of one direction; private memory, private fields
 * @shm: the shared words
 * @ring: the ring's memsection; borrowed
 * @mask: ring bytes - 1; a private copy
 * @cursor: own cursor: head of a producer, tail of a consumer
 * @peer_cursor: the peer's cursor as last checked
 * @phase: own phase
 * @peer_phase: the peer's phase as last checked
 * @event: own wake value, as last published
 * @eof_pending: (consumer) the peer's phase whose end-of-file was reported since this end opened
 * @eof_seen: (consumer) as in okl4_pipe_consumer_shm
 * @left_phase: (consumer) the peer's phase when this end closed last; 0 if it has not closed
 * @armed: (producer) a thread may sleep on @event
 * @overdue: (producer) for okl4_pipe_take_overdue()
 * @error: 0 or the negated status that failed this end
 */
struct okl4_pipe {
	struct okl4_pipe_shm *shm;
	const struct okl4_memsec *ring;
	uint64_t mask;
	uint64_t cursor;
	uint64_t peer_cursor;
	uint64_t phase;
	uint64_t peer_phase;
	uint64_t event;
	uint64_t eof_pending;
	uint64_t eof_seen;
	uint64_t left_phase;
	bool armed;
	bool overdue;
	int error;
};

/**
 * struct okl4_opener - which program opened an end; as struct okl4_opener_shm, in the CPU's order
 * @uid: its effective user id, in its own system
 * @gid: its effective group id
 * @pid: its process id; 0: not given
 * @comm: its name, padded with NUL; a peer can give any bytes, and all of them
 */
struct okl4_opener {
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint8_t comm[OKL4FS_COMM_BYTES];
};

/**
 * okl4_pipe_producer_init() - take up the writing end
 * @p: to be filled
 * @shm: the shared words: valid, zeroed when fresh; borrowed
 * @ring: ring; its size is a power of two; borrowed
 *
 * Takes this end's head, phase and wake value from @shm: zero in fresh memory, else they say where
 * an earlier holder of this end stopped. That holder either published a move or did not make it.
 * But it may have died before it notified, so wake the peer once after taking up an end that was
 * used before.
 *
 * Return: 0, -OKL4_ARG (ring size: not a power of two, or not OKL4FS_RING_BYTES_MIN to _MAX),
 * -OKL4_RESUME_CURSORS.
 */
int okl4_pipe_producer_init(struct okl4_pipe *p, struct okl4_pipe_shm *shm,
			    const struct okl4_memsec *ring);

/**
 * okl4_pipe_consumer_init() - take up the reading end
 * @p: to be filled
 * @shm: the shared words; borrowed
 * @ring: ring; borrowed
 *
 * As okl4_pipe_producer_init().
 *
 * Return: 0, -OKL4_ARG, -OKL4_RESUME_CURSORS.
 */
int okl4_pipe_consumer_init(struct okl4_pipe *p, struct okl4_pipe_shm *shm,
			    const struct okl4_memsec *ring);

/**
 * okl4_pipe_producer_open() - the writing end gets its first opener
 * @p: writing end that is not open
 *
 * Publishes the next (odd) phase. Wake the peer afterwards.
 */
void okl4_pipe_producer_open(struct okl4_pipe *p);

/**
 * okl4_pipe_producer_close() - the writing end loses its last opener
 * @p: writing end that is open
 *
 * Publishes the next (even) phase, after all that was written. Wake the peer afterwards.
 */
void okl4_pipe_producer_close(struct okl4_pipe *p);

/**
 * okl4_pipe_consumer_open() - the reading end gets its first opener
 * @p: reading end that is not open
 *
 * Wake the peer afterwards. This opening does not see an end-of-file that an earlier one took, nor
 * that of a writer which was still there when an earlier opening left, and which has written
 * nothing since.
 */
void okl4_pipe_consumer_open(struct okl4_pipe *p);

/**
 * okl4_pipe_consumer_close() - the reading end loses its last opener
 * @p: reading end that is open
 *
 * Bytes that were not read stay in the ring for the next opener. Wake the peer afterwards.
 */
void okl4_pipe_consumer_close(struct okl4_pipe *p);

/**
 * okl4_pipe_producer_name() - tell which program opens the writing end
 * @p: writing end that is not open; while it is open this does nothing
 * @opener: the program
 *
 * Call it before okl4_pipe_producer_open(): a peer that sees the end open finds these words.
 */
void okl4_pipe_producer_name(struct okl4_pipe *p, const struct okl4_opener *opener);

/** okl4_pipe_consumer_name() - as okl4_pipe_producer_name(), of the reading end; @p: reading end */
void okl4_pipe_consumer_name(struct okl4_pipe *p, const struct okl4_opener *opener);

/**
 * okl4_pipe_producer_opener() - which program opened the reading end, as its side says
 * @p: writing end
 * @opener: out: a copy, of which only what the peer chose is known: @comm need not end with NUL
 *
 * A peer that opens the end anew meanwhile can mix the words of two programs; its phase has then
 * changed, too.
 *
 * Return: whether it was given.
 */
bool okl4_pipe_producer_opener(const struct okl4_pipe *p, struct okl4_opener *opener);

/** okl4_pipe_consumer_opener() - as okl4_pipe_producer_opener(), of the writing end; @p: reading end */
bool okl4_pipe_consumer_opener(const struct okl4_pipe *p, struct okl4_opener *opener);

/**
 * okl4_pipe_is_open() - whether this end is open
 * @p: either end
 *
 * Return: true after an open without a close.
 */
bool okl4_pipe_is_open(const struct okl4_pipe *p);

/**
 * okl4_pipe_producer_peer() - the reading end's state, looked up now
 * @p: writing end
 * @state: out
 *
 * Return: 0 or the error of a failed end.
 */
int okl4_pipe_producer_peer(struct okl4_pipe *p, enum okl4_pipe_state *state);

/**
 * okl4_pipe_consumer_peer() - the writing end's state, looked up now
 * @p: reading end
 * @state: out
 *
 * Return: 0 or the error of a failed end.
 */
int okl4_pipe_consumer_peer(struct okl4_pipe *p, enum okl4_pipe_state *state);

/**
 * okl4_pipe_writable() - how many bytes can be written now
 * @p: writing end
 *
 * This does not say whether anybody reads (okl4_pipe_producer_peer() does).
 *
 * Return: free bytes, 0 to the ring's size, or a negated status.
 */
int64_t okl4_pipe_writable(struct okl4_pipe *p);

/**
 * okl4_pipe_written() - how many bytes were ever written
 * @p: writing end
 *
 * Return: bytes, modulo 2^64.
 */
uint64_t okl4_pipe_written(const struct okl4_pipe *p);

/**
 * okl4_pipe_readable() - how many bytes can be read now
 * @p: reading end
 *
 * Return: bytes, 0 to the ring's size, or a negated status.
 */
int64_t okl4_pipe_readable(struct okl4_pipe *p);

/**
 * struct okl4_pipe_glance - what a pipe looks like from outside, at some moment
 * @bytes: bytes that can be read or written, 0 to the ring's size; or a negated status
 * @peer: the other end's state
 * @at_eof: (reading end) all is read, and the end-of-file was not taken by an earlier opening
 */
struct okl4_pipe_glance {
	int64_t bytes;
	enum okl4_pipe_state peer;
	bool at_eof;
};

/**
 * okl4_pipe_glance_read() - look at the shared words alone, without the lock of the reading end
 * @p: reading end; only its error and what never changes are looked at
 *
 * Needs no serialisation with other calls. The peer can make it return anything within the bounds
 * above, so the result is a hint, and never puts an end into its failed state.
 *
 * Return: what was seen.
 */
struct okl4_pipe_glance okl4_pipe_glance_read(const struct okl4_pipe *p);

/**
 * okl4_pipe_glance_write() - as okl4_pipe_glance_read(), of the writing end
 * @p: writing end
 *
 * Return: what was seen.
 */
struct okl4_pipe_glance okl4_pipe_glance_write(const struct okl4_pipe *p);

/**
 * okl4_pipe_write() - copy bytes into the ring and publish them
 * @p: writing end
 * @buf: bytes
 * @bytes: how many; 0 writes nothing
 * @notify: out: the peer must be woken
 *
 * Return: bytes written (fewer than @bytes when the ring fills, or something happens after the
 * first of them), -OKL4_AGAIN when it is full, -OKL4_PIPE when the peer's reader has closed, or the
 * error of a failed end.
 */
int64_t okl4_pipe_write(struct okl4_pipe *p, const void *buf, uint64_t bytes, bool *notify);

/**
 * okl4_pipe_read() - copy bytes out of the ring and give the room back
 * @p: reading end
 * @buf: room
 * @bytes: how many at most; 0 reads nothing and returns 0
 * @notify: out: the peer must be woken
 *
 * Return: bytes read; 0 at end-of-file (the peer's writer has closed, all is read, and this end
 * has not taken this end-of-file in an earlier opening); -OKL4_AGAIN when there is nothing; or the
 * error of a failed end.
 */
int64_t okl4_pipe_read(struct okl4_pipe *p, void *buf, uint64_t bytes, bool *notify);

/**
 * okl4_pipe_peek_write() - the free part of the ring, to be filled in place
 * @p: writing end
 * @seg: out: first and second piece; the second follows the first in the stream (after the end of
 *	the ring or of a chunk). In a ring of many chunks the two may be less than all that is free
 *
 * Return: bytes in both (> 0), -OKL4_AGAIN, -OKL4_PIPE or an error, as okl4_pipe_write().
 */
int64_t okl4_pipe_peek_write(struct okl4_pipe *p, struct okl4_pipe_seg seg[2]);

/**
 * okl4_pipe_commit_write() - publish bytes that were filled in after okl4_pipe_peek_write()
 * @p: writing end
 * @bytes: how many, at most what the peek gave; more is the caller's mistake and fails the end
 *	(-OKL4_ARG)
 *
 * Return: true when the peer must be woken.
 */
bool okl4_pipe_commit_write(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_pipe_peek_read() - the filled part of the ring, to be used in place
 * @p: reading end
 * @seg: out: as in okl4_pipe_peek_write(). The peer may change these bytes while they are used
 *
 * Return: bytes in both (> 0), 0 at end-of-file, -OKL4_AGAIN or an error, as okl4_pipe_read().
 */
int64_t okl4_pipe_peek_read(struct okl4_pipe *p, struct okl4_pipe_seg seg[2]);

/**
 * okl4_pipe_commit_read() - give back bytes that were used after okl4_pipe_peek_read()
 * @p: reading end
 * @bytes: how many, at most what the peek gave; more is the caller's mistake and fails the end
 *	(-OKL4_ARG)
 *
 * Return: true when the peer must be woken.
 */
bool okl4_pipe_commit_read(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_pipe_arm_read() - ask to be woken, before sleeping
 * @p: reading end
 *
 * Asks for any byte; a change of the peer's phase wakes in any case.
 *
 * Return: 0: sleep until woken. 1: do not sleep, there are bytes or an end-of-file. Or an error.
 */
int okl4_pipe_arm_read(struct okl4_pipe *p);

/**
 * okl4_pipe_arm_write() - ask to be woken, before sleeping
 * @p: writing end
 * @bytes: room to wait for: 1 to the ring's size. Of several sleepers, the one that wants least is
 *	served: an earlier wake value that is still ahead is not moved further away
 *
 * Where several can sleep on one end, ask okl4_pipe_take_overdue() after each call, whatever it
 * returned.
 *
 * Return: 0: sleep until woken. 1: do not sleep, there is room or the reader has closed. Or an
 * error.
 */
int okl4_pipe_arm_write(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_pipe_take_overdue() - whether other sleepers of this end must be woken by their own side
 * @p: writing end
 *
 * okl4_pipe_arm_write() may have to replace a wake value that the peer has just passed, and then
 * cannot know whether the peer notified for it. This returns true once after that happened (and
 * sometimes when it did not matter): wake all that sleep on this end; they look and arm again. An
 * end with at most one sleeper at a time need not ask.
 *
 * Return: true when they must be woken.
 */
bool okl4_pipe_take_overdue(struct okl4_pipe *p);

/**
 * okl4_pipe_error() - why this end failed
 * @p: either end
 *
 * Return: 0 or the negated status.
 */
int okl4_pipe_error(const struct okl4_pipe *p);

#ifdef __cplusplus
}
#endif

#endif /* LIBFS_PIPE_H */
