// SPDX-License-Identifier: BSD-3-Clause
/*
 * tear.c - ends of connections that a client does not take for the end of a complete stream
 *
 * Linux reports an error to the peer of a unix stream socket in one case only: the socket is closed
 * while bytes of the peer lie unread in it (unix_release_sock() sets ECONNRESET). SO_LINGER does nothing
 * on unix sockets, and only the peer can put bytes there. So a connection to a client that has sent
 * nothing is kept open: a client that waits for the end goes on waiting, which is better than if it
 * believed that it has everything. The connection is closed, with the byte unread, as soon as the
 * client sends one.
 */
#include "endpoint/tear.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "util/log.h"

#define MAX_HELD 256U /* connections that are kept open; the oldest goes first */

/* A connection that is kept open; protected by held_lock */
struct held {
	TAILQ_ENTRY(held) next; /* the next older one */
	struct loop *loop; /* whose thread looks after it */
	int fd;
	int set; /* epoll set with fd, readable when the client has sent something or hung up */
	struct event *ev;
};

TAILQ_HEAD(held_list, held);
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct held_list held_list = TAILQ_HEAD_INITIALIZER(held_list);
static unsigned int n_held;

/* Under held_lock, on its loop's thread */
static void free_held(struct held *h)
{
	TAILQ_REMOVE(&held_list, h, next);
	n_held--;
	if (h->ev)
		event_free(h->ev);
	fd_close(h->set);
	fd_close(h->fd);
	free(h);
}

static bool has_unread_bytes(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void on_held_event(evutil_socket_t set, short what, void *arg)
{
	struct epoll_event ev = { 0 }, hup_only = { 0 };
	struct held *h = arg;

	if (epoll_wait(set, &ev, 1, 0) <= 0)
		return;
	/* It has ended its direction, and may still hang up */
	if (!(ev.events & (EPOLLHUP | EPOLLERR)) && !has_unread_bytes(h->fd)) {
		epoll_ctl(set, EPOLL_CTL_MOD, h->fd, &hup_only);
		return;
	}
	pthread_mutex_lock(&held_lock);
	free_held(h);
	pthread_mutex_unlock(&held_lock);
}

/* Under held_lock. Only one of the caller's own loop can be freed on this thread. */
static void make_room_for_held(const struct loop *loop)
{
	struct held *h;

	if (n_held < MAX_HELD)
		return;
	TAILQ_FOREACH_REVERSE(h, &held_list, held_list, next)
	{
		if (h->loop == loop)
			break;
	}
	log_warning(
		"%u torn connections are held open; the oldest is closed, and its client may take "
		"that for the end of its stream",
		n_held);
	if (h)
		free_held(h);
}

/* Under held_lock */
static int hold_open(struct loop *loop, int fd)
{
	struct epoll_event want = { .events = EPOLLIN };
	struct held *h = calloc(1, sizeof(*h));

	if (!h) {
		close(fd);
		return -1;
	}
	*h = (struct held){ .loop = loop, .fd = fd, .set = epoll_create1(EPOLL_CLOEXEC) };
	make_room_for_held(loop);
	TAILQ_INSERT_HEAD(&held_list, h, next);
	n_held++;
	if (h->set < 0 || epoll_ctl(h->set, EPOLL_CTL_ADD, fd, &want))
		goto fail;
	h->ev = event_new(loop_base(loop), h->set, EV_READ | EV_PERSIST, on_held_event, h);
	if (h->ev && !event_add(h->ev, NULL))
		return 0;
fail:
	free_held(h);
	return -1;
}

void tear(struct loop *loop, int fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int domain = AF_UNIX, r;
	socklen_t bytes = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
	if (domain != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (domain != AF_UNIX || has_unread_bytes(fd)) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&held_lock);
	r = hold_open(loop, fd);
	pthread_mutex_unlock(&held_lock);
	if (r)
		log_warning("a torn connection cannot be held open: no memory or descriptors; its "
			    "client may take that for the end of its stream");
}

void tear_end(void *loop)
{
	struct held *h, *next;
	unsigned int n = 0;

	pthread_mutex_lock(&held_lock);
	for (h = TAILQ_FIRST(&held_list); h; h = next) {
		next = TAILQ_NEXT(h, next);
		if (h->loop != loop)
			continue;
		free_held(h);
		n++;
	}
	pthread_mutex_unlock(&held_lock);
	if (n)
		log_warning(
			"%u torn connections to unix sockets end with the daemon; their clients may "
			"take that for the end of their streams",
			n);
}
