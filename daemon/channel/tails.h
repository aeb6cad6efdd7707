/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tails.h - tails of a channel (tail.h), for channel*.c
 */
#ifndef OKL4FSD_CHANNEL_TAILS_H
#define OKL4FSD_CHANNEL_TAILS_H

#include "channel/channel.h"

/** channel_tell_down() - down() of the endpoint; @torn: the stream that ends has lost bytes */
void channel_tell_down(struct channel *ch, bool gone, bool torn);

/**
 * channel_tail_keep() - copy what lies in fwd, while the guest's memory is still at hand
 * @ch: channel whose memory goes away
 * @event: why. The guest's memory outlives a CHANNEL_EV_DETACH, so what is copied is taken from it
 */
void channel_tail_keep(struct channel *ch, enum channel_event event);

/**
 * channel_tail_add() - the stream in the guest's memory has ended: have a tail of what was kept of it
 * @ch: channel
 * @event: why
 *
 * Tells the endpoint that its stream has ended, if nothing was left.
 *
 * Return: true when channel_tail_begin() is to follow, after the memory was let go.
 */
bool channel_tail_add(struct channel *ch, enum channel_event event);

/** channel_tail_begin() - let the endpoint work on the first tail; @fresh: as in up() */
void channel_tail_begin(struct channel *ch, bool fresh);

/** channel_tail_end() - end the stream of the first tail, and go on with what comes after it */
void channel_tail_end(struct channel *ch);

/**
 * channel_tail_is_over() - whether there is a first tail, and the endpoint has taken all of it
 *
 * It is not usable any more then: nobody who comes now is to have its end.
 */
bool channel_tail_is_over(const struct channel *ch);

/**
 * channel_tail_rejoin() - the memory that the last tail is of is about to be attached again
 * @ch: channel without memory
 * @instance: of the memory that comes
 *
 * A device that was unplugged comes back with the memory that it had. Then that counts, and not the
 * tail; channel_tail_skip() follows, when the memory is there.
 */
void channel_tail_rejoin(struct channel *ch, uint64_t instance);

/** channel_tail_skip() - take from the guest's memory what was delivered of its tail */
void channel_tail_skip(struct channel *ch);

/** channel_tail_deinit() - free everything; the endpoint is gone */
void channel_tail_deinit(struct channel *ch);

#endif
