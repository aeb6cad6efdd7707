// SPDX-License-Identifier: BSD-3-Clause
#include "util/nudge.h"

#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc has no name for this member before 2.38. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void on_nudge(int sig)
{
}

void nudge_begin(struct nudge *n, unsigned int ms)
{
	struct sigaction action = { .sa_handler = on_nudge, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct timespec every = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	struct itimerspec times = { every, every };
	sigset_t alarm;

	memset(n, 0, sizeof(*n));
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &n->timer))
		return;
	n->on = 1;
	sigaction(SIGALRM, &action, &n->action);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, &n->mask);
	timer_settime(n->timer, 0, &times, NULL);
}

void nudge_end(struct nudge *n)
{
	if (!n->on)
		return;
	timer_delete(n->timer);
	/* SIGALRM is not blocked here, so one that was pending has come by now. */
	pthread_sigmask(SIG_SETMASK, &n->mask, NULL);
	sigaction(SIGALRM, &n->action, NULL);
}
