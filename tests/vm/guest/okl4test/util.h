/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util.h - what every part of okl4test uses: failing, time, whole reads and writes, threads that block
 */
#ifndef OKL4TEST_UTIL_H
#define OKL4TEST_UTIL_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Nothing in a test may take longer (seconds); the whole program ends with a message then */
#define LIMIT_SECONDS 60

/** fail_at() - print where and why, and exit(1); @fmt may use %m */
__attribute__((format(printf, 3, 4), noreturn)) void fail_at(const char *file, int line,
							     const char *fmt, ...);

#define fail(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* expect() - the condition holds, or the test fails with the text */
#define expect(cond, ...)                                         \
	do {                                                      \
		if (!(cond))                                      \
			fail_at(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

/* expect_errno() - the call returned -1 with just this error */
#define expect_errno(call, error)                                                                 \
	do {                                                                                      \
		long got_ = (long)(call);                                                         \
		if (got_ != -1 || errno != (error))                                               \
			fail_at(__FILE__, __LINE__, "%s: returned %ld (%m), not %s", #call, got_, \
				#error);                                                          \
	} while (0)

/** now_ns() - monotonic time; Return: nanoseconds */
uint64_t now_ns(void);

/** parse_bytes() - "65536", "64K", "256M", "1G"; fails the program on anything else */
uint64_t parse_bytes(const char *text);

/** write_all() - write every byte to a blocking descriptor, or fail */
void write_all(int fd, const void *buf, size_t bytes);

/** read_all() - read exactly @bytes from a blocking descriptor, or fail (an early end too) */
void read_all(int fd, void *buf, size_t bytes);

/** set_nonblock() - turn O_NONBLOCK on or off */
void set_nonblock(int fd, bool on);

/** wait_poll() - poll one descriptor, LIMIT_SECONDS at most; Return: revents, never 0 */
short wait_poll(int fd, short events);

/** poll_now() - what poll(2) says at this moment; Return: revents, 0 for nothing */
short poll_now(int fd, short events);

/** epoll_edge() - an edge-triggered epoll(7) on one descriptor */
int epoll_edge(int fd, uint32_t events);

/** edge_now() - take what an epoll reports at this moment; Return: how many edges, 0 or 1 */
int edge_now(int ep);

/** wait_edge() - take the next edge, which must come; @done: bytes until now, for the message */
void wait_edge(int ep, uint64_t done);

/** start_child() - fork(2), with the limit for the child; Return: its pid, 0 in the child */
pid_t start_child(void);

/** fill_ring() - write without blocking until the ring is full; Return: bytes written */
size_t fill_ring(int fd);

/** open_node() - open a channel's node, made if need be */
int open_node(const char *path, int flags);

/** scratch_file() - an empty file without a name, which can be read and written */
int scratch_file(void);

/** mmap_shared() - zeroed memory that children share */
void *mmap_shared(size_t bytes);

/**
 * struct away - pages that are not there
 * @pages: where
 * @bytes: how many
 * @faults: descriptor of the userfaultfd
 */
struct away {
	void *pages;
	size_t bytes;
	int faults;
};

/** away_make() - take pages away: a call that touches them sleeps */
struct away away_make(size_t bytes);

/** away_give() - supply the pages, zeroed */
void away_give(const struct away *a);

/**
 * struct async - a system call that another thread makes, so that it may block
 * @number: the call's
 * @call: makes it
 * @fd, @buf, @bytes: what it uses
 * @events: (poll and the like) out: EPOLL* that it reported
 * @result: what it returned, after async_join()
 * @error: errno, when @result is negative
 */
struct async {
	long number;
	long (*call)(struct async *a);
	int fd;
	void *buf;
	size_t bytes;
	unsigned int events;
	long result;
	int error;
	/* private */
	bool done;
	pthread_t thread;
	pid_t tid;
};

/** async_run() - start the call that @a is filled in with; @a is in use until async_join() */
void async_run(struct async *a);

/** async_start() - start read(2) or write(2) */
void async_start(struct async *a, bool writes, int fd, void *buf, size_t bytes);

/** async_sleeps() - wait until the thread sleeps in its call; Return: false if it has returned */
bool async_sleeps(struct async *a);

/** async_wait_blocked() - wait until the thread sleeps in its call, which it must */
void async_wait_blocked(struct async *a);

/** async_join() - wait for the call to return, within the limit; Return: its result, errno set */
long async_join(struct async *a);

#endif
