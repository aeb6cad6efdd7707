// SPDX-License-Identifier: BSD-3-Clause
/*
 * okl4fs-serve.c - serve the sessions of a channel (okl4fs-serve(8))
 *
 *	NAME -- COMMAND...	a command for each session that the host opens, as inetd does
 *	NAME --connect PLACE	a connection to a server in this guest for each of them
 *	NAME --listen PLACE	the other way: a session for each client in this guest
 *
 * Sessions are opened in serve/opening.c, one after the other: the next one begins to wait when the one
 * before is open. With --listen, a client that has connected begins one. Then each is served by
 * serve/child.c or serve/bridge.c.
 */
#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/bridge.h"
#include "serve/child.h"
#include "serve/opening.h"
#include "serve/options.h"
#include "serve/say.h"

#define EXIT_NONE       4 /* there is no such channel (okl4fs-serve(8)) */
#define KILL_S          5 /* after SIGTERM to the commands */
#define RETRY_S         1
#define FIRST_PASSED_FD 3 /* sd_listen_fds(3) */

/* A session with a bridge */
struct bridged {
	struct bridge *bridge;
	unsigned long number;
	LIST_ENTRY(bridged) next;
};

static struct {
	struct options with;
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *retry, *linger;
	unsigned int n_active; /* sessions that are open, or whose client waits */
	bool is_waiting; /* an open waits for the host */
	bool stops, was_terminated;
	int last_error, status;
	unsigned long n_opened;
	LIST_HEAD(, bridged) bridges;
} self;

static void retry_later(void)
{
	event_add(self.retry, &(struct timeval){ .tv_sec = RETRY_S });
}

static void go_on(void)
{
	bool may_take = !self.stops && self.n_active < self.with.max;
	int r;

	if (self.stops && !self.n_active && !self.is_waiting)
		event_base_loopbreak(self.base);
	if (self.listener && may_take)
		evconnlistener_enable(self.listener);
	else if (self.listener)
		evconnlistener_disable(self.listener);
	if (self.listener || !may_take || self.is_waiting ||
	    event_pending(self.retry, EV_TIMEOUT, NULL))
		return;
	r = opening_start(self.with.path, self.with.connects ? &self.with.place : NULL, -1);
	self.is_waiting = !r;
	if (r) {
		say(LOG_ERR, "cannot start a thread: %s", strerror(-r));
		retry_later();
	}
}

static void try_again(evutil_socket_t fd, short what, void *arg)
{
	go_on();
}

static void session_over(void)
{
	self.n_active--;
	go_on();
}

/* Take no more. Those that are served go on */
static void stop(int status)
{
	if (self.stops)
		return;
	self.stops = true;
	self.status = status;
	event_del(self.retry);
	opening_stop();
	go_on();
}

static void child_ended(unsigned long number, int status)
{
	if (WIFSIGNALED(status))
		say(LOG_NOTICE, "session %lu: %s was killed by %s", number, self.with.command[0],
		    strsignal(WTERMSIG(status)));
	else
		say(WEXITSTATUS(status) ? LOG_INFO : LOG_DEBUG,
		    "session %lu: %s has ended with status %d", number, self.with.command[0],
		    WEXITSTATUS(status));
	session_over();
}

static void bridge_ended(void *arg, int error)
{
	struct bridged *s = arg;

	if (error)
		say(LOG_INFO, "session %lu: ended by an error: %s", s->number, strerror(error));
	else
		say(LOG_DEBUG, "session %lu: has ended", s->number);
	LIST_REMOVE(s, next);
	free(s);
	session_over();
}

/* Takes the descriptors. Return: 0 or -errno */
static int join(struct opening *o, unsigned long number)
{
	struct bridged *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->number = number;
	s->bridge = bridge_new(self.base, o->session, o->other, bridge_ended, s);
	o->session = o->other = -1;
	if (!s->bridge) {
		free(s);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&self.bridges, s, next);
	return 0;
}

static void session_opened(struct opening *o)
{
	self.last_error = 0;
	if (self.listener)
		return;
	self.is_waiting = false;
	self.n_active++;
	go_on();
}

static const char *way_out(int error)
{
	switch (error) {
	case ENOTTY:
		return ": it is not a channel with sessions. In the host's configuration, give the channel "
		       "\"sessions\": 64";
	case ENOENT:
	case ENXIO:
		return ": the host does not offer this channel";
	case ECONNREFUSED:
	case ETIMEDOUT:
		return self.with.listens ?
			       " (nothing listens at the channel's endpoint on the host)" :
			       " (the channel's endpoint on the host has to be one that listens)";
	case EACCES:
		return " (members of the group okl4fs may open channels)";
	default:
		return "";
	}
}

static void open_failed(int error)
{
	bool is_final = error == ENOENT || error == ENXIO || error == ENOTTY || error == EACCES;

	if (!self.listener)
		self.is_waiting = false;
	else
		self.n_active--;
	if (self.stops) {
		go_on();
		return;
	}
	if (error != self.last_error || self.listener)
		say(is_final ? LOG_ERR : LOG_WARNING, "%s: %s%s", self.with.path,
		    error == ENOTTY ? "cannot serve it" : strerror(error), way_out(error));
	self.last_error = error;
	if (is_final)
		stop(error == ENOENT ? EXIT_NONE : EXIT_FAILURE);
	else if (!self.listener)
		retry_later();
	go_on();
}

