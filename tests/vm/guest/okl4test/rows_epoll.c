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

/* epoll_edge() - an edge-triggered epoll on one descriptor */
static int epoll_edge(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	return ep;
}

/* wait_edge() - the next edge, or the end of the test */
static void wait_edge(int ep, uint64_t done)
{
	struct epoll_event event;
	int n = epoll_wait(ep, &event, 1, LIMIT_SECONDS / 2 * 1000);

	expect(n == 1, "after %llu bytes no edge came: %d: %m", (unsigned long long)done, n);
}

#define EDGE_BYTES (2U << 20)

static void epoll_edge_in(struct row *r)
{
	int fd = row_open(r, O_RDONLY | O_NONBLOCK), ep = epoll_edge(fd, EPOLLIN);
	uint64_t done = 0;

	peer(r, "connect");
	peer(r, "flood %u", EDGE_BYTES); /* answers at once, sends odd pieces with pauses */
	while (done < EDGE_BYTES) {
		ssize_t n;

		wait_edge(ep, done);
		while ((n = read(fd, buf, sizeof(buf))) > 0) {
			expect_pattern(buf, done, (size_t)n);
			done += (uint64_t)n;
		}
		expect(n < 0 && errno == EAGAIN, "read returned %zd: %m", n);
	}
}

static void epoll_edge_out(struct row *r)
{
	int fd = row_open(r, O_WRONLY | O_NONBLOCK), ep = epoll_edge(fd, EPOLLOUT);
	uint64_t done = 0, random = 1;

	peer(r, "connect");
	peer(r, "drain %u", EDGE_BYTES); /* answers at once, reads odd pieces with pauses */
	while (done < EDGE_BYTES) {
		ssize_t n = 0;

		wait_edge(ep, done);
		while (done < EDGE_BYTES && n >= 0) {
			size_t piece = random_size(&random, sizeof(buf));

			if (piece > EDGE_BYTES - done)
				piece = (size_t)(EDGE_BYTES - done);
			pattern_fill(buf, 7, done, piece);
			n = write(fd, buf, piece);
			expect(n > 0 || errno == EAGAIN, "write returned %zd: %m", n);
			done += n > 0 ? (uint64_t)n : 0;
		}
	}
	peer(r, "drained");
}

static void epoll_edge_hup(struct row *r)
{
	int fd = row_open(r, O_RDONLY | O_NONBLOCK), ep = epoll_edge(fd, EPOLLIN);

	peer(r, "connect");
	peer(r, "close");
	wait_edge(ep, 0);
	while (read(fd, buf, 1) < 0) {
		expect(errno == EAGAIN, "read: %m");
		wait_edge(ep, 0);
	}
}

/* expect_no_edge() - nothing is reported at this moment */
static void expect_no_edge(int ep, const char *when)
{
	struct epoll_event event;
	int n = epoll_wait(ep, &event, 1, 0);

	expect(n == 0, "%s: %d, events %#x: %m", when, n, event.events);
}

/* epoll(7), streams: after a read that returned less than it asked for, EAGAIN need not be seen */
static void epoll_edge_short_count(struct row *r)
{
	int fd = row_open(r, O_RDONLY | O_NONBLOCK), ep = epoll_edge(fd, EPOLLIN);
	uint64_t done = 0;

	peer(r, "connect");
	peer(r, "flood %u", EDGE_BYTES);
	while (done < EDGE_BYTES) {
		ssize_t n;

		wait_edge(ep, done);
		do {
			n = read(fd, buf, 5000);
			expect(n > 0 || (n < 0 && errno == EAGAIN), "read returned %zd: %m", n);
			expect_pattern(buf, done, n > 0 ? (size_t)n : 0);
			done += n > 0 ? (uint64_t)n : 0;
		} while (n == 5000);
	}
}

/* both_write() - write pieces until one does not fit */
static uint64_t both_write(int fd, uint64_t done, uint64_t *random)
{
	static char out[ROW_RING_BYTES];

	while (done < EDGE_BYTES) {
		size_t piece = random_size(random, sizeof(out));
		ssize_t n;

		if (piece > EDGE_BYTES - done)
			piece = (size_t)(EDGE_BYTES - done);
		pattern_fill(out, 7, done, piece);
		n = write(fd, out, piece);
		expect(n > 0 || (n < 0 && errno == EAGAIN), "write returned %zd: %m", n);
		done += n > 0 ? (uint64_t)n : 0;
		if (n < (ssize_t)piece)
			break;
	}
	return done;
}

