/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.h - the table of the fifo's behaviour, with one function per row
 *
 * A row runs in a fresh process on a channel of its own, whose name is the row's, so rows cannot
 * disturb each other. The host's end of that channel is a peer which the row itself directs, over
 * the channel `peer_ctl`: peer(r, "connect"), peer(r, "send 100"), ... (tests/vm/fifo_peer.py lists
 * its commands).
 */
#ifndef OKL4TEST_ROWS_H
#define OKL4TEST_ROWS_H

#include <stdint.h>
#include <sys/types.h>

#include "util.h"

/* Bytes of each ring of a row's channel; the configuration has the same number */
#define ROW_RING_BYTES 65536U

/**
 * struct row - the row that runs
 * @name: its name and its channel's
 * @dir: where okl4fs is mounted
 * @path: its node
 * @control: descriptor of the channel `peer_ctl`, or -1
 */
struct row {
	const char *name;
	const char *dir;
	char path[256];
	int control;
};

/**
 * struct row_entry - a row in a table; a table ends with a NULL name
 * @name: what it is called
 * @run: returns if everything was right, else ends the program
 */
struct row_entry {
	const char *name;
	void (*run)(struct row *r);
};

extern const struct row_entry rows_node[], rows_open[], rows_user[], rows_mount[], rows_read[],
	rows_write[], rows_close[], rows_share[], rows_signal[], rows_poll[], rows_epoll[],
	rows_io[], rows_splice[], rows_uring[], rows_call[], rows_fault[];

/** row_make() - make the row's node */
void row_make(struct row *r);

/** row_open() - open the row's node, making it if need be; fails the row when it cannot */
int row_open(struct row *r, int flags);

/** row_path() - PATH of another channel's node, made if need be; Return: static memory */
const char *row_path(struct row *r, const char *channel);

/** row_open_echo() - open a channel that echoes, both ways, and wait until the echo is open, too */
int row_open_echo(struct row *r, const char *channel);

/** peer() - have the host's end do something and wait until it has; fails the row when it cannot */
__attribute__((format(printf, 2, 3))) void peer(struct row *r, const char *fmt, ...);

/** fill_ring() - write without blocking until the ring is full; Return: bytes written */
size_t fill_ring(int fd);

/** expect_pattern() - the bytes are those that the peer's `send` makes, from @offset on */
void expect_pattern(const void *buf, uint64_t offset, size_t bytes);

/** send_pattern() - write bytes that the peer's `expect` knows, from @offset on; blocks */
void send_pattern(int fd, uint64_t offset, size_t bytes);

/* Processes that write records to one end at once; number n writes the letter 'A' + n */
#define ROW_WRITERS 4

/** expect_records() - read @count records of @bytes from each of the children that write them */
void expect_records(int fd, unsigned int count, size_t bytes);

/** catch_signal() - count deliveries of a signal, without SA_RESTART; Return: the counter */
volatile int *catch_signal(int number);

/** become_plain() - become an ordinary user; only in a child */
void become_plain(void);

/** in_child() - run @fn in a child, within the limit; Return: its exit status */
int in_child(void (*fn)(struct row *r), struct row *r);

#endif
