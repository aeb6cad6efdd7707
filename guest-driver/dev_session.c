// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_session.c - sessions on a device: asking the host for them, also again when it has come back
 *
 * The host gives a session its id, so the session has a slot from the answer on. After HELLO the
 * host is asked again for every session: it goes on with those that it knows, begins the others
 * anew where that is possible, and refuses the rest. Their connections are lost.
 */
#include "trace.h"
#include "dev.h"

/* @ch->lock held */
static struct okl4_req *open_req(const struct okl4_channel *ch, u32 id, u32 generation)
{
	struct okl4_req *req = okl4_attach_req(OKL4FS_REQ_OPEN, id, generation, ch->mem,
					       sizeof(struct okl4fs_open_rep));
	struct okl4fs_attach_req *body;

	if (!req)
		return NULL;
	body = okl4_req_at(req, 0);
	if (ch->stage == OKL4_SESSION_OPEN)
		body->flags = cpu_to_le32(OKL4FS_OPEN_RESUME);
	else if (ch->nowait)
		body->flags = cpu_to_le32(OKL4FS_OPEN_NOWAIT);
	return req;
}

/* The host may have been started anew with another configuration. @ch->lock held */
static void follow_kind(struct okl4_channel *ch, bool packets)
{
	if (!ch->mem || ch->mem->packets == packets)
		return;
	if (ch->stage == OKL4_SESSION_OPEN)
		okl4_channel_break(ch, ch->mem, OKL4_CONNECTION_RESET);
	else
		ch->mem->packets = packets; /* nothing was written yet */
}

/* Return: a request with the session's memory, or NULL with @err */
static struct okl4_req *prepare(struct okl4_dev *dev, struct okl4_channel *ch,
				struct okl4_mem **mem, int *err)
{
	struct okl4_req *req = NULL;
	u32 id, generation;
	bool is_here, packets;

	mutex_lock(&ch->of->lock);
	is_here = rcu_access_pointer(ch->of->port) == &dev->port;
	id = ch->of->id;
	generation = ch->of->generation;
	packets = ch->of->packets;
	mutex_unlock(&ch->of->lock);

	*err = 0;
	mutex_lock(&ch->lock);
	*mem = ch->mem;
	if (is_here)
		follow_kind(ch, packets);
	if (is_here && ch->mem && !READ_ONCE(ch->mem->failed) && !ch->mem->holder) {
		req = open_req(ch, id, generation);
		*err = req ? 0 : -ENOMEM;
	}
	if (req) {
		ch->mem->holder = &dev->port;
		ch->mem->holder_id = OKL4_NO_ID;
	}
	mutex_unlock(&ch->lock);
	return req;
}

/* @mem may have been retired meanwhile, and is not freed before @dev->mutex is released */
static void take_id(struct okl4_channel *ch, struct okl4_mem *mem, u32 id, u32 generation,
		    bool is_waiting)
{
	mutex_lock(&ch->lock);
	mem->holder_id = id;
	mem->holder_generation = generation;
	WRITE_ONCE(ch->id, id);
	ch->generation = generation;
	ch->attaches++;
	if (ch->stage != OKL4_SESSION_OPEN)
		WRITE_ONCE(ch->stage, is_waiting ? OKL4_SESSION_WAITS : OKL4_SESSION_OPEN);
	mutex_unlock(&ch->lock);
}

/* What had the id has gone, and the news of that is still on its way */
static void replace(struct okl4_dev *dev, struct okl4_channel *old, u32 id)
{
	u64 instance = 0;

	if (!old->of) {
		okl4_channel_returned(old, &dev->port);
		okl4_channel_remove(old, &dev->port, id);
		return;
	}
	mutex_lock(&old->lock);
	if (old->mem)
		instance = old->mem->instance;
	mutex_unlock(&old->lock);
	okl4_channel_fail(old, instance, OKL4_CHANNEL_FAILED);
}

static void put_in_slot(struct okl4_dev *dev, struct okl4_channel *ch, u32 id)
{
	struct okl4_channel *old;

	kref_get(&ch->ref);
	old = okl4_slot_set(dev, id, ch);
	if (!old)
		return;
	if (old != ch)
		replace(dev, old, id);
	okl4_channel_put(old);
}

