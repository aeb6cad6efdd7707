/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - lines for the journal
 *
 * One line an event, to stderr, with the kernel's level prefix ("<6>") when stderr is a journal
 * stream (sd-daemon(3), JOURNAL_STREAM), else with a readable word. A line begins with its subject:
 * "guest vm1: channel intervm_test: head is more than the ring's size past tail". Thread-safe: a
 * line is one write(2). Bytes that a peer chose are escaped, so a line is a line.
 */
#ifndef OKL4FS_LOG_H
#define OKL4FS_LOG_H

/** enum log_level - syslog's (syslog(3)), those we use */
enum log_level {
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/** log_set_level() - lines above @level are dropped; safe from any thread */
void log_set_level(enum log_level level);

/** log_get_level() - the level in force */
enum log_level log_get_level(void);

/** log_level_parse() - "err", "warning", "notice", "info", "debug"; Return: 0, or -EINVAL */
int log_level_parse(const char *word, enum log_level *level);

/** log_level_word() - the word of a level; static memory */
const char *log_level_word(enum log_level level);

/** log_line() - write a line (no newline in @fmt) */
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_err(...)     log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
