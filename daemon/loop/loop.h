/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.h - one event_base and the thread that runs it
 *
 * The daemon has a main loop (control, signals, timers) and worker loops; a guest belongs to one
 * worker and only that thread touches it. Other threads send calls. A loop with nothing to do
 * sleeps in epoll_wait(2) without a timeout. Workers never wait for another thread; main and DPDK's
 * vhost thread may wait for a worker (loop_call()), so there is no circle.
 */
#ifndef OKL4FSD_LOOP_LOOP_H
#define OKL4FSD_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct event_base;
struct loop;

/**
 * loop_new() - a loop without a thread; @name is at most 15 bytes (pthread_setname_np(3)); Return:
 * 0, -ENOMEM
 */
int loop_new(struct loop **loop, const char *name);

/** loop_free() - free a loop that does not run; NULL is allowed; Return: NULL */
struct loop *loop_free(struct loop *loop);

/** loop_start() - run the loop in a thread of its own; Return: 0 or -errno */
int loop_start(struct loop *loop);

/** loop_run() - run the loop in the calling thread until loop_stop(); Return: 0 or -EIO */
int loop_run(struct loop *loop);

/**
 * loop_stop() - end loop_run() soon, and join the thread of loop_start(). Only another thread may
 * join it
 */
void loop_stop(struct loop *loop);

/** loop_base() - the event_base, for the loop's own thread */
struct event_base *loop_base(struct loop *loop);

/** loop_start_timer() - let a timer (evtimer_new()) run out in @ms milliseconds, also one that runs */
void loop_start_timer(struct event *timer, uint64_t ms);

/** loop_is_here() - whether the caller runs on this loop's thread */
bool loop_is_here(const struct loop *loop);

/**
 * loop_call() - run a function on the loop's thread and wait for it
 * @loop: loop; when the caller is on its thread, or the loop does not run, the function runs at
 * once
 * @fn: function
 * @arg: its argument
 */
void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg);

/**
 * struct loop_post - work that any thread may leave for the loop, without waiting; the owner
 * provides the memory
 * @fn: what to do; called on the loop's thread
 * @arg: its argument
 *
 * Posts run in the order in which they came, and may be posted again from within.
 */
struct loop_post {
	void (*fn)(void *arg);
	void *arg;
	/* private */
	struct loop_post *next;
	bool queued;
};

/** loop_post() - run @post soon; no-op while it is queued; any thread, it does not wait */
void loop_post(struct loop *loop, struct loop_post *post);

/** loop_unpost() - remove a queued post; any thread, but it may be running on the loop's */
void loop_unpost(struct loop *loop, struct loop_post *post);

/** loop_name() - as given to loop_new() */
const char *loop_name(const struct loop *loop);

/**
 * struct loop_task - work to be done in a later turn of the loop; the owner provides the memory
 * @fn: what to do; called on the loop's thread
 * @arg: its argument
 *
 * Tasks run in the order in which they were scheduled, one round at a time: a task that schedules
 * itself again runs in the next round, after the loop has looked at all I/O that is ready. So the
 * work per wake is bounded, and channels take turns.
 */
struct loop_task {
	void (*fn)(void *arg);
	void *arg;
	/* private */
	struct loop_task *next;
	bool queued;
};

/** loop_schedule() - run @task soon; no-op when it is queued; loop's thread only */
void loop_schedule(struct loop *loop, struct loop_task *task);

/** loop_has_tasks() - whether other tasks wait for their turn; loop's thread only */
bool loop_has_tasks(const struct loop *loop);

/** loop_cancel() - remove a queued task; loop's thread only */
void loop_cancel(struct loop *loop, struct loop_task *task);

#endif
