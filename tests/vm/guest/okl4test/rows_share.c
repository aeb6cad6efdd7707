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
	image->pid = start_child();
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

ROW(exec_keeps_open)
{
	int fd = row_open(r, "w; connect");
	struct image image;

	expect(fcntl(fd, F_SETFD, 0) == 0, "F_SETFD: %m");
	exec_cat(&image);
	/* after the last close, this would be another stream */
	steps(r, "write w 100; close w; open w; write w 100; close w; expect 200");
	end_image(&image);
	steps(r, "eof");
}

ROW(exec_closes_cloexec)
{
	int fd = row_open(r, "w; connect");
	struct image image;

	expect(fcntl(fd, F_GETFD) == FD_CLOEXEC, "O_CLOEXEC is not kept");
	exec_cat(&image);
	steps(r, "write w 100; close w; expect 100; eof"); /* although that process lives */
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
ROW(close_passed)
{
	int fd = row_open(r, "w; connect; write w 100"), pair[2];

	expect(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %m");
	send_fd(pair[0], fd);
	steps(r, "close w; open w; write w 100; close w; expect 200");
	close(pair[1]); /* never received */
	close(pair[0]);
	steps(r, "eof");
}

/* The end closes when its last opener closes */
ROW_STEPS(several_openers, "open b; open b1; open r1; open w1; open r2; open w2; connect; "
			   "write b1 100; send 100; read b 100; close b1; "
			   "write w1 100; send 100; read r1 100; close w1; "
			   "write w2 100; send 100; read r2 100; close w2; "
			   "write b 1; skip 301; close b; eof; send 100; close r1; read r2 100");

/* Several readers wait; what comes goes to one of them, whole */
ROW(several_blocked_readers)
{
	static const char *const end[] = { "r", "r1", "r2", "r3" };
	struct async a[4];
	static char room[4][100];
	size_t bytes = 0;

	for (unsigned int i = 0; i < 4; i++) {
		async_start(&a[i], false, row_open(r, end[i]), room[i], sizeof(room[i]));
		async_wait_blocked(&a[i]);
	}
	steps(r, "connect; send 400");
	for (unsigned int i = 0; i < 4; i++) {
		expect(async_join(&a[i]) > 0, "reader %u: read returned %ld: %m", i, a[i].result);
		bytes += (size_t)a[i].result;
	}
	expect(bytes <= 400, "%zu bytes came of 400", bytes);
}

/* Processes that write records to one end at once; number n writes the letter 'A' + n */
#define N_WRITERS 4
#define N_RECORDS 400U

/* At most PIPE_BUF, not a divisor of the ring: most writes find only part of the room they need */
#define RECORD_BYTES 3001U

/* record_child() - write records of one letter, whole or gathered, waiting in poll(2) if necessary */
static void record_child(int fd, char letter, bool gathers)
{
	static const size_t length[] = { 1, 0, 1000, 1997, 3 };
	char record[RECORD_BYTES];
	struct iovec iov[5];
	size_t at = 0;

	memset(record, letter, sizeof(record));
	for (unsigned int i = 0; i < 5; i++) {
		iov[i] = (struct iovec){ record + at, length[i] };
		at += length[i];
	}
	expect(at == RECORD_BYTES, "the parts are %zu bytes", at);
	for (unsigned int i = 0; i < N_RECORDS;) {
		ssize_t n = gathers ? writev(fd, iov, 5) : write(fd, record, sizeof(record));

		if (n < 0 && errno == EAGAIN) {
			wait_poll(fd, POLLOUT);
			continue;
		}
		expect(n == (ssize_t)RECORD_BYTES, "record %u: %zd: %m", i, n);
		i++;
	}
	_exit(0);
}

/* records_stay_whole() - four writers over a ring of one page; those that gather open it themselves */
static void records_stay_whole(struct row *r, bool gathers, int flags)
{
	unsigned int n_read[N_WRITERS] = { 0 };
	int fd = row_open_echo(r, "small_echo"), status;
	char record[RECORD_BYTES];

	for (int i = 0; i < N_WRITERS; i++) {
		if (start_child() == 0) {
			if (gathers)
				fd = open_node(row_path(r, "small_echo"), O_WRONLY | flags);
			record_child(fd, (char)('A' + i), gathers);
		}
	}
	for (unsigned int i = 0; i < N_WRITERS * N_RECORDS; i++) {
		unsigned int writer;

		read_all(fd, record, sizeof(record));
		writer = (unsigned int)(record[0] - 'A');
		expect(writer < N_WRITERS, "record %u begins with %#x", i, record[0]);
		for (size_t k = 1; k < sizeof(record); k++)
			expect(record[k] == record[0], "record %u is torn at byte %zu", i, k);
		n_read[writer]++;
	}
	for (unsigned int i = 0; i < N_WRITERS; i++) {
		expect(wait(&status) > 0 && status == 0, "a writer ended with %#x", status);
		expect(n_read[i] == N_RECORDS, "writer %u: %u records came", i, n_read[i]);
	}
}

ROW(write_pipe_buf_atomic)
{
	records_stay_whole(r, false, 0);
}

ROW(writev_atomic)
{
	records_stay_whole(r, true, 0);
}

ROW(writev_atomic_nonblock)
{
	records_stay_whole(r, true, O_NONBLOCK);
}
