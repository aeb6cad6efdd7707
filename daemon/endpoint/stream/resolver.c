// SPDX-License-Identifier: BSD-3-Clause
/*
 * resolver.c - from a host's name to addresses, without waiting
 *
 * getaddrinfo(3) knows all that the system knows (nsswitch.conf(5), hosts(5), the order of RFC 6724),
 * but it waits for the network, and a worker must not. So a separate thread asks, at most one for each
 * resolver. When its answer is no longer wanted, it goes on, and a look-up that starts before it is
 * done gets that answer. The resolver and the thread share the job; the last holder frees it.
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

/* One look-up */
struct resolver_job {
	atomic_int holders; /* the resolver and the thread */
	struct address address;
	bool passive; /* as in struct resolver */
	atomic_bool done; /* the rest is filled in */
	int done_fd; /* eventfd, written then */
	int result, error; /* of getaddrinfo(3), and errno for EAI_SYSTEM */
	struct addrinfo *list;
};

static void release_job(struct resolver_job *job)
{
	if (atomic_fetch_sub(&job->holders, 1) > 1)
		return;
	if (job->list)
		freeaddrinfo(job->list);
	fd_close(job->done_fd);
	free(job);
}

static void look_host_up(struct resolver_job *job)
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

static void *resolver_main(void *arg)
{
	struct resolver_job *job = arg;

	pthread_setname_np(pthread_self(), "resolver");
	look_host_up(job);
	atomic_store(&job->done, true); /* pairs with on_job_done() */
	eventfd_write(job->done_fd, 1);
	release_job(job);
	return NULL;
}

static void tell_result(struct resolver *r, struct resolver_job *job)
{
	struct addrinfo *list = job->result ? NULL : job->list;
	const char *why = job->result == EAI_SYSTEM ? strerror(job->error) :
						      gai_strerror(job->result);

	r->wanted = false;
	if (list)
		job->list = NULL;
	r->done(r->arg, list, list ? NULL : why);
}

static void on_job_done(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *r = arg;
	struct resolver_job *job = r->job;

	if (!atomic_load(&job->done)) /* pairs with resolver_main() */
		return;
	event_free(r->ev);
	r->ev = NULL;
	r->job = NULL;
	if (r->wanted)
		tell_result(r, job);
	release_job(job);
}

/* A thread that nothing waits for. Return: 0 or an errno */
static int start_detached(struct resolver_job *job)
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
	r = pthread_create(&thread, &attr, resolver_main, job);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return r;
}

/* Return: a job that has not begun, or NULL */
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

/* Return: 0 or an errno */
static int begin_job(struct resolver *r, struct resolver_job *job)
{
	int e;

	if (job->done_fd < 0)
		return EMFILE;
	r->ev = event_new(loop_base(r->loop), job->done_fd, EV_READ, on_job_done, r);
	if (!r->ev || event_add(r->ev, NULL))
		return ENOMEM;
	atomic_store(&job->holders, 2);
	e = start_detached(job);
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
		look_host_up(job);
	} else {
		r->job = job;
		e = begin_job(r, job);
		if (!e)
			return; /* the job is the thread's now */
		job->error = e;
		job->result = EAI_SYSTEM;
		r->job = NULL;
		if (r->ev)
			event_free(r->ev);
		r->ev = NULL;
	}
	tell_result(r, job);
	release_job(job);
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
	release_job(r->job);
	r->job = NULL;
}
