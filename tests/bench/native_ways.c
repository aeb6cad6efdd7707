// SPDX-License-Identifier: BSD-3-Clause
/*
 * native_ways.c - libfs's ring, AF_UNIX stream and pipe behind one table
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libfs/socketpair.h>

#include "native_ways.h"

#define CTL_BYTES 4096U
/*
 * The ring is larger than a CPU's second-level cache (1 MiB on the machine of docs/benchmarks.md).
 * In a smaller ring, each line that is written is still in the reader's cache and must be fetched
 * from there first.
 */
#define RING_BYTES (2U << 20)
#define SPIN_NS    20000 /* how long ring+spin looks before it sleeps */

/**
 * bench_die() - end the program
 * @what: what failed; errno says why
 */
_Noreturn void bench_die(const char *what)
{
	fprintf(stderr, "ring_native: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the ring ------------------------------------------------------------------------------ */

static struct {
	uint8_t *memory;
	void *chunk[3];
	struct okl4_memsec sec[3];
	struct okl4_socketpair end[2];
	int wake[2];
	size_t bytes, total;
} ring;

static void ring_make(size_t ring_bytes)
{
	const uint64_t bytes[3] = { ring_bytes, ring_bytes, CTL_BYTES };
	size_t total = 2 * ring_bytes + CTL_BYTES;
	int memfd = memfd_create("ring_native", MFD_CLOEXEC), i;

	if (memfd < 0 || ftruncate(memfd, (off_t)total))
		bench_die("memfd");
	ring.memory =
		mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memfd, 0);
	if (ring.memory == MAP_FAILED)
		bench_die("mmap");
	close(memfd);
	ring.bytes = ring_bytes;
	ring.total = total;
	for (i = 0; i < 3; i++) {
		ring.chunk[i] = ring.memory + (size_t)i * ring_bytes;
		if (okl4_memsec_init(&ring.sec[i], &ring.chunk[i], 1, bytes[i]))
			bench_die("okl4_memsec_init");
	}
	if (okl4_socketpair_create(&ring.end[0], &ring.sec[2], &ring.sec[0], &ring.sec[1], 1) ||
	    okl4_socketpair_attach(&ring.end[1], &ring.sec[2], &ring.sec[0], &ring.sec[1], 1))
		bench_die("socketpair");
	for (i = 0; i < 2; i++) {
		ring.wake[i] = eventfd(0, EFD_CLOEXEC);
		if (ring.wake[i] < 0)
			bench_die("eventfd");
	}
}

static void ring_init(void)
{
	ring_make(RING_BYTES);
}

static void ring_init_small(void)
{
	ring_make(WAY_BUFFER_BYTES);
}

static void ring_deinit(void)
{
	munmap(ring.memory, ring.total);
	close(ring.wake[0]);
	close(ring.wake[1]);
}

static void ring_notify(int side)
{
	if (eventfd_write(ring.wake[1 - side], 1))
		bench_die("eventfd_write");
}

static void ring_sleep(int side)
{
	eventfd_t n;

	if (eventfd_read(ring.wake[side], &n))
		bench_die("eventfd_read");
}

/* With peek and commit, as driver and daemon do it; at the ring's end a message takes two turns */
static void ring_send(int side, const uint8_t *buf, size_t bytes)
{
	struct okl4_pipe *tx = &ring.end[side].tx;

	while (bytes) {
		struct okl4_pipe_seg seg[2];
		int64_t n = okl4_pipe_peek_write(tx, seg);

		if (n > 0) {
			size_t first = bytes < seg[0].bytes ? bytes : seg[0].bytes;

			memcpy(seg[0].base, buf, first);
			buf += first;
			bytes -= first;
			if (okl4_pipe_commit_write(tx, first))
				ring_notify(side);
		} else if (n != -OKL4_AGAIN) {
			bench_die(okl4_status_text((int)n));
		} else if (!okl4_pipe_arm_write(tx, ring.bytes / 2)) {
			ring_sleep(side);
		}
	}
}

static size_t ring_try_recv(int side, uint8_t *buf, size_t bytes)
{
	struct okl4_pipe *rx = &ring.end[side].rx;
	struct okl4_pipe_seg seg[2];
	int64_t n = okl4_pipe_peek_read(rx, seg);

	if (n > 0) {
		size_t first = bytes < seg[0].bytes ? bytes : seg[0].bytes;

		memcpy(buf, seg[0].base, first);
		if (okl4_pipe_commit_read(rx, first))
			ring_notify(side);
		return first;
	}
	if (n != -OKL4_AGAIN)
		bench_die(okl4_status_text((int)n));
	return 0;
}

static size_t ring_recv(int side, uint8_t *buf, size_t bytes)
{
	for (;;) {
		size_t n = ring_try_recv(side, buf, bytes);

		if (n)
			return n;
		if (!okl4_pipe_arm_read(&ring.end[side].rx))
			ring_sleep(side);
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/* As ring_recv(), with a bounded look before the sleep */
static size_t ring_spin_recv(int side, uint8_t *buf, size_t bytes)
{
	uint64_t end = now_ns() + SPIN_NS;

	do {
		int i;

		for (i = 0; i < 64; i++) {
			if (okl4_pipe_readable(&ring.end[side].rx) > 0)
				return ring_recv(side, buf, bytes);
#if defined(__x86_64__)
			__builtin_ia32_pause();
#endif
		}
	} while (now_ns() < end);
	return ring_recv(side, buf, bytes);
}

/* --- sockets and pipes --------------------------------------------------------------------- */

/* The descriptors that each side writes to and reads from */
static int fd_out[2], fd_in[2];

static void fd_send(int side, const uint8_t *buf, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(fd_out[side], buf, bytes);

		if (n <= 0)
			bench_die("write");
		buf += n;
		bytes -= (size_t)n;
	}
}

static size_t fd_recv(int side, uint8_t *buf, size_t bytes)
{
	ssize_t n = read(fd_in[side], buf, bytes);

	if (n <= 0)
		bench_die("read");
	return (size_t)n;
}

/* As large as this user may make it: SO_*BUFFORCE needs root */
static void set_socket_buffers(int fd)
{
	int bytes = WAY_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)))
		bench_die("SO_SNDBUF");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)))
		bench_die("SO_RCVBUF");
}

