/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel, or its guest, may be removed while a client still takes what the guest has written.
 * Then the channel is no longer offered, but lives on until the client has all of it or has
 * disconnected. It belongs only to its worker: not to the guest, which may be freed, nor to the
 * list of channels.
 *
 * A session is closed by the guest, again and again if it likes. So what its sessions have left counts
 * in its budget as other tails do, and so many sessions at most are left at the same time.
 */
#include "guest/leaver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "guest/attach.h"
#include "guest/serial/port.h"
#include "guest/state.h"

/* Sessions that a guest has closed, and whose clients have not got all, at most */
#define LEFT_SESSIONS_MAX 256

/* A channel that is removed and not yet over */
struct leaver {
	LIST_ENTRY(leaver) next; /* protected by leavers_lock */
	struct guest_channel *gc;
	char *guest_name; /* a copy: the guest may be freed */
	struct guest *guest; /* in whose budget it is, or NULL; protected by leavers_lock */
	struct loop_task look;
};

static pthread_mutex_t leavers_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, leaver) leavers = LIST_HEAD_INITIALIZER(leavers);

void guest_id_free(struct guest *g, uint32_t id)
{
	g->channel[id] = NULL;
	g->generation[id]++;
	while (g->n_ids && !g->channel[g->n_ids - 1])
		g->n_ids--;
}

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

static void open_for_nobody(void *guest, const struct channel *ch)
{
}

static const struct channel_guest_ops no_guest = { .ring = ring_nobody,
						   .tell = tell_nobody,
						   .opened = open_for_nobody };

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

static unsigned int count_leavers(const struct guest *g)
{
	const struct leaver *l;
	unsigned int n = 0;

	pthread_mutex_lock(&leavers_lock);
	LIST_FOREACH(l, &leavers, next)
	n += l->guest == g;
	pthread_mutex_unlock(&leavers_lock);
	return n;
}

bool guest_leaver_add(struct guest_channel *gc, struct guest *g)
{
	struct endpoint *ep = gc->endpoint;
	struct leaver *l;

	if (!ep || !ep->ops->close)
		return false;
	ep->ops->close(ep);
	if (!ep->ops->is_busy(ep) || (g && count_leavers(g) >= LEFT_SESSIONS_MAX))
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
	if (gc->board)
		channel_set_session(&gc->ch, NULL);
	gc->board = NULL;
	l->guest = g;
	if (!g)
		channel_leave_budget(&gc->ch);
	pthread_mutex_lock(&leavers_lock);
	LIST_INSERT_HEAD(&leavers, l, next);
	pthread_mutex_unlock(&leavers_lock);
	loop_schedule(gc->ch.loop, &l->look);
	return true;
}

void guest_leavers_let_go(struct guest *g)
{
	struct leaver *l;

	pthread_mutex_lock(&leavers_lock);
	LIST_FOREACH(l, &leavers, next)
	{
		if (l->guest != g)
			continue;
		channel_leave_budget(&l->gc->ch);
		l->guest = NULL;
	}
	pthread_mutex_unlock(&leavers_lock);
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
