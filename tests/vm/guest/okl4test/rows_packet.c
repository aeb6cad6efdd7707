// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_packet.c - a channel that carries messages, beside a pipe and a socket of Linux that do
 *
 * These rows use the channel `packet_echo`, which gives back what it gets. Where Linux has the same, the
 * row does the same with a pipe in packet mode (O_DIRECT, pipe(2)) and with a pair of SOCK_SEQPACKET
 * sockets, and all three must say the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

#define LONGEST (ROW_RING_BYTES - 4)

static char buf[2 * ROW_RING_BYTES], back[2 * ROW_RING_BYTES];

/* What messages go through: written into one end and read from the other */
struct through {
	const char *name;
	int to, from;
	bool has_empty; /* messages */
};

enum { CHANNEL, SOCKETS, PIPE, N_THROUGH };

static void open_through(struct row *r, struct through t[N_THROUGH])
{
	int fd = row_open_echo(r, "packet_echo"), pair[2];

	t[CHANNEL] = (struct through){ "channel", fd, fd, true };
	expect(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0, "socketpair: %m");
	t[SOCKETS] = (struct through){ "sockets", pair[0], pair[1], true };
	expect(pipe2(pair, O_DIRECT) == 0, "pipe2: %m");
	t[PIPE] = (struct through){ "pipe", pair[1], pair[0], false };
}

