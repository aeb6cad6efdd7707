// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_signal.c - signals that interrupt calls, SIGPIPE, and SIGIO
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

static char buf[2 * ROW_RING_BYTES];

/* catch_restarting() - as catch_signal(), with SA_RESTART */
static volatile int *catch_restarting(int number)
{
	volatile int *caught = catch_signal(number);
	struct sigaction action;

	expect(sigaction(number, NULL, &action) == 0, "sigaction: %m");
	action.sa_flags = SA_RESTART;
	expect(sigaction(number, &action, NULL) == 0, "sigaction: %m");
	return caught;
}

/* interrupt() - have a blocked thread handle one signal */
static void interrupt(struct async *a, const volatile int *caught)
{
	int before = *caught;

	pthread_kill(a->thread, SIGUSR1);
	while (*caught == before)
		sched_yield(); /* ends by alarm(2) */
}

static void read_sa_restart(struct row *r)
{
	int fd = row_open(r, O_RDONLY);
	volatile int *caught = catch_restarting(SIGUSR1);
	struct async a;

	peer(r, "connect");
	async_start(&a, false, fd, buf, sizeof(buf));
	for (unsigned int i = 0; i < 3; i++) {
		async_wait_blocked(&a);
		interrupt(&a, caught);
	}
	async_wait_blocked(&a);
	peer(r, "send 100");
	expect(async_join(&a) == 100, "read returned %zd: %m", a.result);
	expect_pattern(buf, 0, 100);
}

/* A write that has moved something says how much; one that has not is restarted */
static void write_sa_restart(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	volatile int *caught = catch_restarting(SIGUSR1);
	struct async a;

	pattern_fill(buf, 7, 0, sizeof(buf));
	async_start(&a, true, fd, buf, sizeof(buf));
	async_wait_blocked(&a);
	interrupt(&a, caught);
	expect(async_join(&a) == (ssize_t)ROW_RING_BYTES, "write returned %zd: %m", a.result);
	async_start(&a, true, fd, buf + ROW_RING_BYTES, 5000);
	async_wait_blocked(&a);
	interrupt(&a, caught);
	async_wait_blocked(&a);
	peer(r, "connect");
	expect(async_join(&a) == 5000, "write returned %zd: %m", a.result);
	peer(r, "expect %u", ROW_RING_BYTES + 5000);
}

/* An atomic write that is interrupted has written nothing at all */
static void write_atomic_eintr(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	volatile int *caught = catch_signal(SIGUSR1);
	size_t before = ROW_RING_BYTES - 100;
	struct async a;

	send_pattern(fd, 0, before);
	async_start(&a, true, fd, buf, 101);
	async_wait_blocked(&a);
	interrupt(&a, caught);
	expect_errno(async_join(&a), EINTR);
	send_pattern(fd, before, 100);
	peer(r, "connect");
	peer(r, "expect %u", ROW_RING_BYTES);
}

/* write_to_nobody() - in a child, where SIGPIPE has its default action */
static void write_to_nobody(struct row *r)
{
	int fd = row_open(r, O_WRONLY);

	signal(SIGPIPE, SIG_DFL);
	write(fd, buf, 1);
	fail("SIGPIPE did not end it: %m");
}

static void sigpipe_ends(struct row *r)
{
	int fd = row_open(r, O_WRONLY), status;
	pid_t pid;

	peer(r, "connect");
	peer(r, "close");
	expect(wait_poll(fd, POLLERR) & POLLERR, "poll does not report POLLERR");
	pid = fork();
	expect(pid >= 0, "fork: %m");
	if (pid == 0)
		write_to_nobody(r);
	expect(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "it ended with %#x", status);
}

