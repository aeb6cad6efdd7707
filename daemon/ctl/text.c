// SPDX-License-Identifier: BSD-3-Clause
/*
 * text.c - text for people
 *
 * Names come from configurations and from users of the control socket, so they may hold what a
 * terminal would obey. The locale of main() is C.UTF-8, whatever the user's locale is, because
 * names are UTF-8.
 */

#include "ctl/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl/ctl.h"

void *text_need(void *p)
{
	if (p)
		return p;
	fputs("okl4fsctl: out of memory\n", stderr);
	exit(CTL_REFUSED);
}

/* Unicode's Bidi_Control and other characters that are not seen change how the rest is shown */
static bool is_harmless(wchar_t c)
{
	static const struct {
		wchar_t first, last;
	} unseen[] = {
		{ 0xad, 0xad },     { 0x61c, 0x61c },     { 0x180e, 0x180e }, { 0x200b, 0x200f },
		{ 0x2028, 0x202e }, { 0x2060, 0x206f },   { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
		{ 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
	};

	for (size_t i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++)
		if (c >= unseen[i].first && c <= unseen[i].last)
			return false;
	return iswprint((wint_t)c) && wcwidth(c) >= 0;
}

char *text_safe(const char *text)
{
	const char *end = text + strlen(text);
	char *out = text_need(malloc(4 * (size_t)(end - text) + 1)), *to = out;
	mbstate_t state = { 0 };

	while (text < end) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, (size_t)(end - text), &state);

		if (n > (size_t)(end - text)) { /* not UTF-8 */
			to += sprintf(to, "\\x%02x", (unsigned char)*text++);
			memset(&state, 0, sizeof(state));
			continue;
		}
		if (is_harmless(c)) {
			to = mempcpy(to, text, n);
		} else if (n == 1) {
			to += sprintf(to, "\\x%02x", (unsigned int)c);
		} else if (n <
			   4) { /* two or three bytes: room for eight or more, and it takes six */
			to += sprintf(to, "\\u%04x", (unsigned int)c);
		} else {
			to += sprintf(to, "\\U%08x", (unsigned int)c);
		}
		text += n;
	}
	*to = 0;
	return out;
}

static size_t take_columns(const char *text, size_t *columns)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n = mbrtowc(&c, text, strlen(text), &state);
	int width = n <= strlen(text) ? wcwidth(c) : -1;

	*columns = width >= 0 ? (size_t)width : 1;
	return n <= strlen(text) && n ? n : 1;
}

size_t text_columns(const char *text)
{
	size_t sum = 0, columns;

	while (*text) {
		text += take_columns(text, &columns);
		sum += columns;
	}
	return sum;
}

void text_cut(char *text, size_t columns)
{
	size_t sum = 0, one;
	char *at = text;

	if (text_columns(text) <= columns)
		return;
	while (*at) {
		size_t n = take_columns(at, &one);

		if (sum + one >= columns)
			break;
		sum += one;
		at += n;
	}
	if (columns) /* at least one byte was cut off, so there is room */
		*at++ = '~';
	*at = 0;
}

/* Skips characters of at most @columns; Return: behind them */
static char *skip_columns(char *at, size_t columns, size_t *skipped)
{
	size_t one;

	*skipped = 0;
	while (*at) {
		size_t n = take_columns(at, &one);

		if (*skipped + one > columns)
			break;
		*skipped += one;
		at += n;
	}
	return at;
}

void text_cut_middle(char *text, size_t columns)
{
	static const char dots[] = "...";
	size_t all = text_columns(text), head, skipped;
	char *at, *tail;

	if (all <= columns || columns < 8) {
		text_cut(text, columns);
		return;
	}
	head = (columns - 3) / 2;
	at = skip_columns(text, head, &head);
	/* A wide character that does not fit as a whole is left out */
	tail = at;
	while (all - head > columns - 3 - head) {
		tail += take_columns(tail, &skipped);
		all -= skipped;
	}
	at = mempcpy(at, dots, 3); /* at least four columns were cut out, so there is room */
	memmove(at, tail, strlen(tail) + 1);
}

struct text_number text_size(unsigned long long bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	struct text_number s;
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(s.text, sizeof(s.text), "%.*f %s", unit && value < 99.95, value, units[unit]);
	return s;
}

struct text_number text_count(unsigned long long n)
{
	struct text_number s;

	snprintf(s.text, sizeof(s.text), "%llu", n);
	return s;
}

struct text_number text_rate(double per_s)
{
	static const char units[] = { 0, 'k', 'M', 'G', 'T' };
	struct text_number s;
	size_t unit = 0;

	while (per_s >= (unit ? 999.5 : 9999.5) && unit < sizeof(units) - 1) {
		per_s /= 1000;
		unit++;
	}
	snprintf(s.text, sizeof(s.text), "%.*f%c", per_s > 0 && per_s < 99.95, per_s, units[unit]);
	return s;
}

struct text_number text_byte_rate(double per_s)
{
	struct text_number s = text_size(per_s < 1e18 ? (unsigned long long)(per_s + 0.5) :
							1000000000000000000ULL);

	memcpy(s.text + strlen(s.text), "/s", 3);
	return s;
}

struct text_number text_duration(unsigned long long ms)
{
	unsigned long long s = ms / 1000;
	struct text_number out;
	char *to = out.text;

	if (s >= 86400)
		to += sprintf(to, "%llu d ", s / 86400 % 1000000);
	if (s >= 3600)
		to += sprintf(to, "%llu h ", s / 3600 % 24);
	if (s >= 60)
		to += sprintf(to, "%llu min ", s / 60 % 60);
	sprintf(to, "%llu s", s % 60);
	return out;
}
