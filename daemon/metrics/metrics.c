// SPDX-License-Identifier: BSD-3-Clause
/*
 * metrics.c - which metrics there are
 *
 * All samples of a metric stand together (OpenMetrics, "MetricFamily"), so a snapshot of everything is
 * taken first and then written metric by metric. The tables of counters.c say where in a snapshot a number
 * lies.
 */
#include "metrics/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metrics/counters.h"
#include "metrics/scrape.h"
#include "metrics/text.h"
#include "util/clock.h"

#define LABELS_BYTES                                              \
	(METRIC_LABEL_BYTES(sizeof("guest"), OKL4FS_NAME_MAX) +   \
	 METRIC_LABEL_BYTES(sizeof("channel"), OKL4FS_NAME_MAX) + \
	 METRIC_LABEL_BYTES(sizeof("direction"), 8) + METRIC_LABEL_BYTES(sizeof("end"), 8))

static const char *const directions[] = { "to_host", "to_guest" };

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* Memory of this process that is resident (proc(5), statm); 0: it cannot be read */
static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;
	char line[128];

	if (!f)
		return 0;
	/* The second number of the line counts pages. */
	if (fgets(line, sizeof(line), f))
		pages = strtoull(line + strcspn(line, " "), NULL, 10);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/**
 * struct metrics - see metrics.h
 * @server: has the guests; borrowed
 * @format: how they are written
 * @scrape: snapshot of everything
 * @part: the next part
 * @idx: and which row of its table
 */
struct metrics {
	struct server *server;
	enum metrics_format format;
	struct scrape scrape;
	size_t part, idx;
};

static void write_process(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric build = { "okl4fs_build", METRIC_INFO, NULL,
					     "Version of okl4fsd and of its protocol with guests" };
	static const struct metric start = { "process_start_time_seconds", METRIC_GAUGE, "seconds",
					     "When the process began, as seconds since 1970" };
	static const struct metric up = { "okl4fs_uptime_seconds", METRIC_GAUGE, "seconds",
					  "How long the process has served" };
	static const struct metric cpu = { "process_cpu_seconds", METRIC_COUNTER, "seconds",
					   "CPU time that the process has used" };
	static const struct metric resident = { "process_resident_memory_bytes", METRIC_GAUGE,
						"bytes", "Resident memory of the process" };
	static const struct metric workers = { "okl4fs_workers", METRIC_GAUGE, NULL,
					       "Worker threads" };
	static const struct metric problems = {
		"okl4fs_config_problems", METRIC_GAUGE, NULL,
		"Guests, channels and listeners of the configuration that cannot be served"
	};
	char labels[128], *end = metric_label(labels, "version", server_version());

	snprintf(end, sizeof(labels) - (size_t)(end - labels), ",abi_version=\"%u\"",
		 OKL4FS_ABI_VERSION);
	metric_begin(out, &build);
	metric_sample(out, &build, labels, 1);
	metric_begin(out, &start);
	metric_sample_us(out, &start, "", server_started_us(m->server));
	metric_begin(out, &up);
	metric_sample_us(out, &up, "", server_uptime_ms(m->server) * 1000);
	metric_begin(out, &cpu);
	metric_sample_us(out, &cpu, "", clock_cpu_us());
	metric_begin(out, &resident);
	metric_sample(out, &resident, "", resident_bytes());
	metric_begin(out, &workers);
	metric_sample(out, &workers, "", server_n_workers(m->server));
	metric_begin(out, &problems);
	metric_sample(out, &problems, "", server_problems(m->server, NULL, NULL));
}

static void write_guests(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	const struct scrape *s = &m->scrape;

	metric_begin(out, &c->metric);
	for (size_t i = 0; i < s->n_guests; i++)
		metric_sample(out, &c->metric, s->guest[i].labels,
			      counter_read(c, &s->guest[i].snap, 0));
}

static void write_paths(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric lost = {
		"okl4fs_guest_path_lost", METRIC_GAUGE, NULL,
		"Whether the file of the guest's socket was removed or replaced (1) or not (0)"
	};
	const struct scrape *s = &m->scrape;

	metric_begin(out, &lost);
	for (size_t i = 0; i < s->n_guests; i++)
		metric_sample(out, &lost, s->guest[i].labels, s->guest[i].path_lost);
}

