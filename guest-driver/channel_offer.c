// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_offer.c - what devices say of a channel: it is offered, gone, removed, or has failed
 */
#include <linux/err.h>
#include <linux/sched.h>

#include "channel.h"

void (*okl4_channel_has_news)(void);

static void tell_mounts(struct okl4_channel *ch)
{
	atomic_set(&ch->news, true);
	if (okl4_channel_has_news)
		okl4_channel_has_news();
}

/* Whether nodes must be told. @ch->lock held, and @ch->removed not cleared yet */
static bool take_access(struct okl4_channel *ch, const struct okl4_access *access)
{
	if (ch->access_serial && !ch->removed && !memcmp(&ch->access, access, sizeof(*access)))
		return false;
	ch->access = *access;
	WRITE_ONCE(ch->access_serial, ch->access_serial + 1 ?: 1);
	return true;
}

/* Return: 0, or -EBUSY when another device offers this name. @ch->lock held */
static int accept_offer(struct okl4_channel *ch, struct okl4_port *port,
			const struct okl4_offer *offer)
{
	struct okl4_port *now = rcu_dereference_protected(ch->port, lockdep_is_held(&ch->lock));
	bool news = !now;

	if (now && now != port)
		return -EBUSY;
	if (ch->mem &&
	    (ch->mem->pair.ring_bytes != offer->ring_bytes || ch->mem->packets != offer->packets)) {
		if (!okl4_channel_idle(ch))
			okl4_channel_break(ch, ch->mem, OKL4_SEC_BYTES);
		else
			okl4_channel_drop_mem(ch);
	}
	WRITE_ONCE(ch->id, offer->id);
	ch->generation = offer->generation;
	news |= take_access(ch, &offer->access);
	WRITE_ONCE(ch->removed, false);
	ch->exclusive = offer->exclusive;
	WRITE_ONCE(ch->packets, offer->packets);
	WRITE_ONCE(ch->max_sessions, offer->max_sessions);
	wake_up_interruptible_all(&ch->place_wait);
	WRITE_ONCE(ch->ring_bytes, offer->ring_bytes);
	rcu_assign_pointer(ch->port, port);
	if (news)
		tell_mounts(ch);
	return 0;
}

/**
 * okl4_channel_offer() - a device offers a channel, or does so again
 * @port: device
 * @offer: what it says of the channel
 *
 * Context: may sleep.
 * Return: the channel with a reference for the caller, or an error pointer: -EBUSY when another
 * device offers this name, -ENOMEM.
 */
struct okl4_channel *okl4_channel_offer(struct okl4_port *port, const struct okl4_offer *offer)
{
	struct okl4_channel *ch = okl4_channel_get(offer->name, offer->name_bytes);
	int err;

	if (!ch)
		return ERR_PTR(-ENOMEM);

	mutex_lock(&ch->lock);
	err = accept_offer(ch, port, offer);
	mutex_unlock(&ch->lock);
	if (err) {
		okl4_channel_put(ch);
		return ERR_PTR(err);
	}
	return ch;
}

/**
 * okl4_channel_withdraw() - a device no longer offers a channel
 * @ch: channel
 * @port: device
 * @id: its number there; nothing happens if it has another one by now
 *
 * Sleepers wake up. After an RCU grace period no ring() or watch() of @port runs for @ch.
 */
void okl4_channel_withdraw(struct okl4_channel *ch, struct okl4_port *port, u32 id)
{
	mutex_lock(&ch->lock);
	if (rcu_access_pointer(ch->port) == port && ch->id == id)
		RCU_INIT_POINTER(ch->port, NULL);
	mutex_unlock(&ch->lock);
	okl4_channel_wake(ch);
	okl4_sessions_wake(ch);
	okl4_sessions_settle(ch);
}

/**
 * okl4_channel_remove() - the host has removed a channel: it does not come back by itself
 * @ch: channel whose memory the host does not have
 * @port: device that offered it
 * @id: its number there; nothing happens if it has another one by now
 *
 * Open files behave as if the device were gone. If the channel is added again its rings are empty,
 * unless somebody has kept it open all the while.
 */
void okl4_channel_remove(struct okl4_channel *ch, struct okl4_port *port, u32 id)
{
	bool gone;

	mutex_lock(&ch->lock);
	gone = rcu_access_pointer(ch->port) == port && ch->id == id;
	if (gone) {
		RCU_INIT_POINTER(ch->port, NULL);
		WRITE_ONCE(ch->removed, true);
		if (ch->mem && okl4_channel_idle(ch))
			okl4_channel_drop_mem(ch);
	}
	mutex_unlock(&ch->lock);
	if (!gone)
		return;
	okl4_channel_wake(ch);
	okl4_sessions_wake(ch);
	okl4_sessions_settle(ch);
	tell_mounts(ch);
}

/**
 * okl4_channel_returned() - the host no longer has a channel's memory: the device was reset, or the
 *	host has said so
 * @ch: channel or session
 * @port: device
 */
void okl4_channel_returned(struct okl4_channel *ch, struct okl4_port *port)
{
	mutex_lock(&ch->lock);
	if (ch->mem && ch->mem->holder == port)
		ch->mem->holder = NULL;
	mutex_unlock(&ch->lock);
	if (ch->of)
		okl4_session_ask(ch);
}

/* The host no longer has it. @ch->lock held */
static void end_session(struct okl4_channel *ch, int status)
{
	ch->mem->holder = NULL;
	if (ch->stage != OKL4_SESSION_OPEN) {
		ch->answer = status;
		WRITE_ONCE(ch->stage, OKL4_SESSION_REFUSED);
	}
	okl4_session_leave(ch);
}

/**
 * okl4_channel_fail() - the host says that it no longer uses a channel's memory
 * @ch: channel, or session, which has ended then; the caller has a reference
 * @instance: which memory; if it is not the present one, nothing happens
 * @status: why
 *
 * Return: true when it was the present one.
 */
bool okl4_channel_fail(struct okl4_channel *ch, u64 instance, int status)
{
	bool is_this;

	status = status ? status : OKL4_CHANNEL_FAILED;
	mutex_lock(&ch->lock);
	is_this = ch->mem && ch->mem->instance == instance;
	if (is_this) {
		if (ch->of)
			end_session(ch, status);
		/* A refusal is the opener's, and not a failure */
		if (!ch->of || ch->stage == OKL4_SESSION_OPEN)
			okl4_channel_break(ch, ch->mem, status);
		if (okl4_channel_idle(ch))
			okl4_channel_drop_mem(ch);
	}
	mutex_unlock(&ch->lock);
	if (is_this && ch->of)
		okl4_channel_wake(ch);
	return is_this;
}

/**
 * okl4_session_answered() - the other side has answered a session that waited
 * @ch: session; the caller has a reference
 * @instance: which memory; if it is not the present one, nothing happens
 * @status: 0: the session is open; else the host has refused it, and no longer has it
 *
 * Return: true when it was refused.
 */
bool okl4_session_answered(struct okl4_channel *ch, u64 instance, int status)
{
	bool opened = false;

	if (status)
		return okl4_channel_fail(ch, instance, status);
	mutex_lock(&ch->lock);
	if (ch->mem && ch->mem->instance == instance && ch->stage == OKL4_SESSION_WAITS) {
		WRITE_ONCE(ch->stage, OKL4_SESSION_OPEN);
		opened = true;
	}
	mutex_unlock(&ch->lock);
	if (opened)
		okl4_channel_wake(ch);
	return false;
}
