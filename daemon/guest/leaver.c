/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel, or its guest, may be removed while a client still takes what the guest has written.
 * Then the channel is no longer offered, but lives on until the client has all of it or has
 * disconnected. It belongs only to its worker: not to the guest, which may be freed, nor to the
 * list of channels.
 */
#include "guest/leaver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "guest/attach.h"
#include "guest/serial/port.h"
#include "guest/state.h"

/* A channel that is removed and not yet over */
struct leaver {
	LIST_ENTRY(leaver) next; /* protected by leavers_lock */
	struct guest_channel *gc;
	char *guest_name; /* a copy: the guest may be freed */
	struct loop_task look;
};

static pthread_mutex_t leavers_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, leaver) leavers = LIST_HEAD_INITIALIZER(leavers);

void guest_channel_free(struct guest_channel *gc)
{
	if (!gc)
		return;
	gc->port = serial_port_free(gc->port);
	channel_give_up(&gc->ch, "they were not taken before the channel ended");
	gc->endpoint = endpoint_free(gc->endpoint);
	free(gc->why_not);
	channel_deinit(&gc->ch);
	attachment_drop(&gc->att);
	config_channel_deinit(&gc->cfg);
	free(gc);
}

static void ring_nobody(void *guest, uint32_t id)
{
}

static void tell_nobody(void *guest, const struct channel *ch, enum okl4_status status)
{
}

static const struct channel_guest_ops no_guest = { .ring = ring_nobody, .tell = tell_nobody };

static void end_leaver(struct leaver *l)
{
	pthread_mutex_lock(&leavers_lock);
	LIST_REMOVE(l, next);
	pthread_mutex_unlock(&leavers_lock);
	loop_cancel(l->gc->ch.loop, &l->look);
	l->gc->ch.ending = NULL;
	guest_channel_free(l->gc);
	free(l->guest_name);
	free(l);
}

static void look_whether_over(void *arg)
{
	struct leaver *l = arg;
	const struct endpoint *ep = l->gc->endpoint;

	if (!ep->ops->is_busy(ep))
		end_leaver(l);
}

bool guest_leaver_add(struct guest_channel *gc)
{
	struct endpoint *ep = gc->endpoint;
	struct leaver *l;

	if (!ep->ops->close)
		return false;
	ep->ops->close(ep);
	if (!ep->ops->is_busy(ep))
		return false;
	l = calloc(1, sizeof(*l));
	if (l)
		l->guest_name = strdup(gc->ch.guest_name);
	if (!l || !l->guest_name) {
		free(l);
		return false;
	}
	l->gc = gc;
	l->look = (struct loop_task){ .fn = look_whether_over, .arg = l };
	gc->ch.guest_name = l->guest_name;
	gc->ch.guest_ops = &no_guest;
	gc->ch.guest = NULL;
	gc->ch.ending = &l->look;
	channel_leave_budget(&gc->ch);
	pthread_mutex_lock(&leavers_lock);
	LIST_INSERT_HEAD(&leavers, l, next);
	pthread_mutex_unlock(&leavers_lock);
	loop_schedule(gc->ch.loop, &l->look);
	return true;
}

void guest_leavers_end(void *loop)
{
	struct leaver *l;

	do {
		pthread_mutex_lock(&leavers_lock);
		LIST_FOREACH(l, &leavers, next)
		{
			if (l->gc->ch.loop == loop)
				break;
		}
		pthread_mutex_unlock(&leavers_lock);
		if (l)
			end_leaver(l);
	} while (l);
}
