// SPDX-License-Identifier: BSD-3-Clause
/*
 * compare_io.c - scenarios: opening, reading and writing
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "compare.h"

static char buf[1U << 17];

static void open_rdonly_alone(struct side *s)
{
	say_open(s, O_RDONLY);
}

static void open_wronly_alone(struct side *s)
{
	say_open(s, O_WRONLY);
}

static void open_rdonly_nonblock_alone(struct side *s)
{
	say_open(s, O_RDONLY | O_NONBLOCK);
}

static void open_wronly_nonblock_alone(struct side *s)
{
	say_open(s, O_WRONLY | O_NONBLOCK);
}

static void open_rdwr_alone(struct side *s)
{
	say_open(s, O_RDWR);
	say_open(s, O_RDWR | O_NONBLOCK);
}

static void open_flags(struct side *s)
{
	say_open(s, O_RDWR | O_TRUNC | O_APPEND);
	say_open(s, O_RDWR | O_DIRECT);
	say_open(s, O_RDWR | O_CREAT);
	say_open(s, O_RDWR | O_CREAT | O_EXCL);
	say_open(s, O_RDONLY | O_DIRECTORY);
}

static void read_before_first_writer(struct side *s)
{
	say_result(s, read(node_open(s, O_RDONLY | O_NONBLOCK), buf, 10));
}

static void read_empty(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	say_result(s, read(fd, buf, 0));
	say_read(s, fd, 10);
}

static void read_empty_nonblock(struct side *s)
{
	int fd = node_open(s, O_RDONLY | O_NONBLOCK);

	peer_join(s);
	say_result(s, read(fd, buf, 10));
}

static void read_what_is_there(struct side *s)
{
	struct iovec iov[2] = { { buf, 20 }, { buf + 100, 5000 } };
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_send(s, 100);
	say_result(s, read(fd, buf, 60));
	say_result(s, readv(fd, iov, 2));
}

static void read_end(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_send(s, 10);
	peer_leave(s);
	say_read(s, fd, 100);
	say_read(s, fd, 100);
	say_read(s, fd, 100);
}

static void read_after_end(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_leave(s);
	say_read(s, fd, 100);
	peer_join(s);
	say_read(s, fd, 100);
}

static void read_end_twice_opened(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_leave(s);
	say_read(s, fd, 100);
	close(fd);
	fd = node_open(s, O_RDONLY | O_NONBLOCK);
	say_read(s, fd, 100);
}

static void bytes_outlive_openers(struct side *s)
{
	int fd = node_open(s, O_RDONLY | O_NONBLOCK);

	peer_join(s);
	peer_send(s, 10);
	peer_leave(s);
	close(fd);
	fd = node_open(s, O_RDONLY | O_NONBLOCK);
	say_result(s, read(fd, buf, 100));
}

static void wrong_direction(struct side *s)
{
	int rx = node_open(s, O_RDONLY), tx;

	peer_join(s);
	tx = node_open(s, O_WRONLY);
	say_result(s, write(rx, buf, 1));
	say_result(s, read(tx, buf, 1));
}

static void bad_address(struct side *s)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rx = node_open(s, O_RDONLY), tx;

	peer_join(s);
	tx = node_open(s, O_WRONLY);
	say_result(s, write(tx, nowhere, 1));
	peer_send(s, 10);
	say_result(s, read(rx, nowhere, 1));
	say_result(s, read(rx, buf, 100));
}

static void write_and_take(struct side *s)
{
	struct iovec iov[2] = { { buf, 20 }, { buf + 100, 5000 } };
	int fd = node_open(s, O_WRONLY);

	peer_join(s);
	say_result(s, write(fd, buf, 100));
	say_result(s, writev(fd, iov, 2));
	say_result(s, write(fd, buf, 0));
	peer_take(s, 5120);
}

static void write_no_reader(struct side *s)
{
	volatile int *caught = catch_signal(SIGPIPE);
	int fd = node_open(s, O_WRONLY);

	peer_join(s);
	peer_leave(s);
	say_result(s, write(fd, buf, 0));
	say_result(s, write(fd, buf, 1));
	say(s, "%d", *caught);
	say_result(s, write(fd, buf, sizeof(buf)));
	say(s, "%d", *caught);
}

static void write_after_return(struct side *s)
{
	int fd = node_open(s, O_WRONLY);

	signal(SIGPIPE, SIG_IGN);
	peer_join(s);
	peer_leave(s);
	say_result(s, write(fd, buf, 1));
	peer_join(s);
	say_result(s, write(fd, buf, 1));
}

static void write_full(struct side *s)
{
	int fd = node_open(s, O_WRONLY);

	peer_idle(s);
	say_result(s, write(fd, buf, ROW_RING_BYTES));
	say_write(s, fd, 1);
}

static void write_full_nonblock(struct side *s)
{
	int fd = node_open(s, O_WRONLY | O_NONBLOCK);

	peer_idle(s);
	say_result(s, write(fd, buf, sizeof(buf)));
	say_result(s, write(fd, buf, 1));
	say_result(s, write(fd, buf, sizeof(buf)));
}

/* fill_but() - fill the ring up to @room bytes */
static void fill_but(int fd, size_t room)
{
	size_t pages = (ROW_RING_BYTES - room) / 4096 * 4096;

	write_all(fd, buf, pages);
	write_all(fd, buf, ROW_RING_BYTES - room - pages);
}

