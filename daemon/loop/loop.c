/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a turn goes: run the tasks that were scheduled before this turn, then look at all I/O that is
 * ready; it blocks there only when no task was scheduled meanwhile. Calls from other threads come
 * in through an eventfd, which is an event like any other. There is no timeout anywhere, so a loop
 * with nothing to do makes no system call.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop/loop.h"
#include "util/fd.h"

/**
 * struct loop_pending_call - a call of another thread; lies on that thread's stack
 * @post: what runs it
 * @loop: where
 * @fn: what to run
 * @arg: its argument
 * @done: it has run; protected by the loop's lock
 */
struct loop_pending_call {
	struct loop_post post;
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

/**
 * struct loop - see loop.h
 * @base: the event_base, without locks: only the loop's thread uses it
 * @wake_fd: eventfd that ends the wait
 * @wake: the event on it
 * @name: of the thread
 * @thread: the thread that loop_start() made; valid while @started
 * @started: loop_start() made the thread
 * @running: a thread is in loop_run(); protected by @lock
 * @stop: loop_run() is to end
 * @lock: protects @posts, @running and the calls' @done
 * @called: some call has run, or @running has changed
 * @posts: first post
 * @posts_tail: where the next one is added
 * @tasks: first scheduled task; the loop's thread only
 * @tasks_tail: where the next one is added
 * @round: marks the end of this round in the list of tasks
 */
struct loop {
	struct event_base *base;
	int wake_fd;
	struct event *wake;
	char name[16];
	pthread_t thread;
	bool started, running;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t called;
	struct loop_post *posts, **posts_tail;
	struct loop_task *tasks, **tasks_tail;
	struct loop_task round;
};

/* The loop that this thread runs */
static _Thread_local const struct loop *loop_here;

/* Also runs posts that arrive meanwhile */
static void loop_run_posts(struct loop *loop)
{
	struct loop_post *post;

	pthread_mutex_lock(&loop->lock);
	while ((post = loop->posts)) {
		struct loop_post run = *post;

		loop->posts = post->next;
		if (!loop->posts)
			loop->posts_tail = &loop->posts;
		post->queued = false; /* from here on it may be posted again */
		pthread_mutex_unlock(&loop->lock);
		run.fn(run.arg);
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void loop_woken(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	loop_run_posts(arg);
}

int loop_new(struct loop **out, const char *name)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct event_config *cfg = event_config_new();

	if (!loop || !cfg)
		goto fail;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(cfg);
	if (!loop->base || loop->wake_fd < 0)
		goto fail;
	loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, loop_woken, loop);
	if (!loop->wake || event_add(loop->wake, NULL))
		goto fail;
	event_config_free(cfg);
	strncpy(loop->name, name, sizeof(loop->name) - 1);
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	loop->posts_tail = &loop->posts;
	loop->tasks_tail = &loop->tasks;
	*out = loop;
	return 0;
fail:
	if (cfg)
		event_config_free(cfg);
	if (loop) {
		if (loop->wake)
			event_free(loop->wake);
		if (loop->base)
			event_base_free(loop->base);
		fd_close(loop->wake_fd);
		free(loop);
	}
	return -ENOMEM;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	event_free(loop->wake);
	event_base_free(loop->base);
	fd_close(loop->wake_fd);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return NULL;
}

bool loop_has_tasks(const struct loop *loop)
{
	return loop->tasks && (loop->tasks != &loop->round || loop->round.next);
}

/* A task that is scheduled during this round runs in the next one */
static void loop_run_tasks(struct loop *loop)
{
	struct loop_task *task;

	if (!loop->tasks)
		return;
	loop_schedule(loop, &loop->round);
	while ((task = loop->tasks)) {
		loop->tasks = task->next;
		if (!loop->tasks)
			loop->tasks_tail = &loop->tasks;
		task->next = NULL;
		task->queued = false;
		if (task == &loop->round)
			break;
		task->fn(task->arg);
	}
}

static void loop_set_running(struct loop *loop, bool running)
{
	loop_here = running ? loop : NULL;
	pthread_mutex_lock(&loop->lock);
	loop->running = running;
	pthread_cond_broadcast(&loop->called);
	pthread_mutex_unlock(&loop->lock);
}

int loop_run(struct loop *loop)
{
	int r = 0;

	loop_set_running(loop, true);
	while (!r && !atomic_load(&loop->stop)) {
		loop_run_tasks(loop);
		if (event_base_loop(loop->base, EVLOOP_ONCE | (loop->tasks ? EVLOOP_NONBLOCK : 0)) <
		    0)
			r = -EIO;
	}
	atomic_store(&loop->stop, false); /* it may be run again */
	loop_set_running(loop, false);
	/* Calls that came before this are served; a later caller runs its function itself. */
	loop_run_posts(loop);
	return r;
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;

	pthread_setname_np(pthread_self(), loop->name);
	loop_run(loop);
	return NULL;
}

int loop_start(struct loop *loop)
{
	sigset_t block, old;
	int r;

	/* Main takes the signals; those that a thread causes itself cannot be blocked. */
	sigfillset(&block);
	sigdelset(&block, SIGBUS);
	sigdelset(&block, SIGSEGV);
	sigdelset(&block, SIGILL);
	sigdelset(&block, SIGFPE);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = pthread_create(&loop->thread, NULL, loop_main, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return -r;
	loop->started = true;
	pthread_mutex_lock(&loop->lock);
	while (!loop->running)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	return 0;
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	eventfd_write(loop->wake_fd, 1);
	if (loop->started) {
		pthread_join(loop->thread, NULL);
		loop->started = false;
	}
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

void loop_start_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000) * 1000 };

