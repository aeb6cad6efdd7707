// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_session.c - channels with sessions: each open is a connection of its own
 *
 * A row's channel has two sessions, which clients on the host begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libfs/ioctl.h>

#include "rows.h"

/* The descriptor is the result */
static long call_open(struct async *a)
{
	return open(a->buf, (int)a->bytes);
}

/* open_blocks() - open the row's node in a thread, which must fall asleep */
static void open_blocks(struct row *r, struct async *a)
{
	*a = (struct async){ .number = SYS_openat, .call = call_open, .buf = r->path };
	a->bytes = O_RDWR | O_CLOEXEC;
	row_make(r);
	async_run(a);
	async_wait_blocked(a);
}

/* open_nonblock() - open until the daemon has a client for it */
static int open_nonblock(const char *path)
{
	uint64_t end = now_ns() + LIMIT_SECONDS * 1000000000ULL;
	int fd;

	do {
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		expect(fd >= 0 || errno == EAGAIN, "open: %m");
		expect(now_ns() < end, "no client comes");
	} while (fd < 0);
	return fd;
}

/* echoes() - a session of an echo works */
static void echoes(int fd, char byte)
{
	char back;

	write_all(fd, &byte, 1);
	read_all(fd, &back, 1);
	expect(back == byte, "%c came back as %c", byte, back);
}

static void shut(int fd, int how)
{
	expect(ioctl(fd, OKL4FS_IOC_SHUTDOWN, how) == 0, "OKL4FS_IOC_SHUTDOWN %d: %m", how);
}

ROW(session_open_waits)
{
	struct async a;
	char byte;
	long fd;

	open_blocks(r, &a);
	peer(r, "connect");
	fd = async_join(&a);
	expect(fd >= 0, "open: %m");
	send_pattern((int)fd, 0, 100);
	steps(r, "expect 100; leave");
	expect(read((int)fd, &byte, 1) == 0, "read: %m");
	close((int)fd);
}

ROW(session_open_nonblock)
{
	int fd;

	row_make(r);
	expect_errno(open(r->path, O_RDWR | O_NONBLOCK), EAGAIN);
	peer(r, "connect");
	fd = open_nonblock(r->path);
	expect_errno(open(r->path, O_RDWR | O_NONBLOCK), EAGAIN);
	send_pattern(fd, 0, 100);
	steps(r, "expect 100");
	close(fd);
	peer(r, "eof");
}

/* An open that a signal ends takes no client */
ROW(session_open_eintr)
{
	struct async a;
	int fd;

	catch_signal(SIGUSR1, 0);
	open_blocks(r, &a);
	interrupt(&a);
	expect_errno(async_join(&a), EINTR);
	peer(r, "connect");
	fd = open(r->path, O_RDWR);
	expect(fd >= 0, "open: %m");
	send_pattern(fd, 0, 100);
	steps(r, "expect 100");
}

ROW(session_open_restarts)
{
	struct async a;

	catch_signal(SIGUSR1, SA_RESTART);
	open_blocks(r, &a);
	interrupt(&a);
	async_wait_blocked(&a);
	peer(r, "connect");
	expect(async_join(&a) >= 0, "open: %m");
}

/* Two at a time; the third waits until one of them is closed */
ROW(session_full)
{
	struct async a;
	long fd;

	steps(r, "connect; open b");
	fd = *row_end(r, "b");
	open_blocks(r, &a); /* waits for a client, and has a place meanwhile */
	expect_errno(open(r->path, O_RDWR | O_NONBLOCK), EAGAIN);
	catch_signal(SIGUSR1, 0);
	interrupt(&a);
	expect_errno(async_join(&a), EINTR);
	close((int)fd);
	steps(r, "eof; connect");
	close(open_nonblock(r->path));
}

ROW(session_full_waits)
{
	const char *path = row_path(r, "session_echo");
	int fd[8];
	struct async a = { .number = SYS_openat, .call = call_open, .buf = strdup(path) };

	for (int i = 0; i < 8; i++) {
		fd[i] = open(path, O_RDWR);
		expect(fd[i] >= 0, "open %d: %m", i);
	}
	expect_errno(open(path, O_RDWR | O_NONBLOCK), EAGAIN);
	a.bytes = O_RDWR;
	async_run(&a);
	async_wait_blocked(&a);
	close(fd[3]);
	expect(async_join(&a) >= 0, "open: %m");
	echoes((int)a.result, 'x');
	echoes(fd[7], 'y');
}

ROW(session_open_refused)
{
	const char *path = row_path(r, "session_nobody");

	expect_errno(open(path, O_RDWR), ECONNREFUSED);
	expect_errno(open(path, O_RDWR | O_NONBLOCK), ECONNREFUSED);
	expect_errno(open(path, O_RDONLY), ECONNREFUSED);
	expect_errno(open(path, 3), EINVAL);
}

/* What the file is not open for has ended for the host from the start */
ROW_STEPS(session_read_only, "connect; open r; eof; send 1000; read r 1000; write r 1 EBADF");
ROW_STEPS(session_write_only, "connect; open w; write w 1000; read w 1 EBADF; expect 1000; "
			      "close w; eof");

