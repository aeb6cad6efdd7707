// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_splice.c - splice(2), sendfile(2) and their relatives
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rows.h"

static char buf[ROW_RING_BYTES];

/* move() - all bytes, by splice(2) or sendfile(2) */
static void move(bool sends, int from, int to, size_t bytes)
{
	while (bytes) {
		ssize_t n = sends ? sendfile(to, from, NULL, bytes) :
				    splice(from, NULL, to, NULL, bytes, 0);

		expect(n > 0, "with %zu bytes left, it returned %zd: %m", bytes, n);
		bytes -= (size_t)n;
	}
}

/* splice_all() - from okl4fs into a pipe, and on into a socket if there is @pair */
static void splice_all(struct row *r, size_t bytes, const int *pair)
{
	int fd = row_open(r, "r; connect"), ends[2];
	size_t done = 0;

	expect(pipe(ends) == 0, "pipe: %m");
	steps(r, "send %zu", bytes);
	while (done < bytes) {
		ssize_t n = splice(fd, NULL, ends[1], NULL, bytes - done, SPLICE_F_MOVE);

		expect(n > 0, "splice from okl4fs returned %zd: %m", n);
		if (pair)
			move(false, ends[0], pair[1], (size_t)n);
		read_all(pair ? pair[0] : ends[0], buf + done, (size_t)n);
		done += (size_t)n;
	}
	expect_pattern(buf, 0, done);
}

ROW(splice_out)
{
	splice_all(r, 50000, NULL);
}

/* okl4fs to a socket through a pipe: a proxy without a copy in user space */
ROW(spliced_socket)
{
	int pair[2];

	expect(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %m");
	splice_all(r, 60000, pair);
}

ROW(splice_in)
{
	int fd = row_open(r, "w; connect"), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	send_pattern(ends[1], 0, 50000);
	move(false, ends[0], fd, 50000);
	steps(r, "expect 50000");
}

ROW(sendfile_in)
{
	int fd = row_open(r, "w"), file = scratch_file();

	send_pattern(file, 0, 300000); /* several rings */
	expect(lseek(file, 0, SEEK_SET) == 0, "lseek: %m");
	steps(r, "connect; drain 300000");
	move(true, file, fd, 300000);
	steps(r, "drained");
}

ROW(splice_nonblock)
{
	int rx = row_open(r, "rn"), tx = row_open(r, "wn; connect"), ends[2];
	size_t done = 0;
	ssize_t n;

	expect(pipe(ends) == 0, "pipe: %m");
	expect_errno(splice(rx, NULL, ends[1], NULL, 100, 0), EAGAIN);
	steps(r, "send 100; wait rn IN");
	expect(splice(rx, NULL, ends[1], NULL, 1000, 0) == 100, "splice: %m");
	steps(r, "shut_wr");
	wait_poll(rx, POLLIN);
	expect(splice(rx, NULL, ends[1], NULL, 1000, 0) == 0, "splice at the end: %m");
	set_nonblock(ends[1], true);
	do { /* until neither the ring nor the socket behind it takes more */
		expect(write(ends[1], buf, 4096) == 4096, "filling the pipe: %m");
		n = splice(ends[0], NULL, tx, NULL, 4096 + 100, 0);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < (16U << 20));
	expect(n == -1 && errno == EAGAIN, "after %zu bytes splice returned %zd: %m", done, n);
}

ROW(splice_refuses)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w"), ends[2];
	struct iovec iov = { buf, 100 };
	loff_t offset = 0;

	expect(pipe(ends) == 0, "pipe: %m");
	/* one of the two must be a pipe of the kernel */
	expect_errno(splice(rx, NULL, tx, NULL, 100, 0), EINVAL);
	expect_errno(splice(rx, &offset, ends[1], NULL, 100, 0), EINVAL);
	expect_errno(splice(ends[0], NULL, tx, &offset, 100, 0), EINVAL);
	expect_errno(tee(rx, ends[1], 100, 0), EINVAL);
	expect_errno(vmsplice(tx, &iov, 1, 0), EBADF);
}

ROW(splice_epipe)
{
	volatile int *caught = catch_signal(SIGPIPE, 0);
	int tx = row_open(r, "w; connect; leave; wait w ERR"), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	write_all(ends[1], buf, 100);
	expect_errno(splice(ends[0], NULL, tx, NULL, 100, 0), EPIPE);
	expect(*caught == 1, "SIGPIPE was caught %d times", *caught);
}
