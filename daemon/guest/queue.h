/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.h - a virtqueue of the device: kicks in, notifications out
 */
#ifndef OKL4FSD_GUEST_QUEUE_H
#define OKL4FSD_GUEST_QUEUE_H

#include "guest/virtqueue.h"
#include "vhost/backend.h"

struct guest;
struct guest_queue;

/**
 * struct guest_queue_ops - what a queue is for; on the guest's worker
 * @turn: serve a bounded amount; Return: there may be more to do
 * @broken: the ring is malformed (vq.error says how); called after @turn
 */
struct guest_queue_ops {
	bool (*turn)(struct guest_queue *q);
	void (*broken)(struct guest *g, const struct guest_queue *q);
};

/** guest_queue_init() - a queue that is not up; @ops is borrowed */
void guest_queue_init(struct guest *g, unsigned int idx, const struct guest_queue_ops *ops);

/** guest_queue_start() - take up a ring; Return: NULL, or what is wrong with it; static memory */
const char *guest_queue_start(struct guest_queue *q, const struct vhost_ring *ring);

/** guest_queue_stop() - let a ring go */
void guest_queue_stop(struct guest_queue *q);

/** guest_queue_kick() - serve the queue soon, as if the driver had kicked it */
void guest_queue_kick(struct guest_queue *q);

/** guest_queue_notify() - notify the driver of used buffers */
void guest_queue_notify(struct guest_queue *q);

/** guest_decline_fuse() - answer a chain if it is a FUSE request; Return: true when it was */
bool guest_decline_fuse(struct guest_queue *q, const struct virtqueue_chain *chain);

#endif
