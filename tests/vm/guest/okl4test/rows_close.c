// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_close.c - closing: the last reader, the last writer, half-closes, dup and fork
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static char buf[ROW_RING_BYTES];

static void close_delivers(struct row *r)
{
	int fd = row_open(r, O_WRONLY);

	send_pattern(fd, 0, ROW_RING_BYTES);
	close(fd);
	peer(r, "connect");
	peer(r, "expect %u", ROW_RING_BYTES);
	peer(r, "eof");
}

static void close_dup(struct row *r)
{
	int fd = row_open(r, O_WRONLY), copy = dup(fd);

	expect(copy >= 0, "dup: %m");
	peer(r, "connect");
	send_pattern(fd, 0, 100);
	close(fd);
	send_pattern(copy, 100, 100);
	peer(r, "expect 200"); /* an end-of-file between the two would show */
	close(copy);
	peer(r, "eof");
}

/* write_and_wait() - a child writes to an inherited descriptor that the parent has closed */
static void write_and_wait(int fd, int go)
{
	char byte;

	alarm(LIMIT_SECONDS);
	read_all(go, &byte, 1);
	send_pattern(fd, 100, 100);
	_exit(0);
}

static void close_fork(struct row *r)
{
	int fd = row_open(r, O_WRONLY), go[2], status;
	pid_t pid;

	expect(pipe(go) == 0, "pipe: %m");
	peer(r, "connect");
	pid = fork();
	expect(pid >= 0, "fork: %m");
	if (pid == 0)
		write_and_wait(fd, go[0]);
	send_pattern(fd, 0, 100);
	close(fd);
	write_all(go[1], "g", 1);
	peer(r, "expect 200");
	expect(waitpid(pid, &status, 0) == pid && status == 0, "the child failed");
	peer(r, "eof");
}

static void half_close_writer(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);

	peer(r, "connect");
	send_pattern(tx, 0, 100);
	close(tx);
	peer(r, "expect 100");
	peer(r, "eof");
	peer(r, "send 1000"); /* the other way goes on */
	read_all(rx, buf, 1000);
	expect_pattern(buf, 0, 1000);
}

/*
 * A client that writes while the guest has no reader is held back, and what it wrote goes to the
 * next reader: the client's stream does not end when a reader of the guest leaves.
 */
static void half_close_reader(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);

	peer(r, "connect");
	peer(r, "flood %zu", 3 * sizeof(buf)); /* answers at once */
	read_all(rx, buf, 1000);
	expect_pattern(buf, 0, 1000);
	close(rx);
	send_pattern(tx, 0, 1000);
	peer(r, "expect 1000"); /* the other way goes on */
	rx = row_open(r, O_RDONLY);
	for (size_t done = 1000; done < 3 * sizeof(buf);) {
		ssize_t n = read(rx, buf, sizeof(buf));

		expect(n > 0, "after %zu bytes read returned %zd: %m", done, n);
		expect_pattern(buf, done, (size_t)n);
		done += (size_t)n;
	}
}

static void readers_and_writers_count_apart(struct row *r)
{
	int both = row_open(r, O_RDWR), tx = row_open(r, O_WRONLY), rx;

	peer(r, "connect");
	close(both); /* the last reader, not the last writer */
	send_pattern(tx, 0, 100);
	peer(r, "expect 100");
	rx = row_open(r, O_RDONLY);
	close(tx); /* the last writer, not the last reader */
	peer(r, "eof");
	peer(r, "send 100");
	read_all(rx, buf, 100);
	expect_pattern(buf, 0, 100);
}

static void peer_half_close_writer(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);

	peer(r, "connect");
	peer(r, "send 100");
	peer(r, "shut_wr");
	read_all(rx, buf, 100);
	expect_pattern(buf, 0, 100);
	expect(read(rx, buf, 1) == 0, "no end-of-file: %m");
	send_pattern(tx, 0, 1000);
	peer(r, "expect 1000");
}

static void peer_half_close_reader(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);
	uint64_t end = now_ns() + LIMIT_SECONDS / 2 * 1000000000ULL;

	signal(SIGPIPE, SIG_IGN);
	peer(r, "connect");
	peer(r, "shut_rd");
	/* the daemon notices when it writes */
	while (write(tx, buf, 1) == 1)
		expect(now_ns() < end, "writing to a peer that does not read goes on");
	expect(errno == EPIPE, "write: %m");
	peer(r, "send 1000");
	read_all(rx, buf, 1000);
	expect_pattern(buf, 0, 1000);
}

static void reopen_new_stream(struct row *r)
{
	for (unsigned int i = 0; i < 5; i++) {
		int fd = row_open(r, O_RDWR);

		peer(r, "connect");
		send_pattern(fd, 0, 100 + i);
		peer(r, "expect %u", 100 + i);
		peer(r, "send %u", 200 + i);
		read_all(fd, buf, 200 + i);
		expect_pattern(buf, 0, 200 + i);
		close(fd);
		peer(r, "eof");
		peer(r, "close");
	}
}

static void second_client_refused(struct row *r)
{
	int fd = row_open(r, O_RDWR);

	peer(r, "connect");
	peer(r, "second_refused");
	send_pattern(fd, 0, 100); /* the first descriptor is not affected */
	peer(r, "expect 100");
}

const struct row_entry rows_close[] = {
	{ "close_delivers", close_delivers },
	{ "close_dup", close_dup },
	{ "close_fork", close_fork },
	{ "half_close_writer", half_close_writer },
	{ "half_close_reader", half_close_reader },
	{ "readers_and_writers_count_apart", readers_and_writers_count_apart },
	{ "peer_half_close_writer", peer_half_close_writer },
	{ "peer_half_close_reader", peer_half_close_reader },
	{ "reopen_new_stream", reopen_new_stream },
	{ "second_client_refused", second_client_refused },
	{ NULL, NULL },
};
