// SPDX-License-Identifier: BSD-3-Clause
/*
 * metrics.c - which metrics there are
 *
 * All samples of a metric stand together (OpenMetrics, "MetricFamily"), so everything is looked at once, and
 * then gone through metric by metric. Tables say where in a snapshot a number stands.
 */
#include "metrics/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metrics/scrape.h"
#include "metrics/text.h"
#include "util/clock.h"

#define LABELS_BYTES                                              \
	(METRIC_LABEL_BYTES(sizeof("guest"), OKL4FS_NAME_MAX) +   \
	 METRIC_LABEL_BYTES(sizeof("channel"), OKL4FS_NAME_MAX) + \
	 METRIC_LABEL_BYTES(sizeof("direction"), 8) + METRIC_LABEL_BYTES(sizeof("end"), 8))

/** enum number - how a number stands in a snapshot */
enum number { NUMBER_U64, NUMBER_U32, NUMBER_BOOL };

/**
 * struct field - a metric that is one number of a snapshot
 * @metric: metric
 * @at: where in the snapshot it stands
 * @number: and how
 */
struct field {
	struct metric metric;
	size_t at;
	enum number number;
};

#define GUEST(field) offsetof(struct guest_snapshot, field)
static const struct field guest_fields[] = {
	{ { "okl4fs_guest_connected", METRIC_GAUGE, NULL,
	    "Whether a frontend, that is QEMU, is connected (1) or not (0)" },
	  GUEST(connected),
	  NUMBER_BOOL },
	{ { "okl4fs_guest_ready", METRIC_GAUGE, NULL,
	    "Whether the guest driver has said HELLO (1) or not (0)" },
	  GUEST(ready),
	  NUMBER_BOOL },
	{ { "okl4fs_guest_channels", METRIC_GAUGE, NULL, "Channels that the guest is offered" },
	  GUEST(n_channels),
	  NUMBER_U32 },
	{ { "okl4fs_guest_queues", METRIC_GAUGE, NULL, "Virtqueues in use" },
	  GUEST(n_queues),
	  NUMBER_U32 },
	{ { "okl4fs_guest_memory_bytes", METRIC_GAUGE, "bytes", "Guest memory that is mapped" },
	  GUEST(memory_bytes),
	  NUMBER_U64 },
	{ { "okl4fs_guest_requests", METRIC_COUNTER, NULL, "Control requests that were served" },
	  GUEST(requests),
	  NUMBER_U64 },
	{ { "okl4fs_guest_requests_refused", METRIC_COUNTER, NULL,
	    "Control requests that were refused" },
	  GUEST(refused),
	  NUMBER_U64 },
	{ { "okl4fs_guest_fuse_requests_declined", METRIC_COUNTER, NULL,
	    "FUSE requests, of firmware or of a virtiofs mount, that were answered with an error" },
	  GUEST(declined_fuse),
	  NUMBER_U64 },
	{ { "okl4fs_guest_messages_dropped", METRIC_COUNTER, NULL,
	    "Messages of the frontend (vhost-user) that were refused" },
	  GUEST(dropped_messages),
	  NUMBER_U64 },
	{ { "okl4fs_guest_device_errors", METRIC_COUNTER, NULL,
	    "Times the device was taken from the frontend for a bad memory region or vring" },
	  GUEST(device_errors),
	  NUMBER_U64 },
};
#undef GUEST

