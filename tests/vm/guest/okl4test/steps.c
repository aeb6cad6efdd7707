// SPDX-License-Identifier: BSD-3-Clause
/*
 * steps.c - rows and scenarios that are written as steps (rows.h lists them)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pattern.h"
#include "rows.h"

#define MAX_WORDS  5
#define MOST_BYTES (4 * ROW_RING_BYTES)

/* The step that is carried out, for messages */
static char step[128];
static volatile int *caught;

/* step_bytes() - a sum such as 64K+10, not more than @most */
static size_t step_bytes(const char *text, size_t most)
{
	size_t bytes = 0;

	while (*text) {
		bool minus = *text == '-';
		char term[32] = "";
		size_t n;

		text += strspn(text, "+-");
		n = strcspn(text, "+-");
		memcpy(term, text, n < sizeof(term) ? n : 0);
		bytes += minus ? -parse_bytes(term) : parse_bytes(term);
		text += n;
	}
	expect(bytes <= most, "%s: at most %zu bytes", step, most);
	return bytes;
}

/* step_result() - a call's result is the wanted one, or is said */
static void step_result(struct row *r, long result, const char *wanted)
{
	int error = errno;

	expect(r->said || wanted, "%s: which result?", step);
	if (r->said) {
		say_result(r, result);
	} else if (*wanted == 'E') {
		errno = error;
		expect(result == -1 && !strcmp(strerrorname_np(error), wanted),
		       "%s: returned %ld (%m)", step, result);
	} else {
		long bytes = (long)step_bytes(wanted, MOST_BYTES);

		errno = error;
		expect(result == bytes, "%s: returned %ld (%m)", step, result);
	}
}

/* end_place() - the place of a descriptor; @flags: out, how it is opened, or NULL */
static int *end_place(struct row *r, const char *name, int *flags)
{
	for (unsigned int i = 0; i < ROW_ENDS; i++) {
		if (!r->ends[i].name[0] && flags) {
			expect(strlen(name) < sizeof(r->ends[i].name), "%s: the name is long",
			       step);
			strcpy(r->ends[i].name, name);
		}
		if (strcmp(r->ends[i].name, name) != 0)
			continue;
		if (flags)
			*flags = (*name == 'r' ? O_RDONLY :
				  *name == 'w' ? O_WRONLY :
						 O_RDWR) |
				 (name[1] == 'n' ? O_NONBLOCK : 0) | O_CLOEXEC;
		return &r->ends[i].fd;
	}
	fail("%s: nothing called %s is open, or there are too many", step, name);
}

int *row_end(struct row *r, const char *name)
{
	return end_place(r, name, NULL);
}

/* step_open() - opens at once; so that a fifo does, both ends are there */
static void step_open(struct row *r, char **word)
{
	int flags, both, *fd = end_place(r, word[1], &flags);

	if (!r->said)
		row_make(r);
	both = r->fifo ? open(r->path, O_RDWR | O_CLOEXEC) : -1;
	*fd = open(r->path, flags);
	if (word[2])
		step_result(r, *fd, word[2]);
	else
		expect(*fd >= 0, "%s: %s: %m", step, r->path);
	if (both >= 0)
		close(both);
}

static void step_close(struct row *r, char **word)
{
	int *fd = row_end(r, word[1]);

	expect(close(*fd) == 0, "%s: %m", step);
	*fd = -1;
}

static void step_read(struct row *r, char **word)
{
	static char buf[MOST_BYTES];
	int fd = *row_end(r, word[1]);
	size_t bytes = step_bytes(word[2], MOST_BYTES);
	ssize_t n = (ssize_t)bytes;

	memset(buf, 0, bytes);
	if (word[3] || r->said) {
		n = read(fd, buf, bytes);
		step_result(r, n, word[3]);
	} else {
		read_all(fd, buf, bytes);
	}
	if (n < 0 || r->said)
		return;
	expect_pattern(buf, r->received, (size_t)n);
	r->received += (size_t)n;
}

