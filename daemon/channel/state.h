/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - the state machine of a channel, a pure function
 */
#ifndef OKL4FSD_CHANNEL_STATE_H
#define OKL4FSD_CHANNEL_STATE_H

/** enum channel_state - where the channel's memory is */
enum channel_state {
	CHANNEL_DETACHED, /* no memory known */
	CHANNEL_ATTACHED, /* memory in use */
	CHANNEL_SUSPENDED, /* memory away (reset, remap, lost socket), its instance may come back */
	CHANNEL_FAILED, /* the peer broke the protocol; that instance is refused */
	CHANNEL_UNAVAILABLE, /* its endpoint could not be made, so it is not offered */
	N_CHANNEL_STATES,
};

/** enum channel_event - what can happen to it */
enum channel_event {
	CHANNEL_EV_ATTACH_FRESH, /* checked memory of an instance that is new here */
	CHANNEL_EV_ATTACH_SAME, /* checked memory of the instance that was last attached */
	CHANNEL_EV_DETACH, /* the guest takes its memory back */
	CHANNEL_EV_SUSPEND, /* device reset or memory table about to change */
	CHANNEL_EV_GUEST_GONE, /* the frontend has left */
	CHANNEL_EV_FAIL, /* a violation was found */
	N_CHANNEL_EVENTS,
};

/** enum channel_action - what follows, as bits */
enum channel_action {
	CHANNEL_ACT_ENDPOINT_DOWN = 1, /* memory away for now: endpoint stops touching it */
	CHANNEL_ACT_ENDPOINT_GONE = 2, /* for good: endpoint ends its client's streams */
	CHANNEL_ACT_ENDPOINT_UP = 4, /* memory there: endpoint goes on where the cursors are */
	CHANNEL_ACT_ENDPOINT_FRESH = 8, /* memory there, a new stream begins */
	CHANNEL_ACT_TELL_GUEST = 16, /* CHANNEL_FAILED event */
};

/**
 * channel_next() - the state machine
 * @state: now
 * @event: what happened
 * @actions: out: channel_action bits, in the order of their values
 *
 * Return: the next state.
 */
enum channel_state channel_next(enum channel_state state, enum channel_event event,
				unsigned int *actions);

/** channel_state_name() - "detached", ...; static memory */
const char *channel_state_name(enum channel_state state);

#endif
