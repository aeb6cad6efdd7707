// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_connect.c - opening, shutting down and closing a session
 *
 * An open of a channel with sessions takes a place, makes a session with its memory, has the device
 * ask the host for it (OPEN), and waits until the other side has answered. No lock is held while it
 * waits. What the guest's ends are to be is in the memory before OPEN: a direction for which the
 * file is not open is closed for good.
 */
#include <linux/err.h>
#include <linux/net.h>
#include <linux/sched/signal.h>

#include "channel.h"
#include "trace.h"

/* What an opener gets when the host refuses a session */
static int session_refused_errno(int status)
{
	switch (status) {
	case OKL4_CONNECTION_REFUSED:
		return -ECONNREFUSED;
	case OKL4_CONNECTION_TIMEOUT:
		return -ETIMEDOUT;
	case OKL4_CONNECTION_RESET:
		return -ECONNRESET;
	case OKL4_NO_CLIENT:
		return -EAGAIN;
	case OKL4_SESSIONS_FULL:
		return -EBUSY; /* for okl4_session_open() */
	default:
		return okl4_refused_errno(status);
	}
}

/* The host sees a direction that is not used end at once. No other program knows @ch yet */
static void set_ends(struct okl4_channel *ch, bool reads, bool writes)
{
	struct okl4_socketpair *pair = &ch->mem->pair;
	struct okl4_opener opener;

	okl4_opener_current(&opener);
	ch->n_readers = reads;
	ch->n_writers = writes;
	if (reads)
		okl4_pipe_consumer_name(&pair->rx, &opener);
	okl4_pipe_consumer_open(&pair->rx);
	if (!reads)
		okl4_pipe_consumer_close(&pair->rx);
	if (writes)
		okl4_pipe_producer_name(&pair->tx, &opener);
	okl4_pipe_producer_open(&pair->tx);
	if (!writes)
		okl4_pipe_producer_close(&pair->tx);
}

/* Return: a session that the host was not asked for, or an error pointer. The place is used up */
static struct okl4_channel *make_session(struct okl4_channel *of, bool reads, bool writes,
					 bool nowait)
{
	struct okl4_channel *ch = okl4_channel_new_session(of);
	struct okl4_mem *mem = ERR_PTR(-ENOMEM);

	if (ch) {
		ch->nowait = nowait;
		ch->ring_bytes = READ_ONCE(of->ring_bytes);
		mem = okl4_mem_take(ch->ring_bytes);
	}
	if (IS_ERR(mem)) {
		if (ch)
			okl4_channel_put(ch);
		okl4_session_return_place(of);
		return ERR_CAST(mem);
	}
	mem->packets = READ_ONCE(of->packets);
	ch->mem = mem;
	set_ends(ch, reads, writes);
	okl4_session_join(ch);
	return ch;
}

/* Nothing was written, so nothing is waited for but those who have pinned the memory */
static void abandon(struct okl4_channel *ch)
{
	mutex_lock(&ch->lock);
	ch->n_readers = 0;
	ch->n_writers = 0;
	mutex_unlock(&ch->lock);
	okl4_channel_settle(ch);
}

/* Return: 0, -EAGAIN, -ENXIO, or as okl4_port_ops.open */
static int ask_host(struct okl4_channel *ch)
{
	struct okl4_port *port;
	int err;

	mutex_lock(&ch->of->lock);
	port = rcu_dereference_protected(ch->of->port, lockdep_is_held(&ch->of->lock));
	if (port)
		kref_get(&port->ref);
	mutex_unlock(&ch->of->lock);
	if (!port)
		return -ENXIO;
	err = ch->nowait && !port->ops->is_up(port) ? -EAGAIN : port->ops->open(port, ch);
	kref_put(&port->ref, port->ops->release);
	return err;
}

/* On @ch's wait queue already, or before the wait */
static bool is_decided(struct okl4_channel *ch)
{
	if (READ_ONCE(ch->stage) >= OKL4_SESSION_OPEN || !okl4_channel_offered(ch))
		return true;
	okl4_channel_watch(ch);
	return false;
}