static void step_write(struct row *r, char **word)
{
	static char buf[MOST_BYTES];
	int fd = *row_end(r, word[1]);
	size_t bytes = step_bytes(word[2], MOST_BYTES);
	ssize_t n = (ssize_t)bytes;

	pattern_fill(buf, ROW_SEED, r->sent, bytes);
	if (word[3] || r->said) {
		n = write(fd, buf, bytes);
		step_result(r, n, word[3]);
	} else {
		write_all(fd, buf, bytes);
	}
	r->sent += n > 0 ? (size_t)n : 0;
}

/* call_prepare() - the call that `start` and `try` make */
static void call_prepare(struct row *r, struct async *a, char **word)
{
	static char buf[MOST_BYTES];
	bool writes = !strcmp(word[1], "write");

	memset(buf, 0, sizeof(buf));
	if (writes)
		pattern_fill(buf, ROW_SEED, r->sent, sizeof(buf));
	async_start(a, writes, *row_end(r, word[2]), buf, step_bytes(word[3], MOST_BYTES));
}

static void step_start(struct row *r, char **word)
{
	call_prepare(r, &r->call, word);
	async_wait_blocked(&r->call);
}

static void step_blocked(struct row *r, char **word)
{
	(void)word;
	async_wait_blocked(&r->call);
}

static void step_joined(struct row *r, char **word)
{
	long n = async_join(&r->call);

	step_result(r, n, word[1]);
	if (n <= 0 || r->said)
		return;
	if (r->call.number == SYS_write) {
		r->sent += (size_t)n;
		return;
	}
	expect_pattern(r->call.buf, r->received, (size_t)n);
	r->received += (size_t)n;
}

static long call_open(struct async *a)
{
	return open(a->buf, (int)a->bytes) < 0 ? -1 : 0;
}

/* step_try() - its thread may sleep on until the scenario's process ends */
static void step_try(struct row *r, char **word)
{
	struct async *a = calloc(1, sizeof(*a));
	int flags;

	if (strcmp(word[1], "open") != 0) {
		call_prepare(r, a, word);
	} else {
		end_place(r, word[2], &flags);
		*a = (struct async){ .number = SYS_openat, .call = call_open, .buf = r->path };
		a->bytes = (size_t)flags;
		async_run(a);
	}
	say_call(r, a, a->number == SYS_openat ? "opens" : NULL);
}

static void step_catch(struct row *r, char **word)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = { { "USR1", SIGUSR1 }, { "PIPE", SIGPIPE }, { "IO", SIGIO } };

	(void)r;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (!strcmp(word[1], signals[i].name))
			caught = catch_signal(signals[i].number, word[2] ? SA_RESTART : 0);
	}
	expect(caught, "%s: which signal?", step);
}

static void step_caught(struct row *r, char **word)
{
	step_result(r, *caught, word[1]);
}

static void step_signal(struct row *r, char **word)
{
	(void)word;
	interrupt(&r->call);
}

/* seen_text() - events as steps have them */
static const char *seen_text(short seen)
{
	static char text[32];

	snprintf(text, sizeof(text), "%s%s%s%s", seen & POLLIN ? "|IN" : "",
		 seen & POLLOUT ? "|OUT" : "", seen & POLLHUP ? "|HUP" : "",
		 seen & POLLERR ? "|ERR" : "");
	return *text ? text + 1 : "none";
}

static void step_poll(struct row *r, char **word)
{
	const char *seen = seen_text(poll_now(*row_end(r, word[1]), POLLIN | POLLOUT));

	if (r->said)
		say(r, "%s", seen);
	else
		expect(word[2] && !strcmp(seen, word[2]), "%s: it says %s", step, seen);
}

static void step_wait(struct row *r, char **word)
{
	int asked = (strstr(word[2], "IN") ? POLLIN : 0) | (strstr(word[2], "OUT") ? POLLOUT : 0);
	const char *wanted = word[3] ? word[3] : word[2];
	const char *seen = seen_text(wait_poll(*row_end(r, word[1]), (short)asked));

	expect(word[3] ? !strcmp(seen, wanted) : !!strstr(seen, wanted), "%s: it says %s", step,
	       seen);
}

static void step_fill(struct row *r, char **word)
{
	size_t filled = fill_ring(*row_end(r, word[1]));

	expect(filled == ROW_RING_BYTES, "%s: the ring has %zu bytes", step, filled);
	r->sent += filled;
}

