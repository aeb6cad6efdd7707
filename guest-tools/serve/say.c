// SPDX-License-Identifier: BSD-3-Clause
/*
 * say.c - lines on stderr, for a person or for the journal
 */
#include "serve/say.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_verbose, for_journal;

void say_setup(bool verbose)
{
	const char *stream = getenv("JOURNAL_STREAM"); /* systemd.exec(5) */
	struct stat st;
	char ours[48];

	is_verbose = verbose;
	if (!stream || fstat(STDERR_FILENO, &st))
		return;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	for_journal = !strcmp(stream, ours);
}

void say(int level, const char *fmt, ...)
{
	char line[512];
	va_list args;

	if (level == LOG_DEBUG && !is_verbose)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	/* The journal would drop debug lines where the service is asked for them */
	if (for_journal)
		fprintf(stderr, "<%d>%s\n", level == LOG_DEBUG ? LOG_INFO : level, line);
	else
		fprintf(stderr, "okl4fs-serve: %s\n", line);
}
