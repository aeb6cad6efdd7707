// SPDX-License-Identifier: BSD-3-Clause
/*
 * Whenever the guest's memory goes away, what lies in fwd is copied first, since after a reset of the
 * device it is not known whether the memory comes back or a new system is booting in it. If it comes
 * back, its own words count and the copy is dropped. If the stream has ended instead, the copy becomes
 * a tail: to the endpoint it looks as if the memory had been away for a moment and came back at another
 * place. When the endpoint has taken all of it, its stream ends. Tails are delivered one after the
 * other; meanwhile new memory of the guest waits, untouched, and the guest sees what it sees when
 * no peer is connected to the host end.
 */
#include "channel/tails.h"

#include <inttypes.h>
#include <string.h>

bool channel_usable(const struct channel *ch)
{
	return channel_has_tail(ch) ? !channel_tail_is_over(ch) : ch->state == CHANNEL_ATTACHED;
}

struct okl4_socketpair *channel_end(struct channel *ch)
{
	return channel_has_tail(ch) ? &ch->waiting : &ch->sp;
}

uint64_t channel_tail_bytes(const struct channel *ch)
{
	const struct tail *t = TAILQ_FIRST(&ch->tails);
	uint64_t bytes = 0;

	if (t) /* less what the endpoint has taken of the first */
		bytes = t->sp.rx.cursor - ch->sp.rx.cursor;
	for (; t; t = TAILQ_NEXT(t, next))
		bytes += t->bytes;
	return bytes;
}

void channel_tell_down(struct channel *ch, bool gone, bool torn)
{
	if (!ch->endpoint_ops)
		return;
	ch->torn = torn;
	ch->endpoint_ops->down(ch->endpoint, gone);
	ch->torn = false;
}

void channel_tail_keep(struct channel *ch, enum channel_event event)
{
	struct okl4_socketpair *sp = channel_end(ch);
	struct tail *t;

	/* What lies in a ring whose guest broke the rules, or that was reset, cannot be trusted */
	if (!ch->endpoint_ops || !ch->endpoint_ops->delivers || event == CHANNEL_EV_FAIL)
		return;
	if (ch->leaves_rest) {
		ch->left_bytes = (uint64_t)okl4_pipe_readable(&sp->rx);
		return;
	}
	ch->kept = t = tail_take(sp, ch->budget, ch->cfg->packets);
	if (t && ch->guest_ops->memory_is_lost && ch->guest_ops->memory_is_lost(ch->guest))
		tail_drop_bytes(t);
	else if (t && event == CHANNEL_EV_DETACH && okl4_pipe_commit_read(&sp->rx, t->bytes))
		ch->guest_ops->ring(ch->guest, ch->id);
}

/* A stream that fails is not complete, unless all of it was taken. */
static bool end_failed_stream(struct channel *ch)
{
	int64_t left = 0;

	/* The guest's memory may have gone, or may have been refused at once: then rx has no shm */
	if (ch->endpoint_ops && ch->endpoint_ops->delivers && channel_end(ch)->rx.shm)
		left = okl4_pipe_readable(&channel_end(ch)->rx);
	channel_note_loss(ch, left > 0 ? (uint64_t)left : 0, "the channel has failed");
	if (!channel_has_tail(ch))
		channel_tell_down(ch, true, left);
	return false;
}

bool channel_tail_add(struct channel *ch, enum channel_event event)
{
	bool is_first = !channel_has_tail(ch), torn;
	struct tail *t = ch->kept;

	ch->kept = NULL;
	if (event == CHANNEL_EV_FAIL && !t)
		return end_failed_stream(ch);
	if (t && ch->leaves_rest) {
		t->lost_bytes += t->bytes;
		t->bytes = 0;
	}
	torn = ch->left_bytes || (t && t->lost_bytes);
	if (ch->left_bytes)
		channel_log(ch, LOG_LEVEL_NOTICE,
			    "%" PRIu64
			    " bytes that nobody has taken stay in the guest's memory, for "
			    "the next channel of this name and ring size",
			    ch->left_bytes);
	if (t)
		channel_note_loss(
			ch, t->lost_bytes,
			ch->leaves_rest ?
				"the channel was removed while the guest's memory was away" :
				"the guest is gone, and \"tail_bytes\" has no room for them");
	if (!t || !t->bytes) {
		tail_free(t);
		if (is_first)
			channel_tell_down(ch, true, torn);
		return false;
	}
	channel_log(ch, LOG_LEVEL_INFO,
		    "%" PRIu64 " bytes that the guest left are still to be delivered", t->bytes);
	if (is_first) {
		channel_tell_down(ch, false, false);
		ch->waiting = ch->sp; /* which is let go next */
	}
	/* What was taken from the guest's memory itself need not be skipped in it */
	ch->left.instance = event == CHANNEL_EV_DETACH ? 0 : t->sp.instance;
	ch->left.read_pos = t->sp.rx.cursor + t->bytes;
	TAILQ_INSERT_TAIL(&ch->tails, t, next);
	return is_first;
}

