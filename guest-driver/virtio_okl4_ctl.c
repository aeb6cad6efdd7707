// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_okl4_ctl.c - control requests: one after the other, each with a time limit
 *
 * A request that is not answered in time is abandoned, and the device counts as dead: it is
 * reset before the next request is made. Until then the host may still write to the request's
 * memory, so that is kept on a list which only the reset frees. A reply is checked before it is
 * believed.
 *
 * All functions here return 0 when the host says FS_OK, a positive enum fs_status when it refuses,
 * and a negative errno when there is no (good) answer. Then the device must be reset, except for
 * -ENOMEM: such a request was never made. A host that has come back without a reset knows nothing of
 * us: that is -ESTALE.
 */
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "virtio_okl4.h"

/* How often a request looks whether its reply is there, should the interrupt be lost */
#define LOOK_MS 100U

/* Room for the longest reply */
#define REPLY_BYTES sizeof(struct okl4fs_info_rep)

/**
 * struct okl4_req - a request and the room for its reply
 * @link: in ctl_abandoned
 * @done: the host has given it back; protected by ctl_lock
 * @got: bytes that the host says it wrote
 * @bytes: bytes of the request
 * @rep_bytes: bytes of a good reply
 * @memory: the request, in as few chunks as can be got
 * @out: scatter list of @memory
 * @in: scatter list of @reply
 * @reply: the reply
 */
struct okl4_req {
	struct list_head link;
	bool done;
	u32 got;
	u32 bytes;
	u32 rep_bytes;
	struct okl4_chunks memory;
	struct scatterlist *out;
	struct scatterlist in;
	void *reply;
};

/**
 * req_free() - free a request that the host has given back
 * @req: request, or NULL
 */
static void req_free(struct okl4_req *req)
{
	if (!req)
		return;
	okl4_chunks_free(&req->memory);
	kfree(req->out);
	kfree(req->reply);
	kfree(req);
}

/**
 * req_at() - a place in a request
 * @req: request
 * @offset: where; what is put there must not cross a page
 *
 * Return: pointer.
 */
static void *req_at(struct okl4_req *req, u32 offset)
{
	u32 chunk = req->memory.chunk_bytes;

	return req->memory.base[offset / chunk] + offset % chunk;
}

/**
 * req_new() - make a request with its header; the rest is zero
 * @type: enum okl4fs_req_type
 * @bytes: bytes of the request
 * @rep_bytes: bytes of a good reply
 *
 * Return: the request, or NULL.
 */
static struct okl4_req *req_new(u16 type, u32 bytes, u32 rep_bytes)
{
	struct okl4_req *req = kzalloc(sizeof(*req), GFP_KERNEL);
	struct okl4fs_req_hdr *hdr;
	u32 i;

	if (!req)
		return NULL;
	req->bytes = bytes;
	req->rep_bytes = rep_bytes;
	req->reply = kzalloc(REPLY_BYTES, GFP_KERNEL);
	if (!req->reply)
		goto fail;
	if (okl4_chunks_alloc(&req->memory, roundup_pow_of_two(max_t(u32, bytes, PAGE_SIZE))))
		goto fail;
	req->out = kcalloc(req->memory.n, sizeof(*req->out), GFP_KERNEL);
	if (!req->out)
		goto fail;

	sg_init_table(req->out, DIV_ROUND_UP(bytes, req->memory.chunk_bytes));
	for (i = 0; i * req->memory.chunk_bytes < bytes; i++)
		sg_set_buf(&req->out[i], req->memory.base[i],
			   min(bytes - i * req->memory.chunk_bytes, req->memory.chunk_bytes));
	sg_init_one(&req->in, req->reply, rep_bytes);

	hdr = req_at(req, 0);
	hdr->magic = cpu_to_le32(OKL4FS_MAGIC);
	hdr->type = cpu_to_le16(type);
	hdr->bytes = cpu_to_le32(bytes);
	return req;
fail:
	req_free(req);
	return NULL;
}

/**
 * submit() - give a request to the host
 * @dev: device
 * @req: request
 *
 * Return: 0 or a negative errno.
 */
static int submit(struct okl4_dev *dev, struct okl4_req *req)
{
	struct scatterlist *sgs[] = { req->out, &req->in };
	int err = -ENODEV;

	spin_lock_irq(&dev->ctl_lock);
	if (dev->ctl_vq && !READ_ONCE(dev->stopped))
		err = virtqueue_add_sgs(dev->ctl_vq, sgs, 1, 1, req, GFP_ATOMIC);
	if (!err)
		virtqueue_kick(dev->ctl_vq);
	spin_unlock_irq(&dev->ctl_lock);
	/* The queue is empty, so the request has too many pieces: memory is that fragmented */
	return err == -ENOSPC ? -ENOMEM : err;
}

