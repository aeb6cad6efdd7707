// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_read.c - reading
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static char buf[ROW_RING_BYTES];

static void read_blocks(struct row *r)
{
	int fd = row_open(r, O_RDONLY);
	struct async a;

	peer(r, "connect");
	async_start(&a, false, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	peer(r, "send 10");
	expect(async_join(&a) == 10, "read returned %zd: %m", a.result);
	expect_pattern(buf, 0, 10);
}

static void read_waits_before_first_open(struct row *r)
{
	int fd = row_open(r, O_RDONLY);
	struct async a;

	async_start(&a, false, fd, buf, sizeof(buf));
	async_wait_blocked(&a); /* no end-of-file: the peer has never been there */
	peer(r, "connect");
	async_wait_blocked(&a);
	peer(r, "send 10");
	expect(async_join(&a) == 10, "read returned %zd: %m", a.result);
	expect_pattern(buf, 0, 10);
}

static void read_nonblock(struct row *r)
{
	int fd = row_open(r, O_RDONLY | O_NONBLOCK);

	expect_errno(read(fd, buf, 1), EAGAIN); /* never opened */
	peer(r, "connect");
	expect_errno(read(fd, buf, 1), EAGAIN); /* open and empty */
	peer(r, "send 10");
	wait_poll(fd, POLLIN);
	expect(read(fd, buf, sizeof(buf)) == 10, "read: %m");
	expect_errno(read(fd, buf, 1), EAGAIN);
}

static void read_returns_what_is_there(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	peer(r, "connect");
	peer(r, "send 1000");
	peer(r, "taken"); /* all 1000 are in the ring */
	expect(read(fd, buf, 300) == 300, "read: %m");
	expect(read(fd, buf + 300, sizeof(buf) - 300) == 700, "read: %m");
	expect_pattern(buf, 0, 1000);
}

static void read_nothing_asked(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	expect(read(fd, buf, 0) == 0, "read of 0 bytes: %m");
}

static void read_eintr(struct row *r)
{
	int fd = row_open(r, O_RDONLY);
	volatile int *caught = catch_signal(SIGUSR1);
	struct async a;

	peer(r, "connect");
	async_start(&a, false, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	pthread_kill(a.thread, SIGUSR1);
	expect_errno(async_join(&a), EINTR);
	expect(*caught == 1, "the signal was caught %d times", *caught);
	peer(r, "send 5000"); /* nothing was lost, nothing was taken by the interrupted call */
	read_all(fd, buf, 5000);
	expect_pattern(buf, 0, 5000);
}

static void read_eof_after_drain(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	peer(r, "connect");
	peer(r, "send 1000");
	peer(r, "close");
	read_all(fd, buf, 1000);
	expect_pattern(buf, 0, 1000);
	expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
	expect(read(fd, buf, 1) == 0, "the end-of-file does not last: %m");
}

static void read_eof_wakes_sleeper(struct row *r)
{
	int fd = row_open(r, O_RDONLY);
	struct async a;

	peer(r, "connect");
	async_start(&a, false, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	peer(r, "close");
	expect(async_join(&a) == 0, "read returned %zd: %m", a.result);
}

static void read_goes_on_after_reopen(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	for (unsigned int i = 0; i < 3; i++) {
		peer(r, "connect");
		peer(r, "send %u", 1000 + i);
		read_all(fd, buf, 1000 + i);
		expect_pattern(buf, 0, 1000 + i);
		peer(r, "close");
		expect(read(fd, buf, 1) == 0, "round %u: no end-of-file: %m", i);
	}
}

/* sleeps_until_sent() - a read sleeps until the next peer comes and sends */
static void sleeps_until_sent(struct row *r, int fd)
{
	struct async a;

	async_start(&a, false, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	peer(r, "connect");
	peer(r, "send 20");
	expect(async_join(&a) == 20, "read returned %zd: %m", a.result);
	expect_pattern(buf, 0, 20);
}

static void read_new_opener_waits(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "close");
	read_all(fd, buf, 10);
	expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
	close(fd);
	/* as in the OKL4 example: close, open again, and wait for what the peer sends next */
	fd = row_open(r, O_RDONLY);
	sleeps_until_sent(r, fd);
}

/* left_behind() - a peer came while the row read, and left after the row had closed */
static void left_behind(struct row *r)
{
	int tx = row_open(r, O_WRONLY), rx = row_open(r, O_RDONLY);

	peer(r, "connect");
	send_pattern(tx, 0, 10);
	peer(r, "expect 10"); /* it is there */
	close(rx);
	peer(r, "close");
	expect(wait_poll(tx, 0) & POLLERR, "poll does not report POLLERR");
	peer(r, "pause"); /* the daemon has finished with that: one thread does both */
	close(tx);
}

/* As with a fifo, a reader that opens later does not get the end of an earlier stream */
static void read_new_opener_no_stale_eof(struct row *r)
{
	int fd;

	left_behind(r);
	fd = row_open(r, O_RDONLY);
	expect(poll_now(fd, POLLIN) == 0, "poll reports the end of an earlier stream");
	sleeps_until_sent(r, fd);
	peer(r, "close");
	expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
}

/* But what a peer has sent while nobody was there is delivered, and its end after it */
static void read_eof_of_missed_stream(struct row *r)
{
	int fd = row_open(r, O_RDWR);

	close(fd);
	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "close");
	fd = row_open(r, O_RDONLY);
	read_all(fd, buf, 10);
	expect_pattern(buf, 0, 10);
	expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
}

#define N_READERS  4
#define N_UNITS    20000U
#define UNIT_BYTES 4U

/* reader_child() - read units until the mark, and record each one in the shared table */
static void reader_child(int fd, unsigned char *seen)
{
	uint32_t unit;

	alarm(LIMIT_SECONDS);
	for (;;) {
		read_all(fd, &unit, sizeof(unit));
		if (unit == UINT32_MAX)
			_exit(0);
		if (unit >= N_UNITS)
			fail("unit %#x was never written", unit);
		__atomic_fetch_add(&seen[unit], 1, __ATOMIC_RELAXED);
	}
}

/*
 * several_readers() - each byte goes to exactly one reader
 *
 * Four processes read units of four bytes that the writer wrote whole: a read takes what is there
 * up to its count, and the ring's content is always a multiple of four.
 */
static void several_readers(struct row *r)
{
	int fd = row_open_echo(r, "echo"), status;
	unsigned char *seen = mmap_shared(N_UNITS);
	pid_t pid[N_READERS];

	for (unsigned int i = 0; i < N_READERS; i++) {
		pid[i] = fork();
		expect(pid[i] >= 0, "fork: %m");
		if (pid[i] == 0)
			reader_child(fd, seen);
	}
	for (uint32_t unit = 0; unit < N_UNITS; unit++)
		write_all(fd, &unit, sizeof(unit));
	for (unsigned int i = 0; i < N_READERS; i++)
		write_all(fd, &(uint32_t){ UINT32_MAX }, UNIT_BYTES);
	for (unsigned int i = 0; i < N_READERS; i++) {
		expect(waitpid(pid[i], &status, 0) == pid[i], "waitpid: %m");
		expect(status == 0, "reader %u ended with %#x", i, (unsigned int)status);
	}
	for (uint32_t unit = 0; unit < N_UNITS; unit++)
		expect(seen[unit] == 1, "unit %u was read %u times", unit, seen[unit]);
}

const struct row_entry rows_read[] = {
	{ "read_blocks", read_blocks },
	{ "read_waits_before_first_open", read_waits_before_first_open },
	{ "read_nonblock", read_nonblock },
	{ "read_returns_what_is_there", read_returns_what_is_there },
	{ "read_nothing_asked", read_nothing_asked },
	{ "read_eintr", read_eintr },
	{ "read_eof_after_drain", read_eof_after_drain },
	{ "read_eof_wakes_sleeper", read_eof_wakes_sleeper },
	{ "read_goes_on_after_reopen", read_goes_on_after_reopen },
	{ "read_new_opener_waits", read_new_opener_waits },
	{ "read_new_opener_no_stale_eof", read_new_opener_no_stale_eof },
	{ "read_eof_of_missed_stream", read_eof_of_missed_stream },
	{ "several_readers", several_readers },
	{ NULL, NULL },
};
