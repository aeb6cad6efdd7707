// SPDX-License-Identifier: BSD-3-Clause
/*
 * text.c - metrics as text, one line at a time
 */
#include "metrics/text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name; /* in OpenMetrics */
	const char *old_name; /* in the older format of Prometheus */
	const char *suffix; /* of a sample's name */
} types[] = {
	[METRIC_COUNTER] = { "counter", "counter", "_total" },
	[METRIC_GAUGE] = { "gauge", "gauge", "" },
	[METRIC_INFO] = { "info", "gauge", "_info" },
};
_Static_assert(sizeof(types) / sizeof(types[0]) == N_METRIC_TYPES, "a row for each type");

static void add_text(struct metrics_out *out, const char *text)
{
	if (evbuffer_add(out->buf, text, strlen(text)))
		out->error = -ENOMEM;
}

void metric_begin(struct metrics_out *out, const struct metric *m)
{
	bool open = out->format == METRICS_OPENMETRICS;
	const char *suffix = open ? "" : types[m->type].suffix;
	char line[512];

	snprintf(line, sizeof(line), "# TYPE %s%s %s\n", m->name, suffix,
		 open ? types[m->type].name : types[m->type].old_name);
	add_text(out, line);
	if (open && m->unit) {
		snprintf(line, sizeof(line), "# UNIT %s %s\n", m->name, m->unit);
		add_text(out, line);
	}
	snprintf(line, sizeof(line), "# HELP %s%s %s.\n", m->name, suffix, m->help);
	add_text(out, line);
}

static void add_sample(struct metrics_out *out, const struct metric *m, const char *labels,
		       const char *value)
{
	add_text(out, m->name);
	add_text(out, types[m->type].suffix);
	if (*labels) {
		add_text(out, "{");
		add_text(out, labels);
		add_text(out, "}");
	}
	add_text(out, " ");
	add_text(out, value);
	add_text(out, "\n");
}

void metric_sample(struct metrics_out *out, const struct metric *m, const char *labels,
		   uint64_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, value);
	add_sample(out, m, labels, number);
}

void metric_sample_us(struct metrics_out *out, const struct metric *m, const char *labels,
		      uint64_t value_us)
{
	char number[32];

	snprintf(number, sizeof(number), "%" PRIu64 ".%06" PRIu64, value_us / 1000000,
		 value_us % 1000000);
	add_sample(out, m, labels, number);
}

void metrics_end(struct metrics_out *out)
{
	if (out->format == METRICS_OPENMETRICS)
		add_text(out, "# EOF\n");
}

/* Length of the UTF-8 sequence at @s, which is not at its end; 0: there is none (RFC 3629, section 4) */
static size_t sequence_bytes(const unsigned char *s)
{
	static const struct {
		unsigned char first, last; /* of the first byte */
		unsigned char low, high; /* of the second */
		size_t bytes;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (s[0] < rows[i].first || s[0] > rows[i].last)
			continue;
		if (s[1] < rows[i].low || s[1] > rows[i].high)
			return 0;
		for (size_t k = 2; k < rows[i].bytes; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return rows[i].bytes;
	}
	return 0;
}

/* @out has room for three bytes for each of @value; Return: behind the last byte written */
static char *put_label_value(char *out, const char *value)
{
	size_t n;

	for (; *value; value += n ? n : 1) {
		n = sequence_bytes((const unsigned char *)value);
		if (!n) {
			out = stpcpy(out, "\xef\xbf\xbd");
		} else if (*value == '\n') {
			out = stpcpy(out, "\\n");
		} else {
			if (*value == '\\' || *value == '"')
				*out++ = '\\';
			memcpy(out, value, n);
			out += n;
		}
	}
	return out;
}

char *metric_label(char *out, const char *name, const char *value)
{
	out = stpcpy(out, name);
	out = stpcpy(out, "=\"");
	out = put_label_value(out, value);
	return stpcpy(out, "\"");
}