/* A write that moved something before the reader went says how much, and still sends SIGPIPE */
static void sigpipe_after_part(struct row *r)
{
	int fd = row_open(r, O_WRONLY);
	volatile int *caught = catch_signal(SIGPIPE);
	size_t bytes = 16U << 20;
	struct async a;

	peer(r, "connect");
	peer(r, "pause"); /* it stops reading: its socket fills up, then the ring */
	async_start(&a, true, fd, calloc(1, bytes), bytes);
	async_wait_blocked(&a);
	expect(*caught == 0, "SIGPIPE came early");
	peer(r, "close");
	expect(async_join(&a) > 0 && a.result < (ssize_t)bytes, "write returned %zd: %m", a.result);
	while (*caught == 0)
		sched_yield(); /* any thread may get it; ends by alarm(2) */
	expect(*caught == 1, "SIGPIPE was caught %d times", *caught);
}

/* killed_child() - a child that sleeps in a call, until it is killed */
static pid_t killed_child(bool writes, int fd)
{
	pid_t pid = fork();
	struct async a;

	expect(pid >= 0, "fork: %m");
	if (pid == 0) {
		alarm(LIMIT_SECONDS);
		async_start(&a, writes, fd, buf, sizeof(buf));
		async_wait_blocked(&a);
		raise(SIGKILL);
	}
	return pid;
}

/* A process that is killed in the middle of a call ends at once; its end closes as by close(2) */
static void killed_while_blocked(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY), status;
	pid_t reader = killed_child(false, rx), writer;

	close(rx);
	expect(waitpid(reader, &status, 0) == reader && WIFSIGNALED(status), "it ended: %#x",
	       status);
	writer = killed_child(true, tx);
	close(tx);
	expect(waitpid(writer, &status, 0) == writer && WIFSIGNALED(status), "it ended: %#x",
	       status);
	peer(r, "connect");
	peer(r, "skip %u", ROW_RING_BYTES);
	peer(r, "eof");
	rx = row_open(r, O_RDONLY);
	peer(r, "send 10");
	read_all(rx, buf, 10);
	expect_pattern(buf, 0, 10);
}

/* n_written() - how many bytes the guest has written to a channel, as debugfs says */
static unsigned long long n_written(const char *channel)
{
	unsigned long long n = 0;
	char line[256], name[64];
	glob_t found;

	expect(!glob("/sys/kernel/debug/okl4fs/*/channels/*", 0, NULL, &found), "no channels");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");
		bool ours = false;

		expect(file, "%s: %m", found.gl_pathv[i]);
		while (fgets(line, sizeof(line), file)) {
			if (sscanf(line, "name %63s", name) == 1)
				ours = !strcmp(name, channel);
			if (ours && !strncmp(line, "tx.bytes ", 9))
				n = strtoull(line + 9, NULL, 10);
		}
		fclose(file);
	}
	globfree(&found);
	return n;
}

/* A write of gigabytes that never has to wait still ends when its process is killed */
static void killed_in_bulk(struct row *r)
{
	const size_t bytes = 0x7ffff000; /* what Linux takes in one call */
	const char *path = row_path(r, "discard");
	unsigned long long before = n_written("discard");
	int status;
	pid_t pid = fork();

	expect(pid >= 0, "fork: %m");
	if (pid == 0) {
		void *zeros = mmap(NULL, bytes, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		alarm(LIMIT_SECONDS);
		expect(zeros != MAP_FAILED && fd >= 0, "%s: %m", path);
		_exit(write(fd, zeros, bytes) != (ssize_t)bytes);
	}
	while (n_written("discard") == before)
		sched_yield(); /* ends by alarm(2) */
	kill(pid, SIGKILL);
	expect(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "it ended: %#x", status);
	expect(n_written("discard") - before < bytes, "it has written all before it ended");
}

/* watch_sigio() - ask for SIGIO; Return: the counter of those caught */
static volatile int *watch_sigio(int fd)
{
	volatile int *caught = catch_signal(SIGIO);

	expect(fcntl(fd, F_SETOWN, getpid()) == 0, "F_SETOWN: %m");
	expect(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0, "O_ASYNC: %m");
	return caught;
}

/* wait_caught() - wait for one more signal than @before */
static void wait_caught(const volatile int *caught, int before)
{
	while (*caught == before)
		sched_yield(); /* ends by alarm(2) */
}

static void sigio_read(struct row *r)
{
	int fd = row_open(r, O_RDONLY), before;
	volatile int *caught = watch_sigio(fd);

	peer(r, "connect");
	for (unsigned int i = 0; i < 10; i++) {
		before = *caught;
		peer(r, "send 10");
		wait_caught(caught, before);
		while (read(fd, buf, sizeof(buf)) <
		       0) /* the signal may be about the other direction */
			expect(errno == EAGAIN, "read: %m");
	}
	before = *caught;
	peer(r, "close");
	wait_caught(caught, before);
	expect(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "F_SETFL: %m");
	before = *caught;
	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "taken");
	expect(*caught == before, "SIGIO came though it was turned off");
}

