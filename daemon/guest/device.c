/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings stop and start again for three reasons: the driver has reset the device (then all memory
 * that it had given to the daemon is its own again), the frontend has paused or remapped something
 * (then the driver knows nothing of it and everything has to go on), or the frontend has
 * disconnected. The first two look alike from here: the control ring is taken away, or all memory
 * is. The daemon tells them apart when the control ring starts again: after a reset it is a new one
 * (virtqueue_is_marked()). Until then nothing is touched in either case.
 *
 * A frontend that only changes how one queue is kicked or called, as QEMU may at any time, stops
 * that queue for the moment and nothing else: the channels go on.
 */
#include "guest/device.h"

#include "guest/attach.h"
#include "guest/bell.h"
#include "guest/queue.h"
#include "guest/sessions.h"
#include "guest/state.h"
#include "loop/events.h"

static void post_device(const struct guest *g, enum events_kind kind, const char *reason)
{
	events_post(&(struct events_fact){ .kind = kind, .guest = g->cfg.name, .text = reason });
}

static void device_connected(void *device)
{
	struct guest *g = device;

	g->connected = true;
	g->broken = g->greet = g->unmet = false;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		g->queue[i].mark.valid = false;
	log_limited(&g->limit, LOG_LEVEL_INFO, LOG_GUEST(g->cfg.name, LOG_EVENT_CONNECTED),
		    "a frontend is connected");
	post_device(g, EVENTS_GUEST_CONNECTED, NULL);
}

static void device_suspend(void *device)
{
	struct guest *g = device;

	for (uint32_t id = 0; id < g->n_ids; id++) {
		if (g->channel[id])
			channel_suspend(&g->channel[id]->ch);
	}
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		guest_queue_stop(&g->queue[i]);
	g->driver.bell = NULL;
	g->mem.n_regions = 0;
}

static void device_ring_stop(void *device, unsigned int queue, bool taken)
{
	struct guest *g = device;

	if (taken && queue == OKL4FS_QUEUE_CONTROL)
		device_suspend(g);
	else
		guest_queue_stop(&g->queue[queue]);
}

static void stop_serving(struct guest *g, const char *reason)
{
	g->broken = true;
	post_device(g, EVENTS_GUEST_BROKEN, reason);
	g->stats.device_errors++;
	device_suspend(g);
	guest_forget_driver(g);
}

void guest_break(struct guest *g, const struct guest_queue *q)
{
	log_limited(&g->limit, LOG_LEVEL_WARNING, &g->about,
		    "queue %u: %s; the device stops until the guest resets it", q->idx,
		    q->vq.error);
	stop_serving(g, q->vq.error);
}

static bool start_rings(struct guest *g, const struct vhost_setup *setup)
{
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		const char *wrong;

		if (!setup->ring[i].ready)
			guest_queue_stop(&g->queue[i]);
		if (!setup->ring[i].ready || g->queue[i].up)
			continue;
		wrong = guest_queue_start(&g->queue[i], &setup->ring[i]);
		if (!wrong)
			continue;
		log_limited(&g->limit, LOG_LEVEL_WARNING, &g->about,
			    "queue %u: %s; the frontend is dropped", i, wrong);
		stop_serving(g, wrong);
		vhost_front_drop(g->vhost);
		return false;
	}
	return true;
}

static void resume_channel(struct guest *g, struct guest_channel *gc)
{
	int r;

	if (!gc->att.valid)
		return;
	r = guest_reattach(g, gc);
	/* After any other refusal the channel has failed already. */
	if (r == -OKL4_MEMORY_LOST || r == -OKL4_NO_MEMORY)
		channel_fail(&gc->ch, r);
	if (r)
		attachment_drop(&gc->att);
	else
		channel_rung(&gc->ch);
}

/* The driver's memory and rings are back, and it does not know that they were away. */
static void resume_driver(struct guest *g)
{
	g->driver.bell = guest_memory_at(&g->mem, g->driver.bell_gpa, sizeof(struct okl4_bell_shm));
	if (!g->driver.bell) {
		log_limited(&g->limit, LOG_LEVEL_WARNING, &g->about,
			    "the bell page is no longer in guest memory; "
			    "the device stops until the guest resets it");
		stop_serving(g, "the bell page is no longer in guest memory");
		return;
	}
	for (uint32_t id = 0; id < g->n_ids; id++) {
		if (g->channel[id])
			resume_channel(g, g->channel[id]);
	}
}

static void device_resume(void *device, const struct vhost_setup *setup)
{
	struct guest *g = device;
	struct guest_queue *control = &g->queue[OKL4FS_QUEUE_CONTROL];
	bool any = false, was_up = control->up;

	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		any |= setup->ring[i].ready;
	if (!any)
		g->broken = false; /* this is how a reset looks */
	if (g->broken || !setup->memory.n_regions) {
		device_suspend(g);
		return;
	}
	g->mem = setup->memory;
	if (!start_rings(g, setup) || was_up || !control->up || !g->driver.ready)
		return;
	if (!virtqueue_is_marked(&control->vq, &control->mark)) {
		log_about(LOG_LEVEL_DEBUG, &g->about, "the guest has reset the device");
		post_device(g, EVENTS_GUEST_RESET, NULL);
		guest_forget_driver(g);
	} else if (!g->driver.bell) {
		resume_driver(g);
	}
}

/* The driver does not know yet that its host is another process, and waits for no answer. */
static void device_taken_up(void *device)
{
	guest_bell_greet(device);
}

static void device_disconnected(void *device)
{
	struct guest *g = device;

	device_suspend(g);
	guest_forget_driver(g);
	if (!g->is_parting)
		guest_sessions_guest_gone(g);
	for (uint32_t id = 0; id < g->n_ids && !g->is_parting; id++) {
		if (g->channel[id])
			channel_guest_gone(&g->channel[id]->ch);
	}
	g->connected = false;
	log_limited(&g->limit, LOG_LEVEL_INFO, LOG_GUEST(g->cfg.name, LOG_EVENT_LEFT),
		    "the frontend has left");
	post_device(g, EVENTS_GUEST_GONE, NULL);
}

static bool device_ring_next(void *device, unsigned int queue, uint16_t *next)
{
	struct guest *g = device;

	*next = g->queue[queue].mark.next;
	return g->queue[queue].mark.valid;
}

static void device_message_refused(void *device)
{
	struct guest *g = device;

	g->stats.dropped_messages++;
}

static void device_memory_lost(void *device)
{
	struct guest *g = device;

	log_limited(&g->limit, LOG_LEVEL_WARNING, &g->about,
		    "guest memory is gone because its file was made shorter; "
		    "the frontend is dropped");
	stop_serving(g, "guest memory is gone because its file was made shorter");
	vhost_front_drop(g->vhost);
}

const struct vhost_device_ops guest_device_ops = {
	.connected = device_connected,
	.suspend = device_suspend,
	.ring_stop = device_ring_stop,
	.resume = device_resume,
	.taken_up = device_taken_up,
	.disconnected = device_disconnected,
	.ring_next = device_ring_next,
	.refused = device_message_refused,
	.memory_lost = device_memory_lost,
};
