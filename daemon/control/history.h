/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history.h - the last events, for a client that asks what has happened (private to control)
 *
 * A bounded number is kept, and only in memory: a new daemon begins with none. Main's.
 */
#ifndef OKL4FSD_CONTROL_HISTORY_H
#define OKL4FSD_CONTROL_HISTORY_H

#include "loop/events.h"

/** CONTROL_HISTORY_MAX - how many events are kept; some 700 bytes each, which are taken when there are so many */
#define CONTROL_HISTORY_MAX 1024

/** control_history_open() - begin to keep events; without memory for it, none are kept */
void control_history_open(void);

/** control_history_close() - forget all */
void control_history_close(void);

/** control_history_add() - keep an event; the oldest one goes if there are too many */
void control_history_add(const struct events_record *record);

/** control_history_get() - the event at @idx, 0 for the oldest; Return: NULL when there is none */
const struct events_record *control_history_get(size_t idx);

/** control_history_reaches() - whether all events since then (microseconds since 1970) are kept */
bool control_history_reaches(uint64_t realtime_us);

#endif
