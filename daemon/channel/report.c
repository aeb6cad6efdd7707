// SPDX-License-Identifier: BSD-3-Clause
#include "channel/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "loop/events.h"
#include "util/clock.h"

void channel_write_log(struct channel *ch, const struct log_site *site, enum log_level level,
		       enum log_event event, const char *fmt, ...)
{
	const struct log_about about = { ch->guest_name, ch->cfg->name, event };
	char line[256], before[64] = "";
	uint64_t suppressed;
	va_list ap;

	/* What is worth a line for a channel is not for each of its sessions */
	if (ch->is_session && level == LOG_LEVEL_INFO)
		level = LOG_LEVEL_DEBUG;
	if (level > log_get_level())
		return;
	if (!log_limit_take(ch->limit, clock_ms(), &suppressed))
		return;
	if (suppressed)
		snprintf(before, sizeof(before), " (%" PRIu64 " lines left out)", suppressed);
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_write(site, level, &about, "%s%s", line, before);
}

void channel_post_state(const struct channel *ch, enum channel_event event)
{
	static const enum events_kind kinds[N_CHANNEL_STATES] = {
		[CHANNEL_DETACHED] = EVENTS_CHANNEL_DETACHED,
		[CHANNEL_ATTACHED] = EVENTS_CHANNEL_ATTACHED,
		[CHANNEL_SUSPENDED] = EVENTS_CHANNEL_SUSPENDED,
		[CHANNEL_FAILED] = EVENTS_CHANNEL_FAILED,
	};
	struct events_fact fact = {
		.kind = kinds[ch->state],
		.guest = ch->guest_name,
		.channel = ch->cfg->name,
		.instance = ch->state == CHANNEL_ATTACHED ? ch->instance : 0,
		.again = event == CHANNEL_EV_ATTACH_SAME,
	};

	if (ch->is_session)
		return;
	if (ch->state == CHANNEL_FAILED) {
		fact.text = okl4_status_name((int)ch->failed_status);
		fact.more = okl4_status_text((int)ch->failed_status);
	}
	events_post(&fact);
}

void channel_connected(const struct channel *ch)
{
	if (ch->is_session)
		return;
	events_post(&(struct events_fact){
		.kind = EVENTS_ENDPOINT_CONNECTED,
		.guest = ch->guest_name,
		.channel = ch->cfg->name,
		.text = endpoint_type_name(ch->cfg->endpoint.type),
	});
}

void channel_left(const struct channel *ch, const char *reason, bool torn)
{
	if (ch->ending)
		loop_schedule(ch->loop, ch->ending);
	if (ch->is_session)
		return;
	events_post(&(struct events_fact){
		.kind = EVENTS_ENDPOINT_DISCONNECTED,
		.guest = ch->guest_name,
		.channel = ch->cfg->name,
		.text = endpoint_type_name(ch->cfg->endpoint.type),
		.more = reason,
		.torn = torn,
	});
}

void channel_taken(const struct channel *ch, bool all, bool guest_writes)
{
	if (ch->is_session)
		return;
	events_post(&(struct events_fact){
		.kind = EVENTS_ENDPOINT_TAKEN,
		.guest = ch->guest_name,
		.channel = ch->cfg->name,
		.all = all,
		.guest_writes = guest_writes,
	});
}

static void add_way_counters(struct channel_way_stats *sum, const struct channel_way_stats *way)
{
	sum->bytes += way->bytes;
	sum->messages += way->messages;
	sum->wakes_sent += way->wakes_sent;
	sum->wakes_received += way->wakes_received;
	sum->full_stalls += way->full_stalls;
	sum->empty_stalls += way->empty_stalls;
	sum->opens += way->opens;
}

void channel_add_counters(struct channel *sum, const struct channel *ch)
{
	add_way_counters(&sum->fwd, &ch->fwd);
	add_way_counters(&sum->bwd, &ch->bwd);
	sum->attaches += ch->attaches;
	sum->lost_bytes += ch->lost_bytes;
	for (int i = 0; i < OKL4_STATUS_END; i++)
		sum->errors[i] += ch->errors[i];
}

void channel_note_loss(struct channel *ch, uint64_t bytes, const char *why)
{
	if (!bytes)
		return;
	ch->lost_bytes += bytes;
	events_post(&(struct events_fact){
		.kind = EVENTS_CHANNEL_LOST,
		.guest = ch->guest_name,
		.channel = ch->cfg->name,
		.number = bytes,
		.text = why,
	});
	channel_log(ch, LOG_LEVEL_WARNING, "%" PRIu64 " bytes that the guest wrote are lost: %s",
		    bytes, why);
}
