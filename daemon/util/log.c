/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION /* ours is that of the caller */
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#endif

#include "util/log.h"
#include "util/log_queue.h"

/* A field of the journal: its name, and the file name, the function or the name that it holds */
#define LOG_FIELD_BYTES 160

#define LOG_STOP_MS 1000

static atomic_int log_level = LOG_LEVEL_INFO;

/* Of log_keep() */
static _Thread_local char *kept_text;
static _Thread_local size_t kept_bytes;

/**
 * journal - the file that $JOURNAL_STREAM names (systemd.exec(5))
 * @named: the variable is set
 * @dev: device
 * @ino: inode
 */
static struct {
	bool named;
	unsigned long long dev, ino;
} journal;

static const char *const level_word[] = {
	[LOG_LEVEL_ERR] = "err",   [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
};

#ifdef HAVE_SYSTEMD
/* These never change: okl4fsd(8) lists them, and users write rules that match them. */
static const char *const event_id[] = {
	[LOG_EVENT_NONE] = NULL,
	[LOG_EVENT_READY] = "ebc70cb3d4da4dc28afae7c54d138cda",
	[LOG_EVENT_ENDING] = "e8dcdda319234df3b5580e36a4ad1a80",
	[LOG_EVENT_RELOADED] = "e1f2c029404b4dddb4eb952d2e412462",
	[LOG_EVENT_RELOAD_REFUSED] = "268ec56a94724c9dbdabe67b1c0849d7",
	[LOG_EVENT_CONNECTED] = "a6aaebe153b4464b9dbc99a1f4f5e1b4",
	[LOG_EVENT_LEFT] = "c8b1066d5d8646a48faf50b2c72eded2",
	[LOG_EVENT_CHANNEL_FAILED] = "1d8a3be2fecf427fa1d8366514bcf13e",
	[LOG_EVENT_STUCK] = "fb9fc3d899634341ba1118448562083a",
};
_Static_assert(sizeof(event_id) / sizeof(event_id[0]) == N_LOG_EVENTS, "an id for each event");
#endif

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

/* Only while no other thread may change the environment */
static void log_look_for_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	char *end;

	journal.named = false;
	if (!env)
		return;
	journal.dev = strtoull(env, &end, 10);
	if (*end != ':')
		return;
	journal.ino = strtoull(end + 1, NULL, 10);
	journal.named = true;
}

/* Looked up for each line: stderr may be redirected. */
static bool log_to_journal(void)
{
	struct stat st;

	return journal.named && !fstat(STDERR_FILENO, &st) && st.st_dev == journal.dev &&
	       st.st_ino == journal.ino;
}

/* One line that moves no cursor; what does not fit is left out. Return: bytes, without a NUL */
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

#ifdef HAVE_SYSTEMD
/**
 * struct log_fields - the fields of a line for the journal
 * @field: them
 * @text: what @field points to, except the message
 * @n: how many
 */
struct log_fields {
	struct iovec field[9];
	char text[8][LOG_FIELD_BYTES];
	int n;
};

/* A field whose @value is NULL is left out */
__attribute__((format(printf, 2, 0))) static void log_field(struct log_fields *f, const char *fmt,
							    const char *value)
{
	char *text = f->text[f->n];
	int n;

	if (!value)
		return;
	n = snprintf(text, LOG_FIELD_BYTES, fmt, value);
	if (n < 0)
		return;
	f->field[f->n].iov_base = text;
	f->field[f->n].iov_len = n < LOG_FIELD_BYTES ? (size_t)n : LOG_FIELD_BYTES - 1;
	f->n++;
}