static long wanted(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* The next message must be this one */
static void expect_message(const struct through *t, size_t bytes, uint64_t seed)
{
	ssize_t n = read(t->from, back, sizeof(back));

	expect(n == (ssize_t)bytes, "%s: read returned %zd, not %zu: %m", t->name, n, bytes);
	expect(pattern_check(back, seed, 0, bytes) == bytes, "%s: wrong bytes", t->name);
}

static void send_message(const struct through *t, size_t bytes, uint64_t seed)
{
	ssize_t n;

	pattern_fill(buf, seed, 0, bytes);
	n = write(t->to, buf, bytes);
	expect(n == (ssize_t)bytes, "%s: write of %zu returned %zd: %m", t->name, bytes, n);
}

ROW(packet_is_read_as_written)
{
	static const size_t length[] = { 1, 2, 3, 4, 5, 1000, 4091, 4095, 4096 };
	const size_t n = sizeof(length) / sizeof(length[0]);
	struct through t[N_THROUGH];

	open_through(r, t);
	for (int i = 0; i < N_THROUGH; i++) {
		for (size_t k = 0; k < n; k++)
			send_message(&t[i], length[k], k);
		for (size_t k = 0; k < n; k++)
			expect_message(&t[i], length[k], k);
	}
}

/* What does not fit into the buffer is gone */
ROW(packet_rest_is_dropped)
{
	struct through t[N_THROUGH];

	open_through(r, t);
	for (int i = 0; i < N_THROUGH; i++) {
		send_message(&t[i], 1000, 1);
		send_message(&t[i], 20, 2);
		expect(read(t[i].from, back, 10) == 10, "%s: %m", t[i].name);
		expect(pattern_check(back, 1, 0, 10) == 10, "%s: wrong bytes", t[i].name);
		expect_message(&t[i], 20, 2);
	}
}

/* writev(2) makes one message, readv(2) takes one */
ROW(packet_vectors)
{
	struct iovec out[3] = { { buf, 5 }, { buf + 5, 0 }, { buf + 5, 1000 } };
	struct iovec in[2] = { { back, 3 }, { back + 3, sizeof(back) - 3 } };
	struct through t[N_THROUGH];

	open_through(r, t);
	pattern_fill(buf, 7, 0, 1005);
	for (int i = 0; i < N_THROUGH; i++) {
		expect(writev(t[i].to, out, 3) == 1005, "%s: %m", t[i].name);
		expect(writev(t[i].to, out, 1) == 5, "%s: %m", t[i].name);
		expect(readv(t[i].from, in, 2) == 1005, "%s: %m", t[i].name);
		expect(pattern_check(back, 7, 0, 1005) == 1005, "%s: wrong bytes", t[i].name);
		expect_message(&t[i], 5, 7);
	}
}

/* An empty message is one, as with the sockets; a pipe has none. A read of 0 bytes takes nothing */
ROW(packet_empty)
{
	struct through t[N_THROUGH];

	open_through(r, t);
	for (int i = 0; i < N_THROUGH; i++) {
		send_message(&t[i], 0, 0);
		send_message(&t[i], 9, 1);
		expect(read(t[i].from, back, 0) == 0, "%s: %m", t[i].name);
		if (t[i].has_empty) {
			expect(wait_poll(t[i].from, POLLIN) == POLLIN, "%s: no POLLIN", t[i].name);
			expect_message(&t[i], 0, 0);
		}
		expect_message(&t[i], 9, 1);
	}
}

/* All or nothing, and what is too long does not harm */
ROW(packet_too_long)
{
	struct through t[N_THROUGH];
	volatile size_t huge = 0x7f000000;

	open_through(r, t);
	send_message(&t[CHANNEL], LONGEST, 3);
	expect_message(&t[CHANNEL], LONGEST, 3);
	expect(wanted(write(t[CHANNEL].to, buf, LONGEST + 1)) == -EMSGSIZE, "channel: %m");
	expect(wanted(write(t[SOCKETS].to, buf, huge)) == -EMSGSIZE, "sockets: %m");
	send_message(&t[CHANNEL], 1, 4);
	expect_message(&t[CHANNEL], 1, 4);
}

/* Until there is no room for one more; each of them comes whole */
ROW(packet_nonblock)
{
	struct through t[N_THROUGH];

	open_through(r, t);
	for (int i = 0; i < N_THROUGH; i++) {
		struct pollfd room = { .fd = t[i].to, .events = POLLOUT };
		uint64_t sent = 0, taken = 0;
		bool full = false;

		set_nonblock(t[i].to, true);
		set_nonblock(t[i].from, true);
		expect(wanted(read(t[i].from, back, 1)) == -EAGAIN, "%s: %m", t[i].name);
		while (!full) {
			size_t bytes = 3000 + sent % 700;
			ssize_t n;

			pattern_fill(buf, sent, 0, bytes);
			n = write(t[i].to, buf, bytes);
			expect(n == (ssize_t)bytes || (n < 0 && errno == EAGAIN),
			       "%s: write returned %zd: %m", t[i].name, n);
			sent += n > 0;
			full = n < 0 && !poll(&room, 1, 200); /* the echo may still move some */
		}
		expect(!(poll_now(t[i].to, POLLOUT) & POLLOUT), "%s: POLLOUT", t[i].name);
		for (; taken < sent; taken++) {
			expect(wait_poll(t[i].from, POLLIN) & POLLIN, "%s: no POLLIN", t[i].name);
			expect_message(&t[i], 3000 + taken % 700, taken);
		}
		expect(wait_poll(t[i].to, POLLOUT) & POLLOUT, "%s: no POLLOUT", t[i].name);
	}
}

/* A signal: nothing was written; the writer that sleeps goes on when there is room for all of it */
ROW(packet_write_sleeps)
{
	int fd = row_open_echo(r, "packet_echo");
	struct through t = { "channel", fd, fd, true };
	struct async a;

	catch_signal(SIGUSR1, 0);
	for (uint64_t i = 0; i < 2; i++)
		send_message(&t, LONGEST, i); /* one lies in each ring */
	pattern_fill(buf, 2, 0, 30000);
	async_start(&a, true, fd, buf, 30000);
	async_wait_blocked(&a);
	interrupt(&a);
	expect(async_join(&a) == -1 && errno == EINTR, "write: %ld: %m", a.result);
	async_start(&a, true, fd, buf, 30000);
	async_wait_blocked(&a);
	for (uint64_t i = 0; i < 2; i++)
		expect_message(&t, LONGEST, i);
	expect(async_join(&a) == 30000, "write: %m");
	expect_message(&t, 30000, 2);
}

ROW(packet_fionread)
{
	struct through t[N_THROUGH];
	int n = -1;

	open_through(r, t);
	for (int i = 0; i < N_THROUGH; i += 2) {
		send_message(&t[i], 100, 0);
		wait_poll(t[i].from, POLLIN);
		expect(ioctl(t[i].from, FIONREAD, &n) == 0 && n == 100, "%s: %d", t[i].name, n);
		expect_message(&t[i], 100, 0);
		expect(ioctl(t[i].from, FIONREAD, &n) == 0 && n == 0, "%s: %d", t[i].name, n);
	}
	send_message(&t[CHANNEL], 7, 0);
	send_message(&t[CHANNEL], 70, 1);
	wait_poll(t[CHANNEL].from, POLLIN);
	expect(ioctl(t[CHANNEL].from, FIONREAD, &n) == 0 && n == 7, "the next one: %d", n);
	expect_message(&t[CHANNEL], 7, 0);
	expect_message(&t[CHANNEL], 70, 1);
}

/* What these calls move has no marks between messages */
ROW(packet_no_splice)
{
	int fd = row_open_echo(r, "packet_echo"), ends[2], file = scratch_file();
	struct through t = { "channel", fd, fd, true };

	expect(pipe(ends) == 0 && write(ends[1], "x", 1) == 1, "pipe: %m");
	expect(wanted(splice(ends[0], NULL, fd, NULL, 1, 0)) == -EINVAL, "to it: %m");
	expect(write(file, "abc", 3) == 3 && lseek(file, 0, SEEK_SET) == 0, "file: %m");
	expect(wanted(sendfile(fd, file, NULL, 3)) == -EINVAL, "sendfile: %m");
	send_message(&t, 50, 1);
	wait_poll(fd, POLLIN);
	expect(wanted(splice(fd, NULL, ends[1], NULL, 100, 0)) == -EINVAL, "from it: %m");
	expect_message(&t, 50, 1);
}

/* Asks for what the channel does anyway */
ROW(packet_o_direct)
{
	const char *path = row_path(r, "packet_echo");
	struct through t[N_THROUGH];
	int fd;

	open_through(r, t);
	for (int i = 0; i < N_THROUGH; i += 2) {
		expect(fcntl(t[i].to, F_SETFL, O_DIRECT) == 0, "%s: %m", t[i].name);
		expect(fcntl(t[i].to, F_GETFL) & O_DIRECT, "%s: not there", t[i].name);
		send_message(&t[i], 5, 0);
		send_message(&t[i], 6, 1);
		expect_message(&t[i], 5, 0);
		expect_message(&t[i], 6, 1);
	}
	fd = open(path, O_RDWR | O_DIRECT);
	expect(fd >= 0, "open with O_DIRECT: %m");
}

/* Memory that is not there: a read leaves the message, a write sends nothing */
ROW(packet_fault)
{
	int fd = row_open_echo(r, "packet_echo");
	struct through t = { "channel", fd, fd, true };
	char *two = mmap_shared(8192);

	expect(mprotect(two + 4096, 4096, PROT_NONE) == 0, "mprotect: %m");
	expect(wanted(write(fd, two + 4000, 200)) == -EFAULT, "write: %m");
	send_message(&t, 300, 1);
	expect(wanted(read(fd, two + 4000, 4000)) == -EFAULT, "read: %m");
	expect_message(&t, 300, 1);
	send_message(&t, 96, 2);
	expect(read(fd, two + 4000, 4000) == 96, "what fits before the hole: %m");
}

/* An empty message is not the end: there is HUP without IN at the end, and reads go on returning 0 */
ROW(packet_end)
{
	const char *path = row_path(r, "packet_echo");
	int from = open(path, O_RDONLY), to = row_open_echo(r, "packet_echo");
	struct through t = { "channel", to, from, true };

	expect(from >= 0, "open: %m");
	send_message(&t, 10, 1);
	send_message(&t, 0, 0);
	close(to);
	expect_message(&t, 10, 1);
	expect(poll_now(from, POLLIN) & POLLIN || wait_poll(from, POLLIN) & POLLIN, "no POLLIN");
	expect_message(&t, 0, 0);
	expect((wait_poll(from, POLLHUP) & (POLLIN | POLLHUP)) == POLLHUP, "the end");
	for (int i = 0; i < 3; i++)
		expect(read(from, back, 10) == 0, "the end: %m");
}

#define N_WRITERS  3
#define N_MESSAGES 2000U

static void write_numbers(int fd, uint32_t writer)
{
	static uint32_t message[1 + 1200];

	for (uint32_t i = 0; i < N_MESSAGES; i++) {
		size_t bytes = 4 * (1 + i % 1200);

		for (size_t k = 0; k < bytes / 4; k++)
			message[k] = writer << 24 | i;
		expect(write(fd, message, bytes) == (ssize_t)bytes, "write: %m");
	}
	_exit(0);
}

/* None is torn or mixed with another, and each writer's come in order */
ROW(packet_many_writers)
{
	int fd = row_open_echo(r, "packet_echo");
	uint32_t next[N_WRITERS] = { 0 }, *message = (uint32_t *)(void *)back;

	for (uint32_t i = 0; i < N_WRITERS; i++) {
		if (start_child() == 0)
			write_numbers(fd, i);
	}
	for (uint32_t n = 0; n < N_WRITERS * N_MESSAGES; n++) {
		ssize_t bytes = read(fd, back, sizeof(back));
		uint32_t writer = message[0] >> 24, i = message[0] & 0xffffff;

		expect(writer < N_WRITERS && i == next[writer]++, "writer %u, message %u", writer,
		       i);
		expect(bytes == 4 * (1 + i % 1200), "message %u has %zd bytes", i, bytes);
		for (ssize_t k = 0; k < bytes / 4; k++)
			expect(message[k] == message[0], "message %u is torn", i);
	}
}