static void write_ring(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric ring = { "okl4fs_channel_ring_bytes", METRIC_GAUGE, "bytes",
					    "Size of each of the channel's two rings" };
	const struct scrape *s = &m->scrape;

	metric_begin(out, &ring);
	for (size_t i = 0; i < s->n_channels; i++)
		metric_sample(out, &ring, s->channel[i].labels, s->channel[i].ring_bytes);
}

static void write_channels(struct metrics_out *out, const struct metrics *m,
			   const struct counter *c)
{
	const struct scrape *s = &m->scrape;

	metric_begin(out, &c->metric);
	for (size_t i = 0; i < s->n_channels; i++)
		metric_sample(out, &c->metric, s->channel[i].labels,
			      counter_read(c, s->channel[i].snap, 0));
}

/* Only channels that have sessions */
static void write_sessions(struct metrics_out *out, const struct metrics *m,
			   const struct counter *c)
{
	const struct scrape *s = &m->scrape;

	metric_begin(out, &c->metric);
	for (size_t i = 0; i < s->n_channels; i++) {
		if (s->channel[i].snap->sessions.max)
			metric_sample(out, &c->metric, s->channel[i].labels,
				      counter_read(c, s->channel[i].snap, 0));
	}
}

/* A sample of a channel with one label more */
static void sample_labelled(struct metrics_out *out, const struct metric *metric,
			    const struct channel_row *ch, const char *label, const char *value,
			    uint64_t number)
{
	char labels[LABELS_BYTES + METRIC_LABEL_BYTES(16, 64)];

	snprintf(labels, sizeof(labels), "%s,%s=\"%s\"", ch->labels, label, value);
	metric_sample(out, metric, labels, number);
}

static void write_endpoint(struct metrics_out *out, const struct metrics *m,
			   const struct counter *c)
{
	static const struct metric endpoint = { "okl4fs_endpoint", METRIC_INFO, NULL,
						"Type of the endpoint at the channel's host end" };
	const struct scrape *s = &m->scrape;

	metric_begin(out, &endpoint);
	for (size_t i = 0; i < s->n_channels; i++)
		sample_labelled(out, &endpoint, &s->channel[i], "type",
				endpoint_type_name(s->channel[i].endpoint), 1);
}

static void write_state(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric state = {
		"okl4fs_channel_state", METRIC_GAUGE, NULL,
		"1 for the state that the channel is in, 0 for others"
	};
	const struct scrape *s = &m->scrape;

	metric_begin(out, &state);
	for (size_t i = 0; i < s->n_channels; i++) {
		for (int n = 0; n < N_CHANNEL_STATES; n++)
			sample_labelled(out, &state, &s->channel[i], "state",
					channel_state_name((enum channel_state)n),
					(int)s->channel[i].snap->state == n);
	}
}

/* Only channels that have failed, since the label says why */
static void write_failed(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric failed = {
		"okl4fs_channel_failed", METRIC_GAUGE, NULL,
		"1 for a channel that has failed, by the rule that was broken; CHANNEL_RESET: the host has reset it"
	};
	const struct scrape *s = &m->scrape;

	metric_begin(out, &failed);
	for (size_t i = 0; i < s->n_channels; i++) {
		const struct channel_snapshot *snap = s->channel[i].snap;

		if (snap->state == CHANNEL_FAILED)
			sample_labelled(out, &failed, &s->channel[i], "error",
					okl4_status_name((int)snap->failed_status), 1);
	}
}

static void write_errors(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric errors = {
		"okl4fs_channel_errors", METRIC_COUNTER, NULL,
		"Times the guest broke the channel, by the rule that it broke"
	};
	const struct scrape *s = &m->scrape;

	metric_begin(out, &errors);
	for (size_t i = 0; i < s->n_channels; i++) {
		for (int n = 0; n < OKL4_STATUS_END; n++) {
			uint64_t count = s->channel[i].snap->errors[n];

			if (count)
				sample_labelled(out, &errors, &s->channel[i], "error",
						okl4_status_name(n), count);
		}
	}
}

static void write_ways(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	const struct scrape *s = &m->scrape;

	metric_begin(out, &c->metric);
	for (size_t i = 0; i < s->n_channels; i++) {
		for (int way = 0; way < 2; way++)
			sample_labelled(out, &c->metric, &s->channel[i], "direction",
					directions[way], counter_read(c, s->channel[i].snap, way));
	}
}

/* The phase of an open end is odd; that of its n-th opening is 2n - 1 (abi.h). */
static uint64_t end_open(uint64_t phase)
{
	return phase % 2;
}