	event_add(timer, &tv);
}

bool loop_is_here(const struct loop *loop)
{
	return loop_here == loop;
}

const char *loop_name(const struct loop *loop)
{
	return loop->name;
}

/* Locked; @post is not queued */
static void loop_push(struct loop *loop, struct loop_post *post)
{
	post->queued = true;
	post->next = NULL;
	*loop->posts_tail = post;
	loop->posts_tail = &post->next;
	eventfd_write(loop->wake_fd, 1);
}

void loop_post(struct loop *loop, struct loop_post *post)
{
	pthread_mutex_lock(&loop->lock);
	if (!post->queued)
		loop_push(loop, post);
	pthread_mutex_unlock(&loop->lock);
}

void loop_unpost(struct loop *loop, struct loop_post *post)
{
	struct loop_post **at = &loop->posts;

	pthread_mutex_lock(&loop->lock);
	if (post->queued) {
		while (*at != post)
			at = &(*at)->next;
		*at = post->next;
		if (loop->posts_tail == &post->next)
			loop->posts_tail = at;
		post->queued = false;
	}
	pthread_mutex_unlock(&loop->lock);
}

static void loop_serve_call(void *arg)
{
	struct loop_pending_call *call = arg;
	struct loop *loop = call->loop;

	call->fn(call->arg);
	pthread_mutex_lock(&loop->lock);
	call->done = true; /* from here on the caller may be gone, and @call with it */
	pthread_cond_broadcast(&loop->called);
	pthread_mutex_unlock(&loop->lock);
}

void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_pending_call call = { .loop = loop, .fn = fn, .arg = arg };

	call.post = (struct loop_post){ .fn = loop_serve_call, .arg = &call };
	pthread_mutex_lock(&loop->lock);
	if (!loop->running || loop_is_here(loop)) {
		pthread_mutex_unlock(&loop->lock);
		fn(arg);
		return;
	}
	loop_push(loop, &call.post);
	while (!call.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
}

void loop_schedule(struct loop *loop, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*loop->tasks_tail = task;
	loop->tasks_tail = &task->next;
}

void loop_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task **at = &loop->tasks;

	if (!task->queued)
		return;
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	if (loop->tasks_tail == &task->next)
		loop->tasks_tail = at;
	task->next = NULL;
	task->queued = false;
}
