// SPDX-License-Identifier: BSD-3-Clause
/*
 * counters.c - the numbers of guests and channels, in tables
 */
#include "metrics/counters.h"

#include <string.h>

#include "guest/guest.h"
#include "util/way_counters.h"

#define GUEST(field)   offsetof(struct guest_snapshot, field)
#define CHANNEL(field) offsetof(struct channel_snapshot, field)

const struct counter guest_counters[] = {
	{ .metric = { "okl4fs_guest_served", METRIC_GAUGE, NULL,
		      "Whether the guest's socket could be made (1) or not (0)" },
	  .at = { GUEST(served) },
	  .type = COUNTER_BOOL },
	{ .metric = { "okl4fs_guest_connected", METRIC_GAUGE, NULL,
		      "Whether a frontend, that is QEMU, is connected (1) or not (0)" },
	  .at = { GUEST(connected) },
	  .type = COUNTER_BOOL },
	{ .metric = { "okl4fs_guest_ready", METRIC_GAUGE, NULL,
		      "Whether the guest driver has said HELLO (1) or not (0)" },
	  .at = { GUEST(ready) },
	  .type = COUNTER_BOOL },
	{ .name = "channels",
	  .metric = { "okl4fs_guest_channels", METRIC_GAUGE, NULL,
		      "Channels that the guest is offered" },
	  .at = { GUEST(n_channels) },
	  .type = COUNTER_U32 },
	{ .name = "queues",
	  .metric = { "okl4fs_guest_queues", METRIC_GAUGE, NULL, "Virtqueues in use" },
	  .at = { GUEST(n_queues) },
	  .type = COUNTER_U32 },
	{ .name = "memory_bytes",
	  .metric = { "okl4fs_guest_memory_bytes", METRIC_GAUGE, "bytes",
		      "Guest memory that is mapped" },
	  .at = { GUEST(memory_bytes) } },
	{ .name = "tail_bytes", .at = { GUEST(tail_bytes) } },
	{ .name = "requests",
	  .metric = { "okl4fs_guest_requests", METRIC_COUNTER, NULL,
		      "Control requests that were served" },
	  .at = { GUEST(requests) } },
	{ .name = "requests_refused",
	  .metric = { "okl4fs_guest_requests_refused", METRIC_COUNTER, NULL,
		      "Control requests that were refused" },
	  .at = { GUEST(refused) } },
	{ .name = "fuse_requests_declined",
	  .metric = { "okl4fs_guest_fuse_requests_declined", METRIC_COUNTER, NULL,
		      "FUSE requests, of firmware or of a virtiofs mount, that were answered with an error" },
	  .at = { GUEST(declined_fuse) } },
	{ .name = "messages_dropped",
	  .metric = { "okl4fs_guest_messages_dropped", METRIC_COUNTER, NULL,
		      "Messages of the frontend (vhost-user) that were refused" },
	  .at = { GUEST(dropped_messages) } },
	{ .name = "device_errors",
	  .metric = { "okl4fs_guest_device_errors", METRIC_COUNTER, NULL,
		      "Times the device was taken from the frontend for a bad memory region or vring" },
	  .at = { GUEST(device_errors) } },
	{ .name = NULL },
};

const struct counter channel_counters[] = {
	{ .name = "attaches",
	  .metric = { "okl4fs_channel_attaches", METRIC_COUNTER, NULL,
		      "Times the guest has attached memory for the channel" },
	  .at = { CHANNEL(attaches) } },
	{ .name = "tail_bytes",
	  .metric = { "okl4fs_channel_tail_bytes", METRIC_GAUGE, "bytes",
		      "Bytes of streams whose guest has gone, still to be delivered" },
	  .at = { CHANNEL(tail_bytes) } },
	{ .name = "lost_bytes",
	  .metric = { "okl4fs_channel_lost_bytes", METRIC_COUNTER, "bytes",
		      "Bytes that the guest wrote and that are lost" },
	  .at = { CHANNEL(lost_bytes) } },
	{ .name = NULL },
};

