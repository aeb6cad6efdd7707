// SPDX-License-Identifier: BSD-3-Clause
/*
 * sessions.c - many sessions of one channel: all at once, or one after the other as fast as it goes
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libfs/ioctl.h>

#include "commands.h"
#include "pattern.h"
#include "util.h"

#define MAX_SESSIONS 1024
#define MAX_THREADS  64
#define PIECE        4096U

/**
 * struct session - an open session through which its own pattern goes to and fro
 * @fd: its descriptor
 * @sent: bytes written
 * @got: bytes read back
 */
struct session {
	int fd;
	uint64_t sent, got;
};

static struct session sessions[MAX_SESSIONS];

/* open_sessions() - open a node so often */
static size_t open_sessions(const char *path, const char *count)
{
	size_t n = (size_t)parse_bytes(count);
	struct rlimit limit = { MAX_SESSIONS + 64, MAX_SESSIONS + 64 };

	expect(n && n <= MAX_SESSIONS, "1 to %d sessions", MAX_SESSIONS);
	expect(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit: %m");
	for (size_t i = 0; i < n; i++) {
		sessions[i].fd = open_node(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		expect(sessions[i].fd >= 0, "session %zu: %m", i);
	}
	return n;
}

/* send_more() - write what fits; the writer closes after the last byte; Return: whether that was so */
static bool send_more(struct session *s, uint64_t bytes)
{
	char piece[PIECE];

	while (s->sent < bytes) {
		size_t want = bytes - s->sent < PIECE ? (size_t)(bytes - s->sent) : PIECE;
		ssize_t n;

		pattern_fill(piece, (uint64_t)(s - sessions) + 1, s->sent, want);
		n = write(s->fd, piece, want);
		if (n < 0 && errno == EAGAIN)
			return false;
		expect(n > 0, "session %zd: write: %zd (%m)", s - sessions, n);
		s->sent += (uint64_t)n;
	}
	expect(ioctl(s->fd, OKL4FS_IOC_SHUTDOWN, SHUT_WR) == 0, "OKL4FS_IOC_SHUTDOWN: %m");
	return true;
}

/* receive_more() - read and compare what is there; Return: whether the end has come */
static bool receive_more(struct session *s, uint64_t bytes)
{
	char piece[PIECE];
	ssize_t n;

	while ((n = read(s->fd, piece, sizeof(piece))) > 0) {
		expect(pattern_check(piece, (uint64_t)(s - sessions) + 1, s->got, (size_t)n) ==
			       (size_t)n,
		       "session %zd: wrong bytes after %llu", s - sessions,
		       (unsigned long long)s->got);
		s->got += (uint64_t)n;
	}
	expect(n == 0 || errno == EAGAIN, "session %zd: read: %m", s - sessions);
	expect(n || s->got == bytes, "session %zd: the end came after %llu bytes", s - sessions,
	       (unsigned long long)s->got);
	return n == 0;
}

COMMAND(sessions, "NODE [opens=N] [bytes=BYTES]")
{
	uint64_t bytes = parse_bytes(argument(argv, "bytes", "100000"));
	size_t n = open_sessions(argv[0], argument(argv, "opens", "100")), left = n;
	uint64_t end = now_ns() + 240 * 1000000000ULL;
	int set = epoll_create1(0);

	for (size_t i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.u64 = i };

		expect(!epoll_ctl(set, EPOLL_CTL_ADD, sessions[i].fd, &ev), "epoll_ctl: %m");
	}
	while (left) {
		struct epoll_event ready[64];
		int n_ready = epoll_wait(set, ready, 64, 1000);

		expect(now_ns() < end, "%zu of %zu sessions are not done", left, n);
		for (int i = 0; i < n_ready; i++) {
			struct session *s = &sessions[ready[i].data.u64];
			struct epoll_event ev = { .events = EPOLLIN, .data = ready[i].data };

			if (ready[i].events & EPOLLOUT && s->sent < bytes && send_more(s, bytes))
				epoll_ctl(set, EPOLL_CTL_MOD, s->fd, &ev);
			if (!receive_more(s, bytes))
				continue;
			close(s->fd);
			left--;
		}
	}
	printf("ok %zu sessions\n", n);
	return 0;
}

/* echo_once() - a byte through a session that echoes, blocking */
static void echo_once(int fd, size_t i)
{
	unsigned char byte = (unsigned char)(i * 37 + 1), back;

	write_all(fd, &byte, 1);
	read_all(fd, &back, 1);
	expect(back == byte, "session %zu: %u came back as %u", i, byte, back);
}

COMMAND(live, "NODE [opens=N]  (then lines on stdin: echo, or an errno that reads fail with)")
{
	size_t n = open_sessions(argv[0], argument(argv, "opens", "100"));
	char line[32], byte;

	for (size_t i = 0; i < n; i++) {
		set_nonblock(sessions[i].fd, false);
		echo_once(sessions[i].fd, i);
	}
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < n; i++) {
			ssize_t got;

			if (!strcmp(line, "echo")) {
				echo_once(sessions[i].fd, i);
				continue;
			}
			got = read(sessions[i].fd, &byte, 1);
			expect(got < 0 && !strcmp(strerrorname_np(errno), line),
			       "session %zu: read: %zd (%m)", i, got);
		}
		printf("done %s\n", line);
	}
	return 0;
}

/**
 * struct flooder - a thread that opens and closes sessions
 * @path: node
 * @end: when it is to end
 * @n: how many it has had
 * @thread: handle
 */
struct flooder {
	const char *path;
	uint64_t end;
	uint64_t n;
	pthread_t thread;
};

static void *flood(void *arg)
{
	struct flooder *f = arg;

	while (now_ns() < f->end) {
		int fd = open(f->path, O_RDWR | O_CLOEXEC);

		expect(fd >= 0, "open: %m");
		if (f->n % 4)
			echo_once(fd, f->n);
		close(fd);
		f->n++;
	}
	return NULL;
}

COMMAND(flood, "NODE [threads=N] [seconds=N]")
{
	size_t n_threads = (size_t)parse_bytes(argument(argv, "threads", "8"));
	uint64_t seconds = parse_bytes(argument(argv, "seconds", "5")), n = 0;
	static struct flooder flooders[MAX_THREADS];

	expect(n_threads && n_threads <= MAX_THREADS, "1 to %d threads", MAX_THREADS);
	close(open_node(argv[0], O_PATH));
	for (size_t i = 0; i < n_threads; i++) {
		flooders[i] = (struct flooder){ .path = argv[0] };
		flooders[i].end = now_ns() + seconds * 1000000000ULL;
		errno = pthread_create(&flooders[i].thread, NULL, flood, &flooders[i]);
		expect(errno == 0, "pthread_create: %m");
	}
	for (size_t i = 0; i < n_threads; i++) {
		pthread_join(flooders[i].thread, NULL);
		n += flooders[i].n;
	}
	printf("%llu sessions, %llu per second\n", (unsigned long long)n,
	       (unsigned long long)(n / seconds));
	return 0;
}
