/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.h - what is told of a channel: log lines and events
 */
#ifndef OKL4FSD_CHANNEL_REPORT_H
#define OKL4FSD_CHANNEL_REPORT_H

#include "channel/object.h"
#include "util/log.h"

/**
 * channel_write_log() - a line about the channel: "guest vm1: channel intervm_test: ..."
 * @ch: channel
 * @site: as log_write()
 * @level: as log_write()
 * @event: as in struct log_about
 * @fmt: the rest of the line
 *
 * A guest can cause these lines, so their number is limited. Callers use channel_log().
 */
__attribute__((format(printf, 5, 6))) void
channel_write_log(struct channel *ch, const struct log_site *site, enum log_level level,
		  enum log_event event, const char *fmt, ...);

#define channel_log(ch, level, ...) \
	channel_write_log(ch, LOG_SITE, level, LOG_EVENT_NONE, __VA_ARGS__)

/** channel_post_state() - post the event of the channel's new state; @event: what led to it */
void channel_post_state(const struct channel *ch, enum channel_event event);

/** channel_connected() - post the event that the endpoint has a peer */
void channel_connected(const struct channel *ch);

/**
 * channel_left() - post the event that the endpoint's peer has disconnected, and schedule @ch->ending
 * @ch: channel
 * @reason: why, as a part of a sentence
 * @torn: the peer has not got all that the guest wrote
 */
void channel_left(const struct channel *ch, const char *reason, bool torn);

/**
 * channel_taken() - post the event that it is known whether the guest took what a client sent
 * @ch: channel
 * @all: it took everything
 * @guest_writes: it has the channel open for writing
 */
void channel_taken(const struct channel *ch, bool all, bool guest_writes);

/** channel_add_counters() - add those of a session to those of the channel that it belongs to */
void channel_add_counters(struct channel *sum, const struct channel *ch);

/** channel_note_loss() - count, post and log bytes of the guest that reach no one; @why: why */
void channel_note_loss(struct channel *ch, uint64_t bytes, const char *why);

#endif
