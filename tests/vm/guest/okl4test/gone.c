// SPDX-License-Identifier: BSD-3-Clause
/*
 * gone.c - files that are open while the host removes their channel and adds it again
 *
 * Lines on stdin say what the host's side has done.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "util.h"

#define LEFT 100 /* bytes that are in the ring to the guest when the channel goes */

/* hear() - the next line must be this word */
static void hear(const char *word)
{
	char line[64] = "";

	expect(fgets(line, sizeof(line), stdin), "nothing came from the host's side");
	line[strcspn(line, "\n")] = 0;
	expect(!strcmp(line, word), "\"%s\", not \"%s\"", line, word);
}

/* poll_forever() - poll(2) for an event that does not come */
static long poll_forever(struct async *a)
{
	return wait_poll(a->fd, POLLIN);
}

/* nothing_goes() - what the calls on a drained file of a removed channel say */
static void nothing_goes(const char *path, int fd)
{
	char byte = 0;

	for (int nonblock = 0; nonblock < 2; nonblock++) {
		set_nonblock(fd, nonblock);
		expect_errno(read(fd, &byte, 1), EIO);
		expect_errno(write(fd, &byte, 1), EIO);
	}
	set_nonblock(fd, false);
	expect(poll_now(fd, POLLIN | POLLOUT) == (POLLHUP | POLLERR), "poll");
	expect_errno(open(path, O_RDONLY), ENXIO);
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
}

/* look_at() - the calls that only look must answer, even if the channel is gone */
static void look_at(int fd)
{
	int n = 0, flags = fcntl(fd, F_GETFL);
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	expect(poll_now(fd, POLLIN | POLLOUT) & POLLERR, "poll does not report POLLERR");
	expect(!ioctl(fd, FIONREAD, &n) || errno == EIO, "FIONREAD: %m");
	expect(!fcntl(fd, F_SETFL, flags | O_ASYNC) && !fcntl(fd, F_SETFL, flags), "O_ASYNC: %m");
	expect(!io_uring_queue_init(1, &ring, 0), "io_uring");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, fd, POLLIN | POLLOUT);
	expect(io_uring_submit_and_wait(&ring, 1) == 1 && !io_uring_peek_cqe(&ring, &cqe) &&
		       cqe->res > 0 && cqe->res & POLLERR,
	       "a poll of io_uring");
	io_uring_queue_exit(&ring);
}

/* round_trip() - a few bytes through the echo */
static void round_trip(int fd)
{
	char sent[] = "back again", got[sizeof(sent)] = "";

	write_all(fd, sent, sizeof(sent));
	read_all(fd, got, sizeof(got));
	expect(!memcmp(sent, got, sizeof(got)), "\"%s\" came back", got);
}

COMMAND(gone, "NODE")
{
	char bytes[LEFT], got[2 * LEFT];
	int fd = open_node(argv[0], O_RDWR), there = 0;
	int others[] = { open(argv[0], O_RDONLY), open(argv[0], O_WRONLY) };
	int neither = open(argv[0], 3 | O_CLOEXEC), neither_errno = errno;
	uint64_t end = now_ns() + LIMIT_SECONDS * 1000000000ULL;

	memset(bytes, 0x42, sizeof(bytes));
	write_all(fd, bytes, sizeof(bytes));
	while (there != LEFT && now_ns() < end)
		expect(!ioctl(fd, FIONREAD, &there), "FIONREAD: %m");
	puts("filled");
	hear("removed");
	signal(SIGIO, SIG_IGN);
	for (size_t i = 0; i < 2; i++)
		look_at(others[i]);
	look_at(fd);
	if (neither >= 0)
		look_at(neither);
	expect(neither < 0 && neither_errno == EINVAL, "access mode 3");
	expect(poll_now(fd, POLLIN | POLLOUT) == (POLLIN | POLLHUP | POLLERR),
	       "poll before draining");
	expect_errno(write(fd, bytes, 1), EIO);
	expect(read(fd, got, sizeof(got)) == LEFT, "draining: %m");
	expect(!memcmp(bytes, got, LEFT), "other bytes");
	nothing_goes(argv[0], fd);
	puts("gone");
	hear("added");
	round_trip(fd);
	round_trip(open_node(argv[0], O_RDWR));
	puts("ok");
	return 0;
}

COMMAND(gone_asleep, "NODE")
{
	static char much[1 << 20];
	struct async reader, writer, poller = { .call = poll_forever };
	int fd = open_node(argv[0], O_RDWR), fd2 = open_node(argv[0], O_RDWR);
	char byte;

	poller.fd = fd;
	async_run(&poller);
	async_start(&reader, false, fd, &byte, 1);
	async_start(&writer, true, fd2, much, sizeof(much));
	async_wait_blocked(&reader);
	async_wait_blocked(&writer);
	puts("asleep");
	expect(async_join(&reader) == -1 && errno == EIO, "reader: %ld (%m)", reader.result);
	/* As with a fifo, write(2) returns what it wrote before the end. */
	expect(async_join(&writer) > 0 && writer.result < (long)sizeof(much), "writer: %ld",
	       writer.result);
	expect(async_join(&poller) == (POLLHUP | POLLERR), "poll: %#lx", poller.result);
	nothing_goes(argv[0], fd);
	puts("ok");
	return 0;
}