/* fifo_peer() - what the peer of a fifo of Linux does */
static void fifo_peer(struct row *r, const char *command, size_t bytes)
{
	static char buf[MOST_BYTES];

	if (!strcmp(command, "connect")) {
		r->peer[0] = open(r->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		r->peer[1] = open(r->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		expect(r->peer[0] >= 0 && r->peer[1] >= 0, "the peer: %m");
	} else if (!strcmp(command, "leave")) {
		close(r->peer[0]);
		close(r->peer[1]);
	} else if (!strcmp(command, "send")) {
		write_all(r->peer[1], buf, bytes);
	} else if (!strcmp(command, "skip")) {
		read_all(r->peer[0], buf, bytes);
	} else {
		fail("%s: no such step", step);
	}
}

/* step_peer() - what is not a step of ours is a command of the peer */
static void step_peer(struct row *r, char **word)
{
	const char *command = word[0];
	size_t bytes = word[1] ? step_bytes(word[1], INT_MAX) : 0;
	char text[64];

	if (r->fifo) {
		fifo_peer(r, command, bytes);
		return;
	}
	if (!strcmp(command, "connect")) {
		r->received = 0; /* its pattern begins again, and ours when it had taken all */
		if (r->sent == r->taken)
			r->sent = r->taken = 0;
	} else if (!strcmp(command, "expect") || !strcmp(command, "skip")) {
		r->taken += bytes;
	}
	snprintf(text, sizeof(text), "%s %zu", strcmp(command, "leave") ? command : "close", bytes);
	peer(r, text);
	if (!r->said)
		return;
	if (!strcmp(command, "send"))
		peer(r, "taken");
	peer(r, "pause"); /* the daemon has finished with it: one thread serves both */
}

/* A client on the host would take what fits its socket; before one comes, a channel fills */
static void step_idle(struct row *r, char **word)
{
	(void)word;
	if (r->fifo)
		fifo_peer(r, "connect", 0);
}

static const struct {
	const char *name;
	void (*run)(struct row *r, char **word);
} verbs[] = {
	{ "open", step_open },     { "close", step_close },   { "read", step_read },
	{ "write", step_write },   { "start", step_start },   { "blocked", step_blocked },
	{ "joined", step_joined }, { "try", step_try },       { "catch", step_catch },
	{ "caught", step_caught }, { "signal", step_signal }, { "poll", step_poll },
	{ "wait", step_wait },     { "fill", step_fill },     { "idle", step_idle },
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* run_step() - one step */
static void run_step(struct row *r, char *text)
{
	char *word[MAX_WORDS + 1] = { NULL }, *rest;
	unsigned int n = 0;

	snprintf(step, sizeof(step), "step \"%s\"", text + strspn(text, " "));
	for (char *p = strtok_r(text, " ", &rest); p; p = strtok_r(NULL, " ", &rest)) {
		expect(n < MAX_WORDS, "%s: too many words", step);
		word[n++] = p;
	}
	expect(n, "an empty step");
	for (size_t i = 0; i < N_VERBS; i++) {
		if (!strcmp(word[0], verbs[i].name)) {
			verbs[i].run(r, word);
			return;
		}
	}
	step_peer(r, word);
}

/* run_steps() - all of them; @text is cut up */
static void run_steps(struct row *r, char *text)
{
	char *rest;

	for (char *p = strtok_r(text, ";", &rest); p; p = strtok_r(NULL, ";", &rest))
		run_step(r, p);
}

void steps(struct row *r, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	expect(n > 0 && n < (int)sizeof(text), "too many steps: %s", fmt);
	run_steps(r, text);
}

void row_run(const struct row_entry *entry, struct row *r)
{
	if (entry->run)
		entry->run(r);
	else
		run_steps(r, strdup(entry->steps));
}

int row_open(struct row *r, const char *text)
{
	char end[4] = "";

	strncpy(end, text, strcspn(text, ";") < sizeof(end) ? strcspn(text, ";") : 0);
	steps(r, "open %s", text);
	return *row_end(r, end);
}
