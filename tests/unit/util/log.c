/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the log: as text, and as the fields that the journal gets. sd_journal_sendv() is
 * replaced here.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/log_limit.h"
#include "util/log_queue.h"

static FILE *captured;
static int saved_stderr = -1;
static char fields[4096];
static int n_sent, send_result;
static int full_journal_fd = -1; /* the journal takes nothing until something can be read here */

int sd_journal_sendv(const struct iovec *iov, int n);

/* In place of libsystemd's: keeps the fields, one per line */
int sd_journal_sendv(const struct iovec *iov, int n)
{
	size_t at = 0;
	char go_on;

	if (full_journal_fd >= 0)
		cr_assert_eq(read(full_journal_fd, &go_on, 1), 1);
	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(fields + at, sizeof(fields) - at, "%.*s\n",
				       (int)iov[i].iov_len, (const char *)iov[i].iov_base);
	n_sent++;
	return send_result;
}

static void capture(void)
{
	captured = tmpfile();
	cr_assert(captured);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(captured), STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_LEVEL_INFO);
	send_result = 0;
}

static void release(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	fclose(captured);
}

/* @ino_off is added to the inode number, so that stderr is another file than the stream */
static void be_journal(unsigned int ino_off)
{
	struct stat st;
	char stream[64];

	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + ino_off);
	setenv("JOURNAL_STREAM", stream, 1);
}

static const char *written(void)
{
	static char text[8192];
	ssize_t n = pread(fileno(captured), text, sizeof(text) - 1, 0);

	cr_assert_geq(n, 0);
	text[n] = 0;
	return text;
}

static void *write_some(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_info("thread %d line %d", (int)(uintptr_t)arg, i);
	return NULL;
}

TestSuite(daemon_log, .init = capture, .fini = release);

Test(daemon_log, text)
{
	log_warning("plain %d", 1);
	log_guest(LOG_LEVEL_INFO, "vm1", "of a guest");
	log_channel(LOG_LEVEL_ERR, "vm1", "pipe", "of a channel");
	log_debug("not at this level");
	cr_assert_str_eq(written(), "warning: plain 1\n"
				    "info: guest vm1: of a guest\n"
				    "err: guest vm1: channel pipe: of a channel\n");
	cr_assert_eq(n_sent, 0);
}

Test(daemon_log, the_last_error_is_kept)
{
	char kept[16] = "x";

	log_keep(kept, sizeof(kept));
	cr_assert_str_eq(kept, "");
	log_err("first");
	log_guest(LOG_LEVEL_ERR, "vm1", "second %d", 2);
	log_warning("third");
	cr_assert_str_eq(kept, "second 2");
	log_err("0123456789abcdefg");
	cr_assert_str_eq(kept, "0123456789abcde");
	log_keep(NULL, 0);
	log_err("after");
	cr_assert_str_eq(kept, "0123456789abcde");
}

Test(daemon_log, a_line_is_a_line)
{
	log_info("%s", "one\ntwo\033[2J\x7f");
	cr_assert_str_eq(written(), "info: one\\x0atwo\\x1b[2J\\x7f\n");
}

Test(daemon_log, a_long_line_is_cut)
{
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	log_channel(LOG_LEVEL_INFO, "vm1", "pipe", "%s", text);
	log_info("next");
	cr_assert_eq(strncmp(written(), "info: guest vm1: channel pipe: xxx", 34), 0);
	cr_assert_str_eq(strchr(written(), '\n'), "\ninfo: next\n");
	cr_assert_lt(strlen(written()), 2200);
}

Test(daemon_log, errno_is_kept)
{
	errno = EBADF;
	log_info("x");
	cr_assert_eq(errno, EBADF);
}

#ifdef HAVE_SYSTEMD
Test(daemon_log, fields_of_a_channel)
{
	be_journal(0);
	log_about(LOG_LEVEL_WARNING,
		  (&(const struct log_about){ "vm1", "my pipe", LOG_EVENT_CHANNEL_FAILED }),
		  "failed: %s", "a\nb");
	cr_assert_eq(n_sent, 1);
	cr_assert(strstr(fields, "PRIORITY=4\n"), "%s", fields);
	cr_assert(strstr(fields, "SYSLOG_IDENTIFIER=okl4fsd\n"));
	cr_assert(strstr(fields, "OKL4FS_GUEST=vm1\nOKL4FS_CHANNEL=my pipe\n"), "%s", fields);
	cr_assert(strstr(fields, "MESSAGE_ID=1d8a3be2fecf427fa1d8366514bcf13e\n"));
	cr_assert(strstr(fields, "CODE_FUNC="));
	cr_assert(strstr(fields, "log.c\nCODE_LINE="));
	cr_assert(strstr(fields, "\nMESSAGE=guest vm1: channel my pipe: failed: a\\x0ab\n"));
	cr_assert_str_eq(written(), "");
}