static void sigio_write(struct row *r)
{
	int fd = row_open(r, O_WRONLY), before;
	volatile int *caught = watch_sigio(fd);
	size_t done = 0;

	while (write(fd, buf, PIPE_BUF) > 0)
		done += PIPE_BUF;
	expect(errno == EAGAIN && done == ROW_RING_BYTES, "filling: %zu: %m", done);
	before = *caught;
	peer(r, "connect");
	peer(r, "skip %zu", done);
	wait_caught(caught, before);
	while (!(poll_now(fd, POLLOUT) & POLLOUT))
		sched_yield();
}

/* n_pings() - how many PINGs the driver has sent */
static unsigned long n_pings(void)
{
	unsigned long n = 0;
	char line[256];
	glob_t found;
	FILE *file;

	expect(!glob("/sys/kernel/debug/okl4fs/*/device", 0, NULL, &found), "no device in debugfs");
	file = fopen(found.gl_pathv[0], "re");
	expect(file, "%s: %m", found.gl_pathv[0]);
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "pings ", 6))
			n = strtoul(line + 6, NULL, 10);
	}
	fclose(file);
	globfree(&found);
	return n;
}

/* While a process waits, the driver pings the host now and then; that raises no SIGIO */
static void sigio_quiet(struct row *r)
{
	int fd = row_open(r, O_RDWR);
	volatile int *caught = watch_sigio(fd);
	unsigned long before = n_pings();
	int n;

	while (n_pings() < before + 1)
		sched_yield(); /* ends by alarm(2). By then the host's first ring has come */
	n = *caught;
	while (n_pings() < before + 3)
		sched_yield();
	expect(*caught == n, "SIGIO came %d times without a reason", *caught - n);
}

/* Closing an open file ends its SIGIO */
static void sigio_ends_at_close(struct row *r)
{
	int rx = row_open(r, O_RDONLY), both = row_open(r, O_RDWR), before, on = 1;
	volatile int *caught = watch_sigio(both);

	expect(ioctl(rx, FIOASYNC, &on) == 0, "FIOASYNC: %m"); /* its signals have no owner */
	close(both);
	before = *caught;
	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "taken");
	expect(*caught == before, "SIGIO came for a file that is closed");
	read_all(rx, buf, 10);
}

const struct row_entry rows_signal[] = {
	{ "read_sa_restart", read_sa_restart },
	{ "write_sa_restart", write_sa_restart },
	{ "write_atomic_eintr", write_atomic_eintr },
	{ "sigpipe_ends", sigpipe_ends },
	{ "sigpipe_after_part", sigpipe_after_part },
	{ "killed_while_blocked", killed_while_blocked },
	{ "killed_in_bulk", killed_in_bulk },
	{ "sigio_read", sigio_read },
	{ "sigio_write", sigio_write },
	{ "sigio_quiet", sigio_quiet },
	{ "sigio_ends_at_close", sigio_ends_at_close },
	{ NULL, NULL },
};
