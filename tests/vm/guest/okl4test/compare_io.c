// SPDX-License-Identifier: BSD-3-Clause
/*
 * compare_io.c - scenarios: opening, reading, writing, and readiness
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rows.h"

static char buf[1U << 17];

/* Opening */

SCENARIO_STEPS(open_rdonly_alone, "try open r");
SCENARIO_STEPS(open_wronly_alone, "try open w");
SCENARIO_STEPS(open_rdonly_nonblock_alone, "try open rn");
SCENARIO_STEPS(open_wronly_nonblock_alone, "try open wn");
SCENARIO_STEPS(open_rdwr_alone, "try open b; try open bn");

SCENARIO(open_flags)
{
	static const int flags[] = { O_RDWR | O_TRUNC | O_APPEND, O_RDWR | O_DIRECT,
				     O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL,
				     O_RDONLY | O_DIRECTORY };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		say(r, "%s", open(r->path, flags[i]) < 0 ? strerrorname_np(errno) : "opens");
}

/* Reading */

SCENARIO_STEPS(read_before_first_writer, "open rn; read rn 10");
SCENARIO_STEPS(read_empty, "open r; connect; read r 0; try read r 10");
SCENARIO_STEPS(read_empty_nonblock, "open rn; connect; read rn 10");
SCENARIO_STEPS(read_end, "open r; connect; send 10; leave; "
			 "try read r 100; try read r 100; try read r 100");
SCENARIO_STEPS(read_after_end, "open r; connect; leave; try read r 100; connect; try read r 100");
SCENARIO_STEPS(read_end_twice_opened,
	       "open r; connect; leave; try read r 100; close r; open rn; try read rn 100");
SCENARIO_STEPS(bytes_outlive_openers,
	       "open rn; connect; send 10; leave; close rn; open rn; read rn 100");
SCENARIO_STEPS(wrong_direction, "open r; connect; open w; write r 1; read w 1");
SCENARIO_STEPS(read_interrupted,
	       "open r; connect; catch USR1; start read r 10; signal; joined; caught");

SCENARIO(read_what_is_there)
{
	struct iovec iov[2] = { { buf, 20 }, { buf + 100, 5000 } };
	int fd = row_open(r, "r; connect; send 100; read r 60");

	say_result(r, readv(fd, iov, 2));
}

SCENARIO(bad_address)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rx = row_open(r, "r; connect"), tx;

	tx = row_open(r, "w");
	say_result(r, write(tx, nowhere, 1));
	steps(r, "send 10");
	say_result(r, read(rx, nowhere, 1));
	steps(r, "read r 100");
}

/* Writing */

SCENARIO_STEPS(write_no_reader, "catch PIPE; open w; connect; leave; write w 0; write w 1; caught; "
				"write w 128K; caught");
SCENARIO_STEPS(write_after_return, "open w; connect; leave; write w 1; connect; write w 1");
SCENARIO_STEPS(write_full, "open w; idle; write w 64K; try write w 1");
SCENARIO_STEPS(write_full_nonblock, "open wn; idle; write wn 128K; write wn 1; write wn 128K");
SCENARIO_STEPS(rdwr_own_bytes, "open bn; idle; write bn 5; read bn 5");
SCENARIO_STEPS(rdwr_peer_gone, "open bn; connect; leave; read bn 5; write bn 5");
SCENARIO_STEPS(write_interrupted, "open w; idle; catch USR1; start write w 128K; signal; joined; "
				  "caught; catch USR1; start write w 10; signal; joined; caught");

SCENARIO(write_and_take)
{
	struct iovec iov[2] = { { buf, 20 }, { buf + 100, 5000 } };
	int fd = row_open(r, "w; connect; write w 100");

	say_result(r, writev(fd, iov, 2));
	steps(r, "write w 0; skip 5120");
}

/* fill_but() - fill the ring up to @room bytes */
static void fill_but(int fd, size_t room)
{
	size_t pages = (ROW_RING_BYTES - room) / 4096 * 4096;

	write_all(fd, buf, pages);
	write_all(fd, buf, ROW_RING_BYTES - room - pages);
}