Test(daemon_log, fields_that_are_not_there)
{
	be_journal(0);
	log_err("cannot");
	cr_assert_eq(n_sent, 1);
	cr_assert_null(strstr(fields, "OKL4FS_"), "%s", fields);
	cr_assert_null(strstr(fields, "MESSAGE_ID"), "%s", fields);
	cr_assert(strstr(fields, "\nMESSAGE=cannot\n"));
}

Test(daemon_log, stderr_is_another_file_than_the_journals)
{
	be_journal(1);
	log_err("cannot");
	cr_assert_eq(n_sent, 0);
	cr_assert_str_eq(written(), "err: cannot\n");
}

Test(daemon_log, a_journal_that_cannot_be_reached)
{
	be_journal(0);
	send_result = -ENOENT;
	log_guest(LOG_LEVEL_ERR, "vm1", "cannot");
	cr_assert_eq(n_sent, 1);
	cr_assert_str_eq(written(), "<3>guest vm1: cannot\n");
}

Test(daemon_log, a_journal_that_is_full, .timeout = 60)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	full_journal_fd = ends[0];
	be_journal(0);
	cr_assert_eq(log_start(), 0);
	for (int i = 0; i < 10000; i++)
		log_info("line %d", i); /* must not wait */
	cr_assert_eq(n_sent, 0);
	cr_assert_gt(log_queue_dropped(), 0);
	log_stop(); /* nor this */
}
#endif

/* Lines with numbers, as they came out of a pipe */
struct numbered {
	int fd; /* the pipe's reading end */
	char part[4096]; /* the beginning of a line whose rest has not come yet */
	char last[4096]; /* the line that came last */
	unsigned long n, dropped; /* lines so far, and lines that are said to be dropped */
};

/* Lines come in order; a missing one is reported by the line about dropped lines */
static void take_line(struct numbered *from, const char *line)
{
	static const char numbered[] = "info: line ", lost[] = "warning: log: ";

	if (!strncmp(line, numbered, strlen(numbered)))
		cr_assert_eq(strtoul(line + strlen(numbered), NULL, 10), from->n++ + from->dropped,
			     "%s", line);
	else if (!strncmp(line, lost, strlen(lost)))
		from->dropped += strtoul(line + strlen(lost), NULL, 10);
	snprintf(from->last, sizeof(from->last), "%s", line);
}

static void read_lines(struct numbered *from)
{
	size_t part = strlen(from->part);
	ssize_t r = read(from->fd, from->part + part, sizeof(from->part) - part - 1);
	char *line = from->part, *end;

	cr_assert_gt(r, 0);
	from->part[part + (size_t)r] = 0;
	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		take_line(from, line);
	}
	memmove(from->part, line, strlen(line) + 1);
}

static int be_pipe(void)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	return ends[0];
}

Test(daemon_log, a_pipe_that_nobody_reads, .timeout = 60)
{
	const unsigned long n_lines = 20000;
	struct numbered from = { .fd = be_pipe() };

	cr_assert_eq(log_start(), 0);
	for (unsigned long i = 0; i < n_lines; i++)
		log_info("line %lu", i); /* more than the pipe and the queue hold: must not wait */
	while (from.n + from.dropped < n_lines)
		read_lines(&from);
	cr_assert_gt(from.n, 1000);
	cr_assert_gt(from.dropped, 0);
	cr_assert_eq(log_queue_dropped(), from.dropped);

	log_info("there is room again");
	while (strcmp(from.last, "info: there is room again") != 0)
		read_lines(&from);
	cr_assert_eq(log_queue_dropped(), from.dropped);
	log_stop();
}

Test(daemon_log, the_last_lines_are_written)
{
	cr_assert_eq(log_start(), 0);
	for (int i = 0; i < 100; i++)
		log_info("line %d", i);
	log_stop();
	cr_assert(strstr(written(), "info: line 99\n"), "%s", written());
	log_info("without a thread");
	cr_assert(strstr(written(), "info: without a thread\n"));
}

Test(daemon_log, the_end_does_not_wait_for_a_reader, .timeout = 60)
{
	be_pipe();
	cr_assert_eq(log_start(), 0);
	for (int i = 0; i < 5000; i++)
		log_info("line %d", i);
	log_stop();
	log_info("nor does a line after it");
	dup2(saved_stderr, STDERR_FILENO);
}

Test(daemon_log, several_threads, .timeout = 60)
{
	pthread_t thread[4];
	char text[64];

	cr_assert_eq(log_start(), 0);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, write_some, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	log_stop();
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "info: thread %d line 49\n", i);
		cr_assert(strstr(written(), text), "no %s", text);
	}
}

Test(daemon_log, too_many_lines)
{
	struct log_limit limit = { 0 };
	const struct log_about about = { .guest = "vm1" };
	unsigned int n = 0;

	for (int i = 0; i < 1000; i++)
		log_limited(&limit, LOG_LEVEL_INFO, &about, "line %d", i);
	for (const char *at = written(); (at = strchr(at, '\n')); at++)
		n++;
	cr_assert_geq(n, LOG_LIMIT_BURST);
	cr_assert_lt(n, 200);
	cr_assert_eq(strncmp(written(), "info: guest vm1: line 0\n", 24), 0);
}
