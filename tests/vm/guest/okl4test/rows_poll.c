// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_poll.c - poll(2), select(2), epoll(7), as fifo(7) and pipe(7) have them
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

/* The system calls behind poll(3); newer architectures have only the latter */
#ifdef SYS_poll
#define POLL_NUMBER SYS_poll
#else
#define POLL_NUMBER SYS_ppoll
#endif

#define ALL_EVENTS (POLLIN | POLLOUT | POLLERR | POLLHUP)

static char buf[ROW_RING_BYTES];

/* expect_poll() - poll says just @wanted at this moment */
static void expect_poll(int fd, short wanted)
{
	short seen = poll_now(fd, POLLIN | POLLOUT);

	expect((seen & ALL_EVENTS) == wanted, "poll says %#x, not %#x", (unsigned int)seen,
	       (unsigned int)wanted);
}

/**
 * struct poller - a thread that sleeps in poll(2)
 * @thread: handle
 * @fd: what it polls
 * @events: for what
 * @tid: its thread id, once it runs
 * @seen: what poll said
 */
struct poller {
	pthread_t thread;
	int fd;
	short events;
	pid_t tid;
	short seen;
};

static void poll_before_first_open(struct row *r)
{
	expect_poll(row_open(r, O_RDONLY), 0); /* not even HUP */
	expect_poll(row_open(r, O_WRONLY), POLLOUT);
	expect_poll(row_open(r, O_RDWR), POLLOUT);
}

static void poll_in(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	peer(r, "connect");
	expect_poll(fd, 0);
	peer(r, "send 10");
	expect(wait_poll(fd, POLLIN) == POLLIN, "poll does not report just POLLIN");
	read_all(fd, buf, 10);
	expect_poll(fd, 0);
}

static void poll_out(struct row *r)
{
	int fd = row_open(r, O_WRONLY);

	expect(fill_ring(fd) == ROW_RING_BYTES, "the ring has another size");
	expect_poll(fd, 0);
	peer(r, "connect");
	peer(r, "skip %u", ROW_RING_BYTES);
	expect(wait_poll(fd, POLLOUT) == POLLOUT, "poll does not report just POLLOUT");
}

static void poll_hup(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "close");
	expect(wait_poll(fd, 0) == POLLHUP, "poll does not report POLLHUP");
	expect_poll(fd, POLLIN | POLLHUP); /* there are still bytes */
	read_all(fd, buf, 10);
	expect(poll_now(fd, POLLIN) & POLLHUP, "POLLHUP goes away");
	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "taken");
	expect_poll(fd, POLLIN); /* the peer is back */
}

static void poll_err(struct row *r)
{
	int fd = row_open(r, O_WRONLY);

	peer(r, "connect");
	peer(r, "close");
	expect(wait_poll(fd, 0) == POLLERR, "poll does not report POLLERR");
	peer(r, "connect");
	while (poll_now(fd, 0) & POLLERR)
		sched_yield(); /* ends by alarm(2) if POLLERR stays */
	expect_poll(fd, POLLOUT);
}

/* poll_thread() - sleep in poll(2) */
static void *poll_thread(void *arg)
{
	struct poller *p = arg;

	__atomic_store_n(&p->tid, gettid(), __ATOMIC_RELEASE);
	p->seen = wait_poll(p->fd, p->events);
	return NULL;
}

/* poll_wakes() - a sleeper in poll(2) is woken by what the peer does */
static void poll_wakes(struct row *r, int fd, short events, const char *what)
{
	struct poller p = { .fd = fd, .events = events };

	expect(!pthread_create(&p.thread, NULL, poll_thread, &p), "pthread_create");
	while (!thread_sleeps_in(__atomic_load_n(&p.tid, __ATOMIC_ACQUIRE), POLL_NUMBER))
		sched_yield(); /* ends by alarm(2) */
	peer(r, "%s", what);
	pthread_join(p.thread, NULL);
	expect(p.seen, "poll returned nothing");
}

static void poll_wakes_sleepers(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);

	expect(fill_ring(tx) == ROW_RING_BYTES, "the ring has another size");
	peer(r, "connect");
	poll_wakes(r, rx, POLLIN, "send 10");
	read_all(rx, buf, 10);
	peer(r, "skip %u", ROW_RING_BYTES);
	poll_wakes(r, rx, 0, "close");
}

static void select_works(struct row *r)
{
	struct timeval limit = { .tv_sec = LIMIT_SECONDS }, none = { 0 };
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);
	fd_set in, out;

	peer(r, "connect");
	FD_ZERO(&in);
	FD_SET(rx, &in);
	FD_ZERO(&out);
	FD_SET(tx, &out);
	expect(select(tx + 1, &in, &out, NULL, &none) == 1, "select: %m");
	expect(FD_ISSET(tx, &out) && !FD_ISSET(rx, &in), "not writable, or readable");
	peer(r, "send 10");
	FD_ZERO(&in);
	FD_SET(rx, &in);
	expect(select(rx + 1, &in, NULL, NULL, &limit) == 1 && FD_ISSET(rx, &in), "not readable");
}

const struct row_entry rows_poll[] = {
	{ "poll_before_first_open", poll_before_first_open },
	{ "poll_in", poll_in },
	{ "poll_out", poll_out },
	{ "poll_hup", poll_hup },
	{ "poll_err", poll_err },
	{ "poll_wakes_sleepers", poll_wakes_sleepers },
	{ "select_works", select_works },
	{ NULL, NULL },
};
