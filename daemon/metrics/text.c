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

#include "util/utf8.h"

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

/* @out has room for three bytes for each of @value; Return: behind the last byte written */
static char *put_label_value(char *out, const char *value)
{
	size_t n;

	for (; *value; value += n ? n : 1) {
		n = utf8_sequence_bytes(value);
		if (!n) {
			out = stpcpy(out, UTF8_REPLACEMENT);
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
