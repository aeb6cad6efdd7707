// SPDX-License-Identifier: BSD-3-Clause
/*
 * state.c - the state machine of a channel, a pure function
 *
 *	             FRESH           SAME           DETACH        SUSPEND       GUEST_GONE    FAIL
 *	detached   | attached fresh  attached fresh detached      detached      detached      failed
 *	attached   | gone, att.fresh down, att. up  gone, detach. down, susp.   gone, detach. gone, tell, failed
 *	suspended  | gone, att.fresh attached up    gone, detach. suspended     gone, detach. gone, tell, failed
 *	failed     | attached fresh  failed         failed        failed        detached      failed
 *	unavailable: nothing happens to it; the guest does not see it
 *
 * A fresh instance begins a new stream, so the endpoint's former one ends first (gone). Memory that
 * was detached by the guest ended the stream too, and begins a new one even if it comes back. A
 * failed channel waits for another instance, or another guest. The guest is told of a failure while
 * it may believe the channel to be attached, also while the memory table changes; otherwise
 * the reply to its request says so.
 */
#include "channel/state.h"

struct edge {
	enum channel_state next;
	unsigned int actions; /* channel_action bits */
};

#define DOWN  CHANNEL_ACT_ENDPOINT_DOWN
#define GONE  CHANNEL_ACT_ENDPOINT_GONE
#define UP    CHANNEL_ACT_ENDPOINT_UP
#define FRESH CHANNEL_ACT_ENDPOINT_FRESH
#define TELL  CHANNEL_ACT_TELL_GUEST

static const struct edge edges[N_CHANNEL_STATES][N_CHANNEL_EVENTS] = {
	[CHANNEL_DETACHED] = {
		[CHANNEL_EV_ATTACH_FRESH] = { CHANNEL_ATTACHED, FRESH },
		[CHANNEL_EV_ATTACH_SAME] = { CHANNEL_ATTACHED, FRESH },
		[CHANNEL_EV_DETACH] = { CHANNEL_DETACHED, 0 },
		[CHANNEL_EV_SUSPEND] = { CHANNEL_DETACHED, 0 },
		[CHANNEL_EV_GUEST_GONE] = { CHANNEL_DETACHED, 0 },
		[CHANNEL_EV_FAIL] = { CHANNEL_FAILED, 0 },
	},
	[CHANNEL_ATTACHED] = {
		[CHANNEL_EV_ATTACH_FRESH] = { CHANNEL_ATTACHED, GONE | FRESH },
		[CHANNEL_EV_ATTACH_SAME] = { CHANNEL_ATTACHED, DOWN | UP },
		[CHANNEL_EV_DETACH] = { CHANNEL_DETACHED, GONE },
		[CHANNEL_EV_SUSPEND] = { CHANNEL_SUSPENDED, DOWN },
		[CHANNEL_EV_GUEST_GONE] = { CHANNEL_DETACHED, GONE },
		[CHANNEL_EV_FAIL] = { CHANNEL_FAILED, GONE | TELL },
	},
	[CHANNEL_SUSPENDED] = {
		[CHANNEL_EV_ATTACH_FRESH] = { CHANNEL_ATTACHED, GONE | FRESH },
		[CHANNEL_EV_ATTACH_SAME] = { CHANNEL_ATTACHED, UP },
		[CHANNEL_EV_DETACH] = { CHANNEL_DETACHED, GONE },
		[CHANNEL_EV_SUSPEND] = { CHANNEL_SUSPENDED, 0 },
		[CHANNEL_EV_GUEST_GONE] = { CHANNEL_DETACHED, GONE },
		[CHANNEL_EV_FAIL] = { CHANNEL_FAILED, GONE | TELL },
	},
	[CHANNEL_FAILED] = {
		[CHANNEL_EV_ATTACH_FRESH] = { CHANNEL_ATTACHED, FRESH },
		[CHANNEL_EV_ATTACH_SAME] = { CHANNEL_FAILED, 0 },
		[CHANNEL_EV_DETACH] = { CHANNEL_FAILED, 0 },
		[CHANNEL_EV_SUSPEND] = { CHANNEL_FAILED, 0 },
		[CHANNEL_EV_GUEST_GONE] = { CHANNEL_DETACHED, 0 },
		[CHANNEL_EV_FAIL] = { CHANNEL_FAILED, 0 },
	},
	[CHANNEL_UNAVAILABLE] = {
		[CHANNEL_EV_ATTACH_FRESH] = { CHANNEL_UNAVAILABLE, 0 },
		[CHANNEL_EV_ATTACH_SAME] = { CHANNEL_UNAVAILABLE, 0 },
		[CHANNEL_EV_DETACH] = { CHANNEL_UNAVAILABLE, 0 },
		[CHANNEL_EV_SUSPEND] = { CHANNEL_UNAVAILABLE, 0 },
		[CHANNEL_EV_GUEST_GONE] = { CHANNEL_UNAVAILABLE, 0 },
		[CHANNEL_EV_FAIL] = { CHANNEL_UNAVAILABLE, 0 },
	},
};

enum channel_state channel_next(enum channel_state state, enum channel_event event,
				unsigned int *actions)
{
	const struct edge *edge = &edges[state][event];

	*actions = edge->actions;
	return edge->next;
}

static const char *const state_names[] = {
	[CHANNEL_DETACHED] = "detached",       [CHANNEL_ATTACHED] = "attached",
	[CHANNEL_SUSPENDED] = "suspended",     [CHANNEL_FAILED] = "failed",
	[CHANNEL_UNAVAILABLE] = "unavailable",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == N_CHANNEL_STATES,
	       "a name for each state");

const char *channel_state_name(enum channel_state state)
{
	return state_names[state];
}
