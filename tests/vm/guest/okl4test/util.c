// SPDX-License-Identifier: BSD-3-Clause
/*
 * util.c - failing, time, whole reads and writes, threads that block
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

void write_all(int fd, const void *buf, size_t bytes)
{
	const char *p = buf;

	while (bytes) {
		ssize_t n = write(fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		expect(n > 0, "write of %zu bytes returned %zd: %m", bytes, n);
		p += n;
		bytes -= (size_t)n;
	}
}

void read_all(int fd, void *buf, size_t bytes)
{
	char *p = buf;

	while (bytes) {
		ssize_t n = read(fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		expect(n > 0, "read: %zu bytes are missing, returned %zd: %m", bytes, n);
		p += n;
		bytes -= (size_t)n;
	}
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

/* async_main() - the thread of an async */
static void *async_main(void *arg)
{
	struct async *a = arg;
	ssize_t n;

	__atomic_store_n(&a->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	n = a->writes ? write(a->fd, a->buf, a->bytes) : read(a->fd, a->buf, a->bytes);
	a->error = n < 0 ? errno : 0;
	a->result = n;
	__atomic_store_n(&a->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void async_start(struct async *a, bool writes, int fd, void *buf, size_t bytes)
{
	*a = (struct async){ .fd = fd, .buf = buf, .bytes = bytes, .writes = writes };
	errno = pthread_create(&a->thread, NULL, async_main, a);
	expect(errno == 0, "pthread_create: %m");
}

bool thread_sleeps_in(pid_t tid, long number)
{
	char path[64], line[64] = "";
	FILE *file;
	bool sleeps;

	if (!tid)
		return false;
	/* proc(5), /proc/pid/syscall */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	/* "running", or "NUMBER ARGUMENTS..." */
	sleeps = fgets(line, sizeof(line), file) && line[0] >= '0' && line[0] <= '9' &&
		 strtol(line, NULL, 10) == number;
	fclose(file);
	return sleeps;
}

void async_wait_blocked(struct async *a)
{
	uint64_t end = now_ns() + LIMIT_SECONDS * 1000000000ULL;
	long number = a->writes ? SYS_write : SYS_read;

	while (now_ns() < end) {
		pid_t tid = __atomic_load_n(&a->tid, __ATOMIC_ACQUIRE);

		expect(!__atomic_load_n(&a->done, __ATOMIC_ACQUIRE),
		       "%s should block, but returned %zd (%s)", a->writes ? "write" : "read",
		       a->result, strerror(a->error));
		if (thread_sleeps_in(tid, number))
			return;
		sched_yield();
	}
	fail("%s does not block within the limit", a->writes ? "write" : "read");
}

ssize_t async_join(struct async *a)
{
	struct timespec end;
	int err;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += LIMIT_SECONDS;
	err = pthread_timedjoin_np(a->thread, NULL, &end);
	if (err)
		fail("%s does not return: %s", a->writes ? "write" : "read", strerror(err));
	errno = a->error;
	return a->result;
}