/* One descriptor, one epoll, both directions: an event loop over an echo */
static void epoll_edge_both(struct row *r)
{
	int fd = row_open_echo(r, "echo"), ep;
	uint64_t sent = 0, got = 0, random = 3;

	set_nonblock(fd, true);
	ep = epoll_edge(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	while (got < EDGE_BYTES) {
		ssize_t n;

		wait_edge(ep, got);
		sent = both_write(fd, sent, &random);
		while ((n = read(fd, buf, sizeof(buf))) > 0) {
			expect_pattern(buf, got, (size_t)n);
			got += (uint64_t)n;
		}
		expect(n < 0 && errno == EAGAIN, "read returned %zd: %m", n);
	}
	expect(sent == EDGE_BYTES, "%llu bytes were sent", (unsigned long long)sent);
}

/* The end-of-file is one edge; reading it again does not make another */
static void epoll_edge_quiet_at_eof(struct row *r)
{
	unsigned int n_edges = 0;
	int fd = row_open(r, O_RDONLY | O_NONBLOCK), ep = epoll_edge(fd, EPOLLIN);
	ssize_t n;

	peer(r, "connect");
	peer(r, "close");
	wait_edge(ep, 0);
	while ((n = read(fd, buf, 1)) < 0)
		wait_edge(ep, 0);
	peer(r, "pause"); /* the daemon has finished with that */
	while (epoll_wait(ep, &(struct epoll_event){ 0 }, 1, 0) == 1)
		expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
	for (unsigned int i = 0; i < 20; i++) {
		expect(read(fd, buf, 1) == 0, "no end-of-file: %m");
		n_edges += epoll_wait(ep, &(struct epoll_event){ 0 }, 1, 0) == 1;
	}
	/* The driver wakes long waits now and then, so there may be one by chance */
	expect(n_edges < 10, "20 reads of the end-of-file made %u edges", n_edges);
	peer(r, "connect");
	peer(r, "send 10");
	while (read(fd, buf, 10) <= 0) /* the peer's coming is an edge, too */
		wait_edge(ep, 0);
	expect_pattern(buf, 0, 10);
}

static void epoll_level(struct row *r)
{
	int fd = row_open(r, O_RDONLY), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	expect_no_edge(ep, "empty");
	peer(r, "connect");
	peer(r, "send 20");
	for (unsigned int i = 0; i < 3; i++)
		expect(epoll_wait(ep, &event, 1, LIMIT_SECONDS / 2 * 1000) == 1 &&
			       event.events == EPOLLIN,
		       "reported %#x: %m", event.events);
	read_all(fd, buf, 20);
	expect_no_edge(ep, "drained");
	peer(r, "close");
	expect(epoll_wait(ep, &event, 1, LIMIT_SECONDS / 2 * 1000) == 1 && event.events == EPOLLHUP,
	       "reported %#x: %m", event.events);
}

static void epoll_oneshot(struct row *r)
{
	int fd = row_open(r, O_RDONLY), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	peer(r, "connect");
	peer(r, "send 10");
	wait_edge(ep, 0);
	expect_no_edge(ep, "after the one shot");
	event.events = EPOLLIN | EPOLLONESHOT;
	expect(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0, "epoll_ctl: %m");
	wait_edge(ep, 10); /* the bytes are still there */
	read_all(fd, buf, 10);
	event.events = EPOLLIN | EPOLLONESHOT;
	expect(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0, "epoll_ctl: %m");
	peer(r, "send 10");
	wait_edge(ep, 20);
}

/* Two epolls that watch one end both get the event */
static void epoll_two_watch(struct row *r)
{
	int fd = row_open(r, O_RDONLY | O_NONBLOCK), other = row_open(r, O_RDONLY | O_NONBLOCK);
	int ep[2] = { epoll_edge(fd, EPOLLIN), epoll_edge(other, EPOLLIN) };

	peer(r, "connect");
	for (unsigned int i = 0; i < 5; i++) {
		ssize_t n;

		peer(r, "send 10");
		wait_edge(ep[0], i);
		wait_edge(ep[1], i);
		n = read(fd, buf, sizeof(buf));
		expect(n == 10, "read returned %zd: %m", n);
		expect_errno(read(other, buf, sizeof(buf)), EAGAIN);
	}
}

/* Several writers that use edges over a ring of one page: each gets one when there is room */
static void epoll_edge_two_write(struct row *r)
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
		struct epoll_event event;
		ssize_t n;

		for (unsigned int i = 0; i < 2; i++) {
			if (epoll_wait(ep[i], &event, 1, 0) != 1)
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

const struct row_entry rows_epoll[] = {
	{ "epoll_level", epoll_level },
	{ "epoll_oneshot", epoll_oneshot },
	{ "epoll_two_watch", epoll_two_watch },
	{ "epoll_edge_in", epoll_edge_in },
	{ "epoll_edge_out", epoll_edge_out },
	{ "epoll_edge_hup", epoll_edge_hup },
	{ "epoll_edge_short_count", epoll_edge_short_count },
	{ "epoll_edge_both", epoll_edge_both },
	{ "epoll_edge_quiet_at_eof", epoll_edge_quiet_at_eof },
	{ "epoll_edge_two_write", epoll_edge_two_write },
	{ NULL, NULL },
};
