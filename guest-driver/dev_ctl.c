// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_ctl.c - what a device asks of its host
 *
 * All functions here return 0 when the host says FS_OK, a positive enum fs_status when it refuses,
 * and a negative errno when there is no (good) answer. Then the device must be reset, except for
 * -ENOMEM: such a request was never made. A host that has come back without a reset knows nothing of
 * us: that is -ESTALE.
 */
#include <linux/virtio_config.h>

#include "trace.h"
#include "dev.h"

/**
 * okl4_ctl_hello() - introduce ourselves
 * @dev: device
 * @limit_ms: how long to wait for the answer
 * @max_channels: out: channel ids are below this; at most OKL4FS_MAX_CHANNELS
 *
 * Return: as said at the head of this file.
 */
int okl4_ctl_hello(struct okl4_dev *dev, unsigned int limit_ms, u32 *max_channels)
{
	struct okl4fs_hello_rep rep;
	struct okl4fs_hello_req *body;
	struct okl4_req *req;
	int r;

	req = okl4_req_new(OKL4FS_REQ_HELLO, sizeof(*body), sizeof(rep));
	if (req) {
		body = okl4_req_at(req, 0);
		body->version = cpu_to_le32(OKL4FS_ABI_VERSION);
		body->n_event_queues = cpu_to_le32(dev->n_bells);
		body->bell_gpa = cpu_to_le64(virt_to_phys(dev->bell));
		body->driver_instance = cpu_to_le64(okl4_driver_instance);
	}
	r = okl4_call(dev, req, limit_ms, &rep);
	if (r == -EBADMSG && !dev->greeted && dev->carrier->anyones)
		okl4_dev_let_go(dev);
	if (r)
		return r;
	if (le32_to_cpu(rep.version) != OKL4FS_ABI_VERSION)
		return -EPROTO;
	*max_channels = min_t(u32, le32_to_cpu(rep.max_channels), OKL4FS_MAX_CHANNELS);
	return 0;
}

/**
 * okl4_ctl_info() - ask for the first channel from an id on
 * @dev: device
 * @first_id: id
 * @info: out: what the host says, not checked
 *
 * Return: as said at the head of this file; FS_NO_CHANNEL: there is none.
 */
int okl4_ctl_info(struct okl4_dev *dev, u32 first_id, struct okl4fs_info_rep *info)
{
	struct okl4fs_info_req *body;
	struct okl4_req *req = okl4_req_new(OKL4FS_REQ_CHANNEL_INFO, sizeof(*body), sizeof(*info));

	if (req) {
		body = okl4_req_at(req, 0);
		body->first_id = cpu_to_le32(first_id);
	}
	return okl4_call(dev, req, READ_ONCE(okl4_request_ms), info);
}

/**
 * attach_req() - make the request that hands memory to the host
 * @id: channel
 * @generation: of its id
 * @mem: its memory
 *
 * Return: the request, or NULL.
 */
static struct okl4_req *attach_req(u32 id, u32 generation, const struct okl4_mem *mem)
{
	struct okl4fs_attach_req *body;
	struct okl4_req *req;
	u32 i, k, n = 0, bytes;

	for (i = 0; i < OKL4FS_N_SECS; i++)
		n += mem->chunks[i].n;
	bytes = sizeof(*body) + n * sizeof(le64);
	req = okl4_req_new(OKL4FS_REQ_ATTACH, bytes, sizeof(struct okl4fs_rep_hdr));
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
		for (k = 0; k < c->n; k++, bytes += sizeof(le64))
			*(le64 *)okl4_req_at(req, bytes) = cpu_to_le64(virt_to_phys(c->base[k]));
	}
	return req;
}

/**
 * okl4_ctl_attach() - hand the memory of a channel to the host, unless it has it
 * @dev: device
 * @ch: channel
 *
 * The memory may be retired while the request is under way; it is not freed before @dev->mutex is.
 *
 * Return: as said at the head of this file. Memory that the host refuses has failed.
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
	req = attach_req(ch->id, ch->generation, mem);
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
	okl4_retired_replaced(dev, mem->holder_id, mem);
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
 * okl4_ctl_detach() - take memory back from the host
 * @dev: device
 * @id: channel under which the host has it
 * @generation: of that id
 *
 * Return: as said at the head of this file; whatever the host answers, it has the memory no more.
 */
int okl4_ctl_detach(struct okl4_dev *dev, u32 id, u32 generation)
{
	return take_back(dev, OKL4FS_REQ_DETACH, id, generation);
}

/**
 * okl4_ctl_release() - take memory back from the host, unless somebody there uses the channel
 * @dev: device
 * @id: channel under which the host has it
 * @generation: of that id
 *
 * Return: as said at the head of this file; unless it is 0 the host still has the memory.
 */
int okl4_ctl_release(struct okl4_dev *dev, u32 id, u32 generation)
{
	return take_back(dev, OKL4FS_REQ_RELEASE, id, generation);
}

/**
 * okl4_ctl_ping() - ask whether the host is there
 * @dev: device
 *
 * Return: as said at the head of this file.
 */
int okl4_ctl_ping(struct okl4_dev *dev)
{
	struct okl4_req *req = okl4_req_new(OKL4FS_REQ_PING, sizeof(struct okl4fs_req_hdr),
					    sizeof(struct okl4fs_rep_hdr));

	okl4_count(&dev->pings, 1);
	return okl4_call(dev, req, READ_ONCE(okl4_request_ms), NULL);
}
