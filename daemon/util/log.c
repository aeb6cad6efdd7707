/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* A longer line is cut: whoever reads the journal wants lines, and a stack has an end. */
#define LOG_LINE_BYTES 2048

static atomic_int log_level = LOG_LEVEL_INFO;

static const char *const level_word[] = {
	[LOG_LEVEL_ERR] = "err",   [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

int log_level_parse(const char *word, enum log_level *level)
{
	for (int i = LOG_LEVEL_ERR; i <= LOG_LEVEL_DEBUG; i++) {
		if (!strcmp(word, level_word[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_word(enum log_level level)
{
	if (level < LOG_LEVEL_ERR || level > LOG_LEVEL_DEBUG)
		return "?";
	return level_word[level];
}

/**
 * log_to_journal() - whether stderr is the journal's stream (systemd.exec(5), JOURNAL_STREAM)
 *
 * Asked anew for each line: stderr may be redirected, and a line costs a write(2) in any case.
 *
 * Return: true when $JOURNAL_STREAM names the device and inode of stderr.
 */
static bool log_to_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char *end;

	if (!env)
		return false;
	dev = strtoull(env, &end, 10);
	if (*end != ':')
		return false;
	ino = strtoull(end + 1, NULL, 10);
	return !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

/**
 * log_escape() - copy text so that it stays one line and moves no cursor
 * @out: room
 * @out_bytes: its bytes
 * @text: NUL-terminated text
 *
 * Return: bytes written, without a NUL; what does not fit is left out.
 */
static size_t log_escape(char *out, size_t out_bytes, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			if (n + 1 > out_bytes)
				break;
			out[n++] = (char)c;
			continue;
		}
		if (n + 4 > out_bytes)
			break;
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return n;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_BYTES], line[LOG_LINE_BYTES + 32];
	int saved_errno = errno, n;
	va_list ap;
	size_t bytes;

	if (level > log_get_level())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log_to_journal())
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	else
		n = snprintf(line, sizeof(line), "%s: ", log_level_word(level));
	bytes = (size_t)n;
	bytes += log_escape(line + bytes, sizeof(line) - 1 - bytes, text);
	line[bytes++] = '\n';
	while (write(STDERR_FILENO, line, bytes) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}