#define CHANNEL(field) offsetof(struct channel_snapshot, field)
static const struct field channel_fields[] = {
	{ { "okl4fs_channel_attaches", METRIC_COUNTER, NULL,
	    "Times the guest has attached memory for the channel" },
	  CHANNEL(attaches),
	  NUMBER_U64 },
	{ { "okl4fs_channel_tail_bytes", METRIC_GAUGE, "bytes",
	    "Bytes of streams whose guest has gone, still to be delivered" },
	  CHANNEL(tail_bytes),
	  NUMBER_U64 },
	{ { "okl4fs_channel_lost_bytes", METRIC_COUNTER, "bytes",
	    "Bytes that the guest wrote and nobody will have" },
	  CHANNEL(lost_bytes),
	  NUMBER_U64 },
	{ { "okl4fs_endpoint_connected", METRIC_GAUGE, NULL,
	    "Whether somebody is at the channel's host end (1) or not (0)" },
	  CHANNEL(info.connected),
	  NUMBER_BOOL },
	{ { "okl4fs_endpoint_clients", METRIC_COUNTER, NULL,
	    "Clients that the channel's host end has served" },
	  CHANNEL(info.clients),
	  NUMBER_U64 },
	{ { "okl4fs_endpoint_clients_refused", METRIC_COUNTER, NULL,
	    "Clients that the channel's host end has turned away" },
	  CHANNEL(info.refused),
	  NUMBER_U64 },
	{ { "okl4fs_endpoint_attempts_failed", METRIC_COUNTER, NULL,
	    "Attempts of the channel's host end to connect that failed" },
	  CHANNEL(info.failed),
	  NUMBER_U64 },
	{ { "okl4fs_endpoint_handshakes_failed", METRIC_COUNTER, NULL,
	    "TLS handshakes of the channel's host end that failed" },
	  CHANNEL(info.handshakes_failed),
	  NUMBER_U64 },
	{ { "okl4fs_endpoint_connections_torn", METRIC_COUNTER, NULL,
	    "TLS connections of the channel's host end that ended without a close_notify" },
	  CHANNEL(info.torn),
	  NUMBER_U64 },
};

/**
 * struct way_field - a metric with a number for each direction of a channel
 * @metric: metric
 * @at: where in the snapshot it stands: to the host, to the guest
 */
struct way_field {
	struct metric metric;
	size_t at[2];
};

#define STATS(field)                                   \
	{                                              \
		CHANNEL(fwd.field), CHANNEL(bwd.field) \
	}
static const struct way_field way_fields[] = {
	{ { "okl4fs_channel_bytes", METRIC_COUNTER, "bytes", "Bytes that the host has moved" },
	  STATS(bytes) },
	{ { "okl4fs_channel_messages", METRIC_COUNTER, NULL,
	    "Pieces, of any size, that the host has moved" },
	  STATS(messages) },
	{ { "okl4fs_channel_wakes_sent", METRIC_COUNTER, NULL,
	    "Times the host has woken the guest" },
	  STATS(wakes_sent) },
	{ { "okl4fs_channel_wakes_received", METRIC_COUNTER, NULL,
	    "Times the guest has woken the host" },
	  STATS(wakes_received) },
	{ { "okl4fs_channel_full_stalls", METRIC_COUNTER, NULL,
	    "Times the host slept because the ring was full" },
	  STATS(full_stalls) },
	{ { "okl4fs_channel_empty_stalls", METRIC_COUNTER, NULL,
	    "Times the host slept because the ring was empty" },
	  STATS(empty_stalls) },
	{ { "okl4fs_channel_opens", METRIC_COUNTER, NULL, "Times the host end was opened" },
	  STATS(opens) },
	{ { "okl4fs_channel_fill_bytes", METRIC_GAUGE, "bytes",
	    "Bytes that lie in the ring; 0 while the channel is not attached" },
	  { CHANNEL(fwd_fill), CHANNEL(bwd_fill) } },
};
#undef STATS

static const char *const directions[] = { "to_host", "to_guest" };

/* The ends of a channel: whose, of which direction, and where its phase stands */
static const struct {
	const char *direction, *end;
	size_t at;
} ends[] = {
	{ "to_host", "guest", CHANNEL(fwd_guest_phase) },
	{ "to_host", "host", CHANNEL(fwd_host_phase) },
	{ "to_guest", "guest", CHANNEL(bwd_guest_phase) },
	{ "to_guest", "host", CHANNEL(bwd_host_phase) },
};
#undef CHANNEL

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/**
 * read_number() - a number of a snapshot
 * @snap: snapshot
 * @at: where in it
 * @number: and how
 *
 * Return: the number.
 */
static uint64_t read_number(const void *snap, size_t at, enum number number)
{
	const char *p = (const char *)snap + at;
	uint64_t u64;
	uint32_t u32;
	bool b;

	switch (number) {
	case NUMBER_U64:
		memcpy(&u64, p, sizeof(u64));
		return u64;
	case NUMBER_U32:
		memcpy(&u32, p, sizeof(u32));
		return u32;
	default:
		memcpy(&b, p, sizeof(b));
		return b;
	}
}

