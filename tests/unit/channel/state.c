// SPDX-License-Identifier: BSD-3-Clause
/*
 * state.c - the state machine of a channel
 */
#include <criterion/criterion.h>

#include "channel/state.h"

#define DOWN  CHANNEL_ACT_ENDPOINT_DOWN
#define GONE  CHANNEL_ACT_ENDPOINT_GONE
#define UP    CHANNEL_ACT_ENDPOINT_UP
#define FRESH CHANNEL_ACT_ENDPOINT_FRESH
#define TELL  CHANNEL_ACT_TELL_GUEST

/* Where the endpoint believes its stream to be */
enum stream { STREAM_NONE, STREAM_RUNS, STREAM_PAUSED };

/* Fails the test for actions that an endpoint could not follow. Return: its stream afterwards */
static enum stream follow_actions(enum stream stream, unsigned int actions)
{
	cr_assert_neq(actions & (DOWN | GONE), DOWN | GONE);
	cr_assert_neq(actions & (UP | FRESH), UP | FRESH);
	if (actions & DOWN) {
		cr_assert_eq(stream, STREAM_RUNS, "down without up");
		stream = STREAM_PAUSED;
	}
	if (actions & GONE) {
		cr_assert_neq(stream, STREAM_NONE, "gone without up");
		stream = STREAM_NONE;
	}
	if (actions & UP) {
		cr_assert_eq(stream, STREAM_PAUSED, "goes on where nothing was");
		stream = STREAM_RUNS;
	}
	if (actions & FRESH) {
		cr_assert_eq(stream, STREAM_NONE, "a new stream before the old one's end");
		stream = STREAM_RUNS;
	}
	return stream;
}

/* Try every sequence of @depth events */
static void walk(enum channel_state state, enum stream stream, int depth)
{
	static const enum stream of_state[] = {
		[CHANNEL_DETACHED] = STREAM_NONE,
		[CHANNEL_ATTACHED] = STREAM_RUNS,
		[CHANNEL_SUSPENDED] = STREAM_PAUSED,
		[CHANNEL_FAILED] = STREAM_NONE,
	};

	if (stream != of_state[state]) /* cr_assert in here would take minutes */
		cr_assert_fail("%s, and the endpoint's stream is in state %d",
			       channel_state_name(state), stream);
	for (int event = 0; depth && event < N_CHANNEL_EVENTS; event++) {
		unsigned int actions;
		enum channel_state next = channel_next(state, (enum channel_event)event, &actions);

		if (!!(actions & TELL) !=
		    ((state == CHANNEL_ATTACHED || state == CHANNEL_SUSPENDED) &&
		     next == CHANNEL_FAILED))
			cr_assert_fail("the guest is told at the wrong edge");
		walk(next, follow_actions(stream, actions), depth - 1);
	}
}

Test(channel_next, an_endpoint_can_follow_every_sequence)
{
	walk(CHANNEL_DETACHED, STREAM_NONE, 4);
}

Test(channel_next, every_edge)
{
	static const struct {
		enum channel_state next;
		unsigned int actions;
	} want[N_CHANNEL_STATES][N_CHANNEL_EVENTS] = {
		/* FRESH, SAME, DETACH, SUSPEND, GUEST_GONE, FAIL */
		[CHANNEL_DETACHED] = { { CHANNEL_ATTACHED, FRESH },
				       { CHANNEL_ATTACHED, FRESH },
				       { CHANNEL_DETACHED, 0 },
				       { CHANNEL_DETACHED, 0 },
				       { CHANNEL_DETACHED, 0 },
				       { CHANNEL_FAILED, 0 } },
		[CHANNEL_ATTACHED] = { { CHANNEL_ATTACHED, GONE | FRESH },
				       { CHANNEL_ATTACHED, DOWN | UP },
				       { CHANNEL_DETACHED, GONE },
				       { CHANNEL_SUSPENDED, DOWN },
				       { CHANNEL_DETACHED, GONE },
				       { CHANNEL_FAILED, GONE | TELL } },
		[CHANNEL_SUSPENDED] = { { CHANNEL_ATTACHED, GONE | FRESH },
					{ CHANNEL_ATTACHED, UP },
					{ CHANNEL_DETACHED, GONE },
					{ CHANNEL_SUSPENDED, 0 },
					{ CHANNEL_DETACHED, GONE },
					{ CHANNEL_FAILED, GONE | TELL } },
		[CHANNEL_FAILED] = { { CHANNEL_ATTACHED, FRESH },
				     { CHANNEL_FAILED, 0 },
				     { CHANNEL_FAILED, 0 },
				     { CHANNEL_FAILED, 0 },
				     { CHANNEL_DETACHED, 0 },
				     { CHANNEL_FAILED, 0 } },
		[CHANNEL_UNAVAILABLE] = { { CHANNEL_UNAVAILABLE, 0 },
					  { CHANNEL_UNAVAILABLE, 0 },
					  { CHANNEL_UNAVAILABLE, 0 },
					  { CHANNEL_UNAVAILABLE, 0 },
					  { CHANNEL_UNAVAILABLE, 0 },
					  { CHANNEL_UNAVAILABLE, 0 } },
	};

	for (int s = 0; s < N_CHANNEL_STATES; s++) {
		for (int e = 0; e < N_CHANNEL_EVENTS; e++) {
			unsigned int actions = 99;

			cr_assert_eq(channel_next((enum channel_state)s, (enum channel_event)e,
						  &actions),
				     want[s][e].next, "state %d, event %d", s, e);
			cr_assert_eq(actions, want[s][e].actions, "state %d, event %d", s, e);
		}
	}
}