/**
 * collect() - take what the host has given back
 * @dev: device
 *
 * Context: any.
 */
static void collect(struct okl4_dev *dev)
{
	struct okl4_req *req;
	unsigned int len;
	unsigned long flags;

	spin_lock_irqsave(&dev->ctl_lock, flags);
	do {
		if (!dev->ctl_vq)
			break;
		virtqueue_disable_cb(dev->ctl_vq);
		while ((req = virtqueue_get_buf(dev->ctl_vq, &len)) != NULL) {
			req->got = len;
			/* After @got and the reply. Pairs with await() */
			smp_store_release(&req->done, true);
		}
	} while (!virtqueue_enable_cb(dev->ctl_vq));
	spin_unlock_irqrestore(&dev->ctl_lock, flags);
}

/**
 * okl4_ctl_done() - interrupt of the control queue
 * @vq: queue
 */
void okl4_ctl_done(struct virtqueue *vq)
{
	struct okl4_dev *dev = vq->vdev->priv;

	WRITE_ONCE(dev->heard, jiffies);
	collect(dev);
	wake_up_all(&dev->ctl_wait);
}

/**
 * await() - wait for a reply
 * @dev: device
 * @req: request that was submitted
 * @limit_ms: how long
 *
 * It looks by itself now and then: a frontend that changes how it interrupts us, as it does after
 * DRIVER_OK, can lose an interrupt.
 *
 * Return: 0; -ENODEV when the device is being stopped; -ETIMEDOUT.
 */
static int await(struct okl4_dev *dev, struct okl4_req *req, unsigned int limit_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(max(limit_ms, LOOK_MS));

	do {
		/* Pairs with collect() */
		wait_event_timeout(dev->ctl_wait,
				   smp_load_acquire(&req->done) || READ_ONCE(dev->stopped),
				   msecs_to_jiffies(LOOK_MS));
		collect(dev);
		if (smp_load_acquire(&req->done))
			return 0;
		if (READ_ONCE(dev->stopped))
			return -ENODEV;
	} while (time_before(jiffies, end));
	return -ETIMEDOUT;
}

/**
 * check_reply() - whether a reply is one to the request
 * @req: request that was given back
 * @cookie: its cookie
 *
 * Return: the status in the reply, or -EPROTO.
 */
static int check_reply(struct okl4_req *req, u32 cookie)
{
	const struct okl4fs_req_hdr *asked = req_at(req, 0);
	const struct okl4fs_rep_hdr *hdr = req->reply;
	u32 bytes = le32_to_cpu(hdr->bytes);
	u16 status = le16_to_cpu(hdr->status);

	if (req->got < sizeof(*hdr) || req->got > req->rep_bytes || bytes != req->got)
		return -EPROTO;
	if (le32_to_cpu(hdr->magic) != OKL4FS_MAGIC || hdr->type != asked->type ||
	    le32_to_cpu(hdr->cookie) != cookie)
		return -EPROTO;
	if (bytes != (status == FS_OK ? req->rep_bytes : sizeof(*hdr)))
		return -EPROTO;
	return status;
}

/**
 * call() - make a request, wait for the reply, free the request
 * @dev: device
 * @req: request; NULL is allowed
 * @limit_ms: how long to wait
 * @reply: where to copy a good reply; NULL when its header is all
 *
 * Context: @dev->mutex held.
 * Return: as said at the head of this file.
 */
static int call(struct okl4_dev *dev, struct okl4_req *req, unsigned int limit_ms, void *reply)
{
	struct okl4fs_req_hdr *hdr;
	int r;

	lockdep_assert_held(&dev->mutex);
	if (!req)
		return -ENOMEM;
	hdr = req_at(req, 0);
	hdr->cookie = cpu_to_le32(++dev->cookie);

	r = submit(dev, req);
	if (r) {
		req_free(req);
		return r;
	}
	r = await(dev, req, limit_ms);
	if (r) {
		list_add(&req->link, &dev->ctl_abandoned);
		return r;
	}
	r = check_reply(req, dev->cookie);
	if (r == FS_REQ_NO_HELLO)
		r = -ESTALE;
	if (r == FS_OK && reply)
		memcpy(reply, req->reply, req->rep_bytes);
	req_free(req);
	return r;
}

/**
 * okl4_ctl_reclaim() - free the requests that were not answered in time
 * @dev: device that was reset
 *
 * Context: @dev->mutex held.
 */