/**
 * resident_bytes() - memory of this process that is there
 *
 * Return: bytes (proc(5), statm); 0 when that cannot be read.
 */
static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;
	char line[128];

	if (!f)
		return 0;
	/* The second number of the line */
	if (fgets(line, sizeof(line), f))
		pages = strtoull(line + strcspn(line, " "), NULL, 10);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/**
 * struct metrics - see metrics.h
 * @server: what they are of; borrowed
 * @format: how they are written
 * @scrape: what was seen
 * @part: the next part
 * @idx: and which of its metrics
 */
struct metrics {
	struct server *server;
	enum metrics_format format;
	struct scrape scrape;
	size_t part, idx;
};

static void write_process(struct metrics_out *out, const struct metrics *m, size_t i)
{
	static const struct metric build = {
		"okl4fs_build", METRIC_INFO, NULL,
		"Version of okl4fsd and of what it speaks with guests"
	};
	static const struct metric start = { "process_start_time_seconds", METRIC_GAUGE, "seconds",
					     "When the process began, as seconds since 1970" };
	static const struct metric up = { "okl4fs_uptime_seconds", METRIC_GAUGE, "seconds",
					  "How long the process has served" };
	static const struct metric cpu = { "process_cpu_seconds", METRIC_COUNTER, "seconds",
					   "CPU time that the process has used" };
	static const struct metric resident = { "process_resident_memory_bytes", METRIC_GAUGE,
						"bytes", "Memory of the process that is resident" };
	static const struct metric workers = { "okl4fs_workers", METRIC_GAUGE, NULL,
					       "Worker threads" };
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
}

static void write_guests(struct metrics_out *out, const struct metrics *m, size_t i)
{
	const struct field *f = &guest_fields[i];
	const struct scrape *s = &m->scrape;

	metric_begin(out, &f->metric);
	for (size_t g = 0; g < s->n_guests; g++)
		metric_sample(out, &f->metric, s->guest[g].labels,
			      read_number(&s->guest[g].snap, f->at, f->number));
}

static void write_ring(struct metrics_out *out, const struct metrics *m, size_t i)
{
	static const struct metric ring = { "okl4fs_channel_ring_bytes", METRIC_GAUGE, "bytes",
					    "Size of each of the channel's two rings" };
	const struct scrape *s = &m->scrape;

	metric_begin(out, &ring);
	for (size_t c = 0; c < s->n_channels; c++)
		metric_sample(out, &ring, s->channel[c].labels, s->channel[c].ring_bytes);
}

static void write_channels(struct metrics_out *out, const struct metrics *m, size_t i)
{
	const struct field *f = &channel_fields[i];
	const struct scrape *s = &m->scrape;

	metric_begin(out, &f->metric);
	for (size_t c = 0; c < s->n_channels; c++)
		metric_sample(out, &f->metric, s->channel[c].labels,
			      read_number(s->channel[c].snap, f->at, f->number));
}

static void write_endpoint(struct metrics_out *out, const struct metrics *m, size_t i)
{
	static const struct metric endpoint = { "okl4fs_endpoint", METRIC_INFO, NULL,
						"What the channel's host end is joined to" };
	const struct scrape *s = &m->scrape;
	char labels[LABELS_BYTES + METRIC_LABEL_BYTES(sizeof("type"), 64)];

	metric_begin(out, &endpoint);
	for (size_t c = 0; c < s->n_channels; c++) {
		snprintf(labels, sizeof(labels), "%s,type=\"%s\"", s->channel[c].labels,
			 endpoint_type_name(s->channel[c].endpoint));
		metric_sample(out, &endpoint, labels, 1);
	}
}

static void write_state(struct metrics_out *out, const struct metrics *m, size_t i)
{
	static const struct metric state = {
		"okl4fs_channel_state", METRIC_GAUGE, NULL,
		"1 for the state that the channel is in, 0 for others"
	};
	const struct scrape *s = &m->scrape;
	char labels[LABELS_BYTES + METRIC_LABEL_BYTES(sizeof("state"), 64)];

	metric_begin(out, &state);
	for (size_t c = 0; c < s->n_channels; c++) {
		for (int n = 0; n < N_CHANNEL_STATES; n++) {
			snprintf(labels, sizeof(labels), "%s,state=\"%s\"", s->channel[c].labels,
				 channel_state_name((enum channel_state)n));
			metric_sample(out, &state, labels, (int)s->channel[c].snap->state == n);
		}
	}
}