void channel_tail_begin(struct channel *ch, bool fresh)
{
	ch->sp = TAILQ_FIRST(&ch->tails)->sp;
	if (ch->endpoint_ops)
		ch->endpoint_ops->up(ch->endpoint, fresh);
}

bool channel_tail_is_over(const struct channel *ch)
{
	const struct tail *t = TAILQ_FIRST(&ch->tails);

	return t && ch->sp.rx.cursor == t->sp.rx.cursor + t->bytes;
}

static void remove_first_tail(struct channel *ch)
{
	struct tail *t = TAILQ_FIRST(&ch->tails);

	TAILQ_REMOVE(&ch->tails, t, next);
	tail_free(t);
}

void channel_tail_end(struct channel *ch)
{
	bool torn = TAILQ_FIRST(&ch->tails)->lost_bytes || !channel_tail_is_over(ch);

	loop_cancel(ch->loop, &ch->task);
	channel_tell_down(ch, true, torn);
	remove_first_tail(ch);
	if (ch->ending)
		loop_schedule(ch->loop, ch->ending);
	if (channel_has_tail(ch)) {
		channel_tail_begin(ch, true);
		return;
	}
	ch->sp = ch->waiting;
	memset(&ch->waiting, 0, sizeof(ch->waiting));
	if (ch->state == CHANNEL_ATTACHED && ch->endpoint_ops)
		ch->endpoint_ops->up(ch->endpoint, true);
}

void channel_tail_reattach(struct channel *ch, uint64_t instance)
{
	struct tail *t = TAILQ_LAST(&ch->tails, tail_list);

	if (instance != ch->left.instance)
		ch->left.instance = 0;
	if (!ch->left.instance || !t || t->sp.instance != instance)
		return;
	ch->left.read_pos = t->sp.rx.cursor;
	if (t != TAILQ_FIRST(&ch->tails)) {
		TAILQ_REMOVE(&ch->tails, t, next);
		tail_free(t);
		return;
	}
	loop_cancel(ch->loop, &ch->task);
	ch->left.read_pos = ch->sp.rx.cursor;
	channel_tell_down(ch, false, false);
	remove_first_tail(ch);
	memset(&ch->sp, 0, sizeof(ch->sp));
}

void channel_tail_skip(struct channel *ch)
{
	struct okl4_pipe *rx = &channel_end(ch)->rx;
	int64_t readable = okl4_pipe_readable(rx);
	uint64_t n = ch->left.read_pos - rx->cursor;

	if (ch->left.instance && readable > 0 && n <= (uint64_t)readable)
		okl4_pipe_commit_read(rx, n);
	ch->left.instance = 0;
}

void channel_give_up(struct channel *ch, const char *why)
{
	struct tail *t;

	if (!channel_has_tail(ch))
		return;
	channel_note_loss(ch, channel_tail_bytes(ch), why);
	while ((t = TAILQ_NEXT(TAILQ_FIRST(&ch->tails), next))) {
		TAILQ_REMOVE(&ch->tails, t, next);
		tail_free(t);
	}
	channel_tail_end(ch);
}

void channel_leave_budget(struct channel *ch)
{
	struct tail *t;

	TAILQ_FOREACH(t, &ch->tails, next)
	tail_leave_budget(t);
	ch->budget = NULL;
}

void channel_tail_deinit(struct channel *ch)
{
	ch->kept = tail_free(ch->kept);
	while (channel_has_tail(ch))
		remove_first_tail(ch);
}