static void opening_ended(struct opening *o)
{
	unsigned long number;
	int r;

	if (o->open_error) {
		open_failed(o->open_error);
		return;
	}
	number = ++self.n_opened;
	if (o->connect_error) {
		say(LOG_WARNING, "session %lu: closed, because %s cannot be reached: %s", number,
		    self.with.place.text, strerror(o->connect_error));
		session_over();
		return;
	}
	say(LOG_DEBUG, "session %lu: open", number);
	r = self.with.command ? child_start(o->session, number) : join(o, number);
	if (!r)
		return;
	say(LOG_ERR, "session %lu: closed, because %s: %s", number,
	    self.with.command ? self.with.command[0] : "it cannot be served", strerror(-r));
	session_over();
}

static void client_came(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
			int bytes, void *arg)
{
	int r = opening_start(self.with.path, NULL, fd);

	if (r)
		say(LOG_ERR, "cannot start a thread: %s", strerror(-r));
	else
		self.n_active++;
	go_on();
}

static void accept_failed(struct evconnlistener *listener, void *arg)
{
	say(LOG_ERR, "%s: cannot take a client: %s", self.with.place.text, strerror(errno));
	evconnlistener_disable(listener); /* until a session has ended, or after a while */
	retry_later();
}

static void end_sessions(evutil_socket_t fd, short what, void *arg)
{
	struct bridged *s;

	if (self.was_terminated) {
		say(LOG_WARNING, "%u sessions have not ended", self.n_active);
		event_base_loopbreak(self.base);
		return;
	}
	self.was_terminated = true;
	child_terminate_all();
	while ((s = LIST_FIRST(&self.bridges))) {
		bridge_free(s->bridge);
		bridge_ended(s, ECANCELED);
	}
	event_add(self.linger, &(struct timeval){ .tv_sec = KILL_S });
}

static void told_to_end(evutil_socket_t number, short what, void *arg)
{
	struct timeval linger = { .tv_sec = self.stops ? 0 : self.with.linger_s };

	if (self.n_active)
		say(LOG_INFO, "told to end; %u sessions have %ld seconds", self.n_active,
		    (long)linger.tv_sec);
	stop(EXIT_SUCCESS);
	event_add(self.linger, &linger);
}

static const struct opening_ops opening_ops = { .opened = session_opened, .ended = opening_ended };

static int listening_socket(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	int fd;

	if (!self.with.listens_by_systemd) {
		fd = place_listen(&self.with.place);
		if (fd < 0)
			errx(1, "cannot listen at %s: %s", self.with.place.text, strerror(-fd));
		return fd;
	}
	if (!pid || !n || strtol(pid, NULL, 10) != getpid() || strcmp(n, "1") != 0)
		errx(2,
		     "--listen systemd needs one socket from the service manager (systemd.socket(5))");
	self.with.place.text = "the socket of the service manager";
	evutil_make_socket_closeonexec(FIRST_PASSED_FD);
	evutil_make_socket_nonblocking(FIRST_PASSED_FD);
	return FIRST_PASSED_FD;
}

static void listen_for_clients(void)
{
	/* The descriptors of clients are for bridges, which make them non-blocking themselves */
	self.listener = evconnlistener_new(self.base, client_came, NULL,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0,
					   listening_socket());
	if (!self.listener)
		errx(1, "no memory");
	evconnlistener_set_error_cb(self.listener, accept_failed);
	say(LOG_DEBUG, "clients are taken at %s", self.with.place.text);
}

/* Else a session could get one of these numbers */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		err(1, "/dev/null");
	close(fd);
}

static void setup(void)
{
	static const int ending[] = { SIGTERM, SIGINT };
	int r;

	signal(SIGPIPE, SIG_IGN);
	open_standard();
	self.base = event_base_new();
	if (!self.base)
		errx(1, "cannot make an event loop");
	self.retry = evtimer_new(self.base, try_again, NULL);
	self.linger = evtimer_new(self.base, end_sessions, NULL);
	if (!self.retry || !self.linger)
		errx(1, "no memory");
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		struct event *ev = evsignal_new(self.base, ending[i], told_to_end, NULL);

		if (!ev || event_add(ev, NULL))
			errx(1, "cannot watch signals");
	}
	r = opening_setup(self.base, &opening_ops);
	if (!r && self.with.command)
		r = child_setup(self.base, self.with.command, child_ended);
	if (r)
		errx(1, "cannot start: %s", strerror(-r));
	if (self.with.listens)
		listen_for_clients();
}

int main(int argc, char **argv)
{
	say_setup(false);
	options_parse(&self.with, argc, argv);
	setup();
	go_on();
	event_base_dispatch(self.base);
	if (self.with.listens && !self.with.listens_by_systemd)
		place_remove(&self.with.place);
	return self.status;
}