static uint64_t end_epoch(uint64_t phase)
{
	return phase / 2 + phase % 2;
}

static void write_ends(struct metrics_out *out, const struct metrics *m,
		       const struct metric *metric, uint64_t (*value)(uint64_t phase))
{
	const struct scrape *s = &m->scrape;
	char labels[LABELS_BYTES];

	metric_begin(out, metric);
	for (size_t i = 0; i < s->n_channels; i++) {
		const struct channel_snapshot *snap = s->channel[i].snap;
		const struct {
			const char *direction, *end;
			uint64_t phase;
		} ends[] = {
			{ "to_host", "guest", snap->fwd_guest_phase },
			{ "to_host", "host", snap->fwd_host_phase },
			{ "to_guest", "guest", snap->bwd_guest_phase },
			{ "to_guest", "host", snap->bwd_host_phase },
		};

		for (size_t e = 0; e < ARRAY_LENGTH(ends); e++) {
			snprintf(labels, sizeof(labels), "%s,direction=\"%s\",end=\"%s\"",
				 s->channel[i].labels, ends[e].direction, ends[e].end);
			metric_sample(out, metric, labels, value(ends[e].phase));
		}
	}
}

static void write_open(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric open = { "okl4fs_channel_end_open", METRIC_GAUGE, NULL,
					    "Whether an end of a direction is open (1) or not (0)" };

	write_ends(out, m, &open, end_open);
}

static void write_epoch(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	static const struct metric epoch = {
		"okl4fs_channel_end_epoch", METRIC_GAUGE, NULL,
		"Openings of an end in the memory that is attached; 0 while none is"
	};

	write_ends(out, m, &epoch, end_epoch);
}

static void write_eof(struct metrics_out *out, const struct metrics *m, const struct counter *c)
{
	metrics_end(out);
}

/* The text in order; if there is a table, @write is called once for each row that has a metric */
static const struct {
	void (*write)(struct metrics_out *out, const struct metrics *m, const struct counter *c);
	const struct counter *table;
} parts[] = {
	{ write_process, NULL },
	{ write_guests, guest_counters },
	{ write_paths, NULL },
	{ write_ring, NULL },
	{ write_channels, channel_counters },
	{ write_channels, endpoint_counters },
	{ write_sessions, session_counters },
	{ write_endpoint, NULL },
	{ write_state, NULL },
	{ write_failed, NULL },
	{ write_errors, NULL },
	{ write_ways, way_counters },
	{ write_open, NULL },
	{ write_epoch, NULL },
	{ write_eof, NULL },
};

int metrics_new(struct metrics **out, struct server *server, enum metrics_format format)
{
	struct metrics *m = calloc(1, sizeof(*m));

	*out = m;
	if (!m)
		return -ENOMEM;
	m->server = server;
	m->format = format;
	if (!scrape_take(&m->scrape, server))
		return 0;
	*out = metrics_free(m);
	return -ENOMEM;
}

/* Goes to the next row that has a metric, or to the next part */
static void skip_to_metric(struct metrics *m)
{
	for (; m->part < ARRAY_LENGTH(parts); m->part++, m->idx = 0) {
		const struct counter *table = parts[m->part].table;

		if (!table && !m->idx)
			return;
		for (; table && !counter_is_end(&table[m->idx]); m->idx++) {
			if (table[m->idx].metric.name)
				return;
		}
	}
}

int metrics_next(struct metrics *m, struct evbuffer *buf)
{
	struct metrics_out out = { .buf = buf, .format = m->format };
	const struct counter *table;

	skip_to_metric(m);
	if (m->part == ARRAY_LENGTH(parts))
		return 0;
	table = parts[m->part].table;
	parts[m->part].write(&out, m, table ? &table[m->idx] : NULL);
	m->idx++;
	skip_to_metric(m);
	return out.error ? out.error : m->part < ARRAY_LENGTH(parts);
}

struct metrics *metrics_free(struct metrics *m)
{
	if (m)
		scrape_free(&m->scrape);
	free(m);
	return NULL;
}

int metrics_write(struct server *server, enum metrics_format format, struct evbuffer *buf)
{
	struct metrics *m;
	int r = metrics_new(&m, server, format);

	if (r)
		return r;
	do
		r = metrics_next(m, buf);
	while (r > 0);
	metrics_free(m);
	return r;
}
