// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_open.c - opening and closing a channel's end
 *
 * The first open makes the memory and has the device hand it to the host. Open does not wait for
 * the peer, nor for a host that is silent at the moment: the memory is handed over when the host is
 * back. The peer is told of the first and the last reader, and of the first and the last writer.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/uidgid.h>

#include "channel.h"
#include "trace.h"

/* Return: the device with a reference for the caller, or NULL. @ch->lock held */
static struct okl4_port *take_port(struct okl4_channel *ch)
{
	struct okl4_port *port = rcu_dereference_protected(ch->port, lockdep_is_held(&ch->lock));

	if (port)
		kref_get(&port->ref);
	return port;
}

/* Drops memory that failed or whose channel was removed, unless it is open. @ch->lock held */
static void discard_useless(struct okl4_channel *ch)
{
	if (ch->mem && (READ_ONCE(ch->mem->failed) || ch->removed) && okl4_channel_idle(ch))
		okl4_channel_drop_mem(ch);
}

/* Pins @ch, also on failure. Return: 1 when it made the memory, else 0. @ch->setup_lock held */
static int need_mem(struct okl4_channel *ch)
{
	struct okl4_mem *mem;
	u64 ring_bytes;
	int err = 0;

	mutex_lock(&ch->lock);
	discard_useless(ch);
	ring_bytes = ch->mem ? 0 : ch->ring_bytes;
	ch->n_pins++;
	WRITE_ONCE(ch->lingering, false);
	mutex_unlock(&ch->lock);
	if (!ring_bytes)
		return 0;

	mem = okl4_mem_new(ring_bytes);
	if (IS_ERR(mem))
		return PTR_ERR(mem);
	mutex_lock(&ch->lock);
	if (ch->ring_bytes == ring_bytes) {
		mem->packets = ch->packets;
		ch->mem = mem;
	} else {
		err = -ENXIO; /* the channel has changed meanwhile */
	}
	mutex_unlock(&ch->lock);
	if (err)
		okl4_mem_free(mem);
	return err ? err : 1;
}

/* On success @ch is pinned. @ch->setup_lock held */
static int make_ready(struct okl4_channel *ch)
{
	struct okl4_port *port;
	int made, err;

	mutex_lock(&ch->lock);
	port = take_port(ch);
	mutex_unlock(&ch->lock);
	if (!port)
		return -ENXIO;

	made = need_mem(ch);
	err = made < 0 ? made : port->ops->attach(port, ch);
	kref_put(&port->ref, port->ops->release);

	if (err) {
		mutex_lock(&ch->lock);
		ch->n_pins--;
		discard_useless(ch);
		/* Memory may be short, so what nobody can use yet is not kept */
		if (made > 0 && ch->mem && !ch->mem->holder)
			okl4_channel_drop_mem(ch);
		mutex_unlock(&ch->lock);
		okl4_channel_settle(ch);
	}
	return err;
}

/* @ch->lock held */
static int may_open(const struct okl4_channel *ch, bool reads, bool writes)
{
	if (!okl4_channel_offered(ch))
		return -ENXIO;
	if (ch->exclusive && ((reads && ch->n_readers) || (writes && ch->n_writers)))
		return -EBUSY;
	return !ch->mem || READ_ONCE(ch->mem->failed) ? -EIO : 0;
}

/**
 * okl4_opener_current() - the calling program, for the words that its end shows to the host
 * @opener: out
 *
 * In the numbers of the guest's initial namespaces, so a program in a container has those that the
 * guest's administrator sees.
 */
void okl4_opener_current(struct okl4_opener *opener)
{
	char comm[TASK_COMM_LEN];

	BUILD_BUG_ON(TASK_COMM_LEN != OKL4FS_COMM_BYTES);
	get_task_comm(comm, current);
	memcpy(opener->comm, comm, sizeof(opener->comm));
	opener->uid = from_kuid_munged(&init_user_ns, current_euid());
	opener->gid = from_kgid_munged(&init_user_ns, current_egid());
	opener->pid = task_tgid_nr(current);
}

