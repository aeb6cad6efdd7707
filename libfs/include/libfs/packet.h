/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * packet.h - messages in a pipe: each is written whole and read whole
 *
 * For the rings of a channel with packets (docs/ABI.md, section 5). A message is a head with its
 * length (okl4_packet_shm), its bytes, and up to 3 bytes of padding. Cursors move by whole messages,
 * so a side that is killed at any moment has either moved a message or not touched it.
 *
 * These calls take the place of okl4_pipe_peek_*(), okl4_pipe_commit_*(), okl4_pipe_read() and
 * okl4_pipe_write(); everything else of pipe.h applies: opening, end-of-file, arming, serialising.
 * okl4_pipe_readable() > 0 and okl4_pipe_arm_read() mean a whole message. To wait for room, arm for
 * okl4_packet_ring_bytes() bytes.
 *
 * Moving a message without a buffer: okl4_packet_next() or okl4_packet_room(), then its bytes piece
 * by piece (okl4_packet_seg()), then the commit.
 */
#ifndef LIBFS_PACKET_H
#define LIBFS_PACKET_H

#include <libfs/pipe.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * okl4_packet_ring_bytes() - how much of the ring a message takes
 * @bytes: bytes of the message, 0 to OKL4FS_PACKET_MAX()
 *
 * Return: bytes of its head, its own, and the padding.
 */
static inline uint64_t okl4_packet_ring_bytes(uint64_t bytes)
{
	return (sizeof(struct okl4_packet_shm) + bytes + 3) & ~(uint64_t)3;
}

/**
 * okl4_packet_next() - look whether there is a message
 * @p: reading end
 * @bytes: out: its length; can be 0, which is not the end-of-file
 *
 * Return: 1: there is one. 0: end-of-file. -OKL4_AGAIN: there is none. Or the error of a failed end:
 * -OKL4_PACKET_LENGTH for a length that does not fit what lies in the ring.
 */
int okl4_packet_next(struct okl4_pipe *p, uint64_t *bytes);

/**
 * okl4_packet_room() - look whether a message can be written now
 * @p: writing end
 * @bytes: its length
 *
 * Return: 0: there is room for all of it. -OKL4_AGAIN: there is not yet. -OKL4_PIPE: the reader has
 * closed. -OKL4_ARG: it is longer than OKL4FS_PACKET_MAX() of the ring. Or the error of a failed end.
 */
int okl4_packet_room(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_packet_seg() - a piece of the message that okl4_packet_next() or okl4_packet_room() was about
 * @p: that end
 * @at: first byte of the piece, counted from the message's first
 * @bytes: how many at most; @at + @bytes is at most the message's length
 *
 * Return: the piece from there on that is contiguous in memory; with @bytes 0, an empty one. The peer
 * may change what is read while it is used.
 */
struct okl4_pipe_seg okl4_packet_seg(const struct okl4_pipe *p, uint64_t at, uint64_t bytes);

/**
 * okl4_packet_commit_read() - give back a message that was used
 * @p: reading end
 * @bytes: its length, as okl4_packet_next() gave it
 *
 * Return: true when the peer must be woken.
 */
bool okl4_packet_commit_read(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_packet_head() - write the head of a message, before its commit
 * @p: writing end, after okl4_packet_room()
 * @bytes: the message's length, at most what okl4_packet_room() was asked for
 *
 * okl4_packet_commit_write() does this, too. It is for a caller that notes somewhere else, before the
 * commit, that the message has been moved.
 */
void okl4_packet_head(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_packet_commit_write() - publish a message that was filled in after okl4_packet_room()
 * @p: writing end
 * @bytes: its length, at most what okl4_packet_room() was asked for
 *
 * Return: true when the peer must be woken.
 */
bool okl4_packet_commit_write(struct okl4_pipe *p, uint64_t bytes);

/**
 * okl4_packet_write() - copy a message into the ring and publish it
 * @p: writing end
 * @buf: its bytes
 * @bytes: how many; 0 is an empty message
 * @notify: out: the peer must be woken
 *
 * Return: 0, or as okl4_packet_room(); then nothing was written.
 */
int okl4_packet_write(struct okl4_pipe *p, const void *buf, uint64_t bytes, bool *notify);

/**
 * okl4_packet_read() - copy a message out of the ring and give the room back
 * @p: reading end
 * @buf: room
 * @size: its bytes; what does not fit is dropped
 * @bytes: out: the message's length, which can be more than @size
 * @notify: out: the peer must be woken
 *
 * Return: as okl4_packet_next().
 */
int okl4_packet_read(struct okl4_pipe *p, void *buf, uint64_t size, uint64_t *bytes, bool *notify);

/**
 * okl4_packet_glance() - length of the next message, without the lock of the reading end
 * @p: reading end; only its error and what never changes are looked at
 *
 * As okl4_pipe_glance_read(), a hint.
 *
 * Return: 0 to OKL4FS_PACKET_MAX(), 0 also when there is none; or the error of a failed end.
 */
int64_t okl4_packet_glance(const struct okl4_pipe *p);

#ifdef __cplusplus
}
#endif

#endif /* LIBFS_PACKET_H */
