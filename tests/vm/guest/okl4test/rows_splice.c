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

static void splice_out(struct row *r)
{
	int fd = row_open(r, O_RDONLY), ends[2];
	size_t done = 0;

	expect(pipe(ends) == 0, "pipe: %m");
	peer(r, "connect");
	peer(r, "send 50000");
	while (done < 50000) {
		ssize_t n = splice(fd, NULL, ends[1], NULL, 50000 - done, 0);

		expect(n > 0, "splice from okl4fs returned %zd: %m", n);
		read_all(ends[0], buf + done, (size_t)n);
		done += (size_t)n;
	}
	expect_pattern(buf, 0, done);
}

static void splice_in(struct row *r)
{
	int fd = row_open(r, O_WRONLY), ends[2];
	size_t done = 0;

	expect(pipe(ends) == 0, "pipe: %m");
	peer(r, "connect");
	send_pattern(ends[1], 0, 50000);
	while (done < 50000) {
		ssize_t n = splice(ends[0], NULL, fd, NULL, 50000 - done, 0);

		expect(n > 0, "splice to okl4fs returned %zd: %m", n);
		done += (size_t)n;
	}
	peer(r, "expect 50000");
}

static void sendfile_in(struct row *r)
{
	int fd = row_open(r, O_WRONLY), file = scratch_file();
	size_t done = 0;

	send_pattern(file, 0, 300000); /* several rings */
	expect(lseek(file, 0, SEEK_SET) == 0, "lseek: %m");
	peer(r, "connect");
	peer(r, "drain 300000");
	while (done < 300000) {
		ssize_t n = sendfile(fd, file, NULL, 300000 - done);

		expect(n > 0, "sendfile returned %zd: %m", n);
		done += (size_t)n;
	}
	peer(r, "drained");
}

/* spliced_socket() - okl4fs to a socket through a pipe: a proxy without a copy in user space */
static void spliced_socket(struct row *r)
{
	int fd = row_open(r, O_RDONLY), ends[2], pair[2];
	size_t done = 0;

	expect(!pipe(ends) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %m");
	peer(r, "connect");
	peer(r, "send 60000");
	while (done < 60000) {
		ssize_t n = splice(fd, NULL, ends[1], NULL, 60000 - done, SPLICE_F_MOVE);

		expect(n > 0, "splice from okl4fs returned %zd: %m", n);
		for (ssize_t out = 0; out < n;) {
			ssize_t m = splice(ends[0], NULL, pair[1], NULL, (size_t)(n - out), 0);

			expect(m > 0, "splice to the socket returned %zd: %m", m);
			out += m;
		}
		read_all(pair[0], buf + done, (size_t)n);
		done += (size_t)n;
	}
	expect_pattern(buf, 0, done);
}

static void splice_nonblock(struct row *r)
{
	int rx = row_open(r, O_RDONLY | O_NONBLOCK), tx = row_open(r, O_WRONLY | O_NONBLOCK),
	    ends[2];
	size_t done = 0;
	ssize_t n;

	expect(pipe(ends) == 0, "pipe: %m");
	peer(r, "connect");
	expect_errno(splice(rx, NULL, ends[1], NULL, 100, 0), EAGAIN);
	peer(r, "send 100");
	wait_poll(rx, POLLIN);
	expect(splice(rx, NULL, ends[1], NULL, 1000, 0) == 100, "splice: %m");
	peer(r, "shut_wr");
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

static void splice_refuses(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY), ends[2];
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

static void splice_epipe(struct row *r)
{
	volatile int *caught = catch_signal(SIGPIPE);
	int tx = row_open(r, O_WRONLY), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	peer(r, "connect");
	peer(r, "close");
	expect(wait_poll(tx, POLLERR) & POLLERR, "poll does not report POLLERR");
	write_all(ends[1], buf, 100);
	expect_errno(splice(ends[0], NULL, tx, NULL, 100, 0), EPIPE);
	expect(*caught == 1, "SIGPIPE was caught %d times", *caught);
}

/* sendfile_out() - as from a fifo, it needs a pipe: EINVAL to anything else */
static void sendfile_out(struct row *r)
{
	int rx = row_open(r, O_RDONLY), file = scratch_file();

	peer(r, "connect");
	peer(r, "send 100");
	peer(r, "taken");
	expect_errno(sendfile(file, rx, NULL, 100), EINVAL);
	read_all(rx, buf, 100); /* nothing was taken */
	expect_pattern(buf, 0, 100);
}

/* copy_file_range(2) is for regular files */
static void copy_file_range_einval(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY), file = scratch_file();

	expect_errno(copy_file_range(rx, NULL, file, NULL, 100, 0), EINVAL);
	expect_errno(copy_file_range(file, NULL, tx, NULL, 100, 0), EINVAL);
}

const struct row_entry rows_splice[] = {
	{ "splice_out", splice_out },
	{ "splice_in", splice_in },
	{ "spliced_socket", spliced_socket },
	{ "splice_nonblock", splice_nonblock },
	{ "splice_refuses", splice_refuses },
	{ "splice_epipe", splice_epipe },
	{ "sendfile_in", sendfile_in },
	{ "sendfile_out", sendfile_out },
	{ "copy_file_range_einval", copy_file_range_einval },
	{ NULL, NULL },
};
