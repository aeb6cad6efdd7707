// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_share.c - one end, many openers: descriptors that are passed on, exec, several processes
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

static char buf[ROW_RING_BYTES];

/**
 * struct image - a child that has executed another program
 * @pid: process
 * @in: its standard input; when this is closed, the program ends
 */
struct image {
	pid_t pid;
	int in;
};

/* exec_cat() - run cat(1) with whatever descriptors it inherits, and wait until it runs */
static void exec_cat(struct image *image)
{
	int in[2], started[2];
	char byte;

	expect(!pipe(in) && !pipe2(started, O_CLOEXEC), "pipe: %m");
	image->pid = fork();
	expect(image->pid >= 0, "fork: %m");
	if (image->pid == 0) {
		dup2(in[0], STDIN_FILENO);
		close(in[0]);
		close(in[1]);
		execl("/bin/cat", "cat", (char *)NULL);
		fail("cat: %m");
	}
	close(in[0]);
	close(started[1]);
	expect(read(started[0], &byte, 1) == 0, "cat does not start: %m"); /* closed by exec */
	close(started[0]);
	image->in = in[1];
}

/* end_image() - end the program, which must exit with 0 */
static void end_image(struct image *image)
{
	int status;

	close(image->in);
	expect(waitpid(image->pid, &status, 0) == image->pid && status == 0, "cat failed: %#x",
	       (unsigned int)status);
}

static void exec_keeps_open(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	struct image image;

	peer(r, "connect");
	expect(fcntl(fd, F_SETFD, 0) == 0, "F_SETFD: %m");
	exec_cat(&image);
	send_pattern(fd, 0, 100);
	close(fd);
	fd = row_open(r, O_WRONLY); /* after the last close, this would be another stream */
	send_pattern(fd, 100, 100);
	close(fd);
	peer(r, "expect 200");
	end_image(&image);
	peer(r, "eof");
}

static void exec_closes_cloexec(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	struct image image;

	expect(fcntl(fd, F_GETFD) == FD_CLOEXEC, "O_CLOEXEC is not kept");
	peer(r, "connect");
	exec_cat(&image);
	send_pattern(fd, 0, 100);
	close(fd);
	peer(r, "expect 100");
	peer(r, "eof"); /* although that process lives */
	end_image(&image);
}

/* send_fd() - pass a descriptor through a socket, unix(7) */
static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	expect(sendmsg(sock, &msg, 0) == 1, "sendmsg: %m");
}

/* A descriptor that is under way in a socket keeps the end open, too */
static void close_passed(struct row *r)
{
	int fd = row_open(r, O_WRONLY), pair[2];

	expect(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %m");
	peer(r, "connect");
	send_pattern(fd, 0, 100);
	send_fd(pair[0], fd);
	close(fd);
	fd = row_open(r, O_WRONLY);
	send_pattern(fd, 100, 100);
	close(fd);
	peer(r, "expect 200");
	close(pair[1]); /* never received */
	close(pair[0]);
	peer(r, "eof");
}

/* The end closes when its last opener closes */
static void several_openers(struct row *r)
{
	int rx[3], tx[3];

	for (unsigned int i = 0; i < 3; i++) {
		rx[i] = row_open(r, i ? O_RDONLY : O_RDWR);
		tx[i] = row_open(r, i ? O_WRONLY : O_RDWR);
	}
	peer(r, "connect");
	for (unsigned int i = 0; i < 3; i++) {
		send_pattern(tx[i], i * 100, 100);
		peer(r, "send 100");
		read_all(rx[i], buf, 100);
		expect_pattern(buf, i * 100, 100);
		close(tx[i]);
	}
	expect(write(rx[0], buf, 1) == 1, "the last writer: %m");
	peer(r, "skip 301");
	close(rx[0]);
	peer(r, "eof");
	peer(r, "send 100");
	close(rx[1]);
	read_all(rx[2], buf, 100);
	expect_pattern(buf, 300, 100);
}

/* Several readers wait; what comes goes to one of them, whole */
static void several_blocked_readers(struct row *r)
{
	struct async a[4];
	static char room[4][100];
	unsigned int n_done = 0;
	size_t bytes = 0;

	for (unsigned int i = 0; i < 4; i++)
		async_start(&a[i], false, row_open(r, O_RDONLY), room[i], sizeof(room[i]));
	for (unsigned int i = 0; i < 4; i++)
		async_wait_blocked(&a[i]);
	peer(r, "connect");
	peer(r, "send 400");
	for (unsigned int i = 0; i < 4; i++) {
		ssize_t n = async_join(&a[i]);

		expect(n > 0, "reader %u: read returned %zd: %m", i, n);
		bytes += (size_t)n;
		n_done++;
	}
	expect(n_done == 4 && bytes <= 400, "%zu bytes came of 400", bytes);
}

#define N_RECORDS 300U

/* At most PIPE_BUF, and not a divisor of the ring's size */
#define RECORD_BYTES 2999U

/* record_parts() - one record as a gather list of uneven parts */
static unsigned int record_parts(struct iovec *iov, char *record)
{
	static const size_t length[] = { 1, 0, 1000, 1997, 1 };
	size_t at = 0;

	for (unsigned int i = 0; i < 5; i++) {
		iov[i] = (struct iovec){ record + at, length[i] };
		at += length[i];
	}
	expect(at == RECORD_BYTES, "the parts are %zu bytes", at);
	return 5;
}

/* gather_child() - write records of one letter with writev(2), waiting in poll(2) if necessary */
static void gather_child(int fd, unsigned int who)
{
	char record[RECORD_BYTES];
	struct iovec iov[5];
	unsigned int n = record_parts(iov, record), i = 0;

	alarm(LIMIT_SECONDS);
	memset(record, 'A' + (int)who, sizeof(record));
	while (i < N_RECORDS) {
		ssize_t done = writev(fd, iov, (int)n);

		if (done < 0 && errno == EAGAIN) {
			wait_poll(fd, POLLOUT);
			continue;
		}
		expect(done == (ssize_t)RECORD_BYTES, "writev: %zd: %m", done);
		i++;
	}
	_exit(0);
}

/* gather_atomic() - four writers over a ring of one page; each opens the node itself */
static void gather_atomic(struct row *r, int flags)
{
	int fd = row_open_echo(r, "small_echo");

	for (unsigned int i = 0; i < ROW_WRITERS; i++) {
		pid_t pid = fork();

		expect(pid >= 0, "fork: %m");
		if (pid == 0)
			gather_child(open(row_path(r, "small_echo"), O_WRONLY | O_CLOEXEC | flags),
				     i);
	}
	expect_records(fd, N_RECORDS, RECORD_BYTES);
}

static void writev_atomic(struct row *r)
{
	gather_atomic(r, 0);
}

static void writev_atomic_nonblock(struct row *r)
{
	gather_atomic(r, O_NONBLOCK);
}

const struct row_entry rows_share[] = {
	{ "exec_keeps_open", exec_keeps_open },
	{ "exec_closes_cloexec", exec_closes_cloexec },
	{ "close_passed", close_passed },
	{ "several_openers", several_openers },
	{ "several_blocked_readers", several_blocked_readers },
	{ "writev_atomic", writev_atomic },
	{ "writev_atomic_nonblock", writev_atomic_nonblock },
	{ NULL, NULL },
};