static void unix_init(void)
{
	int fd[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		bench_die("socketpair");
	for (i = 0; i < 2; i++) {
		set_socket_buffers(fd[i]);
		fd_out[i] = fd[i];
		fd_in[i] = fd[i];
	}
}

static void unix_deinit(void)
{
	close(fd_in[0]);
	close(fd_in[1]);
}

static void pipes_init(void)
{
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		if (pipe2(fd, O_CLOEXEC))
			bench_die("pipe2");
		if (fcntl(fd[1], F_SETPIPE_SZ, WAY_BUFFER_BYTES) < 0)
			bench_die("F_SETPIPE_SZ");
		fd_out[i] = fd[1];
		fd_in[1 - i] = fd[0];
	}
}

static void pipes_deinit(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(fd_in[i]);
		close(fd_out[i]);
	}
}

const struct way ways[N_WAYS] = {
	[WAY_RING] = { "ring", "libfs ring, 2 MiB, eventfd wake-ups", ring_init, ring_send,
		       ring_recv, ring_deinit },
	[WAY_RING_SPIN] = { "ring_spin", "the same (2 MiB), looking for 20 us before it sleeps",
			    ring_init, ring_send, ring_spin_recv, ring_deinit },
	[WAY_RING_SMALL] = { "ring_1mib", "libfs ring, 1 MiB, eventfd wake-ups", ring_init_small,
			     ring_send, ring_recv, ring_deinit },
	[WAY_UNIX] = { "af_unix", "AF_UNIX stream, 1 MiB buffers", unix_init, fd_send, fd_recv,
		       unix_deinit },
	[WAY_PIPE] = { "pipe", "pipe of 1 MiB", pipes_init, fd_send, fd_recv, pipes_deinit },
};
