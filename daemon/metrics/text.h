/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text.h - metrics as text, one line at a time (private to metrics)
 *
 * The two formats differ in how they announce counters and infos, and OpenMetrics adds units and an end.
 */
#ifndef OKL4FSD_METRICS_TEXT_H
#define OKL4FSD_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "metrics/format.h"

struct evbuffer;

/** enum metric_type - what kind of number it is */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_INFO, N_METRIC_TYPES };

/**
 * struct metric - a metric: a family of samples that differ in their labels
 * @name: its name with its unit, without the suffix of its type, which only the older format announces
 * @type: kind
 * @unit: unit, which is also the end of @name; NULL: none
 * @help: what it is, as a sentence without a full stop
 */
struct metric {
	const char *name;
	enum metric_type type;
	const char *unit;
	const char *help;
};

/**
 * struct metrics_out - where metrics are written
 * @buf: buffer to which they are appended
 * @format: how
 * @error: 0, or -ENOMEM: not all of it was written
 */
struct metrics_out {
	struct evbuffer *buf;
	enum metrics_format format;
	int error;
};

/** metric_begin() - announce a metric; all its samples follow, before the next one */
void metric_begin(struct metrics_out *out, const struct metric *m);

/**
 * metric_sample() - a sample
 * @out: where it is written
 * @m: its metric
 * @labels: NAME="VALUE" as metric_label() writes them, separated by commas; "": none
 * @value: its value
 */
void metric_sample(struct metrics_out *out, const struct metric *m, const char *labels,
		   uint64_t value);

/** metric_sample_us() - likewise, a value in microseconds as seconds */
void metric_sample_us(struct metrics_out *out, const struct metric *m, const char *labels,
		      uint64_t value_us);

/** metrics_end() - end the text; only OpenMetrics has a mark that tells it from one that was cut off */
void metrics_end(struct metrics_out *out);

/* Most bytes that a label takes: each byte of its value becomes at most three (U+FFFD) */
#define METRIC_LABEL_BYTES(name_bytes, value_bytes) \
	((size_t)(name_bytes) + 3 * (size_t)(value_bytes) + 4)

/**
 * metric_label() - a label with its value, escaped
 * @out: METRIC_LABEL_BYTES() or more
 * @name: its name
 * @value: any bytes; bytes that are not UTF-8 become U+FFFD, since a reader would refuse the whole text
 *
 * Return: the address of its terminating NUL.
 */
char *metric_label(char *out, const char *name, const char *value);

#endif
