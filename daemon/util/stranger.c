/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stranger can make some of the closing threads sleep. As long as fewer than CLOSERS_MAX sleep,
 * there is another one; after that, descriptors wait in a queue. When many wait, connections that
 * could bring more are ended instead of read, so that the queue has room for the connections
 * themselves. A descriptor that does not fit stays open.
 *
 * The end of the process does not wait for a socket that lingers: exit_group(2) wakes the thread,
 * and a socket that is closed by the end of its process does not linger. It does wait for a FUSE
 * file whose server has not answered FLUSH: only the server can end that wait.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/log.h"
#include "util/notify.h"
#include "util/stranger.h"
#include "util/stranger_mark.h"

#define CLOSERS_MAX    8
#define QUEUE_MAX      4096
#define QUEUE_READ     2048 /* as many may wait when a message is taken */
#define STORED_WAIT_MS 10000 /* for the service manager, which closes its own */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct {
	int fd;
	bool stored;
} queue[QUEUE_MAX];
static unsigned int head, n_queued, n_closers, n_idle;
static bool told; /* the full queue was logged */

static void *close_main(void *arg);

/* Starts another thread if all are busy; locked */
static void need_closer(void)
{
	sigset_t all, old;
	pthread_t thread;

	if (!n_queued || n_idle || n_closers == CLOSERS_MAX)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&thread, NULL, close_main, NULL)) {
		pthread_detach(thread);
		n_closers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void close_without_linger(int fd)
{
	struct linger off = { 0 };

	/* The sender may switch lingering on again, but hardly in time. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	syscall(SYS_close, fd);
}

static void *close_main(void *arg)
{
	pthread_setname_np(pthread_self(), "closer");
	pthread_mutex_lock(&lock);
	/* One idle thread stays. */
	while (n_queued || !n_idle) {
		bool stored;
		int fd;

		if (!n_queued) {
			n_idle++;
			pthread_cond_wait(&more, &lock);
			n_idle--;
			continue;
		}
		fd = queue[head].fd;
		stored = queue[head].stored;
		head = (head + 1) % QUEUE_MAX;
		n_queued--;
		need_closer(); /* this one may not come back */
		pthread_mutex_unlock(&lock);
		if (stored)
			notify_wait(STORED_WAIT_MS);
		close_without_linger(fd);
		pthread_mutex_lock(&lock);
	}
	n_closers--;
	pthread_mutex_unlock(&lock);
	return arg;
}

static int give(int fd, bool stored)
{
	bool tell = false;

	if (fd < 0)
		return -1;
	stranger_unmark(fd);
	pthread_mutex_lock(&lock);
	if (n_queued < QUEUE_MAX) {
		unsigned int at = (head + n_queued++) % QUEUE_MAX;

		queue[at].fd = fd;
		queue[at].stored = stored;
		need_closer();
		pthread_cond_signal(&more);
	} else {
		tell = !told;
		told = true;
	}
	pthread_mutex_unlock(&lock);
	if (tell)
		log_err("clients have sent descriptors that cannot be closed, and %d more wait; "
			"further ones stay open: restart the daemon, and check which users may "
			"connect to its sockets",
			QUEUE_MAX);
	return -1;
}

int stranger_give(int fd)
{
	return give(fd, false);
}

int stranger_give_stored(int fd)
{
	return give(fd, notify_wanted());
}

static bool may_take_message(void)
{
	bool may;

	pthread_mutex_lock(&lock);
	may = n_queued <= QUEUE_READ;
	pthread_mutex_unlock(&lock);
	return may;
}

ssize_t stranger_recvmsg(int fd, struct msghdr *msg, int flags, int *fds, size_t *n_fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(STRANGER_MAX_FDS * sizeof(int))];
	} control;
	struct cmsghdr *c;
	ssize_t n;

	*n_fds = 0;
	if (!may_take_message()) {
		errno = ECONNRESET;
		return -1;
	}
	msg->msg_control = &control;
	msg->msg_controllen = sizeof(control);
	n = syscall(SYS_recvmsg, fd, msg, flags | MSG_CMSG_CLOEXEC);
	for (c = n < 0 ? NULL : CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    came > STRANGER_MAX_FDS - *n_fds)
			continue;
		memcpy(fds + *n_fds, CMSG_DATA(c), came * sizeof(int));
		*n_fds += came;
	}
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	return n;
}

ssize_t stranger_recv(int fd, const struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	int fds[STRANGER_MAX_FDS], saved_errno;
	size_t n_fds;
	ssize_t bytes = stranger_recvmsg(fd, &msg, 0, fds, &n_fds);

	saved_errno = errno;
	for (size_t i = 0; i < n_fds; i++)
		stranger_give(fds[i]);
	errno = saved_errno;
	return bytes;
}

int stranger_close(int fd)
{
	int unread = 1, listens = 0, type = SOCK_STREAM;
	socklen_t bytes = sizeof(listens);

	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes);
	/* Nothing arrives after the shutdown, so an empty socket holds no descriptor; but an empty
	 * message, which FIONREAD does not count, may hold one. */
	if (!listens && type == SOCK_STREAM &&
	    (shutdown(fd, SHUT_RD) || ioctl(fd, FIONREAD, &unread)))
		unread = 1;
	if (listens || unread || type != SOCK_STREAM) {
		stranger_give(fd);
		return 0;
	}
	stranger_unmark(fd);
	return (int)syscall(SYS_close, fd);
}
