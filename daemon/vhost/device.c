// SPDX-License-Identifier: BSD-3-Clause
/*
 * device.c - calls of a guest's device, on its worker, and which connection is whose
 */
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "util/stranger.h"
#include "vhost/private.h"

static _Atomic(struct vhost_backend *) by_vid[MAX_VIDS];

struct vhost_backend *vhost_of(int vid)
{
	return vid >= 0 && vid < MAX_VIDS ? by_vid[vid] : NULL;
}

void vhost_set_of(int vid, struct vhost_backend *b)
{
	by_vid[vid] = b;
}

void vhost_unwatch_lost(struct vhost_backend *b)
{
	if (b->lost_event)
		event_free(b->lost_event);
	b->lost_event = NULL;
}

void vhost_backend_drop(struct vhost_backend *b)
{
	if (b->socket >= 0)
		shutdown(b->socket, SHUT_RDWR);
}

void vhost_on_worker(struct vhost_backend *b, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&b->worker_lock);
	if (!b->closing)
		loop_call(b->worker, fn, arg);
	pthread_mutex_unlock(&b->worker_lock);
}

struct plain_call {
	struct vhost_backend *b;
	void (*fn)(void *device);
};

static void call_plain(void *arg)
{
	struct plain_call *c = arg;

	c->fn(c->b->device);
}

void vhost_call(struct vhost_backend *b, void (*fn)(void *device))
{
	struct plain_call c = { b, fn };

	vhost_on_worker(b, call_plain, &c);
}

static void call_disconnected(void *arg)
{
	struct vhost_backend *b = arg;

	b->vid = -1;
	b->socket = stranger_give(b->socket);
	b->ops->disconnected(b->device);
}

void vhost_call_disconnected(struct vhost_backend *b)
{
	vhost_on_worker(b, call_disconnected, b);
}

static void call_closing(void *arg)
{
	struct vhost_backend *b = arg;

	b->closing = true;
	/* The vhost thread may be waiting in there: for the rest of a message, or to be read. */
	vhost_backend_drop(b);
	if (b->vid >= 0)
		call_disconnected(b);
	vhost_unwatch_lost(b);
}

void vhost_call_closing(struct vhost_backend *b)
{
	vhost_on_worker(b, call_closing, b);
}
