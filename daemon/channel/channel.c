// SPDX-License-Identifier: BSD-3-Clause
/*
 * channel.c - one channel: its memory, its endpoint, and the counters between them
 *
 * All changes of state go through channel_move(), which asks channel_next() (state.c) what follows
 * and does it: first the endpoint leaves the memory, then the memory is let go, then the guest is
 * told, then the endpoint may use new memory. The caller of channel_move() must look at the state
 * again: the endpoint's up() may have found a violation and failed the channel.
 */
#include "channel/channel.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "channel/opener.h"

/* The turn that channel_again() asked for */
static void run_again_turn(void *arg)
{
	struct channel *ch = arg;

	if (channel_tail_is_over(ch)) {
		channel_tail_end(ch);
		return;
	}
	if (!channel_usable(ch) || !ch->endpoint_ops)
		return;
	channel_begin_turn(ch);
	ch->endpoint_ops->woken(ch->endpoint);
}

int channel_init(struct channel *ch, const struct channel_config *cfg, const char *guest_name,
		 uint32_t id, struct loop *loop, const struct channel_guest_ops *ops, void *guest)
{
	*ch = (struct channel){
		.cfg = cfg,
		.guest_name = guest_name,
		.id = id,
		.loop = loop,
		.state = CHANNEL_DETACHED,
		.guest_ops = ops,
		.guest = guest,
		.task = { .fn = run_again_turn, .arg = ch },
	};
	ch->opener_limit = &ch->own_opener_limit;
	ch->limit = &ch->log_limit;
	TAILQ_INIT(&ch->tails);
	return 0;
}

static void release_memory(struct channel *ch)
{
	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		free(ch->chunk[i]);
		ch->chunk[i] = NULL;
	}
	memset(ch->sec, 0, sizeof(ch->sec));
	memset(channel_end(ch), 0, sizeof(ch->sp));
}

void channel_deinit(struct channel *ch)
{
	loop_cancel(ch->loop, &ch->task);
	channel_tail_deinit(ch);
	release_memory(ch);
	ch->state = CHANNEL_DETACHED;
}

void channel_bind(struct channel *ch, const struct channel_endpoint_ops *ops, void *endpoint)
{
	ch->endpoint_ops = ops;
	ch->endpoint = endpoint;
}

void channel_set_session(struct channel *ch, struct channel *of)
{
	ch->is_session = true;
	ch->limit = of ? &of->log_limit : &ch->log_limit;
	ch->opener_limit = of ? &of->own_opener_limit : &ch->own_opener_limit;
}

void channel_begin(struct channel *ch)
{
	if (channel_usable(ch) && ch->endpoint_ops)
		ch->endpoint_ops->up(ch->endpoint, true);
}

void channel_set_unavailable(struct channel *ch)
{
	ch->state = CHANNEL_UNAVAILABLE;
}

/* The place where the state of a channel with an endpoint changes. New memory is in place before an attach. */
static void channel_move(struct channel *ch, enum channel_event event)
{
	enum channel_state before = ch->state;
	bool waits = channel_has_tail(ch), begins = false;
	unsigned int actions;

	ch->state = channel_next(before, event, &actions);
	if (ch->state != before) {
		log_channel(LOG_LEVEL_DEBUG, ch->guest_name, ch->cfg->name, "%s, was %s",
			    channel_state_name(ch->state), channel_state_name(before));
		channel_post_state(ch, event);
	}

	if (actions & (CHANNEL_ACT_ENDPOINT_DOWN | CHANNEL_ACT_ENDPOINT_GONE)) {
		if (!waits)
			loop_cancel(ch->loop, &ch->task);
		if (before == CHANNEL_ATTACHED)
			channel_tail_keep(ch, event);
		if (actions & CHANNEL_ACT_ENDPOINT_GONE)
			begins = channel_tail_add(ch, event);
		else if (!waits)
			channel_tell_down(ch, false, false);
	}
	if (ch->state != CHANNEL_ATTACHED)
		release_memory(ch);
	if (actions & CHANNEL_ACT_TELL_GUEST)
		ch->guest_ops->tell(ch->guest, ch, ch->failed_status);
	if (begins)
		channel_tail_begin(ch, false);
	if (actions & (CHANNEL_ACT_ENDPOINT_UP | CHANNEL_ACT_ENDPOINT_FRESH)) {
		ch->kept = tail_free(ch->kept);
		if (!channel_has_tail(ch) && ch->endpoint_ops)
			ch->endpoint_ops->up(ch->endpoint, actions & CHANNEL_ACT_ENDPOINT_FRESH);
	}
}