/* Return: 0, or why there is no session; -EBUSY: the host can have no more at present */
static int open_once(struct okl4_channel *of, bool reads, bool writes, bool nowait,
		     struct okl4_channel **session)
{
	struct okl4_channel *ch = make_session(of, reads, writes, nowait);
	int err;

	if (IS_ERR(ch))
		return PTR_ERR(ch);
	err = ask_host(ch);
	if (!err && wait_event_interruptible(ch->rx_wait, is_decided(ch)))
		err = -ERESTARTSYS;
	if (!err) {
		mutex_lock(&ch->lock);
		if (ch->stage == OKL4_SESSION_REFUSED)
			err = session_refused_errno(ch->answer);
		else if (ch->stage != OKL4_SESSION_OPEN)
			err = -ENXIO;
		mutex_unlock(&ch->lock);
	}
	if (!err) {
		*session = ch;
		return 0;
	}
	abandon(ch);
	okl4_channel_put(ch);
	return err;
}

/**
 * okl4_session_open() - begin a session
 * @of: channel with sessions
 * @reads: for reading
 * @writes: for writing; at least one of the two
 * @nowait: do not wait for a place, nor for a call from the other side
 * @session: out: the session with a reference, for okl4_session_close()
 *
 * Context: sleeps until the other side has answered.
 * Return: 0; -ENXIO: no device offers the channel; -EAGAIN: it would have to wait, with @nowait;
 * -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET: the other side; -ENOMEM, -ENOSPC, -EIO: as
 * okl4_channel_open(); -ERESTARTSYS.
 */
int okl4_session_open(struct okl4_channel *of, bool reads, bool writes, bool nowait,
		      struct okl4_channel **session)
{
	int err, ended;

	do {
		ended = okl4_sessions_ended();
		err = okl4_session_take_place(of, nowait);
		if (err)
			break;
		err = open_once(of, reads, writes, nowait, session);
		if (err == -EBUSY)
			err = nowait ? -EAGAIN : okl4_session_await_end(of, ended) ?: -EBUSY;
	} while (err == -EBUSY);

	trace_okl4fs_open(of, reads, writes, err);
	if (err && err != -ERESTARTSYS)
		okl4_channel_count_refusal(of, err);
	if (err)
		return err;
	mutex_lock(&of->lock);
	of->reader_opens += reads;
	of->writer_opens += writes;
	mutex_unlock(&of->lock);
	return 0;
}

/**
 * okl4_session_close() - the last close of a session's file
 * @ch: session; the caller's reference is given back
 * @reads: as it was opened
 * @writes: as it was opened
 *
 * The session ends when the host has taken what was written.
 */
void okl4_session_close(struct okl4_channel *ch, bool reads, bool writes)
{
	okl4_channel_close(ch, reads, writes);
	okl4_channel_put(ch);
}

static void shut_reader(struct okl4_channel *ch)
{
	mutex_lock(&ch->rx_lock);
	okl4_pipe_consumer_close(&ch->mem->pair.rx);
	okl4_channel_unlock(ch, &ch->rx_lock);
}

static void shut_writer(struct okl4_channel *ch)
{
	mutex_lock(&ch->tx_lock);
	okl4_pipe_producer_close(&ch->mem->pair.tx);
	okl4_channel_unlock(ch, &ch->tx_lock);
}

/**
 * okl4_session_shutdown() - end one direction of a session that is open, or both: shutdown(2)
 * @ch: what a file has open
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * Return: 0; -ENOTTY: it is not a session; -EINVAL: there is no such @how.
 */
int okl4_session_shutdown(struct okl4_channel *ch, unsigned long how)
{
	if (!ch->of)
		return -ENOTTY;
	if (how > SHUT_RDWR)
		return -EINVAL;
	if (how != SHUT_WR)
		shut_reader(ch);
	if (how != SHUT_RD)
		shut_writer(ch);
	okl4_channel_wake(ch);
	okl4_channel_ring(ch);
	return 0;
}
