// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_call.c - control requests: one after the other, each with a time limit
 *
 * A request that is not answered in time is abandoned, and the device counts as dead: it is
 * reset, or has to answer after all, before the next request is made. Until then the host may still
 * write to the request's memory, so the memory is kept on a list. A reply is checked before it is
 * used.
 */
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "dev.h"

unsigned int okl4_request_ms = 3000;

/*
 * How often a request looks for its reply by itself: a frontend that changes how it interrupts us,
 * as it does after DRIVER_OK, can lose an interrupt
 */
#define LOOK_MS 100U

/* Room for the longest reply */
#define REPLY_BYTES sizeof(struct okl4fs_info_rep)

/* The host can write to @memory and @reply at any time until it has given the request back */
struct okl4_req {
	struct list_head link; /* in ctl_abandoned */
	bool done; /* the host has given it back; protected by ctl_lock */
	u32 got; /* bytes of the reply, as the host says */
	u16 type;
	u32 bytes;
	u32 rep_bytes; /* of a good reply */
	struct okl4_chunks memory;
	struct scatterlist *out;
	struct scatterlist in;
	void *reply;
};

/* Only for a request that the host has given back, or after a reset */
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
 * okl4_req_at() - a place in a request
 * @req: request
 * @offset: where; what is put there must not cross a page
 *
 * Return: pointer.
 */
void *okl4_req_at(struct okl4_req *req, u32 offset)
{
	u32 chunk = req->memory.chunk_bytes;

	return req->memory.base[offset / chunk] + offset % chunk;
}

/**
 * okl4_req_new() - make a request with its header; the rest is zero
 * @type: enum okl4fs_req_type
 * @bytes: bytes of the request
 * @rep_bytes: bytes of a good reply
 *
 * Return: the request, or NULL.
 */
struct okl4_req *okl4_req_new(u16 type, u32 bytes, u32 rep_bytes)
{
	struct okl4_req *req = kzalloc(sizeof(*req), GFP_KERNEL);
	struct okl4fs_req_hdr *hdr;
	u32 i;

	if (!req)
		return NULL;
	req->type = type;
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

	hdr = okl4_req_at(req, 0);
	hdr->magic = cpu_to_le32(OKL4FS_MAGIC);
	hdr->type = cpu_to_le16(type);
	hdr->bytes = cpu_to_le32(bytes);
	return req;
fail:
	req_free(req);
	return NULL;
}

static int submit_request(struct okl4_dev *dev, struct okl4_req *req)
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

/* Takes what the host has given back. Any context */
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

/* Return: 0; -ENODEV: the device is being stopped; -ETIMEDOUT */
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

/* Return: the status in the reply; -EBADMSG: no okl4fs host has written it; or -EPROTO */
static int check_reply(struct okl4_req *req, u32 cookie)
{
	struct okl4fs_rep_hdr hdr;
	u32 bytes;
	u16 status;

	/* One copy: the host may go on writing */
	memcpy(&hdr, req->reply, sizeof(hdr));
	bytes = le32_to_cpu(hdr.bytes);
	status = le16_to_cpu(hdr.status);
	if (req->got < sizeof(hdr) || le32_to_cpu(hdr.magic) != OKL4FS_MAGIC)
		return -EBADMSG;
	if (req->got > req->rep_bytes || bytes != req->got)
		return -EPROTO;
	if (le16_to_cpu(hdr.type) != req->type || le32_to_cpu(hdr.cookie) != cookie)
		return -EPROTO;
	if (bytes != (status == OKL4_OK ? req->rep_bytes : sizeof(hdr)))
		return -EPROTO;
	return status;
}

/**
 * okl4_call() - make a request, wait for the reply, free the request
 * @dev: device
 * @req: request; NULL is allowed
 * @limit_ms: how long to wait
 * @reply: where to copy a good reply; NULL when its header is all
 *
 * Context: @dev->mutex held.
 * Return: as said at the head of dev_ctl.c.
 */
int okl4_call(struct okl4_dev *dev, struct okl4_req *req, unsigned int limit_ms, void *reply)
{
	struct okl4fs_req_hdr *hdr;
	int r;

	lockdep_assert_held(&dev->mutex);
	if (!req)
		return -ENOMEM;
	hdr = okl4_req_at(req, 0);
	hdr->cookie = cpu_to_le32(++dev->cookie);

	r = submit_request(dev, req);
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
	if (r == OKL4_REQ_NO_HELLO)
		r = -ESTALE;
	if (r == OKL4_OK && reply)
		memcpy(reply, req->reply, req->rep_bytes);
	req_free(req);
	return r;
}

/**
 * okl4_ctl_overdue() - wait for the answers that did not come in time
 * @dev: device that was not reset
 *
 * Context: @dev->mutex held.
 * Return: 0: the host has given all requests back; -ENODEV or -ETIMEDOUT.
 */
int okl4_ctl_overdue(struct okl4_dev *dev)
{
	struct okl4_req *req, *next;
	int err;

	list_for_each_entry_safe(req, next, &dev->ctl_abandoned, link) {
		err = await(dev, req, READ_ONCE(okl4_request_ms));
		if (err)
			return err;
		list_del(&req->link);
		req_free(req);
	}
	return 0;
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
