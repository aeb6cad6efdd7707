// SPDX-License-Identifier: BSD-3-Clause
/*
 * criterion_sanitized.c - runs Criterion's tests without Criterion's runner
 *
 * Under ThreadSanitizer Criterion's own runner finds no place for its state ("Could not initialize
 * inheritable arena"), under AddressSanitizer it leaks itself. So a program built with a sanitizer
 * is linked with this file: it takes the tests from the section Criterion's macros put them in, runs
 * each in a child of its own, which looks for leaks when it ends, and stands in for what those
 * macros call. The report has the form of `--xml=FILE`, as far as tests/runner/criterion.py reads it.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED      97
#define EXIT_SKIPPED     98
#define SLOWER           10 /* times, under a sanitizer */
#define DEFAULT_LIMIT_S  300
#define MAX_ASSERT_BYTES 4096

extern struct criterion_test *const __start_cr_tst[], *const __stop_cr_tst[];
extern struct criterion_suite *const __start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *const __stop_cr_sts[] __attribute__((weak));

/* The test that runs in this process (a child). */
static const struct criterion_test *current;
static const struct criterion_suite *current_suite;
static void *current_param;
static int n_failed;

/* --- what Criterion's macros call ------------------------------------------------------------ */

/* criterion_send_assert() - an assertion was made; only failed ones matter */
void criterion_send_assert(struct criterion_assert_stats *stats)
{
	if (stats->passed)
		return;
	__atomic_fetch_add(&n_failed, 1, __ATOMIC_RELAXED);
	printf("%s:%u: %s\n", stats->file, stats->line, stats->message);
	fflush(stdout);
}

/* cri_asserts_passed_incr() - an assertion held */
void cri_asserts_passed_incr(void)
{
}

/* criterion_abort_test() - an assertion failed that ends its test */
void criterion_abort_test(void)
{
	fflush(NULL);
	_exit(EXIT_FAILED);
}

/* criterion_continue_test() - an assertion failed that does not end its test */
void criterion_continue_test(void)
{
}

/* criterion_skip_test() - the test leaves itself out */
void criterion_skip_test(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(NULL);
	_exit(EXIT_SKIPPED);
}

/* criterion_test_die() - the test cannot go on */
void criterion_test_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	criterion_abort_test();
}

/* cr_log() - a message of the test's */
void cr_log(enum criterion_severity severity, const char *format, ...)
{
	va_list args;

	(void)severity;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* criterion_internal_test_setup() - fixtures before the test: the suite's, then its own */
void criterion_internal_test_setup(void)
{
	if (current_suite && current_suite->data && current_suite->data->init)
		current_suite->data->init();
	if (current->data->init)
		current->data->init();
}

/* criterion_internal_test_main() - the test itself */
void criterion_internal_test_main(void (*fn)(void))
{
	if (current->data->kind_ == CR_TEST_PARAMETERIZED)
		((void (*)(void *))fn)(current_param);
	else
		fn();
}

/* criterion_internal_test_teardown() - fixtures after the test */
void criterion_internal_test_teardown(void)
{
	if (current->data->fini)
		current->data->fini();
	if (current_suite && current_suite->data && current_suite->data->fini)
		current_suite->data->fini();
}

/* --- running them ---------------------------------------------------------------------------- */

/* find_suite() - the TestSuite() of that name; NULL when there is none */
static const struct criterion_suite *find_suite(const char *name)
{
	for (struct criterion_suite *const *s = __start_cr_sts; s < __stop_cr_sts; s++) {
		if (*s && strcmp((*s)->name, name) == 0)
			return *s;
	}
	return NULL;
}

/* put_escaped() - text into XML */
static void put_escaped(FILE *report, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", report);
		else if (*text == '&')
			fputs("&amp;", report);
		else if (*text == '"')
			fputs("&quot;", report);
		else if ((unsigned char)*text >= ' ' || *text == '\n' || *text == '\t')
			fputc(*text, report);
	}
}

