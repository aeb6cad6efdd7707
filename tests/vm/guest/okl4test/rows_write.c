// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_write.c - writing
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* linux/fs.h, Linux 6.18 */
#endif

static char buf[4 * ROW_RING_BYTES];

/*
 * A client that does not read takes what fits its socket, so only a channel without a client has a
 * ring that stays full.
 */

static void write_before_first_open(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	struct async a;

	pattern_fill(buf, 7, 0, sizeof(buf));
	expect(write(fd, buf, ROW_RING_BYTES) == (ssize_t)ROW_RING_BYTES, "filling: %m");
	async_start(&a, true, fd, buf + ROW_RING_BYTES, 1000);
	async_wait_blocked(&a);
	peer(r, "connect");
	expect(async_join(&a) == 1000, "write returned %zd: %m", a.result);
	peer(r, "expect %u", ROW_RING_BYTES + 1000);
}

static void write_blocks_until_all(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	struct async a;

	pattern_fill(buf, 7, 0, sizeof(buf));
	async_start(&a, true, fd, buf, sizeof(buf)); /* four rings at once */
	async_wait_blocked(&a);
	peer(r, "connect");
	peer(r, "expect %zu", sizeof(buf));
	expect(async_join(&a) == sizeof(buf), "write returned %zd: %m", a.result);
}

static void write_nonblock_partial(struct row *r)
{
	int fd = row_open(r, O_WRONLY | O_NONBLOCK);

	pattern_fill(buf, 7, 0, sizeof(buf));
	expect(write(fd, buf, sizeof(buf)) == (ssize_t)ROW_RING_BYTES, "partial write: %m");
	expect_errno(write(fd, buf, 1), EAGAIN);
	expect_errno(write(fd, buf, sizeof(buf)), EAGAIN);
	peer(r, "connect");
	peer(r, "expect %u", ROW_RING_BYTES); /* just that, whole */
}

static void write_nonblock_atomic(struct row *r)
{
	int fd = row_open(r, O_WRONLY | O_NONBLOCK);
	size_t room = PIPE_BUF - 1, before = ROW_RING_BYTES - room;

	pattern_fill(buf, 7, 0, sizeof(buf));
	expect(write(fd, buf, before) == (ssize_t)before, "filling: %m");
	expect_errno(write(fd, buf + before, PIPE_BUF), EAGAIN); /* all or nothing */
	expect(write(fd, buf + before, room) == (ssize_t)room, "a write that fits: %m");
	peer(r, "connect");
	peer(r, "expect %u", ROW_RING_BYTES);
}

static void write_nonblock_more_than_pipe_buf(struct row *r)
{
	int fd = row_open(r, O_WRONLY | O_NONBLOCK);
	size_t before = ROW_RING_BYTES - 100;

	pattern_fill(buf, 7, 0, sizeof(buf));
	expect(write(fd, buf, before) == (ssize_t)before, "filling: %m");
	expect(write(fd, buf + before, PIPE_BUF + 1) == 100, "a partial write: %m");
	peer(r, "connect");
	peer(r, "expect %u", ROW_RING_BYTES);
}

static void write_nothing(struct row *r)
{
	int fd = row_open(r, O_WRONLY | O_NONBLOCK);

	fill_ring(fd);
	expect(write(fd, buf, 0) == 0, "write of 0 bytes: %m");
}

