/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * events.h - state changes of guests and channels, reported from any thread to main
 *
 * A thread that changes a state posts an event and goes on: posting takes no lock of the daemon and
 * does not wait. Main takes the events in the order in which they were posted and numbers them.
 * While nothing takes them, posting is two loads. The number of events that main has not taken
 * yet is bounded: further ones are dropped and counted.
 */
#ifndef OKL4FSD_LOOP_EVENTS_H
#define OKL4FSD_LOOP_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <libfs/pipe.h>

#include "util/event_kinds.h"

struct loop;

#define EVENTS_ENUMERATOR(upper, name, help) EVENTS_##upper,
/** enum events_kind - what happened (EVENT_KINDS()); okl4fs-control(7) describes each by name */
enum events_kind { EVENT_KINDS(EVENTS_ENUMERATOR) N_EVENTS_KINDS };
#undef EVENTS_ENUMERATOR

#define EVENTS_TEXT_BYTES 256

/**
 * struct events_fact - what to report; a member that an event does not have is 0 or NULL
 * @kind: what happened
 * @guest: to which guest
 * @channel: to which of its channels
 * @text: a sentence or a word: why, which status, which type
 * @more: a second one
 * @number: id, or how many
 * @instance: of a driver, or of a channel's memory
 * @again: (channel.attached) the memory that was there before
 * @torn: (endpoint.disconnected) the peer has not got all that the guest wrote
 * @all: (endpoint.taken) the guest has taken everything
 * @guest_writes: (endpoint.taken) the guest has the channel open for writing
 * @opener: (channel.opened) which program; a @pid of 0: not given
 */
struct events_fact {
	enum events_kind kind;
	const char *guest, *channel, *text, *more;
	uint64_t number, instance;
	bool again, torn, all, guest_writes;
	struct okl4_opener opener;
};

/**
 * struct events_record - an event after it was posted
 * @kind, @number, @instance, @again, @torn, @all, @guest_writes, @opener: as
 *	in struct events_fact
 * @seq: counts the events that were taken, from 1
 * @realtime_us: when, since 1970
 * @monotonic_us: when, by CLOCK_MONOTONIC
 * @guest, @channel, @text, @more: copies; "" for none
 */
struct events_record {
	enum events_kind kind;
	uint64_t seq, realtime_us, monotonic_us, number, instance;
	bool again, torn, all, guest_writes;
	struct okl4_opener opener;
	char guest[OKL4FS_NAME_MAX + 1], channel[OKL4FS_NAME_MAX + 1];
	char text[EVENTS_TEXT_BYTES], more[EVENTS_TEXT_BYTES];
};

/**
 * events_post() - report that something has happened; any thread; @fact and its strings are copied
 */
void events_post(const struct events_fact *fact);

/**
 * events_open() - let events be posted
 * @loop: main's; the one that takes them
 *
 * Return: 0 or -errno.
 */
int events_open(struct loop *loop);

/** events_close() - drop what was not taken; no other thread may post from here on */
void events_close(void);

/**
 * events_watch() - learn that something has happened, but not what
 * @fn: called on main, once for all that was posted since the last call; NULL: none
 * @arg: its argument
 *
 * Independent of events_take(). Main, after events_open().
 */
void events_watch(void (*fn)(void *arg), void *arg);

/**
 * events_take() - set the function that takes events
 * @take: called on main with each event; NULL: events are not taken
 * @dropped: called on main with how many were dropped since
 * @arg: their argument
 *
 * Main.
 */
void events_take(void (*take)(void *arg, const struct events_record *record),
		 void (*dropped)(void *arg, uint64_t n), void *arg);

/** events_seq() - number of the last event that was taken; main */
uint64_t events_seq(void);

/** events_kind_name() - "guest.added", ...; static memory */
const char *events_kind_name(enum events_kind kind);

#endif