static void write_atomic_no_room(struct side *s)
{
	int fd = node_open(s, O_WRONLY | O_NONBLOCK);

	peer_idle(s);
	fill_but(fd, PIPE_BUF - 1);
	say_result(s, write(fd, buf, PIPE_BUF));
	say_result(s, write(fd, buf, PIPE_BUF - 1));
}

static void write_partial_room(struct side *s)
{
	int fd = node_open(s, O_WRONLY | O_NONBLOCK);

	peer_idle(s);
	fill_but(fd, 100);
	say_result(s, write(fd, buf, PIPE_BUF + 1));
}

static void write_capacity_in_pieces(struct side *s)
{
	int fd = node_open(s, O_WRONLY | O_NONBLOCK);
	unsigned int n = 0;

	peer_idle(s);
	while (write(fd, buf, 3000) == 3000)
		n++;
	say(s, "%u", n);
	say_result(s, -1);
}

static void rdwr_own_bytes(struct side *s)
{
	int fd = node_open(s, O_RDWR | O_NONBLOCK);

	peer_idle(s);
	say_result(s, write(fd, buf, 5));
	say_result(s, read(fd, buf, 5));
}

static void rdwr_peer_gone(struct side *s)
{
	int fd = node_open(s, O_RDWR | O_NONBLOCK);

	signal(SIGPIPE, SIG_IGN);
	peer_join(s);
	peer_leave(s);
	say_result(s, read(fd, buf, 5));
	say_result(s, write(fd, buf, 5));
}

/* interrupted() - what a blocked call returns after a signal */
static void interrupted(struct side *s, bool writes, int fd, size_t bytes)
{
	volatile int *caught = catch_signal(SIGUSR1);
	struct async a;

	async_start(&a, writes, fd, buf, bytes);
	async_wait_blocked(&a);
	pthread_kill(a.thread, SIGUSR1);
	async_join(&a);
	say_result(s, a.result);
	say(s, "%d", *caught);
}

static void read_interrupted(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	interrupted(s, false, fd, 10);
}

static void write_interrupted(struct side *s)
{
	int fd = node_open(s, O_WRONLY);

	peer_idle(s);
	interrupted(s, true, fd, sizeof(buf));
	interrupted(s, true, fd, 10);
}

const struct scenario scenarios_io[] = {
	{ "open_rdonly_alone", open_rdonly_alone },
	{ "open_wronly_alone", open_wronly_alone },
	{ "open_rdonly_nonblock_alone", open_rdonly_nonblock_alone },
	{ "open_wronly_nonblock_alone", open_wronly_nonblock_alone },
	{ "open_rdwr_alone", open_rdwr_alone },
	{ "open_flags", open_flags },
	{ "read_before_first_writer", read_before_first_writer },
	{ "read_empty", read_empty },
	{ "read_empty_nonblock", read_empty_nonblock },
	{ "read_what_is_there", read_what_is_there },
	{ "read_end", read_end },
	{ "read_after_end", read_after_end },
	{ "read_end_twice_opened", read_end_twice_opened },
	{ "bytes_outlive_openers", bytes_outlive_openers },
	{ "wrong_direction", wrong_direction },
	{ "bad_address", bad_address },
	{ "write_and_take", write_and_take },
	{ "write_no_reader", write_no_reader },
	{ "write_after_return", write_after_return },
	{ "write_full", write_full },
	{ "write_full_nonblock", write_full_nonblock },
	{ "write_atomic_no_room", write_atomic_no_room },
	{ "write_partial_room", write_partial_room },
	{ "write_capacity_in_pieces", write_capacity_in_pieces },
	{ "rdwr_own_bytes", rdwr_own_bytes },
	{ "rdwr_peer_gone", rdwr_peer_gone },
	{ "read_interrupted", read_interrupted },
	{ "write_interrupted", write_interrupted },
	{ NULL, NULL },
};