static void write_errors(struct metrics_out *out, const struct metrics *m, size_t i)
{
	static const struct metric errors = {
		"okl4fs_channel_errors", METRIC_COUNTER, NULL,
		"Times the guest broke the channel, by the rule that it broke"
	};
	const struct scrape *s = &m->scrape;
	char labels[LABELS_BYTES + METRIC_LABEL_BYTES(sizeof("error"), 64)];

	metric_begin(out, &errors);
	for (size_t c = 0; c < s->n_channels; c++) {
		for (int n = 0; n < FS_STATUS_END; n++) {
			if (!s->channel[c].snap->errors[n])
				continue;
			snprintf(labels, sizeof(labels), "%s,error=\"%s\"", s->channel[c].labels,
				 fs_status_name(n));
			metric_sample(out, &errors, labels, s->channel[c].snap->errors[n]);
		}
	}
}

static void write_ways(struct metrics_out *out, const struct metrics *m, size_t i)
{
	const struct way_field *f = &way_fields[i];
	const struct scrape *s = &m->scrape;
	char labels[LABELS_BYTES];

	metric_begin(out, &f->metric);
	for (size_t c = 0; c < s->n_channels; c++) {
		for (int way = 0; way < 2; way++) {
			snprintf(labels, sizeof(labels), "%s,direction=\"%s\"",
				 s->channel[c].labels, directions[way]);
			metric_sample(out, &f->metric, labels,
				      read_number(s->channel[c].snap, f->at[way], NUMBER_U64));
		}
	}
}

/* A phase that is odd is that of an open end, and its n-th opening has phase 2n - 1 (abi.h). */
static const struct metric end_metrics[] = {
	{ "okl4fs_channel_end_open", METRIC_GAUGE, NULL,
	  "Whether an end of a direction is open (1) or not (0)" },
	{ "okl4fs_channel_end_epoch", METRIC_GAUGE, NULL,
	  "Openings of an end in the memory that is attached; 0 while none is" },
};

static void write_ends(struct metrics_out *out, const struct metrics *m, size_t i)
{
	const struct scrape *s = &m->scrape;
	char labels[LABELS_BYTES];

	metric_begin(out, &end_metrics[i]);
	for (size_t c = 0; c < s->n_channels; c++) {
		for (size_t e = 0; e < ARRAY_LENGTH(ends); e++) {
			uint64_t phase = read_number(s->channel[c].snap, ends[e].at, NUMBER_U64);

			snprintf(labels, sizeof(labels), "%s,direction=\"%s\",end=\"%s\"",
				 s->channel[c].labels, ends[e].direction, ends[e].end);
			metric_sample(out, &end_metrics[i], labels,
				      i ? phase / 2 + phase % 2 : phase % 2);
		}
	}
}

static void write_eof(struct metrics_out *out, const struct metrics *m, size_t i)
{
	metrics_end(out);
}

/* All of the text, in order; each @write writes one of @n metrics */
static const struct {
	void (*write)(struct metrics_out *out, const struct metrics *m, size_t i);
	size_t n;
} parts[] = {
	{ write_process, 1 },
	{ write_guests, ARRAY_LENGTH(guest_fields) },
	{ write_ring, 1 },
	{ write_channels, ARRAY_LENGTH(channel_fields) },
	{ write_endpoint, 1 },
	{ write_state, 1 },
	{ write_errors, 1 },
	{ write_ways, ARRAY_LENGTH(way_fields) },
	{ write_ends, ARRAY_LENGTH(end_metrics) },
	{ write_eof, 1 },
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

int metrics_next(struct metrics *m, struct evbuffer *buf)
{
	struct metrics_out out = { .buf = buf, .format = m->format };

	if (m->part == ARRAY_LENGTH(parts))
		return 0;
	parts[m->part].write(&out, m, m->idx);
	if (++m->idx == parts[m->part].n) {
		m->part++;
		m->idx = 0;
	}
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
