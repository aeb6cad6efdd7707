// SPDX-License-Identifier: BSD-3-Clause
/*
 * compare_poll.c - scenarios: readiness, and how it is reported
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

#include "compare.h"

static char buf[1U << 17];

static void poll_before_first_writer(struct side *s)
{
	int fd = open(s->row.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	say_poll(s, fd);
}

static void poll_reader(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	say_poll(s, fd);
	peer_send(s, 10);
	say_poll(s, fd);
	say_result(s, read(fd, buf, 10));
	say_poll(s, fd);
}

static void poll_reader_end(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_send(s, 10);
	peer_leave(s);
	say_poll(s, fd);
	say_result(s, read(fd, buf, 10));
	say_poll(s, fd);
	say_result(s, read(fd, buf, 10));
	say_poll(s, fd);
	peer_join(s);
	say_poll(s, fd);
}

static void poll_writer(struct side *s)
{
	int fd = node_open(s, O_WRONLY | O_NONBLOCK);

	peer_idle(s);
	say_poll(s, fd);
	say_result(s, write(fd, buf, sizeof(buf)));
	say_poll(s, fd);
}

/* A full one is writable again once there is room for an atomic write, not earlier */
static void poll_writer_room(struct side *s)
{
	int fd = node_open(s, O_WRONLY | O_NONBLOCK);

	peer_idle(s);
	say_result(s, write(fd, buf, 15 * 4096));
	say_poll(s, fd);
	say_result(s, write(fd, buf, 1));
	say_poll(s, fd);
}

static void poll_writer_end(struct side *s)
{
	int fd = node_open(s, O_WRONLY);

	peer_join(s);
	peer_leave(s);
	say_poll(s, fd);
	peer_join(s);
	say_poll(s, fd);
}

static void poll_rdwr(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	say_poll(s, fd);
	peer_join(s);
	say_poll(s, fd);
	peer_send(s, 10);
	say_poll(s, fd);
}

static void poll_rdwr_peer_gone(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	peer_join(s);
	peer_leave(s);
	say_poll(s, fd);
}

static void select_reader(struct side *s)
{
	int fd = node_open(s, O_RDONLY);
	struct timeval none = { 0 };
	fd_set in, except;

	peer_join(s);
	peer_leave(s);
	FD_ZERO(&in);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &except);
	say_result(s, select(fd + 1, &in, NULL, &except, &none));
	say(s, "%d %d", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &except) != 0);
}

/* say_edge() - add how many edges are pending: 0 or 1 */
static void say_edge(struct side *s, int ep)
{
	struct epoll_event event;

	say_result(s, epoll_wait(ep, &event, 1, 0));
}

/* watch_edges() - an edge-triggered epoll on one descriptor */
static int watch_edges(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	return ep;
}

/* wait_edge() - wait for the edge that must come, and take it */
static void wait_edge(int ep)
{
	struct epoll_event event;

	expect(epoll_wait(ep, &event, 1, LIMIT_SECONDS / 2 * 1000) == 1, "no edge: %m");
}

static void edge_drained(struct side *s)
{
	int fd = node_open(s, O_RDONLY | O_NONBLOCK), ep;

	peer_join(s);
	ep = watch_edges(fd, EPOLLIN);
	say_edge(s, ep);
	for (unsigned int i = 0; i < 3; i++) {
		peer_send(s, 10);
		wait_edge(ep);
		say_result(s, read(fd, buf, 100));
		say_result(s, read(fd, buf, 100));
		say_edge(s, ep);
	}
}

/* There may be a few edges in any case: the driver wakes long waits now and then */
static void edge_not_drained(struct side *s)
{
	int fd = node_open(s, O_RDONLY | O_NONBLOCK), ep;
	unsigned int n_edges = 0;
	struct epoll_event event;

	peer_join(s);
	ep = watch_edges(fd, EPOLLIN);
	peer_send(s, 10);
	wait_edge(ep);
	for (unsigned int i = 0; i < 20; i++) {
		peer_send(s, 10);
		n_edges += epoll_wait(ep, &event, 1, 0) == 1;
	}
	say(s, n_edges == 20 ? "each" : "few");
}

static void fionread(struct side *s)
{
	int fd = node_open(s, O_RDONLY), n = -1;

	peer_join(s);
	say_result(s, ioctl(fd, FIONREAD, &n));
	say(s, "%d", n);
	peer_send(s, 100);
	say_result(s, ioctl(fd, FIONREAD, &n));
	say(s, "%d", n);
}

static void fionread_of_writer(struct side *s)
{
	int fd = node_open(s, O_WRONLY), n = -1;

	peer_idle(s);
	say_result(s, write(fd, buf, 100));
	say_result(s, ioctl(fd, FIONREAD, &n));
	say(s, "%d", n);
}

static void sigio(struct side *s)
{
	volatile int *caught = catch_signal(SIGIO);
	int fd = node_open(s, O_RDONLY | O_NONBLOCK);

	peer_join(s);
	expect(fcntl(fd, F_SETOWN, getpid()) == 0, "F_SETOWN: %m");
	say_result(s, fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
	peer_send(s, 10);
	while (!*caught)
		sched_yield(); /* ends by alarm(2) */
	say_result(s, read(fd, buf, 100));
	say_result(s, fcntl(fd, F_GETFL) & O_ASYNC ? 1 : 0);
}

const struct scenario scenarios_poll[] = {
	{ "poll_before_first_writer", poll_before_first_writer },
	{ "poll_reader", poll_reader },
	{ "poll_reader_end", poll_reader_end },
	{ "poll_writer", poll_writer },
	{ "poll_writer_room", poll_writer_room },
	{ "poll_writer_end", poll_writer_end },
	{ "poll_rdwr", poll_rdwr },
	{ "poll_rdwr_peer_gone", poll_rdwr_peer_gone },
	{ "select_reader", select_reader },
	{ "edge_drained", edge_drained },
	{ "edge_not_drained", edge_not_drained },
	{ "fionread", fionread },
	{ "fionread_of_writer", fionread_of_writer },
	{ "sigio", sigio },
	{ NULL, NULL },
};
