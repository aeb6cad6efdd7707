/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "service/watchdog.h"
#include "util/clock.h"
#include "util/log.h"

/**
 * struct probe - a thread that is asked
 * @watchdog: who asks
 * @name: the thread's, for the log
 * @loop: a worker's; NULL: the vhost thread
 * @ask: runs on the worker
 * @answer: runs on main
 * @waiting: it was asked and has not answered
 * @next: in the list of all
 */
struct probe {
	struct watchdog *watchdog;
	const char *name;
	struct loop *loop;
	struct loop_post ask, answer;
	bool waiting;
	SLIST_ENTRY(probe) next;
};

/**
 * struct watchdog - see watchdog.h
 * @main_loop, @ops, @arg: as given to watchdog_new()
 * @half: half a period: from one tick to the next
 * @quarter: a quarter: from watchdog_ask() to the next tick, so that there is time to tell
 * @tick: the timer
 * @asked_ms: when they were asked last
 * @probes: whom it asks
 * @n_workers: how many of them are workers
 * @n_waiting: how many have not answered
 */
struct watchdog {
	struct loop *main_loop;
	const struct watchdog_ops *ops;
	void *arg;
	struct timeval half, quarter;
	struct event *tick;
	uint64_t asked_ms;
	SLIST_HEAD(, probe) probes;
	unsigned int n_workers, n_waiting;
};

/**
 * asked() - a worker gives its sign of life
 * @arg: probe
 */
static void asked(void *arg)
{
	struct probe *p = arg;

	loop_post(p->watchdog->main_loop, &p->answer);
}

/**
 * answered() - it has come to main
 * @arg: probe
 */
static void answered(void *arg)
{
	struct probe *p = arg;
	struct watchdog *w = p->watchdog;

	p->waiting = false;
	if (!--w->n_waiting)
		w->ops->alive(w->arg);
}

/**
 * add_probe() - one thread more is to be asked
 * @w: watchdog
 * @loop: a worker's; NULL: the vhost thread
 *
 * Return: 0 or -ENOMEM.
 */
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

/**
 * add_workers() - workers that have come since are asked, too
 * @w: watchdog
 *
 * Return: 0 or -ENOMEM: some are not.
 */
static int add_workers(struct watchdog *w)
{
	struct loop *loop;
	int r = 0;

	while (!r && (loop = w->ops->worker(w->arg, w->n_workers)))
		r = add_probe(w, loop);
	return r;
}

/**
 * ask_all() - ask each thread
 * @w: watchdog that waits for nobody
 */
static void ask_all(struct watchdog *w)
{
	struct probe *p;

	/* A worker that cannot be watched for want of memory: the next tick tries again. */
	if (add_workers(w))
		return;
	w->asked_ms = clock_ms();
	/* The vhost thread may answer at once, but main hears of it only after this. */
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

/**
 * on_tick() - half a period has passed
 * @fd: not used
 * @what: EV_TIMEOUT
 * @arg: watchdog
 */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct watchdog *w = arg;
	const struct probe *p;

	event_add(w->tick, &w->half);
	if (!w->n_waiting) {
		ask_all(w);
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
	ask_all(w);
}

/**
 * interval() - a number of microseconds
 * @us: number
 *
 * Return: it, in the form that events want.
 */
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

/**
 * nothing() - what is called to know that all before it has run
 * @arg: not used
 */
static void nothing(void *arg)
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
			loop_call(p->loop, nothing, NULL);
		else
			w->ops->unask_vhost(w->main_loop, &p->answer);
		loop_unpost(w->main_loop, &p->answer);
		free(p);
	}
	free(w);
	return NULL;
}
