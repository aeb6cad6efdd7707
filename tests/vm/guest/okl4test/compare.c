// SPDX-License-Identifier: BSD-3-Clause
/*
 * compare.c - where a channel behaves differently from a fifo of Linux
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "compare.h"

/* The prefix of the names of the scenarios' channels */
#define CHANNEL_PREFIX "cmp_"

static const struct scenario *const tables[] = { scenarios_io, scenarios_poll, scenarios_call };

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static char buf[1U << 17];

int node_open(struct side *s, int flags)
{
	/* A fifo can be opened without waiting when both ends are there */
	int both = s->fifo ? open(s->row.path, O_RDWR | O_CLOEXEC) : -1;
	int fd = open(s->row.path, flags | O_CLOEXEC);

	expect(fd >= 0, "open %s: %m", s->row.path);
	if (both >= 0)
		close(both);
	return fd;
}

void peer_join(struct side *s)
{
	if (s->fifo) {
		s->peer_rx = open(s->row.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		s->peer_tx = open(s->row.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		expect(s->peer_rx >= 0 && s->peer_tx >= 0, "the peer: %m");
		return;
	}
	peer(&s->row, "connect");
	peer(&s->row, "pause"); /* the daemon has accepted it: one thread serves both */
}

void peer_leave(struct side *s)
{
	if (s->fifo) {
		close(s->peer_rx);
		close(s->peer_tx);
		return;
	}
	peer(&s->row, "close");
	peer(&s->row, "pause");
}

void peer_idle(struct side *s)
{
	/* A client on the host would take what fits its socket; before one comes, a channel fills */
	if (s->fifo)
		peer_join(s);
}

void peer_send(struct side *s, unsigned int bytes)
{
	if (s->fifo) {
		write_all(s->peer_tx, buf, bytes);
		return;
	}
	peer(&s->row, "send %u", bytes);
	peer(&s->row, "taken");
	peer(&s->row, "pause");
}

void peer_take(struct side *s, unsigned int bytes)
{
	if (s->fifo)
		read_all(s->peer_rx, buf, bytes);
	else
		peer(&s->row, "skip %u", bytes);
}

void say(struct side *s, const char *fmt, ...)
{
	size_t at = strlen(s->said);
	va_list args;

	va_start(args, fmt);
	if (at && at + 1 < sizeof(s->said))
		s->said[at++] = ' ';
	vsnprintf(s->said + at, sizeof(s->said) - at, fmt, args);
	va_end(args);
}

void say_result(struct side *s, long result)
{
	if (result < 0)
		say(s, "%s", strerrorname_np(errno));
	else
		say(s, "%ld", result);
}

void say_poll(struct side *s, int fd)
{
	short seen = poll_now(fd, POLLIN | POLLOUT);
	char text[32] = "";

	if (seen & POLLIN)
		strcat(text, "|IN");
	if (seen & POLLOUT)
		strcat(text, "|OUT");
	if (seen & POLLHUP)
		strcat(text, "|HUP");
	if (seen & POLLERR)
		strcat(text, "|ERR");
	say(s, "%s", *text ? text + 1 : "none");
}

/*
 * sleeps_on() - whether a thread sleeps in a system call for as long as nobody does anything
 *
 * The first open of a channel takes an answer from the host, so the host gets the time to serve
 * what came before.
 */
static bool sleeps_on(struct side *s, const pid_t *tid, const bool *done, long number)
{
	while (!thread_sleeps_in(__atomic_load_n(tid, __ATOMIC_ACQUIRE), number)) {
		if (__atomic_load_n(done, __ATOMIC_ACQUIRE))
			return false;
		sched_yield(); /* ends by alarm(2) */
	}
	for (unsigned int i = 0; i < 20 && !s->fifo; i++)
		peer(&s->row, "pause");
	return !__atomic_load_n(done, __ATOMIC_ACQUIRE);
}

/* say_call() - add the result of an async */
static void say_call(struct side *s, struct async *a, long number)
{
	if (sleeps_on(s, &a->tid, &a->done, number)) {
		say(s, "blocks");
		return;
	}
	async_join(a);
	say_result(s, a->result);
}

void say_read(struct side *s, int fd, size_t bytes)
{
	struct async *a = calloc(1, sizeof(*a));

	async_start(a, false, fd, buf, bytes);
	say_call(s, a, SYS_read);
}

void say_write(struct side *s, int fd, size_t bytes)
{
	struct async *a = calloc(1, sizeof(*a));

	async_start(a, true, fd, buf, bytes);
	say_call(s, a, SYS_write);
}

/**
 * struct opening - an open(2) that another thread makes
 * @path: node
 * @flags: how
 * @tid: the thread's id, once it runs
 * @error: errno, or 0
 * @done: it has returned
 */
struct opening {
	const char *path;
	int flags;
	pid_t tid;
	int error;
	bool done;
};

/* open_main() - the thread of an opening */
static void *open_main(void *arg)
{
	struct opening *o = arg;

	__atomic_store_n(&o->tid, gettid(), __ATOMIC_RELEASE);
	o->error = open(o->path, o->flags | O_CLOEXEC) < 0 ? errno : 0;
	__atomic_store_n(&o->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void say_open(struct side *s, int flags)
{
	struct opening *o = calloc(1, sizeof(*o));
	pthread_t thread;

	*o = (struct opening){ .path = s->row.path, .flags = flags };
	expect(!pthread_create(&thread, NULL, open_main, o), "pthread_create");
	if (sleeps_on(s, &o->tid, &o->done, SYS_openat)) {
		say(s, "blocks");
		return;
	}
	say(s, "%s", o->error ? strerrorname_np(o->error) : "opens");
}

/* run_side() - a scenario on one side, in a child of its own; @said: out */
static void run_side(const struct scenario *scenario, const char *dir, bool fifo, char *said,
		     size_t size)
{
	char name[64];
	struct side s = { .fifo = fifo,
			  .row = { .name = name, .dir = dir, .control = -1 },
			  .peer_rx = -1,
			  .peer_tx = -1 };
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(name, sizeof(name), CHANNEL_PREFIX "%s", scenario->name);
	snprintf(s.row.path, sizeof(s.row.path), "%s/%s", fifo ? "/tmp" : dir, name);
	unlink(s.row.path);
	expect(mkfifo(s.row.path, 0600) == 0, "mkfifo %s: %m", s.row.path);
	expect(pipe(ends) == 0, "pipe: %m");
	pid = fork();
	expect(pid >= 0, "fork: %m");
	if (pid == 0) {
		alarm(LIMIT_SECONDS);
		scenario->run(&s);
		write_all(ends[1], s.said, strlen(s.said));
		_exit(0);
	}
	close(ends[1]);
	expect(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	n = read(ends[0], said, size - 1);
	expect(status == 0 && n > 0, "%s on the %s ends with %#x", scenario->name,
	       fifo ? "fifo" : "channel", (unsigned int)status);
	said[n] = '\0';
	close(ends[0]);
	unlink(s.row.path);
}

/* compare_one() - run a scenario on both sides and print what came of it */
static void compare_one(const struct scenario *scenario, const char *dir)
{
	char fifo[256], channel[256];

	run_side(scenario, dir, true, fifo, sizeof(fifo));
	run_side(scenario, dir, false, channel, sizeof(channel));
	if (strcmp(fifo, channel) == 0)
		printf("same %s: %s\n", scenario->name, fifo);
	else
		printf("differs %s: fifo: %s; okl4fs: %s\n", scenario->name, fifo, channel);
}

int cmd_compare(char **argv)
{
	const char *dir = argument(argv, "dir", "/okl4");
	bool list = strcmp(argv[0], "list") == 0, all = strcmp(argv[0], "all") == 0;
	unsigned int n = 0;

	for (size_t i = 0; i < N_TABLES; i++) {
		for (const struct scenario *sc = tables[i]; sc->name; sc++) {
			if (list)
				printf(CHANNEL_PREFIX "%s\n", sc->name);
			else if (all || strcmp(argv[0], sc->name) == 0)
				compare_one(sc, dir);
			else
				continue;
			n++;
		}
	}
	expect(n, "no such scenario: %s", argv[0]);
	return 0;
}
