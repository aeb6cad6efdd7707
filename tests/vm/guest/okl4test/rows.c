// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows.c - running one row, and what rows share
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "pattern.h"
#include "rows.h"

/* The linker makes these names of the section's */
extern const struct row_entry *const __start_rows[], *const __stop_rows[];

void row_make(struct row *r)
{
	expect(mkfifo(r->path, 0600) == 0 || errno == EEXIST, "mkfifo %s: %m", r->path);
}

const char *row_path(struct row *r, const char *channel)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", r->dir, channel);
	close(open_node(path, O_PATH));
	return path;
}

/*
 * An echo that was about to close after an earlier row may close at the start of this one. A read
 * takes that end-of-file.
 */
int row_open_echo(struct row *r, const char *channel)
{
	int fd = open_node(row_path(r, channel), O_RDWR);
	ssize_t n;
	char c = 0;

	write_all(fd, &c, 1);
	while ((n = read(fd, &c, 1)) == 0)
		sched_yield();
	expect(n == 1, "read returned %zd: %m", n);
	return fd;
}

/* read_line() - the next line of peer_ctl, without its end */
static void read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		read_all(fd, line + n, 1);
		if (line[n] == '\n')
			break;
		expect(++n < size, "the peer's reply is too long");
	}
	line[n] = '\0';
}

void peer(struct row *r, const char *command)
{
	static unsigned int n_commands;
	char line[512], reply[512], tag[32];
	int length;

	if (r->control < 0)
		r->control = open_node(row_path(r, "peer_ctl"), O_RDWR);
	/* The tag marks replies to a row that failed before this one. */
	snprintf(tag, sizeof(tag), "%d.%u ", (int)getpid(), ++n_commands);
	length = snprintf(line, sizeof(line), "%s%s %s\n", tag, r->name, command);
	write_all(r->control, line, (size_t)length);
	do {
		read_line(r->control, reply, sizeof(reply));
	} while (strncmp(reply, tag, strlen(tag)) != 0);
	expect(strcmp(reply + strlen(tag), "ok") == 0, "peer: %s: %s", command, reply);
}

void expect_pattern(const void *buf, uint64_t offset, size_t bytes)
{
	size_t good = pattern_check(buf, ROW_SEED, offset, bytes);

	expect(good == bytes, "byte %llu is wrong", (unsigned long long)offset + good);
}

void send_pattern(int fd, uint64_t offset, size_t bytes)
{
	char *buf = malloc(bytes + 1);

	pattern_fill(buf, ROW_SEED, offset, bytes);
	write_all(fd, buf, bytes);
	free(buf);
}

static volatile int n_signals;

static void count_signal(int number)
{
	(void)number;
	n_signals++;
}

volatile int *catch_signal(int number, int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	n_signals = 0;
	expect(sigaction(number, &action, NULL) == 0, "sigaction: %m");
	return &n_signals;
}

void interrupt(struct async *a)
{
	int before = n_signals;

	pthread_kill(a->thread, SIGUSR1);
	while (n_signals == before)
		sched_yield(); /* ends by alarm(2) */
}

bool in_child(void)
{
	pid_t pid = start_child();
	int status;

	if (pid == 0)
		return true;
	expect(waitpid(pid, &status, 0) == pid && status == 0, "a child ended with %#x", status);
	return false;
}

COMMAND(row, "list | NAME [dir=/okl4]")
{
	struct row row = { .name = argv[0], .dir = argument(argv, "dir", "/okl4"), .control = -1 };
	bool list = strcmp(argv[0], "list") == 0;

	snprintf(row.path, sizeof(row.path), "%s/%s", row.dir, row.name);
	for (const struct row_entry *const *at = __start_rows; at < __stop_rows; at++) {
		if (list)
			puts((*at)->name);
		if (strcmp((*at)->name, row.name) != 0)
			continue;
		alarm(LIMIT_SECONDS);
		row_run(*at, &row);
		printf("ok %s\n", row.name);
		return 0;
	}
	expect(list, "no such row: %s", row.name);
	return 0;
}
