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
#include "rows.h"

/* The prefix of the names of the scenarios' channels */
#define CHANNEL_PREFIX "cmp_"

/* What a scenario may say */
#define SAID_BYTES 256

/* The linker makes these names of the section's */
extern const struct row_entry *const __start_scenarios[], *const __stop_scenarios[];

void say(struct row *r, const char *fmt, ...)
{
	size_t at = strlen(r->said);
	va_list args;

	va_start(args, fmt);
	if (at && at + 1 < SAID_BYTES)
		r->said[at++] = ' ';
	vsnprintf(r->said + at, SAID_BYTES - at, fmt, args);
	va_end(args);
}

void say_result(struct row *r, long result)
{
	if (result < 0)
		say(r, "%s", strerrorname_np(errno));
	else
		say(r, "%ld", result);
}

/*
 * The first open of a channel takes an answer from the host, so the host gets the time to serve
 * what came before.
 */
void say_call(struct row *r, struct async *a, const char *good)
{
	bool sleeps = async_sleeps(a);

	for (unsigned int i = 0; i < 20 && sleeps && !r->fifo; i++)
		peer(r, "pause");
	if (sleeps && !__atomic_load_n(&a->done, __ATOMIC_ACQUIRE))
		say(r, "blocks");
	else if (async_join(a) < 0 || !good)
		say_result(r, a->result);
	else
		say(r, "%s", good);
}

/* run_side() - a scenario on one side, in a child of its own; @said: out, SAID_BYTES */
static void run_side(const struct row_entry *scenario, const char *dir, bool fifo, char *said)
{
	char name[64];
	struct row r = { .name = name,
			 .dir = dir,
			 .control = -1,
			 .said = said,
			 .fifo = fifo,
			 .peer = { -1, -1 } };
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(name, sizeof(name), CHANNEL_PREFIX "%s", scenario->name);
	snprintf(r.path, sizeof(r.path), "%s/%s", fifo ? "/tmp" : dir, name);
	unlink(r.path);
	row_make(&r);
	expect(pipe(ends) == 0, "pipe: %m");
	pid = start_child();
	if (pid == 0) {
		row_run(scenario, &r);
		write_all(ends[1], said, strlen(said));
		_exit(0);
	}
	close(ends[1]);
	expect(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	n = read(ends[0], said, SAID_BYTES - 1);
	expect(status == 0 && n > 0, "%s on the %s ends with %#x", scenario->name,
	       fifo ? "fifo" : "channel", (unsigned int)status);
	said[n] = '\0';
	close(ends[0]);
	unlink(r.path);
}

/* compare_one() - run a scenario on both sides and print what came of it */
static void compare_one(const struct row_entry *scenario, const char *dir)
{
	char fifo[SAID_BYTES] = "", channel[SAID_BYTES] = "";

	run_side(scenario, dir, true, fifo);
	run_side(scenario, dir, false, channel);
	if (strcmp(fifo, channel) == 0)
		printf("same %s: %s\n", scenario->name, fifo);
	else
		printf("differs %s: fifo: %s; okl4fs: %s\n", scenario->name, fifo, channel);
}

COMMAND(compare, "list | all | NAME [dir=/okl4]")
{
	const char *dir = argument(argv, "dir", "/okl4");
	bool list = strcmp(argv[0], "list") == 0, all = strcmp(argv[0], "all") == 0;
	unsigned int n = 0;

	for (const struct row_entry *const *at = __start_scenarios; at < __stop_scenarios; at++) {
		if (list)
			printf(CHANNEL_PREFIX "%s\n", (*at)->name);
		else if (all || strcmp(argv[0], (*at)->name) == 0)
			compare_one(*at, dir);
		else
			continue;
		n++;
	}
	expect(n, "no such scenario: %s", argv[0]);
	return 0;
}
