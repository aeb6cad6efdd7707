/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * since.h - points in time, as people write them
 */
#ifndef OKL4FSD_CTL_SINCE_H
#define OKL4FSD_CTL_SINCE_H

#include <stdbool.h>

/**
 * since_read() - a point in time
 * @text: how long ago ("90s", "10m", "1h30m", "2d"), a local time ("2026-01-02",
 *	"2026-01-02 10:00", "2026-01-02T10:00:00", "10:00" today; with "Z" at the end: UTC), or "start"
 * @now_us: the present, in microseconds since 1970
 * @us: out: likewise; 0 for "start"
 *
 * Return: whether it is one.
 */
bool since_read(const char *text, unsigned long long now_us, unsigned long long *us);

/** since_text() - a point in time in the local zone: "2026-01-02T10:00:00.000+01:00" */
void since_text(unsigned long long us, char text[40]);

#endif
