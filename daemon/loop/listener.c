// SPDX-License-Identifier: BSD-3-Clause
#include "loop/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

#define ACCEPTS_PER_TURN 16
#define REST_MS          100U
#define MAX_REST_MS      3200U

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct accept_rest *rest = arg;

	rest->go_on(rest->arg);
}

int accept_rest_init(struct accept_rest *rest, struct loop *loop, const struct log_about *about,
		     const char *name, void (*go_on)(void *arg), void *arg)
{
	*rest = (struct accept_rest){ .name = name, .go_on = go_on, .arg = arg };
	if (about)
		rest->about = *about;
	rest->timer = evtimer_new(loop_base(loop), on_timer, rest);
	return rest->timer ? 0 : -ENOMEM;
}

void accept_rest_deinit(struct accept_rest *rest)
{
	if (rest->timer)
		event_free(rest->timer);
	rest->timer = NULL;
}

void accept_rest_begin(struct accept_rest *rest, int error)
{
	if (!rest->delay_ms)
		log_limited(&rest->limit, LOG_LEVEL_WARNING, &rest->about,
			    "%s: connections cannot be accepted: %s; trying again", rest->name,
			    strerror(error));
	rest->delay_ms = rest->delay_ms ? 2 * rest->delay_ms : REST_MS;
	if (rest->delay_ms > MAX_REST_MS)
		rest->delay_ms = MAX_REST_MS;
	loop_start_timer(rest->timer, rest->delay_ms);
}

void accept_rest_over(struct accept_rest *rest)
{
	if (!rest->delay_ms)
		return;
	rest->delay_ms = 0;
	log_limited(&rest->limit, LOG_LEVEL_NOTICE, &rest->about,
		    "%s: connections are accepted again", rest->name);
}

bool accept_rest_is_on(const struct accept_rest *rest)
{
	return event_pending(rest->timer, EV_TIMEOUT, NULL);
}

/* Whether a failed accept4(2) says nothing about the next one */
static bool is_passing(int error)
{
	switch (error) {
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
	return false;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	bool accepted = false;

	for (int i = 0; i < ACCEPTS_PER_TURN && !l->is_paused && !accept_rest_is_on(&l->rest);
	     i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			accepted = true;
			l->come(l->arg, client);
		} else if (errno == EAGAIN) {
			break;
		} else if (!is_passing(errno)) {
			event_del(l->event);
			accept_rest_begin(&l->rest, errno);
			return;
		}
	}
	if (accepted)
		accept_rest_over(&l->rest);
}

static void look_again(void *arg)
{
	struct listener *l = arg;

	if (!l->is_paused)
		event_add(l->event, NULL);
}

int listener_start(struct listener *l, struct loop *loop, const struct log_about *about,
		   const char *name, int fd, void (*come)(void *arg, int fd), void *arg)
{
	int r;

	*l = (struct listener){ .fd = fd, .come = come, .arg = arg };
	r = accept_rest_init(&l->rest, loop, about, name, look_again, l);
	if (!r)
		l->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_accept, l);
	if (l->event && !event_add(l->event, NULL))
		return 0;
	if (!l->event)
		fd_close(fd);
	listener_stop(l);
	return -ENOMEM;
}

void listener_rest(struct listener *l, unsigned int ms)
{
	event_del(l->event);
	loop_start_timer(l->rest.timer, ms);
}

void listener_pause(struct listener *l)
{
	if (l->event && !l->is_paused)
		event_del(l->event);
	l->is_paused = true;
}

void listener_go_on(struct listener *l)
{
	if (l->event && l->is_paused && !accept_rest_is_on(&l->rest))
		event_add(l->event, NULL);
	l->is_paused = false;
}

void listener_stop(struct listener *l)
{
	accept_rest_deinit(&l->rest);
	if (l->event) {
		event_free(l->event);
		fd_close(l->fd);
	}
	*l = (struct listener){ .fd = -1 };
}