/* limit_s() - seconds a test may take */
static unsigned int limit_s(const struct criterion_test *test)
{
	double timeout = test->data->timeout;

	if (timeout <= 0 && current_suite && current_suite->data)
		timeout = current_suite->data->timeout;
	return timeout > 0 ? (unsigned int)ceil(timeout) * SLOWER : DEFAULT_LIMIT_S;
}

/* run_child() - be the process of a test */
static void run_child(const struct criterion_test *test, void *param, int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	current = test;
	current_param = param;
	alarm(limit_s(test));
	test->test();
	fflush(NULL);
	if (n_failed)
		_exit(EXIT_FAILED);
	exit(0);
}

/* read_output() - what a test printed, its end when there is more than fits @buf */
static void read_output(int fd, char *buf, size_t size)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, buf + used, size - 1 - used)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			fwrite(buf + used, 1, (size_t)got, stdout);
		used += got > 0 ? (size_t)got : 0;
		if (used == size - 1) {
			memmove(buf, buf + size / 2, used - size / 2);
			used -= size / 2;
		}
	}
	buf[used] = '\0';
}

/* judge() - what a test's end means; Return: NULL when it passed, else why it failed */
static const char *judge(const struct criterion_test *test, int status, char *why, size_t size)
{
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) == test->data->signal)
			return NULL;
		snprintf(why, size, "%s",
			 WTERMSIG(status) == SIGALRM ? "the test timed out" :
						       strsignal(WTERMSIG(status)));
	} else if (WEXITSTATUS(status) == test->data->exit_code && !test->data->signal) {
		return NULL;
	} else {
		snprintf(why, size, "status %d (see its output)", WEXITSTATUS(status));
	}
	return why;
}

/* run_one() - run a test with one parameter and report it; Return: it did not fail */
static bool run_one(const struct criterion_test *test, void *param, FILE *report)
{
	char output[MAX_ASSERT_BYTES], why[128];
	const char *reason;
	int out[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(out))
		abort();
	current_suite = find_suite(test->category);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		close(out[0]);
		run_child(test, param, out[1]);
	}
	close(out[1]);
	read_output(out[0], output, sizeof(output));
	close(out[0]);
	waitpid(pid, &status, 0);
	fprintf(report, "<testcase name=\"%s\">", test->name);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
		fputs("<skipped/></testcase>\n", report);
		return true;
	}
	reason = judge(test, status, why, sizeof(why));
	if (reason) {
		printf("[FAIL] %s::%s: %s\n", test->category, test->name, reason);
		fprintf(report, "<failure message=\"%s\">", reason);
		put_escaped(report, output);
		fputs("</failure>", report);
	}
	fputs("</testcase>\n", report);
	return !reason;
}

/* run_test() - run a test with each of its parameters; Return: none failed */
static bool run_test(const struct criterion_test *test, FILE *report)
{
	struct criterion_test_params params;
	bool good = true;

	if (test->data->disabled) {
		fprintf(report, "<testcase name=\"%s\"><skipped/></testcase>\n", test->name);
		return true;
	}
	if (test->data->kind_ != CR_TEST_PARAMETERIZED)
		return run_one(test, NULL, report);
	params = test->data->param_();
	for (size_t i = 0; i < params.length; i++)
		good &= run_one(test, (char *)params.params + i * params.size, report);
	if (params.cleanup)
		params.cleanup(&params);
	return good;
}

int main(int argc, char **argv)
{
	FILE *report = argc > 1 && strncmp(argv[1], "--xml=", 6) == 0 ? fopen(argv[1] + 6, "w") :
									fopen("/dev/null", "w");
	bool good = true;

	if (!report) {
		perror(argv[1]);
		return 2;
	}
	fputs("<testsuites>\n", report);
	for (struct criterion_test *const *t = __start_cr_tst; t < __stop_cr_tst; t++) {
		if (!*t)
			continue;
		fprintf(report, "<testsuite name=\"%s\">\n", (*t)->category);
		good &= run_test(*t, report);
		fputs("</testsuite>\n", report);
	}
	fputs("</testsuites>\n", report);
	return fclose(report) || !good;
}