SCENARIO(write_atomic_no_room)
{
	int fd = row_open(r, "wn; idle");

	fill_but(fd, PIPE_BUF - 1);
	steps(r, "write wn 4096; write wn 4095");
}

SCENARIO(write_partial_room)
{
	int fd = row_open(r, "wn; idle");

	fill_but(fd, 100);
	steps(r, "write wn 4097");
}

SCENARIO(write_capacity_in_pieces)
{
	int fd = row_open(r, "wn; idle");
	unsigned int n = 0;

	while (write(fd, buf, 3000) == 3000)
		n++;
	say(r, "%u", n);
	say_result(r, -1);
}

/* Readiness */

SCENARIO(poll_before_first_writer)
{
	int fd = open(r->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	say(r, "%#x", (unsigned int)poll_now(fd, POLLIN | POLLOUT));
}

SCENARIO_STEPS(poll_reader, "open r; connect; poll r; send 10; poll r; read r 10; poll r");
SCENARIO_STEPS(poll_reader_end, "open r; connect; send 10; leave; poll r; read r 10; poll r; "
				"read r 10; poll r; connect; poll r");
SCENARIO_STEPS(poll_writer, "open wn; idle; poll wn; write wn 128K; poll wn");
/* A full one is writable again once there is room for an atomic write, not earlier */
SCENARIO_STEPS(poll_writer_room, "open wn; idle; write wn 60K; poll wn; write wn 1; poll wn");
SCENARIO_STEPS(poll_writer_end, "open w; connect; leave; poll w; connect; poll w");
SCENARIO_STEPS(poll_rdwr, "open b; poll b; connect; poll b; send 10; poll b");
SCENARIO_STEPS(poll_rdwr_peer_gone, "open b; connect; leave; poll b");

SCENARIO(select_reader)
{
	int fd = row_open(r, "r; connect; leave");
	struct timeval none = { 0 };
	fd_set in, except;

	FD_ZERO(&in);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &except);
	say_result(r, select(fd + 1, &in, NULL, &except, &none));
	say(r, "%d %d", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &except) != 0);
}

SCENARIO(edge_drained)
{
	int fd = row_open(r, "rn; connect"), ep;

	ep = epoll_edge(fd, EPOLLIN);
	say(r, "%d", edge_now(ep));
	for (unsigned int i = 0; i < 3; i++) {
		steps(r, "send 10");
		wait_edge(ep, 10 * i);
		steps(r, "read rn 100; read rn 100");
		say(r, "%d", edge_now(ep));
	}
}

/* There may be a few edges in any case: the driver wakes long waits now and then */
SCENARIO(edge_not_drained)
{
	int fd = row_open(r, "rn; connect"), ep, n_edges = 0;

	ep = epoll_edge(fd, EPOLLIN);
	steps(r, "send 10");
	wait_edge(ep, 0);
	for (unsigned int i = 0; i < 20; i++) {
		steps(r, "send 10");
		n_edges += edge_now(ep);
	}
	say(r, n_edges == 20 ? "each" : "few");
}

/* say_readable() - what FIONREAD says */
static void say_readable(struct row *r, int fd)
{
	int n = -1;

	say_result(r, ioctl(fd, FIONREAD, &n));
	say(r, "%d", n);
}

SCENARIO(fionread)
{
	int fd = row_open(r, "r; connect");

	say_readable(r, fd);
	steps(r, "send 100");
	say_readable(r, fd);
}

SCENARIO(fionread_of_writer)
{
	int fd = row_open(r, "w; idle; write w 100");

	say_readable(r, fd);
}

SCENARIO(sigio)
{
	volatile int *caught = catch_signal(SIGIO, 0);
	int fd = row_open(r, "rn; connect");

	expect(fcntl(fd, F_SETOWN, getpid()) == 0, "F_SETOWN: %m");
	say_result(r, fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK));
	steps(r, "send 10");
	while (!*caught)
		sched_yield(); /* ends by alarm(2) */
	steps(r, "read rn 100");
	say_result(r, fcntl(fd, F_GETFL) & O_ASYNC ? 1 : 0);
}