ROW(session_apart)
{
	const char *path = row_path(r, "session_echo");
	int one = open(path, O_RDWR), two = open(path, O_RDWR), three;
	char byte = '1';

	expect(one >= 0 && two >= 0, "open: %m");
	write_all(one, "1", 1);
	write_all(two, "2", 1);
	read_all(two, &byte, 1);
	expect(byte == '2', "a byte of the other session came");
	shut(one, SHUT_WR);
	read_all(one, &byte, 1);
	expect(read(one, &byte, 1) == 0, "no end of file: %m");
	echoes(two, '3');
	/* Another open of the same file is another session */
	three = open("/proc/self/fd/0", O_RDWR);
	close(three);
	expect(dup2(two, 0) == 0, "dup2: %m");
	three = open("/proc/self/fd/0", O_RDWR | O_NONBLOCK);
	expect(three >= 0, "/proc/self/fd: %m");
	write_all(two, "4", 1);
	wait_poll(two, POLLIN);
	expect_errno(read(three, &byte, 1), EAGAIN);
}

ROW(session_shut_writer)
{
	int fd, *caught = (int *)(uintptr_t)catch_signal(SIGPIPE, 0);

	steps(r, "connect; open b; write b 1000");
	fd = *row_end(r, "b");
	shut(fd, SHUT_WR);
	shut(fd, SHUT_WR);
	expect_errno(write(fd, "x", 1), EPIPE);
	expect(*caught == 1, "%d signals", *caught);
	expect(poll_now(fd, POLLIN | POLLOUT) == POLLOUT, "poll: %#x",
	       (unsigned int)poll_now(fd, POLLIN | POLLOUT));
	expect(fsync(fd) == 0, "fsync: %m");
	steps(r, "expect 1000; eof; send 1000; read b 1000; shut_wr; read b 1 0");
	expect_errno(ioctl(fd, OKL4FS_IOC_SHUTDOWN, 3), EINVAL);
}

ROW(session_shut_reader)
{
	struct async a;
	char byte;
	int fd;

	steps(r, "connect; open b");
	fd = *row_end(r, "b");
	async_start(&a, false, fd, &byte, 1);
	async_wait_blocked(&a);
	shut(fd, SHUT_RD);
	expect(async_join(&a) == 0, "a sleeping read: %m");
	expect(read(fd, &byte, 1) == 0, "read: %m");
	expect(poll_now(fd, POLLIN) == POLLIN, "poll");
	steps(r, "write b 1000; expect 1000");
	shut(fd, SHUT_RDWR);
	peer(r, "eof");
}

/* A writer that sleeps on a full ring ends as well */
ROW(session_shut_sleeping_writer)
{
	struct async a;
	static char buf[8 << 20];
	int fd;

	steps(r, "connect; open b");
	fd = *row_end(r, "b");
	async_start(&a, true, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	shut(fd, SHUT_WR);
	expect(async_join(&a) > 0, "write: %m");
}

ROW(session_shut_plain)
{
	int fd = open_node(row_path(r, "echo"), O_RDWR);

	expect_errno(ioctl(fd, OKL4FS_IOC_SHUTDOWN, SHUT_WR), ENOTTY);
}

/* The host's client hangs up properly: the rest is read, then the end; writes fail */
ROW(session_peer_leaves)
{
	steps(r, "connect; open b; send 5000; shut_wr; read b 5000; read b 1 0; read b 1 0; "
		 "wait b IN HUP; leave");
	while (write(*row_end(r, "b"), "x", 1) == 1)
		;
	expect(errno == EPIPE || errno == ECONNRESET, "write: %m");
}

/* It hangs up with bytes unread: what it had sent can be read, then the connection was reset */
ROW(session_peer_resets)
{
	char byte;
	int fd;

	steps(r, "connect; open b; write b 100; send 1000; taken; pause");
	fd = *row_end(r, "b");
	expect(fsync(fd) == 0, "fsync: %m");
	steps(r, "leave; wait b HUP HUP|ERR; read b 1000");
	expect_errno(read(fd, &byte, 1), ECONNRESET);
	expect_errno(write(fd, &byte, 1), ECONNRESET);
	expect(poll_now(fd, POLLIN | POLLOUT) == (POLLHUP | POLLERR), "poll: %#x",
	       (unsigned int)poll_now(fd, POLLIN | POLLOUT));
}

/* A descriptor that is copied, inherited or under way in a socket keeps the session open */
ROW(session_shared)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *cmsg;
	int pair[2], fd, copy;

	steps(r, "connect; open b");
	fd = *row_end(r, "b");
	copy = dup(fd);
	expect(copy >= 0 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %m");
	msg.msg_controllen = sizeof(control);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	expect(sendmsg(pair[0], &msg, 0) == 1, "sendmsg: %m");
	close(fd);
	send_pattern(copy, 0, 100);
	close(copy);
	expect(recvmsg(pair[1], &msg, 0) == 1, "recvmsg: %m");
	cmsg = CMSG_FIRSTHDR(&msg);
	expect(cmsg, "no descriptor came");
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	if (in_child()) {
		send_pattern(fd, 100, 100);
		_exit(0);
	}
	send_pattern(fd, 200, 100);
	steps(r, "expect 300; send 100");
	read_all(fd, control, sizeof(control));
	close(fd);
	close(pair[0]);
}

/* The session is closed when the host has taken what was written */
ROW(session_lingers)
{
	int fd;

	size_t bytes;

	steps(r, "connect; open b");
	fd = *row_end(r, "b");
	bytes = fill_ring(fd);
	close(fd);
	expect(bytes >= ROW_RING_BYTES, "%zu bytes", bytes);
	steps(r, "skip %zu; eof", bytes);
}
