/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tails.h - the tails of a channel (tail.h), and what the channel's ends are meanwhile
 */
#ifndef OKL4FSD_CHANNEL_TAILS_H
#define OKL4FSD_CHANNEL_TAILS_H

#include "channel/report.h"

/** channel_usable() - whether the endpoint can use the ends */
bool channel_usable(const struct channel *ch);

/** channel_has_tail() - whether the ends are those of a tail */
static inline bool channel_has_tail(const struct channel *ch)
{
	return !TAILQ_EMPTY(&ch->tails);
}

/** channel_is_torn() - (in down()) whether the stream that ends is not complete */
static inline bool channel_is_torn(const struct channel *ch)
{
	return ch->torn;
}

/** channel_end() - the host's end of the guest's memory, in CHANNEL_ATTACHED */
struct okl4_socketpair *channel_end(struct channel *ch);

/** channel_tail_bytes() - what lies in tails; never part of the rings' fill */
uint64_t channel_tail_bytes(const struct channel *ch);

/** channel_give_up() - count what lies in tails as lost, and tear the stream; @why: for log and event */
void channel_give_up(struct channel *ch, const char *why);

/** channel_leave_budget() - what its tails hold no longer counts for the guest */
void channel_leave_budget(struct channel *ch);

/* The rest is for channel.c and io.c. */

/** channel_tell_down() - call down() of the endpoint; @torn: the stream that ends has lost bytes */
void channel_tell_down(struct channel *ch, bool gone, bool torn);

/**
 * channel_tail_keep() - copy what lies in fwd, while the guest's memory is still at hand
 * @ch: channel whose memory goes away
 * @event: why. The guest's memory outlives a CHANNEL_EV_DETACH, so what is copied is taken from it
 */
void channel_tail_keep(struct channel *ch, enum channel_event event);

/**
 * channel_tail_add() - the stream in the guest's memory has ended: make a tail of what was kept of it
 * @ch: channel
 * @event: why
 *
 * Tells the endpoint that its stream has ended, if nothing was left.
 *
 * Return: true when channel_tail_begin() must follow, after the memory was let go.
 */
bool channel_tail_add(struct channel *ch, enum channel_event event);

/** channel_tail_begin() - let the endpoint work on the first tail; @fresh: as in up() */
void channel_tail_begin(struct channel *ch, bool fresh);

/** channel_tail_end() - end the stream of the first tail, and go on with what comes after it */
void channel_tail_end(struct channel *ch);

/**
 * channel_tail_is_over() - whether there is a first tail, and the endpoint has taken all of it
 *
 * The channel is not usable then: a peer that connects now must not get the end of this tail.
 */
bool channel_tail_is_over(const struct channel *ch);

/**
 * channel_tail_reattach() - the memory that the last tail is of is about to be attached again
 * @ch: channel without memory
 * @instance: of the memory that comes
 *
 * A device that was unplugged comes back with the memory that it had. Then that counts, and not the
 * tail; channel_tail_skip() follows, when the memory is there.
 */
void channel_tail_reattach(struct channel *ch, uint64_t instance);

/** channel_tail_skip() - take from the guest's memory what was delivered of its tail */
void channel_tail_skip(struct channel *ch);

/** channel_tail_deinit() - free everything; the endpoint is gone */
void channel_tail_deinit(struct channel *ch);

#endif