static int log_journal(const struct log_record *record)
{
	static const char field[] = "MESSAGE=";
	char number[16], message[sizeof(field) - 1 + LOG_LINE_BYTES];
	struct log_fields f;

	f.n = 0;
	snprintf(number, sizeof(number), "%d", (int)record->level);
	log_field(&f, "PRIORITY=%s", number);
	log_field(&f, "SYSLOG_IDENTIFIER=%s", "okl4fsd");
	log_field(&f, "OKL4FS_GUEST=%s", *record->guest ? record->guest : NULL);
	log_field(&f, "OKL4FS_CHANNEL=%s", *record->channel ? record->channel : NULL);
	log_field(&f, "MESSAGE_ID=%s", event_id[record->event]);
	log_field(&f, "CODE_FILE=%s", record->site.file);
	snprintf(number, sizeof(number), "%d", record->site.line);
	log_field(&f, "CODE_LINE=%s", number);
	log_field(&f, "CODE_FUNC=%s", record->site.func);
	memcpy(message, field, sizeof(field) - 1);
	memcpy(message + sizeof(field) - 1, record->text, record->bytes);
	f.field[f.n].iov_base = message;
	f.field[f.n].iov_len = sizeof(field) - 1 + record->bytes;
	return sd_journal_sendv(f.field, f.n + 1);
}
#endif

/* A stream of the journal expects "<6>" (sd-daemon(3)) instead of the word. */
static void log_stderr(bool is_journal, const struct log_record *record)
{
	char line[LOG_LINE_BYTES + 32];
	int n = is_journal ? snprintf(line, sizeof(line), "<%d>", (int)record->level) :
			     snprintf(line, sizeof(line), "%s: ", log_level_word(record->level));
	size_t bytes = (size_t)n + record->bytes + 1;

	memcpy(line + n, record->text, record->bytes);
	line[bytes - 1] = '\n';
	for (size_t done = 0; done < bytes;) {
		ssize_t wrote = write(STDERR_FILENO, line + done, bytes - done);

		if (wrote >= 0)
			done += (size_t)wrote;
		else if (errno == EAGAIN) /* another process has made it non-blocking */
			poll(&(struct pollfd){ .fd = STDERR_FILENO, .events = POLLOUT }, 1, -1);
		else if (errno != EINTR)
			return;
	}
}

/* May wait for the reader; called on the log's thread, or while that does not run */
static void log_emit(const struct log_record *record)
{
	bool is_journal = log_to_journal();

#ifdef HAVE_SYSTEMD
	if (is_journal && !log_journal(record))
		return;
#endif
	log_stderr(is_journal, record);
}

int log_start(void)
{
	log_look_for_journal();
	return log_queue_start(log_emit);
}

void log_stop(void)
{
	log_queue_stop(LOG_STOP_MS);
}

static size_t log_subject(char *out, size_t out_bytes, const struct log_about *about)
{
	int n = 0;

	if (about->guest && about->channel)
		n = snprintf(out, out_bytes, "guest %s: channel %s: ", about->guest,
			     about->channel);
	else if (about->guest)
		n = snprintf(out, out_bytes, "guest %s: ", about->guest);
	return n > 0 ? (size_t)n : 0;
}

void log_keep(char *text, size_t bytes)
{
	kept_text = text;
	kept_bytes = bytes;
	if (text)
		*text = 0;
}

void log_write(const struct log_site *site, enum log_level level, const struct log_about *about,
	       const char *fmt, ...)
{
	static const struct log_about daemon_itself;
	struct log_record record;
	char text[LOG_LINE_BYTES];
	int saved_errno = errno;
	size_t bytes;
	va_list ap;

	if (level > log_get_level())
		return;
	if (!about)
		about = &daemon_itself;
	record.site = *site;
	record.level = level;
	record.event = about->event;
	snprintf(record.guest, sizeof(record.guest), "%s", about->guest ? about->guest : "");
	snprintf(record.channel, sizeof(record.channel), "%s",
		 about->guest && about->channel ? about->channel : "");
	/* Names have at most OKL4FS_NAME_MAX bytes, so it always fits. */
	bytes = log_subject(text, sizeof(text) / 2, about);
	va_start(ap, fmt);
	vsnprintf(text + bytes, sizeof(text) - bytes, fmt, ap);
	va_end(ap);
	if (level == LOG_LEVEL_ERR && kept_text)
		snprintf(kept_text, kept_bytes, "%s", text + bytes);
	record.bytes = log_escape(record.text, sizeof(record.text), text);
	if (!log_queue_put(&record)) {
		log_look_for_journal();
		log_emit(&record);
	}
	errno = saved_errno;
}
