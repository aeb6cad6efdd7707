// SPDX-License-Identifier: BSD-3-Clause
/*
 * say.c - lines on stderr, for a person or for the journal
 */
#include "serve/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_verbose, for_journal;

void say_setup(bool verbose)
{
	const char *stream = getenv("JOURNAL_STREAM"); /* systemd.exec(5) */
	unsigned long long dev, ino;
	struct stat st;

	is_verbose = verbose;
	for_journal = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		      !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
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