static void write_eintr(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	volatile int *caught = catch_signal(SIGUSR1);
	struct async a;

	pattern_fill(buf, 7, 0, sizeof(buf));
	async_start(&a, true, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	pthread_kill(a.thread, SIGUSR1);
	expect(async_join(&a) == (ssize_t)ROW_RING_BYTES, "interrupted after a part: %zd: %m",
	       a.result);
	async_start(&a, true, fd, buf, 10);
	async_wait_blocked(&a);
	pthread_kill(a.thread, SIGUSR1);
	expect_errno(async_join(&a), EINTR);
	expect(*caught == 2, "signals were caught %d times", *caught);
	peer(r, "connect");
	peer(r, "expect %u", ROW_RING_BYTES);
}

/* gone_reader() - open for writing, a peer that came and went */
static int gone_reader(struct row *r)
{
	int fd = row_open(r, O_WRONLY);

	peer(r, "connect");
	peer(r, "close");
	expect(wait_poll(fd, POLLERR) & POLLERR, "poll does not report POLLERR");
	return fd;
}

static void write_epipe(struct row *r)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	fd = gone_reader(r);
	expect_errno(write(fd, buf, 1), EPIPE);
	expect_errno(write(fd, buf, sizeof(buf)), EPIPE);
	set_nonblock(fd, true);
	expect_errno(write(fd, buf, 1), EPIPE);
	peer(r, "connect"); /* the peer is back: writing goes on */
	expect(wait_poll(fd, POLLOUT) & POLLOUT, "poll does not report POLLOUT");
	send_pattern(fd, 0, 100);
	peer(r, "expect 100");
}

static void write_sigpipe(struct row *r)
{
	volatile int *caught = catch_signal(SIGPIPE);
	int fd = gone_reader(r);

	expect_errno(write(fd, buf, 1), EPIPE);
	expect(*caught == 1, "SIGPIPE was caught %d times", *caught);
	/* Linux 6.18: without the signal; an older one does not know the flag */
	expect(pwritev2(fd, &(struct iovec){ buf, 1 }, 1, -1, RWF_NOSIGNAL) == -1 &&
		       (errno == EPIPE || errno == EOPNOTSUPP),
	       "pwritev2: %m");
	expect(*caught == 1, "RWF_NOSIGNAL: SIGPIPE was sent");
}

static void write_epipe_wakes_sleeper(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	struct async a;
	ssize_t n;

	peer(r, "connect");
	peer(r, "pause"); /* it stops reading: its socket fills up, then the ring */
	async_start(&a, true, fd, calloc(1, 8U << 20), 8U << 20);
	async_wait_blocked(&a);
	peer(r, "close");
	n = async_join(&a);
	/* A write that moved something says how much; the next one says why it stopped. */
	expect(n > 0 || (n == -1 && errno == EPIPE), "write returned %zd: %m", n);
	expect(n < (ssize_t)(8U << 20), "everything was written although nobody reads");
	expect_errno(write(fd, buf, 1), EPIPE);
}

#define N_RECORDS 400U

/* At most PIPE_BUF, not a divisor of the ring: most writes find only part of the room they need */
#define RECORD_BYTES 3001U

/* writer_child() - write records of one letter */
static void writer_child(int fd, unsigned int who)
{
	char record[RECORD_BYTES];

	alarm(LIMIT_SECONDS);
	memset(record, 'A' + (int)who, sizeof(record));
	for (unsigned int i = 0; i < N_RECORDS; i++) {
		ssize_t n = write(fd, record, sizeof(record));

		expect(n == (ssize_t)sizeof(record), "write: %zd: %m", n);
	}
	_exit(0);
}

/* write_pipe_buf_atomic() - records from four writers stay whole, over a ring of one page */
static void write_pipe_buf_atomic(struct row *r)
{
	int fd = row_open_echo(r, "small_echo");

	for (unsigned int i = 0; i < ROW_WRITERS; i++) {
		pid_t pid = fork();

		expect(pid >= 0, "fork: %m");
		if (pid == 0)
			writer_child(fd, i);
	}
	expect_records(fd, N_RECORDS, RECORD_BYTES);
}

const struct row_entry rows_write[] = {
	{ "write_before_first_open", write_before_first_open },
	{ "write_blocks_until_all", write_blocks_until_all },
	{ "write_nonblock_partial", write_nonblock_partial },
	{ "write_nonblock_atomic", write_nonblock_atomic },
	{ "write_nonblock_more_than_pipe_buf", write_nonblock_more_than_pipe_buf },
	{ "write_nothing", write_nothing },
	{ "write_eintr", write_eintr },
	{ "write_epipe", write_epipe },
	{ "write_sigpipe", write_sigpipe },
	{ "write_epipe_wakes_sleeper", write_epipe_wakes_sleeper },
	{ "write_pipe_buf_atomic", write_pipe_buf_atomic },
	{ NULL, NULL },
};
