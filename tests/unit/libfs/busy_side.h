/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * busy_side.h - one side of a busy channel: sends a random stream and reads the other side's, at once
 *
 * Two of them, in two threads or two processes, wake each other by eventfds. Each reports a hash of
 * the bytes that it sent and one of the bytes that it got, however they were cut.
 */
#ifndef TESTS_UNIT_LIBFS_BUSY_SIDE_H
#define TESTS_UNIT_LIBFS_BUSY_SIDE_H

#include <libfs/socketpair.h>

/* A wake-up that has not come after this time is lost */
#define BUSY_LIMIT_MS 30000

/**
 * struct roll - hash of a stream, eight bytes at a time
 * @hash: so far
 * @bytes: of the stream so far
 * @part: bytes that are not eight yet
 */
struct roll {
	uint64_t hash;
	uint64_t bytes;
	uint8_t part[8];
};

/**
 * struct busy_report - the result; lies in shared memory when the side is a process
 * @sent: hash of what was sent
 * @got: hash of what was read
 * @n_sleeps: times slept
 * @n_notified: wake-ups given
 * @problem: empty, or what went wrong
 */
struct busy_report {
	struct roll sent;
	struct roll got;
	uint64_t n_sleeps;
	uint64_t n_notified;
	char problem[128];
};

/**
 * struct busy_side - one side
 * @end: channel end, taken up
 * @wake_me: eventfd to sleep on
 * @wake_peer: eventfd that the peer sleeps on
 * @total: bytes to send; reading goes on to the peer's end-of-file
 * @most: largest piece
 * @seed: of the bytes and of the sizes of the pieces
 * @report: to be filled
 */
struct busy_side {
	struct okl4_socketpair *end;
	int wake_me;
	int wake_peer;
	uint64_t total;
	uint64_t most;
	uint64_t seed;
	struct busy_report *report;
};

/* Open the end, send all and read up to the peer's end-of-file, close the end */
void busy_side_run(struct busy_side *p);

#endif /* TESTS_UNIT_LIBFS_BUSY_SIDE_H */
