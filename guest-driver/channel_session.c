// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_session.c - the sessions of a channel: their places, their list, and what is to be asked
 *
 * A session has a place from before its OPEN until the host has let it go, so the host is not asked
 * for more than it has said that it can have. The list holds a session from before its OPEN until
 * its memory is given back, so also one that nobody has open while the host takes what was written.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "channel.h"

static DECLARE_WAIT_QUEUE_HEAD(ended_wait);
static atomic_t ended = ATOMIC_INIT(0);

/**
 * okl4_sessions_ended() - how many sessions of any channel have ended
 *
 * Return: a number that changes when one ends.
 */
int okl4_sessions_ended(void)
{
	return atomic_read(&ended);
}

/**
 * okl4_session_await_end() - wait until a session of any channel ends
 * @of: the channel of which one is wanted; when it goes the wait is over, too
 * @before: what okl4_sessions_ended() said before the host refused
 *
 * Return: 0 or -ERESTARTSYS.
 */
int okl4_session_await_end(struct okl4_channel *of, int before)
{
	return wait_event_interruptible(ended_wait,
					atomic_read(&ended) != before || !okl4_channel_offered(of));
}

/* Return: 0; -EAGAIN: there is none; -ENXIO: the channel has gone */
static int try_place(struct okl4_channel *of)
{
	int err = 0;

	if (!okl4_channel_offered(of))
		return -ENXIO;
	spin_lock(&of->sessions_lock);
	if (of->n_sessions >= READ_ONCE(of->max_sessions))
		err = -EAGAIN;
	else if (++of->n_sessions > of->peak_sessions)
		of->peak_sessions = of->n_sessions;
	spin_unlock(&of->sessions_lock);
	return err;
}

/**
 * okl4_session_take_place() - take a place among the sessions of a channel
 * @of: channel with sessions
 * @nowait: do not wait for one
 *
 * Return: 0; -EAGAIN; -ENXIO: no device offers the channel; -ERESTARTSYS.
 */
int okl4_session_take_place(struct okl4_channel *of, bool nowait)
{
	int err = try_place(of);

	if (err != -EAGAIN || nowait)
		return err;
	if (wait_event_interruptible_exclusive(of->place_wait, (err = try_place(of)) != -EAGAIN))
		return -ERESTARTSYS;
	return err;
}

/**
 * okl4_session_return_place() - give a place back
 * @of: channel with sessions
 */
void okl4_session_return_place(struct okl4_channel *of)
{
	spin_lock(&of->sessions_lock);
	of->n_sessions--;
	spin_unlock(&of->sessions_lock);
	wake_up_interruptible(&of->place_wait);
}

/**
 * okl4_session_join() - add a session to those of its channel
 * @ch: new session; the place that the caller has taken becomes the session's
 */
void okl4_session_join(struct okl4_channel *ch)
{
	kref_get(&ch->ref);
	spin_lock(&ch->of->sessions_lock);
	ch->has_place = true;
	ch->to_open = true;
	list_add_tail(&ch->sibling, &ch->of->sessions);
	spin_unlock(&ch->of->sessions_lock);
}

/**
 * okl4_session_leave() - the host does not have a session, or no longer: another may have its place
 * @ch: session
 */
void okl4_session_leave(struct okl4_channel *ch)
{
	bool had_place;

	spin_lock(&ch->of->sessions_lock);
	had_place = ch->has_place;
	ch->has_place = false;
	ch->to_open = false;
	spin_unlock(&ch->of->sessions_lock);
	if (!had_place)
		return;
	okl4_session_return_place(ch->of);
	if (READ_ONCE(ch->id) == OKL4_NO_ID)
		return; /* its end makes no room on the host */
	atomic_inc(&ended);
	wake_up_interruptible(&ended_wait);
}

static void add_counts(struct okl4_counts *to, const struct okl4_counts *from)
{
	okl4_count(&to->bytes, atomic64_read(&from->bytes));
	okl4_count(&to->messages, atomic64_read(&from->messages));
	okl4_count(&to->stalls, atomic64_read(&from->stalls));
	okl4_count(&to->wakes_sent, atomic64_read(&from->wakes_sent));
}

/**
 * okl4_session_finish() - a session's memory has been given back: forget the session
 * @ch: session, to which the caller has a reference; it must not be finished already
 *
 * Its channel goes on counting what the session has counted.
 *
 * Context: the session's lock may be held.
 */
