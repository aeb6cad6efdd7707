// SPDX-License-Identifier: BSD-3-Clause
/*
 * since.c - points in time, as people write them
 */
#include "ctl/since.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "1h30m": numbers with a unit each */
static bool read_duration(const char *text, unsigned long long *s)
{
	static const struct {
		char letter;
		unsigned int seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };

	*s = 0;
	do {
		unsigned long long n;
		size_t unit = 0;
		char *end;

		if (!isdigit((unsigned char)*text) || strspn(text, "0123456789") > 9)
			return false;
		n = strtoull(text, &end, 10);
		while (unit < sizeof(units) / sizeof(units[0]) && units[unit].letter != *end)
			unit++;
		if (unit == sizeof(units) / sizeof(units[0]))
			return false;
		*s += n * units[unit].seconds;
		text = end + 1;
	} while (*text);
	return true;
}

/* Return: a time in seconds since 1970; -1: it is none */
static time_t read_date(const char *text, time_t now)
{
	static const char *const formats[] = { "%Y-%m-%d",          "%Y-%m-%d %H:%M",
					       "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
					       "%Y-%m-%dT%H:%M:%S", "%H:%M",
					       "%H:%M:%S" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		bool is_today = formats[i][1] == 'H';
		struct tm tm = { .tm_isdst = -1 };
		const char *end;

		if (is_today && localtime_r(&now, &tm))
			tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		tm.tm_isdst = -1;
		end = strptime(text, formats[i], &tm);
		if (end && !*end)
			return mktime(&tm);
		if (end && !strcmp(end, "Z") && !is_today)
			return timegm(&tm);
	}
	return -1;
}

bool since_read(const char *text, unsigned long long now_us, unsigned long long *us)
{
	unsigned long long ago_s;
	time_t s;

	*us = 0;
	if (!strcmp(text, "start"))
		return true;
	if (read_duration(text, &ago_s)) {
		*us = ago_s * 1000000 < now_us ? now_us - ago_s * 1000000 : 0;
		return true;
	}
	s = read_date(text, (time_t)(now_us / 1000000));
	if (s < 0)
		return false;
	*us = (unsigned long long)s * 1000000;
	return true;
}

void since_text(unsigned long long us, char text[40])
{
	time_t s = (time_t)(us / 1000000);
	char date[24], zone[8];
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) ||
	    strftime(zone, sizeof(zone), "%z", &tm) < 5) {
		snprintf(text, 40, "?");
		return;
	}
	/* RFC 3339: a colon between the hours and the minutes of the zone */
	snprintf(text, 40, "%s.%03llu%.3s:%.2s", date, us / 1000 % 1000, zone, zone + 3);
}
