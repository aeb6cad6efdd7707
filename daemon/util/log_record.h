/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_record.h - what a line of the log consists of
 */
#ifndef OKL4FSD_UTIL_LOG_RECORD_H
#define OKL4FSD_UTIL_LOG_RECORD_H

#include <stddef.h>
#include <stdint.h>

/** enum log_level - the levels of syslog(3) that are used */
enum log_level {
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/** enum log_event - lines that programs look for: each has a MESSAGE_ID (log.c, okl4fsd(8)) */
enum log_event {
	LOG_EVENT_NONE,
	LOG_EVENT_READY, /* the daemon has started */
	LOG_EVENT_ENDING, /* the daemon got a signal to end */
	LOG_EVENT_RELOADED,
	LOG_EVENT_RELOAD_REFUSED,
	LOG_EVENT_CONNECTED, /* a guest's frontend has connected */
	LOG_EVENT_LEFT, /* a guest's frontend has left */
	LOG_EVENT_CHANNEL_FAILED,
	LOG_EVENT_STUCK, /* the watchdog: a thread makes no progress */
	N_LOG_EVENTS
};

/** struct log_site - where in the source a line is written */
struct log_site {
	const char *file, *func;
	int line;
};

/* A longer line is cut: it would be hard to read, and lines are made on the stack. */
#define LOG_LINE_BYTES 2048

#define LOG_NAME_BYTES 64 /* of a guest or a channel, with its NUL */

/**
 * struct log_record - a line that is ready to be written
 * @site: as log_write()
 * @level: as log_write()
 * @event: as in struct log_about
 * @lost: lines that were dropped just before it
 * @guest: the guest that it is about; empty: none
 * @channel: the channel that it is about; empty: none
 * @bytes: of @text, which is all that follows
 * @text: the line, escaped, without a newline
 */
struct log_record {
	struct log_site site;
	enum log_level level;
	enum log_event event;
	uint64_t lost;
	char guest[LOG_NAME_BYTES], channel[LOG_NAME_BYTES];
	size_t bytes;
	char text[LOG_LINE_BYTES];
};

#endif