/* The host does not have the session, and not its memory */
static void refused(struct okl4_channel *ch, struct okl4_mem *mem, int status)
{
	mutex_lock(&ch->lock);
	mem->holder = NULL;
	if (ch->mem == mem && ch->stage == OKL4_SESSION_OPEN) {
		okl4_session_leave(ch);
		okl4_channel_break(ch, mem, status);
		if (okl4_channel_idle(ch))
			okl4_channel_drop_mem(ch);
	} else if (ch->mem == mem) {
		okl4_session_leave(ch);
		ch->answer = status;
		WRITE_ONCE(ch->stage, OKL4_SESSION_REFUSED);
	}
	mutex_unlock(&ch->lock);
	okl4_channel_wake(ch);
}

/* After an answer, whatever it is. Return: 0, or -EPROTO: it cannot be true */
static int take_answer(struct okl4_dev *dev, struct okl4_channel *ch, struct okl4_mem *mem,
		       const struct okl4fs_open_rep *rep)
{
	u32 id = le32_to_cpu(rep->channel);

	if (id >= OKL4FS_MAX_CHANNELS)
		return -EPROTO;
	take_id(ch, mem, id, le32_to_cpu(rep->generation), rep->is_waiting);
	put_in_slot(dev, ch, id);
	/* Those that have rung its former id after the host has looked */
	okl4_channel_ring(ch);
	okl4_channel_wake(ch);
	if (READ_ONCE(ch->lingering))
		okl4_slot_drained(dev, id);
	return 0;
}

/**
 * okl4_ctl_open() - ask the host for a session, unless it has it
 * @dev: device
 * @ch: session; the caller has a reference, and has taken the note that OPEN is to be sent
 *
 * What the host says is noted in the session.
 *
 * Context: @dev->mutex held.
 * Return: 0, or a negative errno, as said at the head of dev_ctl.c. Then OPEN is to be sent again.
 */
int okl4_ctl_open(struct okl4_dev *dev, struct okl4_channel *ch)
{
	struct okl4fs_open_rep rep;
	struct okl4_chunks fwd;
	struct okl4_req *req;
	struct okl4_mem *mem;
	int r, err;

	req = prepare(dev, ch, &mem, &err);
	if (!req)
		return err;
	fwd = mem->chunks[OKL4FS_SEC_FWD];
	r = okl4_call(dev, req, READ_ONCE(okl4_request_ms), &rep);
	trace_okl4fs_attach(dev_name(&dev->vdev->dev), ch, ch->ring_bytes, &fwd, r);
	if (r == -ENOMEM) {
		mutex_lock(&ch->lock);
		mem->holder = NULL;
		mutex_unlock(&ch->lock);
		return r;
	}
	if (r > 0) {
		refused(ch, mem, r);
		return 0;
	}
	if (!r)
		r = take_answer(dev, ch, mem, &rep);
	if (r && !dev->unanswered) {
		kref_get(&ch->ref);
		dev->unanswered = ch;
	}
	return r;
}

/**
 * okl4_sessions_resume() - ask the host for the sessions of a channel that it was not asked for
 * @dev: device
 * @of: channel in one of its slots
 *
 * Context: @dev->mutex held.
 * Return: 0, or a negative errno, as okl4_ctl_open().
 */
int okl4_sessions_resume(struct okl4_dev *dev, struct okl4_channel *of)
{
	struct okl4_channel *ch;
	int err = 0;

	while (!err && (ch = okl4_session_next_ask(of))) {
		err = okl4_ctl_open(dev, ch);
		if (err)
			okl4_session_ask(ch);
		okl4_channel_put(ch);
	}
	return err;
}

/**
 * okl4_sessions_settled() - after HELLO: the host was asked for all sessions that are left
 * @dev: device
 *
 * Context: @dev->mutex held.
 * Return: 0, or a negative errno, as said at the head of dev_ctl.c.
 */
int okl4_sessions_settled(struct okl4_dev *dev)
{
	struct okl4_req *req;
	bool any = false;
	u32 id;

	for (id = 0; id < dev->n_slots && !any; id++)
		any = dev->slot[id].ch && READ_ONCE(dev->slot[id].ch->max_sessions);
	if (!any)
		return 0;
	req = okl4_req_new(OKL4FS_REQ_SETTLE, sizeof(struct okl4fs_req_hdr),
			   sizeof(struct okl4fs_rep_hdr));
	return min(okl4_call(dev, req, READ_ONCE(okl4_request_ms), NULL), 0);
}
