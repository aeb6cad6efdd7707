// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_io.c - the other ways to read and write
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

static char buf[ROW_RING_BYTES];

/* expect_readable() - what FIONREAD says */
static void expect_readable(int fd, int wanted)
{
	int n = -1;

	expect(ioctl(fd, FIONREAD, &n) == 0 && n == wanted, "FIONREAD: %d, not %d: %m", n, wanted);
}

ROW(fionread)
{
	int fd = row_open(r, "r");

	expect_readable(fd, 0);
	steps(r, "connect; send 1000; taken");
	expect_readable(fd, 1000);
	steps(r, "read r 300");
	expect_readable(fd, 700);
	expect_errno(ioctl(fd, FIOCLEX + 1000, NULL), ENOTTY);
}

ROW(readv_writev)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w; connect");
	struct iovec iov[3] = { { buf, 1 }, { buf + 1, 4095 }, { buf + 4096, 1904 } };

	pattern_fill(buf, 7, 0, 6000);
	expect(writev(tx, iov, 3) == 6000, "writev: %m");
	steps(r, "expect 6000; send 6000; taken");
	memset(buf, 0, sizeof(buf));
	expect(readv(rx, iov, 3) == 6000, "readv: %m");
	expect_pattern(buf, 0, 6000);
}

ROW(bad_address)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = row_open(r, "b; connect");

	expect(nowhere != MAP_FAILED, "mmap: %m");
	expect_errno(write(fd, nowhere, 100), EFAULT);
	steps(r, "send 100; taken");
	expect_errno(read(fd, nowhere, 100), EFAULT);
	steps(r, "read b 100; write b 100; expect 100"); /* nothing was lost, nothing was sent */
}

/* edge() - the end of memory: the addresses behind it are not mapped */
static char *edge(void)
{
	size_t half = 4 * PIPE_BUF;
	char *base =
		mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(base != MAP_FAILED && !munmap(base + half, half), "mmap: %m");
	pattern_fill(base, 7, 0, half);
	return base + half;
}

/* An atomic write of bytes that are only partly mapped writes none, even across the ring's end */
ROW(bad_address_atomic)
{
	int fd = row_open(r, "w");
	char *end = edge();

	expect_errno(write(fd, end - 100, PIPE_BUF), EFAULT);
	expect_errno(writev(fd, (struct iovec[2]){ { end - 100, 100 }, { end, 1 } }, 2), EFAULT);
	steps(r, "write w 64K-50; connect; expect 64K-50");
	expect_errno(write(fd, end - 100, PIPE_BUF), EFAULT);
	steps(r, "write w 100; expect 100");
}

/* A longer write has written what was mapped, and says so */
ROW(bad_address_amid)
{
	int fd = row_open(r, "w");
	char *end = edge();
	ssize_t n = write(fd, end - 3 * PIPE_BUF, 4 * PIPE_BUF);

	expect(n == 3 * PIPE_BUF, "write returned %zd: %m", n);
	steps(r, "connect; skip 12K; close w; eof");
}

ROW(large_calls)
{
	size_t bytes = 3000001;
	char *whole = malloc(bytes);
	int fd = row_open_echo(r, "echo");
	struct async a;

	pattern_fill(whole, 7, 0, bytes);
	async_start(&a, true, fd, whole, bytes); /* one call, three rings */
	for (size_t done = 0; done < bytes;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		expect(n > 0, "read returned %zd: %m", n);
		expect_pattern(buf, done, (size_t)n);
		done += (size_t)n;
	}
	expect(async_join(&a) == (ssize_t)bytes, "write returned %zd: %m", a.result);
}
