// SPDX-License-Identifier: BSD-3-Clause
/*
 * The line changes at most four times a second, and only while bytes move. When nothing has moved for a
 * second, it shows that once; then no timer runs.
 */
#include <stdio.h>
#include <unistd.h>

#include "ctl/attach/attach.h"
#include "ctl/text.h"
#include "util/clock.h"

#define PERIOD_US  250000ULL
#define STALLED_US 1000000ULL

static void print_line(const struct attach_progress *p, unsigned long long bytes, double per_s,
		       const char *end)
{
	unsigned long long s = (clock_us() - p->begin_us) / 1000000;

	fprintf(stderr, "%s%10s  %12s  %llu:%02llu:%02llu%s%s", p->live ? "\r" : "",
		text_size(bytes).text, text_byte_rate(per_s).text, s / 3600, s / 60 % 60, s % 60,
		p->live ? "\033[K" : "", end);
	fflush(stderr);
}

static double rate(unsigned long long bytes, unsigned long long us)
{
	return us ? (double)bytes * 1e6 / (double)us : 0;
}

void attach_progress_begin(struct attach_progress *p, bool on)
{
	*p = (struct attach_progress){ .on = on, .live = isatty(STDERR_FILENO) };
	p->begin_us = p->shown_us = clock_us();
}

int attach_progress_show(struct attach_progress *p, unsigned long long bytes)
{
	unsigned long long us = clock_us() - p->shown_us, due;
	bool moved = bytes != p->shown_bytes;

	if (!p->on || !p->live || (!moved && p->stalled))
		return -1;
	due = moved ? PERIOD_US : STALLED_US;
	if (us < due)
		return (int)((due - us + 999) / 1000);
	print_line(p, bytes, rate(bytes - p->shown_bytes, us), "");
	p->stalled = !moved;
	p->shown_us += us;
	p->shown_bytes = bytes;
	return p->stalled ? -1 : (int)(STALLED_US / 1000);
}

void attach_progress_end(struct attach_progress *p, unsigned long long bytes)
{
	if (p->on)
		print_line(p, bytes, rate(bytes, clock_us() - p->begin_us), "\n");
}