const struct counter endpoint_counters[] = {
	{ .metric = { "okl4fs_endpoint_connected", METRIC_GAUGE, NULL,
		      "Whether a peer is connected at the channel's host end (1) or not (0)" },
	  .at = { CHANNEL(info.connected) },
	  .type = COUNTER_BOOL },
	{ .metric = { "okl4fs_endpoint_path_lost", METRIC_GAUGE, NULL,
		      "Whether the file of the host end's socket was removed or replaced (1) or not (0)" },
	  .at = { CHANNEL(info.path_lost) },
	  .type = COUNTER_BOOL },
	{ .name = "clients",
	  .metric = { "okl4fs_endpoint_clients", METRIC_COUNTER, NULL,
		      "Clients that the channel's host end has served" },
	  .at = { CHANNEL(info.clients) } },
	{ .name = "clients_refused",
	  .metric = { "okl4fs_endpoint_clients_refused", METRIC_COUNTER, NULL,
		      "Clients that the channel's host end has refused" },
	  .at = { CHANNEL(info.refused) },
	  .of = COUNTER_OF_LISTEN },
	{ .name = "attempts_failed",
	  .metric = { "okl4fs_endpoint_attempts_failed", METRIC_COUNTER, NULL,
		      "Attempts of the channel's host end to connect that failed" },
	  .at = { CHANNEL(info.failed) },
	  .of = COUNTER_OF_CONNECT },
	{ .name = "handshakes_failed",
	  .metric = { "okl4fs_endpoint_handshakes_failed", METRIC_COUNTER, NULL,
		      "TLS handshakes of the channel's host end that failed" },
	  .at = { CHANNEL(info.handshakes_failed) },
	  .of = COUNTER_OF_TLS },
	{ .name = "connections_torn",
	  .metric = { "okl4fs_endpoint_connections_torn", METRIC_COUNTER, NULL,
		      "TLS connections of the channel's host end that ended without a close_notify" },
	  .at = { CHANNEL(info.torn) },
	  .of = COUNTER_OF_TLS },
	{ .name = NULL },
};

const struct counter session_counters[] = {
	{ .name = "max", .at = { CHANNEL(sessions.max) }, .type = COUNTER_U32 },
	{ .name = "live",
	  .metric = { "okl4fs_channel_sessions", METRIC_GAUGE, NULL,
		      "Sessions of the channel now, those that wait for the other side included" },
	  .at = { CHANNEL(sessions.live) },
	  .type = COUNTER_U32 },
	{ .name = "waiting", .at = { CHANNEL(sessions.waiting) }, .type = COUNTER_U32 },
	{ .name = "peak",
	  .metric = { "okl4fs_channel_sessions_peak", METRIC_GAUGE, NULL,
		      "Most sessions that the channel has had at once" },
	  .at = { CHANNEL(sessions.peak) },
	  .type = COUNTER_U32 },
	{ .name = "opened",
	  .metric = { "okl4fs_channel_sessions_opened", METRIC_COUNTER, NULL,
		      "Sessions of the channel that were opened" },
	  .at = { CHANNEL(sessions.opened) } },
	{ .name = "refused",
	  .metric = { "okl4fs_channel_sessions_refused", METRIC_COUNTER, NULL,
		      "Sessions of the channel that were refused" },
	  .at = { CHANNEL(sessions.refused) } },
	{ .name = NULL },
};

#define WAY_ROW(upper, name_, unit_, help_)                                         \
	{ .name = #name_,                                                           \
	  .metric = { "okl4fs_channel_" #name_, METRIC_COUNTER, (unit_), (help_) }, \
	  .at = { CHANNEL(fwd.name_), CHANNEL(bwd.name_) } },

const struct counter way_counters[] = {
	WAY_COUNTERS(WAY_ROW){ .name = "opens",
			       .metric = { "okl4fs_channel_opens", METRIC_COUNTER, NULL,
					   "Times the host end was opened" },
			       .at = { CHANNEL(fwd.opens), CHANNEL(bwd.opens) } },
	{ .name = "fill_bytes",
	  .metric = { "okl4fs_channel_fill_bytes", METRIC_GAUGE, "bytes",
		      "Bytes in the ring; 0 while the channel is not attached" },
	  .at = { CHANNEL(fwd_fill), CHANNEL(bwd_fill) } },
	/* The metrics of the ends are made from the phases. */
	{ .name = "host_phase", .at = { CHANNEL(fwd_host_phase), CHANNEL(bwd_host_phase) } },
	{ .name = "guest_phase", .at = { CHANNEL(fwd_guest_phase), CHANNEL(bwd_guest_phase) } },
	{ .name = NULL },
};

bool counter_is_end(const struct counter *c)
{
	return !c->name && !c->metric.name;
}

uint64_t counter_read(const struct counter *c, const void *snap, int way)
{
	const char *p = (const char *)snap + c->at[way];
	uint64_t u64;
	uint32_t u32;
	bool b;

	switch (c->type) {
	case COUNTER_U64:
		memcpy(&u64, p, sizeof(u64));
		return u64;
	case COUNTER_U32:
		memcpy(&u32, p, sizeof(u32));
		return u32;
	default:
		memcpy(&b, p, sizeof(b));
		return b;
	}
}

bool counter_fits(const struct counter *c, const struct endpoint_config *cfg)
{
	bool listens = cfg->type == ENDPOINT_UNIX_LISTEN || cfg->type == ENDPOINT_MUX_LISTEN ||
		       cfg->type == ENDPOINT_TCP_LISTEN;

	switch (c->of) {
	case COUNTER_OF_LISTEN:
		return listens;
	case COUNTER_OF_CONNECT:
		return !listens;
	case COUNTER_OF_TLS:
		return cfg->tls;
	default:
		return true;
	}
}
