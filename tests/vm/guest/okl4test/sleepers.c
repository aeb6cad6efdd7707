// SPDX-License-Identifier: BSD-3-Clause
/*
 * sleepers.c - threads that sleep on a channel when its device goes away, and what they get
 *
 * The channel's host end must neither write nor read. Several threads of every kind go to sleep on
 * it; when all of them sleep, `asleep` is printed, and the test takes the device away. Each one
 * must wake up with what the fifo's table says. Then the open descriptors and new opens are tried,
 * and `gone` is printed. After the next line from stdin the device is back and all must work.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "pattern.h"
#include "util.h"

#define MAX_EACH    8
#define DRAIN_BYTES 1000
#define DRAIN_SEED  7

/**
 * struct sleeper - a thread that sleeps
 * @kind: how
 * @call: the call that it sleeps in
 */
struct sleeper {
	const struct kind *kind;
	struct async call;
};

/**
 * struct kind - a way to sleep; without @call, it is read(2) or, if @writes, write(2)
 * @name: for messages
 * @number: its system call
 * @polls: it waits for readiness and must get HUP and ERR; else its call must fail with EIO
 * @writes: into the channel
 * @call: makes the call, and fills in the async's events
 */
struct kind {
	const char *name;
	long number;
	bool polls;
	bool writes;
	long (*call)(struct async *a);
};

static long call_poll(struct async *s)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN | POLLOUT };
	long n = syscall(SYS_ppoll, &pfd, 1, NULL, NULL, 0);

	s->events = (unsigned short)pfd.revents; /* poll(2)'s bits are epoll's */
	return n;
}

/* epoll() - level-triggered or edge-triggered; @flags: EPOLLET or 0 */
static long epoll(struct async *s, uint32_t flags)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | flags };
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	long n;

	expect(epfd >= 0 && !epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &event), "epoll: %m");
	n = syscall(SYS_epoll_pwait, epfd, &event, 1, -1, NULL, 0);
	s->events = event.events;
	close(epfd);
	return n;
}

static long call_epoll(struct async *s)
{
	return epoll(s, 0);
}

static long call_epoll_edge(struct async *s)
{
	return epoll(s, EPOLLET);
}

/* call_select() - HUP or ERR make it readable, ERR writable; there are no bytes and no room */
static long call_select(struct async *s)
{
	fd_set in, out;
	long n;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(s->fd, &in);
	FD_SET(s->fd, &out);
	n = syscall(SYS_pselect6, s->fd + 1, &in, &out, NULL, NULL, NULL);
	s->events = (FD_ISSET(s->fd, &in) ? EPOLLHUP : 0) | (FD_ISSET(s->fd, &out) ? EPOLLERR : 0);
	return n == 2 ? 1 : n;
}

/* splice_with() - from the channel into a pipe, or the other way */
static long splice_with(struct async *s, bool writes)
{
	int ends[2], error;
	long n;

	expect(pipe(ends) == 0 && write(ends[1], "x", 1) == 1, "pipe: %m");
	n = writes ? splice(ends[0], NULL, s->fd, NULL, 1, 0) :
		     splice(s->fd, NULL, ends[1], NULL, 1, 0);
	error = errno;
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return n;
}

static long call_splice_read(struct async *s)
{
	return splice_with(s, false);
}

static long call_splice_write(struct async *s)
{
	return splice_with(s, true);
}