/* The peer is told of the first reader and of the first writer, and which programs they are */
static int count_opener(struct okl4_channel *ch, bool reads, bool writes)
{
	struct okl4_opener opener;
	int err;

	okl4_opener_current(&opener);
	mutex_lock(&ch->lock);
	err = may_open(ch, reads, writes);
	if (err)
		goto out;
	ch->reader_opens += reads;
	ch->writer_opens += writes;
	if (reads && !ch->n_readers++) {
		mutex_lock(&ch->rx_lock);
		okl4_pipe_consumer_name(&ch->mem->pair.rx, &opener);
		okl4_pipe_consumer_open(&ch->mem->pair.rx);
		okl4_channel_unlock(ch, &ch->rx_lock);
	}
	if (writes && !ch->n_writers++) {
		mutex_lock(&ch->tx_lock);
		okl4_pipe_producer_name(&ch->mem->pair.tx, &opener);
		okl4_pipe_producer_open(&ch->mem->pair.tx);
		okl4_channel_unlock(ch, &ch->tx_lock);
	}
out:
	mutex_unlock(&ch->lock);
	if (!err)
		okl4_channel_ring(ch);
	return err;
}

/**
 * okl4_refused_errno() - what an opener gets when the host refuses memory
 * @status: why (enum okl4_status)
 *
 * Return: a negative errno.
 */
int okl4_refused_errno(int status)
{
	switch (status) {
	case OKL4_NO_CHANNEL:
		return -ENXIO;
	case OKL4_NO_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/**
 * okl4_channel_count_refusal() - count an open that has failed
 * @ch: channel
 * @err: what the opener gets
 */
void okl4_channel_count_refusal(struct okl4_channel *ch, int err)
{
	enum okl4_refused why = err == -ENXIO                    ? OKL4_REFUSED_NXIO :
				err == -EBUSY                    ? OKL4_REFUSED_BUSY :
				err == -ENOMEM || err == -ENOSPC ? OKL4_REFUSED_NOMEM :
				err == -EAGAIN                   ? OKL4_REFUSED_AGAIN :
				err == -ECONNREFUSED             ? OKL4_REFUSED_CONNREFUSED :
				err == -ETIMEDOUT                ? OKL4_REFUSED_TIMEDOUT :
								   OKL4_REFUSED_IO;

	atomic_inc(&ch->refused[why]);
}

/**
 * okl4_channel_open() - open a channel's end
 * @ch: channel
 * @reads: for reading
 * @writes: for writing; at least one of the two
 *
 * Return: 0; -ENXIO: no device offers the channel; -EBUSY: it is exclusive and that direction is
 * open; -ENOMEM; -ENOSPC: all rings together would exceed what the module's parameter allows; -EIO:
 * it has failed and others still have it open, or the host refuses it; -ERESTARTSYS.
 */
int okl4_channel_open(struct okl4_channel *ch, bool reads, bool writes)
{
	int err = mutex_lock_interruptible(&ch->setup_lock);

	if (err)
		return -ERESTARTSYS;
	err = make_ready(ch);
	if (!err) {
		err = count_opener(ch, reads, writes);
		okl4_channel_unpin(ch);
	}
	mutex_unlock(&ch->setup_lock);
	trace_okl4fs_open(ch, reads, writes, err);
	if (err)
		okl4_channel_count_refusal(ch, err);
	return err;
}

/**
 * okl4_channel_close() - undo one okl4_channel_open()
 * @ch: channel
 * @reads: as it was opened
 * @writes: as it was opened
 */
void okl4_channel_close(struct okl4_channel *ch, bool reads, bool writes)
{
	mutex_lock(&ch->lock);
	if (writes && !--ch->n_writers) {
		mutex_lock(&ch->tx_lock);
		okl4_pipe_producer_close(&ch->mem->pair.tx);
		okl4_channel_unlock(ch, &ch->tx_lock);
	}
	if (reads && !--ch->n_readers) {
		mutex_lock(&ch->rx_lock);
		okl4_pipe_consumer_close(&ch->mem->pair.rx);
		okl4_channel_unlock(ch, &ch->rx_lock);
	}
	discard_useless(ch);
	mutex_unlock(&ch->lock);
	okl4_channel_settle(ch);
	trace_okl4fs_close(ch, reads, writes, 0);
	okl4_channel_ring(ch);
}
