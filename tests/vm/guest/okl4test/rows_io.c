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

static void fionread(struct row *r)
{
	int fd = row_open(r, O_RDONLY), n = -1;

	expect(ioctl(fd, FIONREAD, &n) == 0 && n == 0, "FIONREAD: %d: %m", n);
	peer(r, "connect");
	peer(r, "send 1000");
	peer(r, "taken");
	expect(ioctl(fd, FIONREAD, &n) == 0 && n == 1000, "FIONREAD: %d: %m", n);
	read_all(fd, buf, 300);
	expect(ioctl(fd, FIONREAD, &n) == 0 && n == 700, "FIONREAD: %d: %m", n);
	expect_errno(ioctl(fd, FIOCLEX + 1000, &n), ENOTTY);
}

static void readv_writev(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);
	struct iovec iov[3] = { { buf, 1 }, { buf + 1, 4095 }, { buf + 4096, 1904 } };

	peer(r, "connect");
	pattern_fill(buf, 7, 0, 6000);
	expect(writev(tx, iov, 3) == 6000, "writev: %m");
	peer(r, "expect 6000");
	peer(r, "send 6000");
	peer(r, "taken");
	memset(buf, 0, sizeof(buf));
	expect(readv(rx, iov, 3) == 6000, "readv: %m");
	expect_pattern(buf, 0, 6000);
}

static void seek_espipe(struct row *r)
{
	int fd = row_open(r, O_RDWR);
	char byte = 0;

	expect_errno(lseek(fd, 0, SEEK_SET), ESPIPE);
	expect_errno(lseek(fd, 0, SEEK_CUR), ESPIPE);
	expect_errno(pread(fd, &byte, 1, 0), ESPIPE);
	expect_errno(pwrite(fd, &byte, 1, 0), ESPIPE);
	expect_errno(preadv(fd, &(struct iovec){ &byte, 1 }, 1, 0), ESPIPE);
	expect_errno(pwritev(fd, &(struct iovec){ &byte, 1 }, 1, 0), ESPIPE);
	expect_errno(lseek(row_open(r, O_RDONLY), 0, SEEK_END), ESPIPE);
}

static void bad_address(struct row *r)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = row_open(r, O_RDWR);

	expect(nowhere != MAP_FAILED, "mmap: %m");
	peer(r, "connect");
	expect_errno(write(fd, nowhere, 100), EFAULT);
	peer(r, "send 100");
	peer(r, "taken");
	expect_errno(read(fd, nowhere, 100), EFAULT);
	read_all(fd, buf, 100); /* nothing was lost */
	expect_pattern(buf, 0, 100);
	send_pattern(fd, 0, 100); /* nothing was sent */
	peer(r, "expect 100");
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
static void bad_address_atomic(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	size_t before = ROW_RING_BYTES - 50;
	char *end = edge();

	expect_errno(write(fd, end - 100, PIPE_BUF), EFAULT);
	expect_errno(writev(fd, (struct iovec[2]){ { end - 100, 100 }, { end, 1 } }, 2), EFAULT);
	send_pattern(fd, 0, before);
	peer(r, "connect");
	peer(r, "expect %zu", before);
	expect_errno(write(fd, end - 100, PIPE_BUF), EFAULT);
	send_pattern(fd, before, 100);
	peer(r, "expect 100");
}

/* A longer write has written what was mapped, and says so */
static void bad_address_amid(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	char *end = edge();
	ssize_t n = write(fd, end - 3 * PIPE_BUF, 4 * PIPE_BUF);

	expect(n == 3 * PIPE_BUF, "write returned %zd: %m", n);
	peer(r, "connect");
	peer(r, "skip %zd", n);
	close(fd);
	peer(r, "eof");
}

static void large_calls(struct row *r)
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

const struct row_entry rows_io[] = {
	{ "fionread", fionread },
	{ "readv_writev", readv_writev },
	{ "seek_espipe", seek_espipe },
	{ "bad_address", bad_address },
	{ "large_calls", large_calls },
	{ "bad_address_atomic", bad_address_atomic },
	{ "bad_address_amid", bad_address_amid },
	{ NULL, NULL },
};