static const struct kind kinds[] = {
	{ "read", SYS_read, false, false, NULL },
	{ "write", SYS_write, false, true, NULL },
	{ "poll", SYS_ppoll, true, false, call_poll },
	{ "epoll", SYS_epoll_pwait, true, false, call_epoll },
	{ "edge-triggered epoll", SYS_epoll_pwait, true, false, call_epoll_edge },
	{ "select", SYS_pselect6, true, false, call_select },
	{ "splice from it", SYS_splice, false, false, call_splice_read },
	{ "splice to it", SYS_splice, false, true, call_splice_write },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* start() - start a sleeper and wait until it sleeps */
static void start(struct sleeper *s, int fd)
{
	static char byte;

	if (s->kind->call) {
		s->call = (struct async){ .number = s->kind->number, .call = s->kind->call };
		s->call.fd = fd;
		async_run(&s->call);
	} else {
		async_start(&s->call, s->kind->writes, fd, &byte, 1);
	}
	async_wait_blocked(&s->call);
}

/* check() - wait for a sleeper to wake up, and check what it got */
static void check(struct sleeper *s)
{
	const unsigned int both = EPOLLHUP | EPOLLERR;
	long n = async_join(&s->call);

	if (s->kind->polls)
		expect(n == 1 && (s->call.events & both) == both,
		       "%s: %ld (%m), events %#x, not HUP and ERR", s->kind->name, n,
		       s->call.events);
	else
		expect(n == -1 && errno == EIO, "%s: %ld (%m), not EIO", s->kind->name, n);
}

/* wait_bytes() - wait until DRAIN_BYTES can be read */
static void wait_bytes(int fd)
{
	uint64_t end = now_ns() + LIMIT_SECONDS * 1000000000ULL;
	int n = 0;

	while (n < DRAIN_BYTES) {
		expect(ioctl(fd, FIONREAD, &n) == 0, "FIONREAD: %m");
		expect(now_ns() < end, "only %d bytes came", n);
		sched_yield();
	}
}

/* check_gone() - what the descriptors and new opens say while there is no device */
static void check_gone(const char *path, int fd, int drain)
{
	short both = POLLHUP | POLLERR;
	char buf[DRAIN_BYTES];

	expect((poll_now(fd, POLLIN | POLLOUT) & (both | POLLIN | POLLOUT)) == both,
	       "poll: %#x, not HUP and ERR", (unsigned int)poll_now(fd, POLLIN | POLLOUT));
	for (int nonblock = 0; nonblock < 2; nonblock++) {
		set_nonblock(fd, nonblock);
		expect_errno(read(fd, buf, 1), EIO);
		expect_errno(write(fd, "x", 1), EIO);
	}
	set_nonblock(fd, false);
	expect_errno(open(path, O_RDWR), ENXIO);
	expect_errno(open(path, O_RDONLY | O_NONBLOCK), ENXIO);

	/* This is another channel, and channels go one after the other. */
	wait_poll(drain, 0);
	expect((poll_now(drain, POLLIN) & (both | POLLIN)) == (both | POLLIN), "poll: not IN");
	expect_errno(write(drain, "x", 1), EIO);
	read_all(drain, buf, sizeof(buf));
	expect(pattern_check(buf, DRAIN_SEED, 0, sizeof(buf)) == sizeof(buf), "wrong bytes");
	expect_errno(read(drain, buf, 1), EIO);
}

/* check_back() - when the device is back, new opens work, and what is open goes on */
static void check_back(const char *path, int fd, int drain)
{
	int other = open(path, O_RDWR | O_CLOEXEC);

	expect(other >= 0, "%s: %m", path);
	expect(poll_now(fd, POLLIN | POLLOUT) == 0, "poll: %#x",
	       (unsigned int)poll_now(fd, POLLIN | POLLOUT));
	expect(poll_now(other, POLLIN | POLLOUT) == 0, "poll of a new descriptor is not the same");
	set_nonblock(fd, true);
	expect_errno(read(fd, &(char){ 0 }, 1), EAGAIN);
	expect_errno(write(fd, "x", 1), EAGAIN);
	close(other);
	write_all(drain, "back", 4); /* to the peer of that channel */
}

COMMAND(sleepers, "NODE drain=NODE [each=N]")
{
	size_t each = (size_t)parse_bytes(argument(argv, "each", "1"));
	static struct sleeper sleepers[N_KINDS * MAX_EACH];
	int fd = open_node(argv[0], O_RDWR), drain;
	char line[16];

	expect(each >= 1 && each <= MAX_EACH, "each: 1 to %d", MAX_EACH);
	drain = open_node(argument(argv, "drain", ""), O_RDWR);
	wait_bytes(drain);
	fill_ring(fd);
	for (size_t i = 0; i < each * N_KINDS; i++) {
		sleepers[i].kind = &kinds[i % N_KINDS];
		start(&sleepers[i], fd);
	}
	puts("asleep");
	for (size_t i = 0; i < each * N_KINDS; i++)
		check(&sleepers[i]);
	check_gone(argv[0], fd, drain);
	puts("gone");
	expect(fgets(line, sizeof(line), stdin), "stdin ends");
	check_back(argv[0], fd, drain);
	puts("back");
	return 0;
}
