// SPDX-License-Identifier: BSD-3-Clause
/*
 * loop.c - the loop, its tasks and its calls; and the limit on log lines
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "util/log_limit.h"

static struct loop *loop;

static void make_loop(void)
{
	cr_assert_eq(loop_new(&loop, "test"), 0);
}

static void free_loop(void)
{
	cr_assert_null(loop_free(loop));
}

TestSuite(daemon_loop, .init = make_loop, .fini = free_loop);

/* A task or a call that counts */
struct counter {
	struct loop_task task;
	atomic_int n;
	atomic_int max; /* the task schedules itself again until then */
	char *trace; /* a letter is written here each time */
	char letter;
	struct loop_task *victim; /* a task that it cancels */
};

static void count(void *arg)
{
	struct counter *c = arg;

	c->n++;
	if (c->trace) {
		size_t at = strlen(c->trace);

		c->trace[at] = c->letter;
		c->trace[at + 1] = 0;
	}
	if (c->victim)
		loop_cancel(loop, c->victim);
	if (c->n < c->max)
		loop_schedule(loop, &c->task);
}

static void counter_init(struct counter *c, char *trace, char letter, int max)
{
	memset(c, 0, sizeof(*c));
	c->trace = trace;
	c->letter = letter;
	c->max = max;
	c->task.fn = count;
	c->task.arg = c;
}

static void stop(void *arg)
{
	loop_stop(loop);
}

Test(daemon_loop, stop_before_run)
{
	loop_stop(loop);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_null(loop_free(NULL));
}

Test(daemon_loop, call_without_a_thread)
{
	struct counter c;

	counter_init(&c, NULL, 0, 0);
	loop_call(loop, count, &c);
	cr_assert_eq(c.n, 1);
}

static void *call_many(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 2000; i++)
		loop_call(loop, count, c);
	return NULL;
}

Test(daemon_loop, calls_from_many_threads)
{
	struct counter c;
	pthread_t thread[4];

	cr_assert_eq(loop_start(loop), 0);
	cr_assert_not(loop_is_here(loop));
	counter_init(&c, NULL, 0, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, call_many, &c);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	cr_assert_eq(c.n, 8000);
	loop_stop(loop);
	loop_call(loop, count, &c);
	cr_assert_eq(c.n, 8001);
}

static void nested(void *arg)
{
	struct counter *c = arg;

	cr_assert(loop_is_here(loop));
	loop_call(loop, count, c);
	cr_assert_eq(c->n, 1);
}

Test(daemon_loop, call_from_its_own_thread)
{
	struct counter c;

	cr_assert_eq(loop_start(loop), 0);
	counter_init(&c, NULL, 0, 0);
	loop_call(loop, nested, &c);
	cr_assert_eq(c.n, 1);
	loop_stop(loop);
}

static void *stop_from_elsewhere(void *arg)
{
	loop_stop(loop);
	return NULL;
}

Test(daemon_loop, stop_from_another_thread)
{
	pthread_t thread;

	pthread_create(&thread, NULL, stop_from_elsewhere, NULL);
	cr_assert_eq(loop_run(loop), 0);
	pthread_join(thread, NULL);
}

Test(daemon_loop, tasks_take_turns)
{
	struct counter a, b, c;
	struct loop_task end = { .fn = stop };
	char trace[64] = "";

	counter_init(&a, trace, 'a', 4);
	counter_init(&b, trace, 'b', 2);
	counter_init(&c, trace, 'c', 3);
	loop_schedule(loop, &a.task);
	loop_schedule(loop, &b.task);
	loop_schedule(loop, &c.task);
	loop_schedule(loop, &b.task);
	loop_schedule(loop, &end);
	/* one round a loop_run() that stops in it; the rest waits for the next */
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_str_eq(trace, "abc");
}

Test(daemon_loop, rounds_end)
{
	struct counter a, b;
	char trace[64] = "";

	cr_assert_eq(loop_start(loop), 0);
	counter_init(&a, trace, 'a', 5);
	counter_init(&b, trace, 'b', 5);
	loop_call(loop, count, &a);
	loop_call(loop, count, &b);
	while (a.n < 5 || b.n < 5)
		;
	loop_stop(loop);
	cr_assert_eq(strlen(trace), 10);
}

static void cancel_scene(void *arg)
{
	struct counter *c = arg;

	loop_schedule(loop, &c[0].task);
	loop_schedule(loop, &c[1].task);
	loop_schedule(loop, &c[2].task);
	loop_cancel(loop, &c[3].task); /* not queued: nothing */
	loop_schedule(loop, &c[3].task);
}

/* The last of a round is cancelled by the first, which goes on for ever: the round ends all the
 * same */
Test(daemon_loop, cancel)
{
	struct counter c[4];
	char trace[64] = "";

	cr_assert_eq(loop_start(loop), 0);
	for (int i = 0; i < 4; i++)
		counter_init(&c[i], trace, (char)('a' + i), 0);
	c[0].victim = &c[3].task;
	c[0].max = 20;
	loop_call(loop, cancel_scene, c);
	while (c[0].n < 20)
		;
	loop_stop(loop);
	cr_assert_eq(c[1].n, 1);
	cr_assert_eq(c[2].n, 1);
	cr_assert_eq(c[3].n, 0);
	cr_assert_eq(strncmp(trace, "abca", 4), 0, "%s", trace);
}