/* The chunk arrays are the channel's from here on. Return: 0 or a negated okl4_status */
static int take_memory(struct channel *ch, const struct okl4_memsec sec[OKL4FS_N_SECS],
		       void **chunk[OKL4FS_N_SECS], uint64_t instance)
{
	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		ch->chunk[i] = chunk[i];
		ch->sec[i] = sec[i];
		ch->sec[i].chunk = chunk[i];
	}
	return okl4_socketpair_attach(channel_end(ch), &ch->sec[OKL4FS_SEC_CTL],
				      &ch->sec[OKL4FS_SEC_FWD], &ch->sec[OKL4FS_SEC_BWD], instance);
}

static void note_failure(struct channel *ch, int status, const char *what)
{
	status = abs(status);
	ch->failed_status = (enum okl4_status)status;
	if (status < OKL4_STATUS_END)
		ch->errors[status]++;
	channel_write_log(ch, LOG_SITE, LOG_LEVEL_WARNING, LOG_EVENT_CHANNEL_FAILED, "%s: %s (%s)",
			  what, okl4_status_text(status), okl4_status_name(status));
}

int channel_attach(struct channel *ch, const struct okl4_memsec sec[OKL4FS_N_SECS],
		   void **chunk[OKL4FS_N_SECS], uint64_t instance)
{
	bool same = instance == ch->instance && ch->state != CHANNEL_DETACHED;
	int r;

	if (same && ch->state == CHANNEL_FAILED) {
		for (int i = 0; i < OKL4FS_N_SECS; i++)
			free(chunk[i]);
		return -OKL4_CHANNEL_FAILED;
	}
	/* The endpoint leaves the former memory before it can see the new one. */
	if (!same)
		channel_move(ch, CHANNEL_EV_DETACH);
	else if (ch->state == CHANNEL_ATTACHED)
		channel_move(ch, CHANNEL_EV_SUSPEND);

	if (!same)
		ch->writer = ch->reader = (struct channel_opener){ 0 };
	ch->instance = instance;
	channel_tail_reattach(ch, instance);
	r = take_memory(ch, sec, chunk, instance);
	if (r) {
		note_failure(ch, r, "attach refused");
		channel_move(ch, CHANNEL_EV_FAIL);
		return r;
	}
	channel_tail_skip(ch);
	ch->attaches++;
	channel_log(ch, LOG_LEVEL_INFO,
		    "attached%s, %" PRIu64 " bytes each way, instance %016" PRIx64,
		    same ? " again" : "", channel_end(ch)->ring_bytes, instance);
	channel_move(ch, same ? CHANNEL_EV_ATTACH_SAME : CHANNEL_EV_ATTACH_FRESH);
	if (ch->state != CHANNEL_ATTACHED)
		return -(int)ch->failed_status;
	channel_look_openers(ch);
	/* A predecessor may have been killed between a move and its notification. */
	ch->guest_ops->ring(ch->guest, ch->id);
	return 0;
}

/* At most as many turns as a full ring needs: the guest may go on writing. */
static void last_turns(struct channel *ch)
{
	uint64_t turns = ch->sp.ring_bytes / CHANNEL_TURN_BYTES + 1;
	uint64_t before;

	do {
		before = channel_read_pos(ch);
		ch->endpoint_ops->woken(ch->endpoint);
	} while (channel_usable(ch) && channel_read_pos(ch) != before && --turns);
}

