// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_epoll.c - epoll(7): no edge is missed, and none comes without a reason
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

static char buf[ROW_RING_BYTES];

#define EDGE_BYTES (2U << 20)

/* random_piece() - a length for the write at @done of EDGE_BYTES, whose bytes are put into @out */
static size_t random_piece(uint64_t *random, uint64_t done, char *out)
{
	size_t piece = random_size(random, ROW_RING_BYTES);

	if (piece > EDGE_BYTES - done)
		piece = (size_t)(EDGE_BYTES - done);
	pattern_fill(out, ROW_SEED, done, piece);
	return piece;
}

/* write_edge() - write pieces until there is no room; @short_too: or until one does not fit */
static uint64_t write_edge(int fd, uint64_t done, uint64_t *random, bool short_too)
{
	static char out[ROW_RING_BYTES];

	while (done < EDGE_BYTES) {
		size_t piece = random_piece(random, done, out);
		ssize_t n = write(fd, out, piece);

		expect(n > 0 || (n < 0 && errno == EAGAIN), "write returned %zd: %m", n);
		done += n > 0 ? (uint64_t)n : 0;
		if (n < 0 || (short_too && n < (ssize_t)piece))
			break;
	}
	return done;
}

/* read_edge() - read until EAGAIN; @short_too: or until less came than was asked for */
static uint64_t read_edge(int fd, uint64_t done, size_t piece, bool short_too)
{
	ssize_t n;

	while ((n = read(fd, buf, piece)) > 0) {
		expect_pattern(buf, done, (size_t)n);
		done += (uint64_t)n;
		if (short_too && n < (ssize_t)piece)
			return done;
	}
	expect(n < 0 && errno == EAGAIN, "read returned %zd: %m", n);
	return done;
}

/* edges_in() - a flood that the peer sends in odd pieces with pauses */
static void edges_in(struct row *r, size_t piece, bool short_too)
{
	int fd = row_open(r, "rn"), ep = epoll_edge(fd, EPOLLIN);
	uint64_t done = 0;

	steps(r, "connect; flood 2M"); /* answers at once */
	while (done < EDGE_BYTES) {
		wait_edge(ep, done);
		done = read_edge(fd, done, piece, short_too);
	}
}

ROW(epoll_edge_in)
{
	edges_in(r, sizeof(buf), false);
}

/* epoll(7), streams: after a read that returned less than it asked for, EAGAIN need not be seen */
ROW(epoll_edge_short_count)
{
	edges_in(r, 5000, true);
}

ROW(epoll_edge_out)
{
	int fd = row_open(r, "wn"), ep = epoll_edge(fd, EPOLLOUT);
	uint64_t done = 0, random = 1;

	steps(r, "connect; drain 2M"); /* answers at once, reads odd pieces with pauses */
	while (done < EDGE_BYTES) {
		wait_edge(ep, done);
		done = write_edge(fd, done, &random, false);
	}
	steps(r, "drained");
}

ROW(epoll_edge_hup)
{
	int fd = row_open(r, "rn"), ep = epoll_edge(fd, EPOLLIN);

	steps(r, "connect; leave");
	wait_edge(ep, 0);
	while (read(fd, buf, 1) < 0) {
		expect(errno == EAGAIN, "read: %m");
		wait_edge(ep, 0);
	}
}

