/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <rte_vhost.h>

#include "util/stranger.h"
#include "vhost/eal.h"
#include "vhost/leave.h"
#include "vhost/syscalls.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static STAILQ_HEAD(, vhost_leave) leaving = STAILQ_HEAD_INITIALIZER(leaving);

static void *leave_main(void *arg)
{
	pthread_setname_np(pthread_self(), "vhost-leave");
	stranger_give_all();
	pthread_mutex_lock(&lock);
	while (true) {
		struct vhost_leave *leave = STAILQ_FIRST(&leaving);

		if (!leave) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		STAILQ_REMOVE_HEAD(&leaving, entry);
		pthread_mutex_unlock(&lock);
		if (leave->path)
			rte_vhost_driver_unregister(leave->path);
		vhost_poke();
		leave->done(leave->arg);
		pthread_mutex_lock(&lock);
	}
	return arg;
}

int vhost_leave_init(void)
{
	pthread_t thread;
	sigset_t old;
	int r;

	vhost_eal_mask_signals(&old);
	r = pthread_create(&thread, NULL, leave_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!r)
		pthread_detach(thread);
	return -r;
}

void vhost_leave(struct vhost_leave *leave)
{
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&leaving, leave, entry);
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}