void channel_detach(struct channel *ch)
{
	if (ch->state == CHANNEL_ATTACHED && ch->endpoint_ops && !channel_has_tail(ch))
		last_turns(ch);
	if (ch->state == CHANNEL_ATTACHED || ch->state == CHANNEL_SUSPENDED)
		channel_log(ch, LOG_LEVEL_INFO, "detached");
	channel_move(ch, CHANNEL_EV_DETACH);
}

bool channel_is_idle(struct channel *ch)
{
	struct okl4_socketpair *sp = channel_end(ch);

	return ch->state != CHANNEL_ATTACHED ||
	       (!okl4_pipe_is_open(&sp->rx) && !okl4_pipe_is_open(&sp->tx) &&
		!okl4_pipe_readable(&sp->rx) &&
		okl4_pipe_writable(&sp->tx) == (int64_t)sp->ring_bytes);
}

void channel_remove(struct channel *ch, bool take)
{
	ch->leaves_rest = !take;
	channel_detach(ch);
}

void channel_suspend(struct channel *ch)
{
	channel_move(ch, CHANNEL_EV_SUSPEND);
}

void channel_guest_gone(struct channel *ch)
{
	channel_move(ch, CHANNEL_EV_GUEST_GONE);
	ch->instance = 0;
}

void channel_fail(struct channel *ch, int status)
{
	if (ch->state != CHANNEL_ATTACHED && ch->state != CHANNEL_SUSPENDED)
		return;
	note_failure(ch, status, "failed");
	channel_move(ch, CHANNEL_EV_FAIL);
}

void channel_refuse(struct channel *ch, enum okl4_status status)
{
	if (ch->state != CHANNEL_ATTACHED && ch->state != CHANNEL_SUSPENDED)
		return;
	ch->failed_status = status;
	channel_move(ch, CHANNEL_EV_FAIL);
}

int64_t channel_check(struct channel *ch, int64_t r)
{
	if (r < 0 && r != -OKL4_AGAIN && r != -OKL4_PIPE)
		channel_fail(ch, (int)r);
	return r;
}

void channel_reset(struct channel *ch)
{
	channel_fail(ch, OKL4_CHANNEL_RESET);
	channel_give_up(ch, "the channel was reset");
}

void channel_rung(struct channel *ch)
{
	uint64_t head = ch->sp.rx.peer_cursor, tail = ch->sp.tx.peer_cursor;

	if (ch->state != CHANNEL_ATTACHED || !ch->endpoint_ops || channel_has_tail(ch))
		return;
	if (channel_check(ch, okl4_pipe_readable(&ch->sp.rx)) < 0 ||
	    channel_check(ch, okl4_pipe_writable(&ch->sp.tx)) < 0)
		return;
	ch->fwd.wakes_received += ch->sp.rx.peer_cursor != head;
	ch->bwd.wakes_received += ch->sp.tx.peer_cursor != tail;
	channel_look_openers(ch);
	channel_begin_turn(ch);
	ch->endpoint_ops->woken(ch->endpoint);
}

void channel_begin_turn(struct channel *ch)
{
	ch->look_left_ns = CHANNEL_TURN_LOOK_NS;
}

void channel_again(struct channel *ch)
{
	loop_schedule(ch->loop, &ch->task);
}

uint64_t channel_read_pos(const struct channel *ch)
{
	return ch->sp.rx.cursor;
}

uint64_t channel_write_pos(const struct channel *ch)
{
	return ch->sp.tx.cursor;
}

uint64_t channel_read_phase(const struct channel *ch)
{
	return ch->sp.rx.phase;
}

uint64_t channel_write_phase(const struct channel *ch)
{
	return ch->sp.tx.phase;
}
