/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/events.h"
#include "service/service.h"
#include "util/notify.h"
#include "vhost/library.h"
#include "service/watchdog.h"

#define STATUS_INTERVAL_S 1

/**
 * struct service - see service.h
 * @server: borrowed
 * @watchdog: NULL: none
 * @later: timer: the text may be sent again
 * @stale: something has happened since the text was sent
 * @status: the text that was sent last
 */
struct service {
	struct server *server;
	struct watchdog *watchdog;
	struct event *later;
	bool stale;
	char status[160];
};

static void scaled(char *text, size_t room, uint64_t bytes)
{
	static const char *const unit[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes / 1000;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(text, room, "%" PRIu64 " bytes", bytes);
		return;
	}
	/* 999.95 is where "%.1f" would say 1000.0 */
	for (; value >= 999.95; i++)
		value /= 1000;
	snprintf(text, room, "%.1f %s", value, unit[i]);
}

/* Sends the status if it has changed; @with: lines to be sent in any case, each with its newline, or "" */
static void tell_status(struct service *s, const char *with)
{
	size_t n_guests = server_n_guests(s->server), n_ready = 0, n_channels = 0;
	size_t n_problems = server_problems(s->server, NULL, NULL);
	char text[sizeof(s->status)], moved[32], problems[64] = "";
	struct guest_snapshot snap;
	uint64_t bytes = 0;

	for (size_t i = 0; i < n_guests; i++) {
		memset(&snap, 0, sizeof(snap));
		guest_snapshot(server_guest(s->server, i), &snap);
		n_ready += snap.ready;
		n_channels += snap.n_channels;
		bytes += snap.moved_bytes;
	}
	scaled(moved, sizeof(moved), bytes);
	if (n_problems)
		snprintf(problems, sizeof(problems), "; %zu problem%s: see okl4fsctl status",
			 n_problems, n_problems == 1 ? "" : "s");
	snprintf(text, sizeof(text), "%zu guest%s (%zu ready), %zu channel%s, %s moved%s", n_guests,
		 n_guests == 1 ? "" : "s", n_ready, n_channels, n_channels == 1 ? "" : "s", moved,
		 problems);
	if (strcmp(text, s->status) != 0)
		notify("%sSTATUS=%s", with, text);
	else if (*with)
		notify("%s", with);
	memcpy(s->status, text, sizeof(text));
}

static void on_happened(void *arg)
{
	static const struct timeval interval = { .tv_sec = STATUS_INTERVAL_S };
	struct service *s = arg;

	s->stale = event_pending(s->later, EV_TIMEOUT, NULL);
	if (s->stale)
		return;
	event_add(s->later, &interval);
	if (s->watchdog)
		watchdog_ask(s->watchdog);
	else
		tell_status(s, "");
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	if (s->stale)
		on_happened(s);
}

static struct loop *service_worker(void *arg, unsigned int idx)
{
	const struct service *s = arg;

	return server_worker(s->server, idx);
}

/* No thread is stuck: feeds the service manager's watchdog. */
static void tell_alive(void *arg)
{
	tell_status(arg, "WATCHDOG=1\n");
}

static const struct watchdog_ops watchdog_ops = {
	.worker = service_worker,
	.vhost_stuck_ms = vhost_library_stuck_ms,
	.alive = tell_alive,
};

int service_new(struct service **out, struct loop *main_loop, struct server *server)
{
	uint64_t watchdog_us = notify_watchdog_us();
	struct service *s;
	int r = 0;

	*out = NULL;
	if (!notify_wanted())
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->server = server;
	s->later = event_new(loop_base(main_loop), -1, 0, on_later, s);
	if (!s->later)
		r = -ENOMEM;
	else if (watchdog_us)
		r = watchdog_new(&s->watchdog, main_loop, watchdog_us, &watchdog_ops, s);
	if (r) {
		service_free(s);
		return r;
	}
	events_watch(on_happened, s);
	tell_status(s, "READY=1\n");
	*out = s;
	return 0;
}

struct service *service_free(struct service *s)
{
	if (!s)
		return NULL;
	watchdog_free(s->watchdog);
	events_watch(NULL, NULL);
	if (s->later)
		event_free(s->later);
	free(s);
	return NULL;
}
