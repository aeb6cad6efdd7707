// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_fault.c - looking at a channel while another call on it sleeps in a page fault
 *
 * A page that userfaultfd(2) withholds stops a read or write in the middle of its copying, with the
 * lock of its direction held. Meanwhile a thread makes calls that must not sleep; it must end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

#define PAGE 4096U

/* How long a call that must not sleep may take on a loaded machine */
#define PROMPT_SECONDS 20

/**
 * struct looker - a thread that looks at a channel without sleeping
 * @fd: the channel
 * @events: what poll(2) said
 * @told: what an edge-triggered epoll_wait(2) with timeout 0 said
 * @readable: what FIONREAD said
 * @async: what switching O_ASYNC on and off returned
 */
struct looker {
	int fd;
	short events;
	uint32_t told;
	int readable;
	int async;
};

static void *look(void *arg)
{
	struct looker *l = arg;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC), flags = fcntl(l->fd, F_GETFL);

	l->events = poll_now(l->fd, POLLIN | POLLOUT);
	expect(!epoll_ctl(ep, EPOLL_CTL_ADD, l->fd, &event), "epoll: %m");
	event.events = 0;
	epoll_wait(ep, &event, 1, 0);
	l->told = event.events;
	expect(!ioctl(l->fd, FIONREAD, &l->readable), "FIONREAD: %m");
	l->async = fcntl(l->fd, F_SETFL, flags | O_ASYNC) | fcntl(l->fd, F_SETFL, flags);
	close(ep);
	return NULL;
}

/* expect_look() - what a look reports, and that it does not wait for the page */
static void expect_look(int fd, short events, int readable)
{
	struct looker l = { .fd = fd };
	struct timespec end;
	pthread_t thread;

	catch_signal(SIGIO, 0);
	expect(!pthread_create(&thread, NULL, look, &l), "thread");
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PROMPT_SECONDS;
	expect(!pthread_timedjoin_np(thread, NULL, &end), "a look sleeps while a page is away");
	expect(l.events == events, "poll says %#x, not %#x", (unsigned int)l.events,
	       (unsigned int)events);
	expect(l.told == (uint32_t)events, "epoll says %#x", l.told);
	expect(l.readable == readable, "FIONREAD says %d", l.readable);
	expect(!l.async, "O_ASYNC fails");
}

ROW(look_while_write_faults)
{
	int fd = row_open(r, "b; connect");
	struct away a = away_make(PAGE);
	struct async writer;

	async_start(&writer, true, fd, a.pages, PAGE);
	wait_poll(a.faults, POLLIN);
	expect_look(fd, POLLOUT, 0);
	steps(r, "send 10; wait b IN");
	expect_look(fd, POLLIN | POLLOUT, 10);
	away_give(&a);
	expect(async_join(&writer) == PAGE, "write: %ld: %m", writer.result);
}

ROW(look_while_read_faults)
{
	int fd = row_open(r, "b; connect; send 10; wait b IN");
	struct away a = away_make(PAGE);
	struct async reader;

	async_start(&reader, false, fd, a.pages, PAGE);
	wait_poll(a.faults, POLLIN);
	expect_look(fd, POLLIN | POLLOUT, 10);
	away_give(&a);
	expect(async_join(&reader) == 10, "read: %ld: %m", reader.result);
	expect_look(fd, POLLOUT, 0);
}

static long wait_for_room(struct async *a)
{
	return wait_poll(a->fd, POLLOUT);
}

/* A poller that came while the direction was locked is woken, too */
ROW(poll_comes_while_write_faults)
{
	int fd = row_open(r, "wn; write wn 64K-100 64K-100"), blocking = row_open(r, "w");
	struct away a = away_make(2 * PAGE);
	struct async writer, poller = { .call = wait_for_room, .fd = fd };

	async_start(&writer, true, blocking, a.pages, 2 * PAGE);
	wait_poll(a.faults, POLLIN);
	expect(poll_now(fd, POLLOUT) == 0, "there is room for 100 bytes, not for PIPE_BUF");
	async_run(&poller);
	away_give(&a);
	steps(r, "connect; skip 64K");
	expect(async_join(&poller) == POLLOUT, "poll says %#lx", poller.result);
	expect(async_join(&writer) == 2 * PAGE, "write: %ld: %m", writer.result);
}
