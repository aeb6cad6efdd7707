// SPDX-License-Identifier: BSD-3-Clause
/*
 * listener.c - a listening socket whose connections are handed on
 */
#include "endpoint/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

#define ACCEPTS_A_TURN 16
#define RETRY_MS       100 /* accept again, after descriptors ran out */

/**
 * accept_failed() - what a failed accept4(2) means
 * @l: listener
 *
 * Return: true to try again at once.
 */
static bool accept_failed(struct listener *l)
{
	struct timeval later = { .tv_usec = RETRY_MS * 1000L };

	switch (errno) {
	case EAGAIN:
		return false;
	case EINTR:
	case ECONNABORTED:
	/* The network's errors belong to the connection that is lost (accept(2)) */
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return true;
	}
	/* Out of descriptors or memory. The event would come again at once and for ever. */
	channel_log(l->ch, LOG_LEVEL_WARNING, "%s: accept: %s", l->name, strerror(errno));
	event_del(l->accept_ev);
	event_add(l->retry_ev, &later);
	return false;
}

/**
 * on_accept() - somebody connects
 * @fd: listening socket
 * @what: not used
 * @arg: listener
 */
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0)
			l->come(l->arg, client);
		else if (!accept_failed(l))
			return;
	}
}

/**
 * on_retry() - accept again
 * @fd: not used
 * @what: not used
 * @arg: listener
 */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	event_add(l->accept_ev, NULL);
}

int listener_start(struct listener *l, struct channel *ch, const char *name, int fd,
		   void (*come)(void *arg, int fd), void *arg)
{
	struct event_base *base = loop_base(ch->loop);

	*l = (struct listener){ .ch = ch, .name = name, .fd = fd, .come = come, .arg = arg };
	l->accept_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_accept, l);
	l->retry_ev = event_new(base, -1, 0, on_retry, l);
	if (l->accept_ev && l->retry_ev && !event_add(l->accept_ev, NULL))
		return 0;
	listener_stop(l);
	return -ENOMEM;
}

void listener_stop(struct listener *l)
{
	if (!l->ch)
		return;
	if (l->accept_ev)
		event_free(l->accept_ev);
	if (l->retry_ev)
		event_free(l->retry_ev);
	fd_close(l->fd);
	*l = (struct listener){ .fd = -1 };
}
