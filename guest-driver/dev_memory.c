// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_memory.c - channels' memory that the host has: handing it over, and taking it back
 *
 * Memory that its channel has given up is retired: it waits on a list of the device until it has
 * been taken back from the host, and is freed then.
 */
#include <linux/io.h>

#include "trace.h"
#include "dev.h"

/**
 * okl4_dev_retire() - take memory back from the host and free it
 * @port: device
 * @mem: memory that no channel has
 *
 * Context: the channel's lock held; does not wait.
 */
void okl4_dev_retire(struct okl4_port *port, struct okl4_mem *mem)
{
	struct okl4_dev *dev = okl4_dev_of(port);

	spin_lock(&dev->retired_lock);
	list_add_tail(&mem->retired, &dev->retired);
	spin_unlock(&dev->retired_lock);
	okl4_dev_poke(dev);
}

/* The id is @mem's now, so detaching older memory by it would take @mem. @dev->mutex held */
static void retired_replaced(struct okl4_dev *dev, u32 id, const struct okl4_mem *mem)
{
	struct okl4_mem *old;

	spin_lock(&dev->retired_lock);
	list_for_each_entry(old, &dev->retired, retired) {
		if (old != mem && old->holder_id == id)
			old->holder = NULL;
	}
	spin_unlock(&dev->retired_lock);
}

/**
 * okl4_attach_req() - make an ATTACH or an OPEN
 * @type: which
 * @id: channel
 * @generation: of @id
 * @mem: memory
 * @rep_bytes: bytes of a good reply
 *
 * Return: the request, or NULL.
 */
struct okl4_req *okl4_attach_req(u16 type, u32 id, u32 generation, const struct okl4_mem *mem,
				 u32 rep_bytes)
{
	struct okl4fs_attach_req *body;
	struct okl4_req *req;
	u32 i, k, n = 0, bytes;

	for (i = 0; i < OKL4FS_N_SECS; i++)
		n += mem->chunks[i].n;
	bytes = sizeof(*body) + n * sizeof(okl4_le64);
	req = okl4_req_new(type, bytes, rep_bytes);
	if (!req)
		return NULL;

	body = okl4_req_at(req, 0);
	body->channel = cpu_to_le32(id);
	body->generation = cpu_to_le32(generation);
	body->instance = cpu_to_le64(mem->instance);
	bytes = sizeof(*body);
	for (i = 0; i < OKL4FS_N_SECS; i++) {
		const struct okl4_chunks *c = &mem->chunks[i];

		body->sec[i].bytes = cpu_to_le64(mem->sec[i].bytes);
		body->sec[i].chunk_bytes = cpu_to_le32(c->chunk_bytes);
		body->sec[i].n_chunks = cpu_to_le32(c->n);
		for (k = 0; k < c->n; k++, bytes += sizeof(okl4_le64))
			*(okl4_le64 *)okl4_req_at(req, bytes) =
				cpu_to_le64(virt_to_phys(c->base[k]));
	}
	return req;
}

/**
 * okl4_ctl_attach() - hand the memory of a channel to the host, unless it has it
 * @dev: device
 * @ch: channel
 *
 * The memory may be retired while the request is under way; it is not freed before @dev->mutex is
 * released.
 *
 * Return: as said at the head of dev_ctl.c. Memory that the host refuses has failed.
 */
