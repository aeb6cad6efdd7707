// SPDX-License-Identifier: BSD-3-Clause
/*
 * history.c - the last events
 */
#include "control/history.h"

#include <stdlib.h>

static struct {
	struct events_record *record; /* a ring, or NULL */
	size_t first, n;
	bool has_forgotten;
	uint64_t forgotten_us; /* when the last one that is gone happened */
} history;

void control_history_open(void)
{
	/* Memory that was not written to is not taken from the system */
	history.record = calloc(CONTROL_HISTORY_MAX, sizeof(*history.record));
}

void control_history_close(void)
{
	free(history.record);
	history.record = NULL;
	history.first = history.n = 0;
	history.has_forgotten = false;
	history.forgotten_us = 0;
}

static void forget(const struct events_record *record)
{
	history.has_forgotten = true;
	if (record->realtime_us > history.forgotten_us)
		history.forgotten_us = record->realtime_us;
}

void control_history_add(const struct events_record *record)
{
	if (!history.record) {
		forget(record);
		return;
	}
	if (history.n == CONTROL_HISTORY_MAX) {
		forget(&history.record[history.first]);
		history.first = (history.first + 1) % CONTROL_HISTORY_MAX;
		history.n--;
	}
	history.record[(history.first + history.n++) % CONTROL_HISTORY_MAX] = *record;
}

const struct events_record *control_history_get(size_t idx)
{
	return idx < history.n ? &history.record[(history.first + idx) % CONTROL_HISTORY_MAX] :
				 NULL;
}

bool control_history_reaches(uint64_t realtime_us)
{
	return !history.has_forgotten || history.forgotten_us < realtime_us;
}