/* One descriptor, one epoll, both directions: an event loop over an echo */
ROW(epoll_edge_both)
{
	int fd = row_open_echo(r, "echo"), ep;
	uint64_t sent = 0, got = 0, random = 3;

	set_nonblock(fd, true);
	ep = epoll_edge(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	while (got < EDGE_BYTES) {
		wait_edge(ep, got);
		sent = write_edge(fd, sent, &random, true);
		got = read_edge(fd, got, sizeof(buf), false);
	}
	expect(sent == EDGE_BYTES, "%llu bytes were sent", (unsigned long long)sent);
}

/* The end-of-file is one edge; reading it again does not make another */
ROW(epoll_edge_quiet_at_eof)
{
	int fd = row_open(r, "rn"), ep = epoll_edge(fd, EPOLLIN), n_edges = 0;
	ssize_t n;

	steps(r, "connect; leave");
	wait_edge(ep, 0);
	while ((n = read(fd, buf, 1)) < 0)
		wait_edge(ep, 0);
	steps(r, "pause"); /* the daemon has finished with that */
	while (edge_now(ep))
		expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
	for (unsigned int i = 0; i < 20; i++) {
		expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
		n_edges += edge_now(ep);
	}
	/* The driver wakes long waits now and then, so there may be one by chance */
	expect(n_edges < 10, "20 reads of the end-of-file made %d edges", n_edges);
	steps(r, "connect; send 10");
	while (read(fd, buf, 10) <= 0) /* the peer's coming is an edge, too */
		wait_edge(ep, 0);
	expect_pattern(buf, 0, 10);
}

/* expect_event() - what epoll reports, within the limit */
static void expect_event(int ep, uint32_t wanted)
{
	struct epoll_event event;

	expect(epoll_wait(ep, &event, 1, LIMIT_SECONDS / 2 * 1000) == 1 && event.events == wanted,
	       "reported %#x: %m", event.events);
}

ROW(epoll_level)
{
	int fd = row_open(r, "r"), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	expect(!edge_now(ep), "something is reported, though it is empty");
	steps(r, "connect; send 20");
	for (unsigned int i = 0; i < 3; i++)
		expect_event(ep, EPOLLIN);
	steps(r, "read r 20");
	expect(!edge_now(ep), "something is reported, though it is drained");
	steps(r, "leave");
	expect_event(ep, EPOLLHUP);
}

ROW(epoll_oneshot)
{
	int fd = row_open(r, "r"), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	steps(r, "connect; send 10");
	wait_edge(ep, 0);
	expect(!edge_now(ep), "something is reported after the one shot");
	expect(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0, "epoll_ctl: %m");
	wait_edge(ep, 10); /* the bytes are still there */
	steps(r, "read r 10");
	expect(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0, "epoll_ctl: %m");
	steps(r, "send 10");
	wait_edge(ep, 20);
}

/* Two epolls that watch one end both get the event */
ROW(epoll_two_watch)
{
	int fd = row_open(r, "rn"), other = row_open(r, "rn2; connect");
	int ep[2] = { epoll_edge(fd, EPOLLIN), epoll_edge(other, EPOLLIN) };

	for (unsigned int i = 0; i < 5; i++) {
		steps(r, "send 10");
		wait_edge(ep[0], i);
		wait_edge(ep[1], i);
		steps(r, "read rn 64K 10; read rn2 64K EAGAIN");
	}
}

/* Several writers that use edges over a ring of one page: each gets one when there is room */
ROW(epoll_edge_two_write)
{
	int fd[2] = { row_open_echo(r, "small_echo"),
		      open(row_path(r, "small_echo"), O_WRONLY | O_NONBLOCK | O_CLOEXEC) };
	int ep[2];
	uint64_t sent[2] = { 0 }, got = 0;

	set_nonblock(fd[0], true);
	ep[0] = epoll_edge(fd[0], EPOLLIN | EPOLLOUT);
	ep[1] = epoll_edge(fd[1], EPOLLOUT);
	memset(buf, 'x', sizeof(buf));
	while (got < 2 * 300000) {
		ssize_t n;

		for (unsigned int i = 0; i < 2; i++) {
			if (!edge_now(ep[i]))
				continue;
			while (sent[i] < 300000 && (n = write(fd[i], buf, 1000)) > 0)
				sent[i] += (uint64_t)n;
		}
		while ((n = read(fd[0], buf, sizeof(buf))) > 0)
			got += (uint64_t)n;
		expect(n < 0 && errno == EAGAIN, "read returned %zd: %m", n);
	}
	expect(sent[0] == 300000 && sent[1] == 300000 && got == 600000, "the counts are wrong");
}
