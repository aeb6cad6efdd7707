/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/log_queue.h"

/* What a record takes in the queue besides its text */
#define RECORD_HEAD_BYTES offsetof(struct log_record, text)

enum log_queue_state {
	LOG_QUEUE_NONE, /* there is no thread */
	LOG_QUEUE_RUNS,
	LOG_QUEUE_ENDING, /* the thread ends once the queue is empty */
	LOG_QUEUE_ENDED, /* the thread can be joined */
};

/**
 * struct log_queue - the queue and its thread; all protected by @lock, which is held no longer
 * than it takes to copy a record
 * @some: the thread waits here while there is nothing to write
 * @ended: log_queue_stop() waits here until the thread has ended
 * @emit: as log_queue_start()
 * @bytes: the records, one after another, around the end
 * @head: where the next one goes; runs freely
 * @tail: where the oldest one is
 * @full: a line did not fit, and the queue is not half empty yet
 * @lost: lines that were dropped and not reported yet
 * @dropped: all lines that were dropped
 */
static struct log_queue {
	pthread_mutex_t lock;
	pthread_cond_t some, ended;
	pthread_t thread;
	enum log_queue_state state;
	void (*emit)(const struct log_record *record);
	char bytes[LOG_QUEUE_BYTES];
	size_t head, tail;
	bool full;
	uint64_t lost, dropped;
} q = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER };

_Static_assert((LOG_QUEUE_BYTES & (LOG_QUEUE_BYTES - 1)) == 0, "the cursors run freely");

static void queue_copy_in(const void *from, size_t bytes)
{
	size_t at = q.head % LOG_QUEUE_BYTES;
	size_t first = bytes < LOG_QUEUE_BYTES - at ? bytes : LOG_QUEUE_BYTES - at;

	memcpy(q.bytes + at, from, first);
	memcpy(q.bytes, (const char *)from + first, bytes - first);
	q.head += bytes;
}

static void queue_copy_out(void *to, size_t bytes)
{
	size_t at = q.tail % LOG_QUEUE_BYTES;
	size_t first = bytes < LOG_QUEUE_BYTES - at ? bytes : LOG_QUEUE_BYTES - at;

	memcpy(to, q.bytes + at, first);
	memcpy((char *)to + first, q.bytes, bytes - first);
	q.tail += bytes;
}

/* Once full it stays full until it is half empty: else every other line would report a lost one. */
static bool has_room(size_t bytes)
{
	size_t used = q.head - q.tail;

	q.full = used > (q.full ? LOG_QUEUE_BYTES / 2 : LOG_QUEUE_BYTES - bytes);
	return !q.full;
}

bool log_queue_put(struct log_record *record)
{
	size_t bytes = RECORD_HEAD_BYTES + record->bytes;
	bool queued;

	pthread_mutex_lock(&q.lock);
	queued = q.state != LOG_QUEUE_NONE;
	if (queued && has_room(bytes)) {
		record->lost = q.lost;
		q.lost = 0;
		queue_copy_in(record, bytes);
		pthread_cond_signal(&q.some);
	} else if (queued) {
		q.lost++;
		q.dropped++;
	}
	pthread_mutex_unlock(&q.lock);
	return queued;
}

/* The next record; one without text reports lost lines that no other line followed */
static bool take_record(struct log_record *record)
{
	if (q.head == q.tail) {
		*record = (struct log_record){ .lost = q.lost };
		q.lost = 0;
		q.full = false;
		return record->lost;
	}
	queue_copy_out(record, RECORD_HEAD_BYTES);
	queue_copy_out(record->text, record->bytes);
	if (q.head == q.tail)
		q.head = q.tail = 0; /* a reader that keeps up needs only the first pages */
	return true;
}

static void tell_lost(uint64_t lost)
{
	static const struct log_site site = { __FILE__, __func__, __LINE__ };
	struct log_record note = { .site = site, .level = LOG_LEVEL_WARNING };

	note.bytes = (size_t)snprintf(note.text, sizeof(note.text),
				      "log: %" PRIu64 " lines were dropped here, because the "
				      "reader of the log was too slow",
				      lost);
	q.emit(&note);
}

static void *write_lines(void *arg)
{
	static struct log_record record; /* one thread */

	pthread_mutex_lock(&q.lock);
	for (;;) {
		if (!take_record(&record)) {
			if (q.state == LOG_QUEUE_ENDING)
				break;
			pthread_cond_wait(&q.some, &q.lock);
			continue;
		}
		pthread_mutex_unlock(&q.lock);
		if (record.lost)
			tell_lost(record.lost);
		if (record.bytes)
			q.emit(&record);
		pthread_mutex_lock(&q.lock);
	}
	q.state = LOG_QUEUE_ENDED;
	pthread_cond_signal(&q.ended);
	pthread_mutex_unlock(&q.lock);
	return NULL;
}

int log_queue_start(void (*emit)(const struct log_record *record))
{
	pthread_condattr_t attr;
	sigset_t block, before;
	int r;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q.ended, &attr);
	pthread_condattr_destroy(&attr);
	q.emit = emit;
	q.state = LOG_QUEUE_RUNS;
	/* As any other thread's, see loop_start() */
	sigfillset(&block);
	sigdelset(&block, SIGBUS);
	sigdelset(&block, SIGSEGV);
	sigdelset(&block, SIGILL);
	sigdelset(&block, SIGFPE);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	r = pthread_create(&q.thread, NULL, write_lines, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		q.state = LOG_QUEUE_NONE;
	else
		pthread_setname_np(q.thread, "log");
	return -r;
}

void log_queue_stop(unsigned int limit_ms)
{
	uint64_t end_ns = clock_ns() + limit_ms * UINT64_C(1000000);
	struct timespec end = { .tv_sec = (time_t)(end_ns / 1000000000),
				.tv_nsec = (long)(end_ns % 1000000000) };
	bool ended;

	pthread_mutex_lock(&q.lock);
	if (q.state != LOG_QUEUE_RUNS) {
		pthread_mutex_unlock(&q.lock);
		return;
	}
	q.state = LOG_QUEUE_ENDING;
	pthread_cond_signal(&q.some);
	while (q.state != LOG_QUEUE_ENDED &&
	       pthread_cond_timedwait(&q.ended, &q.lock, &end) != ETIMEDOUT)
		;
	ended = q.state == LOG_QUEUE_ENDED;
	if (ended)
		q.state = LOG_QUEUE_NONE;
	pthread_mutex_unlock(&q.lock);
	if (ended)
		pthread_join(q.thread, NULL);
	else
		pthread_detach(q.thread); /* it sleeps in write(2); exit(3) ends it */
}

uint64_t log_queue_dropped(void)
{
	uint64_t dropped;

	pthread_mutex_lock(&q.lock);
	dropped = q.dropped;
	pthread_mutex_unlock(&q.lock);
	return dropped;
}