void okl4_ctl_reclaim(struct okl4_dev *dev)
{
	struct okl4_req *req, *next;

	list_for_each_entry_safe(req, next, &dev->ctl_abandoned, link) {
		list_del(&req->link);
		req_free(req);
	}
}

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

	req = req_new(OKL4FS_REQ_HELLO, sizeof(*body), sizeof(rep));
	if (req) {
		body = req_at(req, 0);
		body->version = cpu_to_le32(OKL4FS_ABI_VERSION);
		body->n_event_queues = cpu_to_le32(dev->n_bells);
		body->bell_gpa = cpu_to_le64(virt_to_phys(dev->bell));
		body->driver_instance = cpu_to_le64(okl4_driver_instance);
	}
	r = call(dev, req, limit_ms, &rep);
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
	struct okl4_req *req = req_new(OKL4FS_REQ_CHANNEL_INFO, sizeof(*body), sizeof(*info));

	if (req) {
		body = req_at(req, 0);
		body->first_id = cpu_to_le32(first_id);
	}
	return call(dev, req, okl4_request_ms, info);
}

/**
 * attach_req() - make the request that hands memory to the host
 * @id: channel
 * @mem: its memory
 *
 * Return: the request, or NULL.
 */
static struct okl4_req *attach_req(u32 id, const struct okl4_mem *mem)
{
	struct okl4fs_attach_req *body;
	struct okl4_req *req;
	u32 i, k, n = 0, bytes;

	for (i = 0; i < OKL4FS_N_SECS; i++)
		n += mem->chunks[i].n;
	bytes = sizeof(*body) + n * sizeof(le64);
	req = req_new(OKL4FS_REQ_ATTACH, bytes, sizeof(struct okl4fs_rep_hdr));
	if (!req)
		return NULL;

	body = req_at(req, 0);
	body->channel = cpu_to_le32(id);
	body->instance = cpu_to_le64(mem->instance);
	bytes = sizeof(*body);
	for (i = 0; i < OKL4FS_N_SECS; i++) {
		const struct okl4_chunks *c = &mem->chunks[i];

		body->sec[i].bytes = cpu_to_le64(mem->sec[i].bytes);
		body->sec[i].chunk_bytes = cpu_to_le32(c->chunk_bytes);
		body->sec[i].n_chunks = cpu_to_le32(c->n);
		for (k = 0; k < c->n; k++, bytes += sizeof(le64))
			*(le64 *)req_at(req, bytes) = cpu_to_le64(virt_to_phys(c->base[k]));
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
	int r;

	mutex_lock(&ch->lock);
	mem = ch->mem;
	if (!mem || READ_ONCE(mem->failed) || mem->holder ||
	    rcu_access_pointer(ch->port) != &dev->port) {
		mutex_unlock(&ch->lock);
		return 0;
	}
	req = attach_req(ch->id, mem);
	if (req) {
		mem->holder = &dev->port;
		mem->holder_id = ch->id;
	}
	mutex_unlock(&ch->lock);

	r = call(dev, req, okl4_request_ms, NULL);
	if (r > 0 || (req && r == -ENOMEM)) {
		mutex_lock(&ch->lock);
		mem->holder = NULL;
		if (r > 0)
			okl4_channel_break(ch, mem, r);
		mutex_unlock(&ch->lock);
	}
	if (r)
		return r;
	dev_info(&dev->vdev->dev, "channel %*pE attached: 2 x %llu bytes in chunks of %u\n",
		 (int)ch->name_bytes, ch->name, mem->pair.ring_bytes,
		 mem->chunks[OKL4FS_SEC_FWD].chunk_bytes);
	okl4_channel_wake(ch);
	return 0;
}

/**
 * okl4_ctl_detach() - take memory back from the host
 * @dev: device
 * @id: channel under which the host has it
 *
 * Return: as said at the head of this file; whatever the host answers, it has the memory no more.
 */
int okl4_ctl_detach(struct okl4_dev *dev, u32 id)
{
	struct okl4fs_detach_req *body;
	struct okl4_req *req =
		req_new(OKL4FS_REQ_DETACH, sizeof(*body), sizeof(struct okl4fs_rep_hdr));

	if (req) {
		body = req_at(req, 0);
		body->channel = cpu_to_le32(id);
	}
	return call(dev, req, okl4_request_ms, NULL);
}

/**
 * okl4_ctl_ping() - ask whether the host is there
 * @dev: device
 *
 * Return: as said at the head of this file.
 */
int okl4_ctl_ping(struct okl4_dev *dev)
{
	struct okl4_req *req = req_new(OKL4FS_REQ_PING, sizeof(struct okl4fs_req_hdr),
				       sizeof(struct okl4fs_rep_hdr));

	return call(dev, req, okl4_request_ms, NULL);
}