static void read_ready(evutil_socket_t fd, short what, void *arg)
{
	struct counter *c = arg;
	char byte;

	cr_assert_eq(read(fd, &byte, 1), 1);
	c->max = 0;
	(void)what;
}

static void add_event(void *arg)
{
	struct counter *c = arg;

	event_base_once(loop_base(loop), *(int *)c->trace, EV_READ, read_ready, c, NULL);
	c->trace = NULL;
	loop_schedule(loop, &c->task);
}

/* A task that schedules itself again does not keep I/O from being looked at */
Test(daemon_loop, io_between_rounds)
{
	struct counter c;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(loop_start(loop), 0);
	counter_init(&c, NULL, 0, 1 << 30);
	c.trace = (char *)&fds[0];
	loop_call(loop, add_event, &c);
	while (c.n < 100)
		;
	cr_assert_eq(write(fds[1], "x", 1), 1);
	while (c.max)
		;
	loop_stop(loop);
}

static void pthread_name(void *arg)
{
	pthread_getname_np(pthread_self(), arg, 16);
}

Test(daemon_loop, thread_has_its_name)
{
	struct loop *named;
	char name[16];

	cr_assert_eq(loop_new(&named, "a-name-that-is-too-long"), 0);
	cr_assert_eq(loop_start(named), 0);
	loop_call(named, pthread_name, name);
	cr_assert_str_eq(name, "a-name-that-is-");
	loop_stop(named);
	loop_free(named);
}

Test(daemon_log_limit, burst_then_rate)
{
	struct log_limit limit = { 0 };
	uint64_t suppressed = 77, now = 123456;
	int taken = 0;

	for (int i = 0; i < 1000; i++)
		taken += log_limit_take(&limit, now, &suppressed);
	cr_assert_eq(taken, LOG_LIMIT_BURST);
	cr_assert_eq(suppressed, 0);
	cr_assert_not(log_limit_take(&limit, now + 99, &suppressed));
	cr_assert(log_limit_take(&limit, now + 100, &suppressed));
	cr_assert_eq(suppressed, 1000 - LOG_LIMIT_BURST + 1);
	for (int ms = 0, n = 0; ms < 10000; ms++) {
		n += log_limit_take(&limit, now + 200 + (uint64_t)ms, &suppressed);
		cr_assert_leq(n, 1 + ms * LOG_LIMIT_RATE / 1000);
	}
	taken = 0;
	for (int i = 0; i < 1000; i++)
		taken += log_limit_take(&limit, now + 100000, &suppressed);
	cr_assert_eq(taken, LOG_LIMIT_BURST);
}

/* A post that counts, and stops the loop when it has run so many times */
struct posting {
	struct loop_post post;
	atomic_int n;
	int stop_at;
};

static void posted(void *arg)
{
	struct posting *p = arg;

	if (++p->n == p->stop_at)
		loop_stop(loop);
}

static void *post_many(void *arg)
{
	struct posting *p = arg;

	for (int i = 0; i < 1000; i++)
		loop_post(loop, &p->post);
	return NULL;
}

Test(daemon_loop, posts_do_not_wait)
{
	struct posting a = { .stop_at = 1 }, b = { 0 };

	a.post = (struct loop_post){ .fn = posted, .arg = &a };
	b.post = (struct loop_post){ .fn = posted, .arg = &b };
	/* Nothing runs before the loop does, and what is queued is queued once. */
	loop_post(loop, &b.post);
	loop_post(loop, &a.post);
	loop_post(loop, &b.post);
	cr_assert_eq(a.n + b.n, 0);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(a.n, 1);
	cr_assert_eq(b.n, 1);
}

Test(daemon_loop, unpost)
{
	struct posting p[3] = { { .stop_at = 1 }, { .stop_at = 0 }, { .stop_at = 0 } };

	for (int i = 0; i < 3; i++) {
		p[i].post = (struct loop_post){ .fn = posted, .arg = &p[i] };
		loop_post(loop, &p[i].post);
	}
	loop_unpost(loop, &p[1].post);
	loop_unpost(loop, &p[2].post);
	loop_unpost(loop, &p[2].post);
	loop_post(loop, &p[2].post); /* behind the first, which is the last now */
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(p[0].n, 1);
	cr_assert_eq(p[1].n, 0);
	cr_assert_eq(p[2].n, 1);
}

Test(daemon_loop, posts_from_many_threads)
{
	struct posting p[4] = { 0 };
	pthread_t thread[4];

	cr_assert_eq(loop_start(loop), 0);
	cr_assert_str_eq(loop_name(loop), "test");
	for (int i = 0; i < 4; i++) {
		p[i].post = (struct loop_post){ .fn = posted, .arg = &p[i] };
		pthread_create(&thread[i], NULL, post_many, &p[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	loop_stop(loop); /* which serves what is left */
	for (int i = 0; i < 4; i++) {
		cr_assert_geq(p[i].n, 1);
		cr_assert_leq(p[i].n, 1000);
		cr_assert_not(p[i].post.queued);
	}
}
