// SPDX-License-Identifier: BSD-3-Clause
/*
 * events.c - state changes of guests and channels, reported from any thread to main
 *
 * All threads push events on a stack, with one atomic exchange each, and main takes the whole
 * stack. It then holds the newest event first, so main reverses it. A thread that pushes on an
 * empty stack wakes main; on a stack that is not empty, another thread has done so. Main handles a
 * bounded number of events per turn, so that a guest that attaches and detaches as fast as it can
 * does not block the control socket.
 */
#include "loop/events.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop/loop.h"
#include "util/clock.h"
#include "util/fd.h"

#define MAX_POSTED    4096 /* not yet taken; some 800 bytes each */
#define TAKE_PER_TURN 128

#define NAME(upper, name, help) [EVENTS_##upper] = (name),
static const char *const kind_names[] = { EVENT_KINDS(NAME) };
#undef NAME

const char *events_kind_name(enum events_kind kind)
{
	return kind_names[kind];
}

/**
 * struct posted - an event that waits
 * @next: the one that was posted before it; after take_all(): after it
 * @record: the event
 */
struct posted {
	struct posted *next;
	struct events_record record;
};

/* Shared by all threads */
static atomic_bool wanted;
static _Atomic(struct posted *) newest;
static atomic_uint n_posted;
static atomic_ullong n_dropped;
static atomic_bool watched;
static atomic_bool happened; /* the watcher has not been called yet */
static int wake_fd = -1; /* set before other threads post, closed after they have ended */

/* Main's own */
static struct {
	struct loop *loop;
	struct event *wake;
	struct loop_task turn;
	struct posted *oldest; /* taken from the stack, not yet handed on */
	uint64_t seq;
	void (*take)(void *arg, const struct events_record *record);
	void (*dropped)(void *arg, uint64_t n);
	void *arg;
} taker;

static struct {
	void (*fn)(void *arg);
	void *arg;
} watcher;

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* Return: NULL when there is no room; then the event is counted as dropped */
static struct posted *record_of(const struct events_fact *fact)
{
	struct posted *p = NULL;

	if (atomic_fetch_add(&n_posted, 1) < MAX_POSTED)
		p = malloc(sizeof(*p));
	if (!p) {
		atomic_fetch_sub(&n_posted, 1);
		if (!atomic_fetch_add(&n_dropped, 1))
			(void)eventfd_write(wake_fd, 1); /* nothing else may wake main */
		return NULL;
	}
	p->record = (struct events_record){
		.kind = fact->kind,
		.realtime_us = clock_wall_us(),
		.monotonic_us = clock_us(),
		.number = fact->number,
		.instance = fact->instance,
		.again = fact->again,
		.all = fact->all,
		.guest_writes = fact->guest_writes,
		.torn = fact->torn,
		.opener = fact->opener,
	};
	copy_text(p->record.guest, sizeof(p->record.guest), fact->guest);
	copy_text(p->record.channel, sizeof(p->record.channel), fact->channel);
	copy_text(p->record.text, sizeof(p->record.text), fact->text);
	copy_text(p->record.more, sizeof(p->record.more), fact->more);
	return p;
}

void events_post(const struct events_fact *fact)
{
	struct posted *p, *before;

	if (atomic_load_explicit(&watched, memory_order_relaxed) &&
	    !atomic_exchange(&happened, true))
		(void)eventfd_write(wake_fd, 1);
	if (!atomic_load_explicit(&wanted, memory_order_relaxed))
		return;
	p = record_of(fact);
	if (!p)
		return;
	before = atomic_load_explicit(&newest, memory_order_relaxed);
	do
		p->next = before;
	while (!atomic_compare_exchange_weak_explicit(
		&newest, &before, p, memory_order_release, /* pairs with take_all() */
		memory_order_relaxed));
	/* From here on @p belongs to main. */
	if (!before)
		(void)eventfd_write(wake_fd, 1);
}

/* Return: the oldest event first */
static struct posted *take_all(void)
{
	struct posted *p =
		atomic_exchange_explicit(&newest, NULL, memory_order_acquire); /* events_post() */
	struct posted *oldest = NULL, *next;

	for (; p; p = next) {
		next = p->next;
		p->next = oldest;
		oldest = p;
	}
	return oldest;
}

static void hand_on(void *arg)
{
	uint64_t n;

	for (int i = 0; i < TAKE_PER_TURN && taker.oldest; i++) {
		struct posted *p = taker.oldest;

		taker.oldest = p->next;
		if (taker.take) {
			p->record.seq = ++taker.seq;
			taker.take(taker.arg, &p->record);
		}
		free(p);
		atomic_fetch_sub(&n_posted, 1);
	}
	if (!taker.oldest)
		taker.oldest = take_all();
	if (taker.oldest) {
		loop_schedule(taker.loop, &taker.turn);
		return;
	}
	n = atomic_exchange(&n_dropped, 0);
	if (n && taker.dropped)
		taker.dropped(taker.arg, n);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	/* Cleared before the watcher looks: what happens meanwhile calls it once more */
	if (atomic_exchange(&happened, false) && watcher.fn)
		watcher.fn(watcher.arg);
	/* Events that were taken before go first; hand_on() then takes the new ones. */
	if (!taker.oldest)
		hand_on(NULL);
}

int events_open(struct loop *loop)
{
	taker.loop = loop;
	taker.turn = (struct loop_task){ .fn = hand_on };
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		return -errno;
	taker.wake = event_new(loop_base(loop), wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
	if (!taker.wake || event_add(taker.wake, NULL)) {
		events_close();
		return -ENOMEM;
	}
	return 0;
}

void events_close(void)
{
	events_take(NULL, NULL, NULL);
	events_watch(NULL, NULL);
	while (taker.oldest || (taker.oldest = take_all())) {
		struct posted *next = taker.oldest->next;

		free(taker.oldest);
		taker.oldest = next;
	}
	if (taker.loop)
		loop_cancel(taker.loop, &taker.turn);
	if (taker.wake)
		event_free(taker.wake);
	taker.wake = NULL;
	taker.loop = NULL;
	wake_fd = fd_close(wake_fd);
	n_posted = 0;
	n_dropped = 0;
	happened = false;
}

void events_take(void (*take)(void *arg, const struct events_record *record),
		 void (*dropped)(void *arg, uint64_t n), void *arg)
{
	taker.take = take;
	taker.dropped = dropped;
	taker.arg = arg;
	atomic_store_explicit(&wanted, take, memory_order_relaxed);
}

void events_watch(void (*fn)(void *arg), void *arg)
{
	watcher.fn = fn;
	watcher.arg = arg;
	atomic_store_explicit(&watched, fn, memory_order_relaxed);
}

uint64_t events_seq(void)
{
	return taker.seq;
}
