// SPDX-License-Identifier: BSD-3-Clause
/*
 * resolver.c - from a host's name to addresses, without waiting
 *
 * getaddrinfo(3) knows all that the system knows (nsswitch.conf(5), hosts(5), the order of RFC 6724),
 * but it waits for the network, and a worker must not. So a thread of its own asks, one at most for
 * each resolver: when its answer is not wanted any more it is left at work, and who asks again before
 * it is done gets that answer. The job that the two share is freed by whoever lets go of it last.
 */
#include "endpoint/stream/resolver.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/fd.h"

#define STACK_BYTES (256U << 10)

/**
 * struct resolver_job - one look-up
 * @holders: the resolver and the thread
 * @address: host and port
 * @passive: as in struct resolver
 * @done: the rest is filled in
 * @done_fd: eventfd, written then
 * @result: what getaddrinfo(3) returned
 * @error: errno, for EAI_SYSTEM
 * @list: the addresses
 */
struct resolver_job {
	atomic_int holders;
	struct address address;
	bool passive;
	atomic_bool done;
	int done_fd;
	int result, error;
	struct addrinfo *list;
};

/**
 * let_go() - one holder less
 * @job: job
 */
static void let_go(struct resolver_job *job)
{
	if (atomic_fetch_sub(&job->holders, 1) > 1)
		return;
	if (job->list)
		freeaddrinfo(job->list);
	fd_close(job->done_fd);
	free(job);
}

/**
 * look_up() - ask the system
 * @job: host and port; the result goes there
 */
static void look_up(struct resolver_job *job)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | (job->passive ? AI_PASSIVE : 0) |
			    (job->address.is_numeric ? AI_NUMERICHOST : 0),
	};
	char port[8];

	snprintf(port, sizeof(port), "%u", job->address.port);
	job->result = getaddrinfo(job->address.host, port, &hints, &job->list);
	job->error = errno;
}

/**
 * thread_main() - the thread that waits
 * @arg: job
 *
 * Return: NULL.
 */
static void *thread_main(void *arg)
{
	struct resolver_job *job = arg;

	pthread_setname_np(pthread_self(), "resolver");
	look_up(job);
	atomic_store(&job->done, true); /* pairs with on_done() */
	eventfd_write(job->done_fd, 1);
	let_go(job);
	return NULL;
}

/**
 * tell() - hand the result on
 * @r: resolver
 * @job: job that is done
 */
static void tell(struct resolver *r, struct resolver_job *job)
{
	struct addrinfo *list = job->result ? NULL : job->list;
	const char *why = job->result == EAI_SYSTEM ? strerror(job->error) :
						      gai_strerror(job->result);

	r->wanted = false;
	if (list)
		job->list = NULL;
	r->done(r->arg, list, list ? NULL : why);
}

/**
 * on_done() - the thread has an answer
 * @fd: the job's eventfd
 * @what: not used
 * @arg: resolver
 */
static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *r = arg;
	struct resolver_job *job = r->job;

	if (!atomic_load(&job->done)) /* pairs with thread_main() */
		return;
	event_free(r->ev);
	r->ev = NULL;
	r->job = NULL;
	if (r->wanted)
		tell(r, job);
	let_go(job);
}

/**
 * start_thread() - a thread that is nobody's
 * @job: what it works on
 *
 * Return: 0 or an errno.
 */
static int start_thread(struct resolver_job *job)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = pthread_create(&thread, &attr, thread_main, job);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return r;
}

/**
 * job_new() - a look-up that has not begun
 * @r: what for
 *
 * Return: the job, the resolver's; or NULL.
 */
static struct resolver_job *job_new(const struct resolver *r)
{
	struct resolver_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->address = *r->address;
	job->passive = r->passive;
	job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&job->holders, 1);
	atomic_init(&job->done, false);
	return job;
}

/**
 * begin() - let a thread do a job
 * @r: resolver without one
 * @job: job
 *
 * Return: 0 or an errno.
 */
static int begin(struct resolver *r, struct resolver_job *job)
{
	int e;

	if (job->done_fd < 0)
		return EMFILE;
	r->ev = event_new(loop_base(r->loop), job->done_fd, EV_READ, on_done, r);
	if (!r->ev || event_add(r->ev, NULL))
		return ENOMEM;
	atomic_store(&job->holders, 2);
	e = start_thread(job);
	if (e)
		atomic_store(&job->holders, 1);
	return e;
}

void resolver_start(struct resolver *r)
{
	struct resolver_job *job;
	int e;

	r->wanted = true;
	if (r->job)
		return;
	job = job_new(r);
	if (!job) {
		r->wanted = false;
		r->done(r->arg, NULL, strerror(ENOMEM));
		return;
	}
	if (r->address->is_numeric) {
		look_up(job);
	} else {
		r->job = job;
		e = begin(r, job);
		if (!e)
			return; /* the job is the thread's now */
		job->error = e;
		job->result = EAI_SYSTEM;
		r->job = NULL;
		if (r->ev)
			event_free(r->ev);
		r->ev = NULL;
	}
	tell(r, job);
	let_go(job);
}

void resolver_stop(struct resolver *r)
{
	r->wanted = false;
}

void resolver_deinit(struct resolver *r)
{
	r->wanted = false;
	if (!r->job)
		return;
	event_free(r->ev);
	r->ev = NULL;
	let_go(r->job);
	r->job = NULL;
}
