/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_queue.h - lines that wait for the thread that writes them (private to log)
 *
 * The reader of the log may stop reading. So a thread of its own writes the lines, and may sleep in
 * write(2) for as long as it takes; other threads copy a line into LOG_QUEUE_BYTES of memory and
 * goes on. What does not fit is dropped and counted. Changing stderr to O_NONBLOCK instead would
 * change it for all programs that share the pipe or the terminal.
 */
#ifndef OKL4FSD_UTIL_LOG_QUEUE_H
#define OKL4FSD_UTIL_LOG_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/log_record.h"

#define LOG_QUEUE_BYTES (256U << 10)

/**
 * log_queue_start() - start the thread that writes
 * @emit: writes a record, however long that takes; called on that thread only
 *
 * Return: 0 or -errno.
 */
int log_queue_start(void (*emit)(const struct log_record *record));

/**
 * log_queue_put() - hand a line to the thread that writes; any thread, it does not wait
 *
 * Return: true when the queue is responsible for it, even if that means that it was dropped; false
 * when there is no thread, and the caller may write it.
 */
bool log_queue_put(struct log_record *record);

/**
 * log_queue_stop() - let the thread write the rest for at most @limit_ms; join it if it was
 * in time
 */
void log_queue_stop(unsigned int limit_ms);

/** log_queue_dropped() - how many lines were dropped so far; any thread */
uint64_t log_queue_dropped(void);

#endif