int okl4_ctl_attach(struct okl4_dev *dev, struct okl4_channel *ch)
{
	struct okl4_req *req = NULL;
	struct okl4_mem *mem;
	struct okl4_chunks fwd;
	u64 ring_bytes;
	int r;

	mutex_lock(&ch->lock);
	mem = ch->mem;
	if (!mem || READ_ONCE(mem->failed) || mem->holder ||
	    rcu_access_pointer(ch->port) != &dev->port) {
		mutex_unlock(&ch->lock);
		return 0;
	}
	fwd = mem->chunks[OKL4FS_SEC_FWD];
	ring_bytes = mem->pair.ring_bytes;
	req = okl4_attach_req(OKL4FS_REQ_ATTACH, ch->id, ch->generation, mem,
			      sizeof(struct okl4fs_rep_hdr));
	if (req) {
		mem->holder = &dev->port;
		mem->holder_id = ch->id;
		mem->holder_generation = ch->generation;
	}
	mutex_unlock(&ch->lock);

	r = okl4_call(dev, req, READ_ONCE(okl4_request_ms), NULL);
	/* Without a request the memory may be gone: nothing has held it */
	trace_okl4fs_attach(dev_name(&dev->vdev->dev), ch, ring_bytes, &fwd, r);
	if (!req)
		return r;
	mutex_lock(&ch->lock);
	ch->attaches += !r;
	if (r > 0 || r == -ENOMEM)
		mem->holder = NULL;
	if (r > 0)
		okl4_channel_break(ch, mem, r);
	mutex_unlock(&ch->lock);
	if (r)
		return r;
	retired_replaced(dev, mem->holder_id, mem);
	if (!dev->rejoins)
		dev_info_ratelimited(&dev->vdev->dev,
				     "channel %*pE attached: 2 x %llu bytes in chunks of %u\n",
				     (int)ch->name_bytes, ch->name, ring_bytes, fwd.chunk_bytes);
	okl4_channel_wake(ch);
	return 0;
}

static int take_back(struct okl4_dev *dev, u16 type, u32 id, u32 generation)
{
	struct okl4fs_detach_req *body;
	struct okl4_req *req = okl4_req_new(type, sizeof(*body), sizeof(struct okl4fs_rep_hdr));
	int r;

	if (req) {
		body = okl4_req_at(req, 0);
		body->channel = cpu_to_le32(id);
		body->generation = cpu_to_le32(generation);
	}
	r = okl4_call(dev, req, READ_ONCE(okl4_request_ms), NULL);
	trace_okl4fs_detach(dev_name(&dev->vdev->dev), id, r);
	return r;
}

/**
 * okl4_ctl_release() - take memory back from the host, unless somebody there uses the channel
 * @dev: device
 * @id: channel under which the host has it
 * @generation: of that id
 *
 * Return: as said at the head of dev_ctl.c; unless it is 0 the host still has the memory.
 */
int okl4_ctl_release(struct okl4_dev *dev, u32 id, u32 generation)
{
	return take_back(dev, OKL4FS_REQ_RELEASE, id, generation);
}

/* The host no longer has a session's memory. @dev->mutex held */
static void end_session(struct okl4_dev *dev, struct okl4_mem *mem)
{
	struct okl4_channel *ch = mem->session;

	mem->session = NULL;
	okl4_slot_leave(dev, ch);
	okl4_mem_recycle(mem);
	okl4_session_finish(ch);
	okl4_channel_put(ch);
}

/* @detach: the host may have the memory; else the device was reset. @dev->mutex held */
static int free_retired(struct okl4_dev *dev, bool detach)
{
	struct okl4_mem *mem;
	int r = 0;

	for (;;) {
		spin_lock(&dev->retired_lock);
		mem = list_first_entry_or_null(&dev->retired, struct okl4_mem, retired);
		spin_unlock(&dev->retired_lock);
		if (!mem)
			return 0;
		/* Whatever the host answers, it no longer has the memory */
		if (detach && mem->holder)
			r = take_back(dev, mem->session ? OKL4FS_REQ_CLOSE : OKL4FS_REQ_DETACH,
				      mem->holder_id, mem->holder_generation);
		if (r < 0)
			return r;
		spin_lock(&dev->retired_lock);
		list_del_init(&mem->retired);
		spin_unlock(&dev->retired_lock);
		if (mem->session)
			end_session(dev, mem);
		else
			okl4_mem_free(mem);
	}
}

/**
 * okl4_retired_free() - free memory that was retired
 * @dev: device that was reset
 *
 * Context: @dev->mutex held.
 */
void okl4_retired_free(struct okl4_dev *dev)
{
	free_retired(dev, false);
}

/**
 * okl4_retired_take_back() - take memory that was retired back from the host, and free it
 * @dev: device that is up
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno, after which the device must be reset.
 */
int okl4_retired_take_back(struct okl4_dev *dev)
{
	return free_retired(dev, true);
}
