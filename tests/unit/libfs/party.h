/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * party.h - one side of a busy channel: sends a random stream and takes the other's, at once
 *
 * Two of them, in two threads or two processes, wake each other by eventfds. What each sent and
 * what each got is a hash over the bytes, however they were cut.
 */
#ifndef TESTS_UNIT_LIBFS_PARTY_H
#define TESTS_UNIT_LIBFS_PARTY_H

#include <libfs/socketpair.h>

/* A wake-up that has not come by then is lost */
#define PARTY_LIMIT_MS 30000

/**
 * struct roll - hash of a stream, eight bytes at a time
 * @hash: so far
 * @bytes: of the stream so far
 * @part: bytes that do not make up eight yet
 */
struct roll {
	uint64_t hash;
	uint64_t bytes;
	uint8_t part[8];
};

/**
 * struct party_report - what came of it; lies in shared memory when the party is a process
 * @sent: hash of what was sent
 * @got: hash of what was read
 * @n_sleeps: times slept
 * @n_notified: wake-ups given
 * @problem: empty, or what went wrong
 */
struct party_report {
	struct roll sent;
	struct roll got;
	uint64_t n_sleeps;
	uint64_t n_notified;
	char problem[128];
};

/**
 * struct party - one side
 * @end: channel end, taken up
 * @wake_me: eventfd to sleep on
 * @wake_peer: the other's
 * @total: bytes to send; the other's end-of-file ends what is read
 * @most: largest piece
 * @seed: of the bytes and of the pieces
 * @report: to be filled
 */
struct party {
	struct socketpair *end;
	int wake_me;
	int wake_peer;
	uint64_t total;
	uint64_t most;
	uint64_t seed;
	struct party_report *report;
};

void party_run(struct party *p);

#endif /* TESTS_UNIT_LIBFS_PARTY_H */
