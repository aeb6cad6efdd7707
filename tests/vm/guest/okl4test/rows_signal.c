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

ROW_STEPS(
	read_sa_restart,
	"open r; catch USR1 restart; connect; start read r 128K; signal; blocked; signal; blocked; "
	"signal; blocked; send 100; joined 100; caught 3");
/* A write that has moved something says how much; one that has not is restarted */
ROW_STEPS(write_sa_restart,
	  "open w; catch USR1 restart; start write w 128K; signal; joined 64K; start write w 5000; "
	  "signal; blocked; connect; joined 5000; expect 64K+5000");
/* An atomic write that is interrupted has written nothing at all */
ROW_STEPS(
	write_atomic_eintr,
	"open w; catch USR1; write w 64K-100; start write w 101; signal; joined EINTR; write w 100; "
	"connect; expect 64K");

/* In a child, where SIGPIPE has its default action */
ROW(sigpipe_ends)
{
	int fd = row_open(r, "w; connect; leave; wait w ERR"), status;
	pid_t pid = start_child();

	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		fail("SIGPIPE did not end it: %zd: %m", write(fd, buf, 1));
	}
	expect(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "it ended with %#x", status);
}

/* wait_caught() - wait for one more signal than @before */
static void wait_caught(const volatile int *caught, int before)
{
	while (*caught == before)
		sched_yield(); /* ends by alarm(2) */
}

/* A write that moved something before the reader went says how much, and still sends SIGPIPE */
ROW(sigpipe_after_part)
{
	/* It does not read: its socket fills up, then the ring */
	int fd = row_open(r, "w; connect; pause");
	volatile int *caught = catch_signal(SIGPIPE, 0);
	size_t bytes = 16U << 20;
	struct async a;

	async_start(&a, true, fd, calloc(1, bytes), bytes);
	async_wait_blocked(&a);
	expect(*caught == 0, "SIGPIPE came early");
	steps(r, "leave");
	expect(async_join(&a) > 0 && a.result < (long)bytes, "write returned %ld: %m", a.result);
	wait_caught(caught, 0); /* any thread may get it */
	expect(*caught == 1, "SIGPIPE was caught %d times", *caught);
}

/* killed_child() - a child sleeps in a call on @fd, which only it keeps open, until it is killed */
static void killed_child(bool writes, int fd)
{
	struct async a;
	pid_t pid = start_child();
	int status;

	if (pid == 0) {
		async_start(&a, writes, fd, buf, sizeof(buf));
		async_wait_blocked(&a);
		raise(SIGKILL);
	}
	close(fd);
	expect(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "it ended: %#x", status);
}

/* A process that is killed in the middle of a call ends at once; its end closes as by close(2) */
ROW(killed_while_blocked)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w");

	killed_child(false, rx);
	killed_child(true, tx);
	steps(r, "connect; skip 64K; eof; open r; send 10; read r 10");
}

/* driver_says() - a number in the driver's files in debugfs; @of: a line that stands above it */
static unsigned long long driver_says(const char *files, const char *of, const char *key)
{
	unsigned long long n = 0;
	char line[256];
	glob_t found;

	expect(!glob(files, 0, NULL, &found), "%s: there are none", files);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");
		bool ours = !of;

		expect(file, "%s: %m", found.gl_pathv[i]);
		while (fgets(line, sizeof(line), file)) {
			if (of && !strcmp(line, of))
				ours = true;
			if (ours && !strncmp(line, key, strlen(key)))
				n = strtoull(line + strlen(key), NULL, 10);
		}
		fclose(file);
	}
	globfree(&found);
	return n;
}

/* n_discarded() - how many bytes the guest has written to the channel `discard` */
static unsigned long long n_discarded(void)
{
	return driver_says("/sys/kernel/debug/okl4fs/*/channels/*", "name discard\n", "tx.bytes ");
}

/* A write of gigabytes that never has to wait still ends when its process is killed */
ROW(killed_in_bulk)
{
	const size_t bytes = 0x7ffff000; /* what Linux takes in one call */
	const char *path = row_path(r, "discard");
	unsigned long long before = n_discarded();
	int status;
	pid_t pid = start_child();

	if (pid == 0) {
		void *zeros = mmap(NULL, bytes, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		expect(zeros != MAP_FAILED && fd >= 0, "%s: %m", path);
		_exit(write(fd, zeros, bytes) != (ssize_t)bytes);
	}
	while (n_discarded() == before)
		sched_yield(); /* ends by alarm(2) */
	kill(pid, SIGKILL);
	expect(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "it ended: %#x", status);
	expect(n_discarded() - before < bytes, "it has written all before it ended");
}

/* watch_sigio() - ask for SIGIO; Return: the counter of those caught */
static volatile int *watch_sigio(int fd)
{
	volatile int *caught = catch_signal(SIGIO, 0);

	expect(fcntl(fd, F_SETOWN, getpid()) == 0, "F_SETOWN: %m");
	expect(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0, "O_ASYNC: %m");
	return caught;
}

ROW(sigio_read)
{
	int fd = row_open(r, "r"), before;
	volatile int *caught = watch_sigio(fd);

	steps(r, "connect");
	for (unsigned int i = 0; i < 10; i++) {
		before = *caught;
		steps(r, "send 10");
		wait_caught(caught, before);
		while (read(fd, buf, sizeof(buf)) < 0) /* it may be about the other direction */
			expect(errno == EAGAIN, "read: %m");
	}
	before = *caught;
	steps(r, "leave");
	wait_caught(caught, before);
	expect(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "F_SETFL: %m");
	before = *caught;
	steps(r, "connect; send 10; taken");
	expect(*caught == before, "SIGIO came though it was turned off");
}

ROW(sigio_write)
{
	int fd = row_open(r, "w"), before;
	volatile int *caught = watch_sigio(fd);

	for (unsigned int i = 0; i < ROW_RING_BYTES / PIPE_BUF; i++)
		steps(r, "write w 4096 4096");
	steps(r, "write w 4096 EAGAIN");
	before = *caught;
	steps(r, "connect; skip 64K");
	wait_caught(caught, before);
	while (!(poll_now(fd, POLLOUT) & POLLOUT))
		sched_yield();
}

/* n_pings() - how many PINGs the driver has sent */
static unsigned long long n_pings(void)
{
	return driver_says("/sys/kernel/debug/okl4fs/*/device", NULL, "pings ");
}

/* While a process waits, the driver pings the host now and then; that raises no SIGIO */
ROW(sigio_quiet)
{
	int fd = row_open(r, "b");
	volatile int *caught = watch_sigio(fd);
	unsigned long long before = n_pings();
	int n;

	while (n_pings() < before + 1)
		sched_yield(); /* ends by alarm(2). By then the host's first ring has come */
	n = *caught;
	while (n_pings() < before + 3)
		sched_yield();
	expect(*caught == n, "SIGIO came %d times without a reason", *caught - n);
}

/* Closing an open file ends its SIGIO */
ROW(sigio_ends_at_close)
{
	int rx = row_open(r, "r"), both = row_open(r, "b"), before, on = 1;
	volatile int *caught = watch_sigio(both);

	expect(ioctl(rx, FIOASYNC, &on) == 0, "FIOASYNC: %m"); /* its signals have no owner */
	close(both);
	before = *caught;
	steps(r, "connect; send 10; taken");
	expect(*caught == before, "SIGIO came for a file that is closed");
	read_all(rx, buf, 10);
}
