/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - lines for the journal
 *
 * One line per event. When stderr is a journal stream (systemd.exec(5), JOURNAL_STREAM) it goes
 * there with fields of its own (journalctl OKL4FS_GUEST=vm1), else to stderr, with the level as a
 * word. A line begins with its subject: "guest vm1: channel intervm_test: head is more than the
 * ring's size past tail". Control characters are escaped, so that a peer cannot forge a line.
 *
 * Thread-safe. Between log_start() and log_stop() no caller waits: a thread of its own writes the
 * lines, in the order in which they came, and lines that are not read in time are dropped and
 * counted (log_queue.h). Before and after, the calling thread writes.
 */
#ifndef OKL4FSD_UTIL_LOG_H
#define OKL4FSD_UTIL_LOG_H

#include "util/log_record.h"

/**
 * struct log_about - what a line is about
 * @guest: name, or NULL
 * @channel: name of a channel of that guest, or NULL
 * @event: which event, if the line has one
 */
struct log_about {
	const char *guest, *channel;
	enum log_event event;
};

/** log_start() - let a thread of its own write the lines; Return: 0 or -errno */
int log_start(void);

/** log_stop() - write what is left, but do not wait for its reader for longer than a second */
void log_stop(void);

/** log_set_level() - lines above @level are dropped; safe from any thread */
void log_set_level(enum log_level level);

/** log_get_level() - the level in force */
enum log_level log_get_level(void);

/** log_level_parse() - "err", "warning", "notice", "info", "debug"; Return: 0, or -EINVAL */
int log_level_parse(const char *word, enum log_level *level);

/** log_level_word() - the word of a level; static memory */
const char *log_level_word(enum log_level level);

/**
 * log_write() - write a line; use the macros below
 * @site: where it is written
 * @level: lines above the level in force are dropped
 * @about: its subject, which begins the line; NULL: the daemon itself
 * @fmt: the rest of the line, without a newline
 */
__attribute__((format(printf, 4, 5))) void log_write(const struct log_site *site,
						     enum log_level level,
						     const struct log_about *about, const char *fmt,
						     ...);

/**
 * log_keep() - also keep the last err line that this thread writes from now on, without its subject
 * @text: where, "" until there is one; NULL: no longer
 * @bytes: room there, with the NUL
 */
void log_keep(char *text, size_t bytes);

/* The place of the macro that uses it */
#define LOG_SITE (&(const struct log_site){ __FILE__, __func__, __LINE__ })

#define log_about(level, about, ...) log_write(LOG_SITE, level, about, __VA_ARGS__)
#define log_line(level, ...)         log_about(level, NULL, __VA_ARGS__)

#define log_err(...)     log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* About the daemon itself, a guest, a channel */
#define log_event(level, event_, ...) \
	log_about(level, (&(const struct log_about){ .event = (event_) }), __VA_ARGS__)
#define LOG_GUEST(guest_, event_) \
	(&(const struct log_about){ .guest = (guest_), .event = (event_) })
#define log_guest(level, guest_, ...) \
	log_about(level, LOG_GUEST(guest_, LOG_EVENT_NONE), __VA_ARGS__)
#define LOG_CHANNEL(guest_, channel_) \
	(&(const struct log_about){ .guest = (guest_), .channel = (channel_) })
#define log_channel(level, guest_, channel_, ...) \
	log_about(level, LOG_CHANNEL(guest_, channel_), __VA_ARGS__)

#endif