void okl4_session_finish(struct okl4_channel *ch)
{
	struct okl4_channel *of = ch->of;

	okl4_session_leave(ch);
	spin_lock(&of->sessions_lock);
	list_del_init(&ch->sibling);
	add_counts(&of->rx_counts, &ch->rx_counts);
	add_counts(&of->tx_counts, &ch->tx_counts);
	okl4_count(&of->wakes_received, atomic64_read(&ch->wakes_received));
	spin_unlock(&of->sessions_lock);
	okl4_channel_put(ch);
}

/**
 * okl4_session_ask() - note that OPEN has to be sent: the host does not have the session's memory
 * @ch: session
 */
void okl4_session_ask(struct okl4_channel *ch)
{
	spin_lock(&ch->of->sessions_lock);
	/* One without a place was refused, or has failed */
	ch->to_open = ch->has_place;
	spin_unlock(&ch->of->sessions_lock);
}

/**
 * okl4_session_take_ask() - whether OPEN has to be sent for a session; it no longer has to then
 * @ch: session
 *
 * Return: true when the caller has to send it.
 */
bool okl4_session_take_ask(struct okl4_channel *ch)
{
	bool to_open;

	spin_lock(&ch->of->sessions_lock);
	to_open = ch->to_open;
	ch->to_open = false;
	spin_unlock(&ch->of->sessions_lock);
	return to_open;
}

/* Return: the first that is wanted, with a reference, or NULL */
static struct okl4_channel *find_session(struct okl4_channel *of,
					 bool (*wanted)(struct okl4_channel *ch))
{
	struct okl4_channel *ch, *found = NULL;

	spin_lock(&of->sessions_lock);
	list_for_each_entry(ch, &of->sessions, sibling) {
		if (!wanted(ch))
			continue;
		kref_get(&ch->ref);
		found = ch;
		break;
	}
	spin_unlock(&of->sessions_lock);
	return found;
}

static bool asks(struct okl4_channel *ch)
{
	bool to_open = ch->to_open;

	ch->to_open = false;
	return to_open;
}

/**
 * okl4_session_next_ask() - the oldest session for which OPEN has to be sent
 * @of: channel with sessions
 *
 * Return: the session with a reference for the caller, which has to send it; or NULL.
 */
struct okl4_channel *okl4_session_next_ask(struct okl4_channel *of)
{
	return find_session(of, asks);
}

static bool lingers(struct okl4_channel *ch)
{
	return READ_ONCE(ch->lingering);
}

/**
 * okl4_session_next_lingering() - a session that nobody has open
 * @of: channel with sessions
 *
 * Return: the session with a reference for the caller, or NULL.
 */
struct okl4_channel *okl4_session_next_lingering(struct okl4_channel *of)
{
	return find_session(of, lingers);
}

/**
 * okl4_sessions_wake() - have everybody look again who waits on a channel's sessions, or for one
 * @of: channel
 */
void okl4_sessions_wake(struct okl4_channel *of)
{
	struct okl4_channel *ch;

	spin_lock(&of->sessions_lock);
	list_for_each_entry(ch, &of->sessions, sibling)
		okl4_channel_wake(ch);
	spin_unlock(&of->sessions_lock);
	wake_up_interruptible_all(&of->place_wait);
	wake_up_interruptible_all(&ended_wait);
}

/**
 * okl4_sessions_list() - the sessions of a channel
 * @of: channel
 * @list: out: the sessions, with a reference each; to be freed by kvfree()
 * @n: out: how many; one that comes meanwhile may be left out
 *
 * Return: 0 or -ENOMEM.
 */
int okl4_sessions_list(struct okl4_channel *of, struct okl4_channel ***list, unsigned int *n)
{
	struct okl4_channel *ch;
	unsigned int all = 0;

	*n = 0;
	spin_lock(&of->sessions_lock);
	list_for_each_entry(ch, &of->sessions, sibling)
		all++;
	spin_unlock(&of->sessions_lock);
	*list = kvcalloc(all ? all : 1, sizeof(**list), GFP_KERNEL);
	if (!*list)
		return -ENOMEM;
	spin_lock(&of->sessions_lock);
	list_for_each_entry(ch, &of->sessions, sibling) {
		if (*n == all)
			break;
		kref_get(&ch->ref);
		(*list)[(*n)++] = ch;
	}
	spin_unlock(&of->sessions_lock);
	return 0;
}
