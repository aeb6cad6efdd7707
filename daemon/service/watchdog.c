/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "service/watchdog.h"
#include "util/clock.h"
#include "util/log.h"

/* A thread that is asked */
struct probe {
	struct watchdog *watchdog;
	const char *name; /* for the log */
	struct loop *loop; /* a worker's; NULL: the vhost thread */
	struct loop_post ask; /* runs on the worker */
	struct loop_post answer; /* runs on main */
	bool waiting; /* it was asked and has not answered */
	SLIST_ENTRY(probe) next;
};

struct watchdog {
	struct loop *main_loop;
	const struct watchdog_ops *ops;
	void *arg;
	struct timeval half; /* half a period: from one tick to the next */
	struct timeval quarter; /* from watchdog_ask() to the next tick, which leaves time to log */
	struct event *tick;
	uint64_t asked_ms; /* when the threads were asked last */
	SLIST_HEAD(, probe) probes;
	unsigned int n_workers; /* of the probes */
	unsigned int n_waiting; /* probes that have not answered */
};

static void asked(void *arg)
{
	struct probe *p = arg;

	loop_post(p->watchdog->main_loop, &p->answer);
}

static void answered(void *arg)
{
	struct probe *p = arg;
	struct watchdog *w = p->watchdog;

	p->waiting = false;
	if (!--w->n_waiting)
		w->ops->alive(w->arg);
}

static int add_probe(struct watchdog *w, struct loop *loop)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->watchdog = w;
	p->name = loop ? loop_name(loop) : "vhost-events";
	p->loop = loop;
	p->ask = (struct loop_post){ .fn = asked, .arg = p };
	p->answer = (struct loop_post){ .fn = answered, .arg = p };
	SLIST_INSERT_HEAD(&w->probes, p, next);
	w->n_workers += !!loop;
	return 0;
}

static int add_workers(struct watchdog *w)
{
	struct loop *loop;
	int r = 0;

	while (!r && (loop = w->ops->worker(w->arg, w->n_workers)))
		r = add_probe(w, loop);
	return r;
}

/* No answer may be missing. */
static void ask_all_threads(struct watchdog *w)
{
	struct probe *p;

	/* Without memory to watch a worker nobody is asked; the next tick tries again. */
	if (add_workers(w))
		return;
	w->asked_ms = clock_ms();
	/* The vhost thread may answer at once, but the answer runs on main only after this. */
	SLIST_FOREACH(p, &w->probes, next)
	{
		p->waiting = p->loop || w->ops->ask_vhost(w->main_loop, &p->answer);
		w->n_waiting += p->waiting;
		if (p->waiting && p->loop)
			loop_post(p->loop, &p->ask);
	}
	if (!w->n_waiting)
		w->ops->alive(w->arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct watchdog *w = arg;
	const struct probe *p;

	event_add(w->tick, &w->half);
	if (!w->n_waiting) {
		ask_all_threads(w);
		return;
	}
	SLIST_FOREACH(p, &w->probes, next)
	{
		if (p->waiting)
			log_event(LOG_LEVEL_ERR, LOG_EVENT_STUCK,
				  "watchdog: the thread %s has made no progress for %" PRIu64 " ms",
				  p->name, clock_ms() - w->asked_ms);
	}
}

void watchdog_ask(struct watchdog *w)
{
	if (w->n_waiting)
		return;
	event_add(w->tick, &w->quarter);
	ask_all_threads(w);
}

static struct timeval interval(uint64_t us)
{
	return (struct timeval){ .tv_sec = (time_t)(us / 1000000),
				 .tv_usec = (suseconds_t)(us % 1000000) };
}

int watchdog_new(struct watchdog **out, struct loop *main_loop, uint64_t period_us,
		 const struct watchdog_ops *ops, void *arg)
{
	struct watchdog *w = calloc(1, sizeof(*w));

	*out = NULL;
	if (!w)
		return -ENOMEM;
	w->main_loop = main_loop;
	w->ops = ops;
	w->arg = arg;
	w->half = interval(period_us / 2);
	w->quarter = interval(period_us / 4);
	SLIST_INIT(&w->probes);
	w->tick = event_new(loop_base(main_loop), -1, 0, on_tick, w);
	if (!w->tick || event_add(w->tick, &w->half) || add_probe(w, NULL)) {
		watchdog_free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

/* When this has run, everything that was called before it has run. */
static void after_all_before(void *arg)
{
}

struct watchdog *watchdog_free(struct watchdog *w)
{
	struct probe *p;

	if (!w)
		return NULL;
	if (w->tick)
		event_free(w->tick);
	while ((p = SLIST_FIRST(&w->probes))) {
		SLIST_REMOVE_HEAD(&w->probes, next);
		if (p->loop)
			loop_call(p->loop, after_all_before, NULL);
		else
			w->ops->unask_vhost(w->main_loop, &p->answer);
		loop_unpost(w->main_loop, &p->answer);
		free(p);
	}
	free(w);
	return NULL;
}
