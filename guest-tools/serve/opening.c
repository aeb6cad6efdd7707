// SPDX-License-Identifier: BSD-3-Clause
/*
 * opening.c - sessions that are being opened
 */
#include "serve/opening.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libfs/ioctl.h"
#include "util/fd.h"

#define STACK_BYTES 262144
#define STOP_US     20000

/* What a thread writes to the pipe; less than PIPE_BUF, so whole */
struct news {
	struct opening *o;
	bool has_ended;
};

static struct {
	const struct opening_ops *ops;
	int out; /* the pipe's end for the threads */
	struct event *readable, *again;
	atomic_bool stops;
	LIST_HEAD(, opening) all;
} self = { .out = -1 };

static void tell(struct opening *o, bool has_ended)
{
	struct news news = { o, has_ended };

	while (write(self.out, &news, sizeof(news)) < 0 && errno == EINTR)
		;
}

static int open_session(const char *path)
{
	int fd;

	do
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	while (fd < 0 && errno == EINTR && !atomic_load(&self.stops));
	if (fd < 0)
		return -errno;
	/* No direction has this number. A session says EINVAL to it, and other files ENOTTY */
	if (ioctl(fd, OKL4FS_IOC_SHUTDOWN, -1) && errno == EINVAL)
		return fd;
	close(fd);
	return -ENOTTY;
}

static void *run(void *arg)
{
	struct opening *o = arg;
	int fd = open_session(o->path);

	if (fd < 0) {
		o->open_error = -fd;
		tell(o, true);
		return NULL;
	}
	o->session = fd;
	tell(o, false);
	if (o->to) {
		fd = place_connect(o->to);
		o->other = fd < 0 ? -1 : fd;
		o->connect_error = fd < 0 ? -fd : 0;
	}
	tell(o, true);
	return NULL;
}

static void take_news(evutil_socket_t fd, short what, void *arg)
{
	struct news news;

	while (read(fd, &news, sizeof(news)) == (ssize_t)sizeof(news)) {
		struct opening *o = news.o;

		if (!news.has_ended) {
			o->is_open = true;
			self.ops->opened(o);
			continue;
		}
		pthread_join(o->thread, NULL);
		LIST_REMOVE(o, next);
		self.ops->ended(o);
		fd_close(o->session);
		fd_close(o->other);
		free(o);
	}
}

static void interrupt(evutil_socket_t fd, short what, void *arg)
{
	struct opening *o;
	bool any = false;

	LIST_FOREACH(o, &self.all, next)
	{
		if (o->is_open)
			continue;
		pthread_kill(o->thread, SIGUSR1);
		any = true;
	}
	/* A thread that had only just looked at the flag has gone to sleep since */
	if (any)
		event_add(self.again, &(struct timeval){ .tv_usec = STOP_US });
}

static void ignore(int number)
{
}

int opening_setup(struct event_base *base, const struct opening_ops *ops)
{
	struct sigaction action = { .sa_handler = ignore }; /* without SA_RESTART */
	int ends[2];

	if (sigaction(SIGUSR1, &action, NULL) || pipe2(ends, O_CLOEXEC))
		return -errno;
	evutil_make_socket_nonblocking(ends[0]);
	self.ops = ops;
	self.out = ends[1];
	LIST_INIT(&self.all);
	self.readable = event_new(base, ends[0], EV_READ | EV_PERSIST, take_news, NULL);
	self.again = evtimer_new(base, interrupt, NULL);
	if (!self.readable || !self.again || event_add(self.readable, NULL))
		return -ENOMEM;
	return 0;
}

/* Signals that end us are for the loop's thread */
static int start_thread(struct opening *o)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	error = pthread_create(&o->thread, &attr, run, o);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int opening_start(const char *path, const struct place *to, int other)
{
	struct opening *o = calloc(1, sizeof(*o));
	int r;

	if (!o) {
		fd_close(other);
		return -ENOMEM;
	}
	*o = (struct opening){ .path = path, .to = to, .session = -1, .other = other };
	LIST_INSERT_HEAD(&self.all, o, next);
	r = start_thread(o);
	if (!r)
		return 0;
	LIST_REMOVE(o, next);
	fd_close(other);
	free(o);
	return r;
}

void opening_stop(void)
{
	atomic_store(&self.stops, true);
	interrupt(-1, 0, NULL);
}
