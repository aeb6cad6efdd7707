// SPDX-License-Identifier: BSD-3-Clause
/*
 * util.c - failing, time, whole reads and writes, threads that block
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

void fail_at(const char *file, int line, const char *fmt, ...)
{
	const char *slash = strrchr(file, '/');
	int error = errno;
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s:%d: ", slash ? slash + 1 : file, line);
	errno = error;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(stderr);
	_exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

uint64_t parse_bytes(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (*end == 'K')
		n <<= 10, end++;
	else if (*end == 'M')
		n <<= 20, end++;
	else if (*end == 'G')
		n <<= 30, end++;
	if (errno || end == text || *end)
		fail("%s: not a number of bytes", text);
	return n;
}

/* move_all() - all bytes through a blocking descriptor */
static void move_all(bool writes, int fd, char *p, size_t bytes)
{
	while (bytes) {
		ssize_t n = writes ? write(fd, p, bytes) : read(fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		expect(n > 0, "%s: %zu bytes are missing, returned %zd: %m",
		       writes ? "write" : "read", bytes, n);
		p += n;
		bytes -= (size_t)n;
	}
}

void write_all(int fd, const void *buf, size_t bytes)
{
	move_all(true, fd, (char *)(uintptr_t)buf, bytes);
}

void read_all(int fd, void *buf, size_t bytes)
{
	move_all(false, fd, buf, bytes);
}

void set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	expect(flags >= 0, "F_GETFL: %m");
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	expect(fcntl(fd, F_SETFL, flags) == 0, "F_SETFL: %m");
}

short wait_poll(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n = poll(&pfd, 1, LIMIT_SECONDS * 1000);

	expect(n == 1, "poll for %#x returned %d: %m", (unsigned int)events, n);
	return pfd.revents;
}

short poll_now(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n = poll(&pfd, 1, 0);

	expect(n >= 0, "poll: %m");
	return pfd.revents;
}

int epoll_edge(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	expect(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "epoll: %m");
	return ep;
}

int edge_now(int ep)
{
	int n = epoll_wait(ep, &(struct epoll_event){ 0 }, 1, 0);

	expect(n >= 0, "epoll_wait: %m");
	return n;
}

void wait_edge(int ep, uint64_t done)
{
	int n = epoll_wait(ep, &(struct epoll_event){ 0 }, 1, LIMIT_SECONDS / 2 * 1000);

	expect(n == 1, "after %llu bytes no edge came: %d: %m", (unsigned long long)done, n);
}

size_t fill_ring(int fd)
{
	static char zeros[65536];
	size_t filled = 0;

	set_nonblock(fd, true);
	for (size_t piece = sizeof(zeros); piece; piece /= 2) {
		ssize_t n;

		while ((n = write(fd, zeros, piece)) > 0)
			filled += (size_t)n;
		expect(errno == EAGAIN, "filling the ring: %m");
	}
	set_nonblock(fd, false);
	return filled;
}

pid_t start_child(void)
{
	pid_t pid = fork();

	expect(pid >= 0, "fork: %m");
	if (pid == 0)
		alarm(LIMIT_SECONDS);
	return pid;
}

int open_node(const char *path, int flags)
{
	int fd;

	expect(mkfifo(path, 0600) == 0 || errno == EEXIST, "mkfifo %s: %m", path);
	fd = open(path, flags | O_CLOEXEC);
	expect(fd >= 0, "open %s with %#x: %m", path, (unsigned int)flags);
	return fd;
}

int scratch_file(void)
{
	char path[] = "/tmp/okl4test.XXXXXX";
	int file = mkstemp(path);

	expect(file >= 0, "mkstemp: %m");
	unlink(path);
	return file;
}

void *mmap_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	expect(memory != MAP_FAILED, "mmap: %m");
	return memory;
}

struct away away_make(size_t bytes)
{
	struct away a = { .bytes = bytes, .faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC) };
	struct uffdio_register keep = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };

	a.pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(a.pages != MAP_FAILED && a.faults >= 0, "userfaultfd: %m");
	keep.range = (struct uffdio_range){ .start = (uintptr_t)a.pages, .len = bytes };
	expect(!ioctl(a.faults, UFFDIO_API, &api) && !ioctl(a.faults, UFFDIO_REGISTER, &keep),
	       "userfaultfd: %m");
	return a;
}

void away_give(const struct away *a)
{
	struct uffdio_zeropage give = { .range = { .start = (uintptr_t)a->pages,
						   .len = a->bytes } };

	expect(!ioctl(a->faults, UFFDIO_ZEROPAGE, &give), "UFFDIO_ZEROPAGE: %m");
}

/* async_main() - the thread of an async */
static void *async_main(void *arg)
{
	struct async *a = arg;

	__atomic_store_n(&a->tid, gettid(), __ATOMIC_RELEASE);
	a->result = a->call(a);
	a->error = a->result < 0 ? errno : 0;
	__atomic_store_n(&a->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void async_run(struct async *a)
{
	errno = pthread_create(&a->thread, NULL, async_main, a);
	expect(errno == 0, "pthread_create: %m");
}

static long call_read(struct async *a)
{
	return read(a->fd, a->buf, a->bytes);
}

static long call_write(struct async *a)
{
	return write(a->fd, a->buf, a->bytes);
}

void async_start(struct async *a, bool writes, int fd, void *buf, size_t bytes)
{
	*a = (struct async){ .number = writes ? SYS_write : SYS_read,
			     .call = writes ? call_write : call_read,
			     .fd = fd,
			     .buf = buf,
			     .bytes = bytes };
	async_run(a);
}

/* thread_sleeps_in() - whether thread @tid (0: none yet) sleeps in system call @number */
static bool thread_sleeps_in(pid_t tid, long number)
{
	char path[64], line[64] = "";
	FILE *file;

	if (!tid)
		return false;
	/* proc(5), /proc/pid/syscall: "running", or "NUMBER ARGUMENTS..." */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return line[0] >= '0' && line[0] <= '9' && strtol(line, NULL, 10) == number;
}

bool async_sleeps(struct async *a)
{
	uint64_t end = now_ns() + LIMIT_SECONDS * 1000000000ULL;

	while (now_ns() < end) {
		if (__atomic_load_n(&a->done, __ATOMIC_ACQUIRE))
			return false;
		if (thread_sleeps_in(__atomic_load_n(&a->tid, __ATOMIC_ACQUIRE), a->number))
			return true;
		sched_yield();
	}
	fail("system call %ld neither sleeps nor returns within the limit", a->number);
}

void async_wait_blocked(struct async *a)
{
	expect(async_sleeps(a), "system call %ld should block, but returned %ld (%s)", a->number,
	       a->result, strerror(a->error));
}

long async_join(struct async *a)
{
	struct timespec end;
	int err;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += LIMIT_SECONDS;
	err = pthread_timedjoin_np(a->thread, NULL, &end);
	expect(!err, "system call %ld does not return: %s", a->number, strerror(err));
	errno = a->error;
	return a->result;
}
