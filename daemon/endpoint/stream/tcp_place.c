// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/stream/tcp_place.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "endpoint/stream/tcp.h"
#include "util/sandbox.h"

#define RETRY_S 5

/* Log why, and keep it for info */
static void cannot_listen(struct tcp_place *p, const char *where, const char *why)
{
	char text[ENDPOINT_ERROR_BYTES];

	if (!strcmp(where, p->target))
		snprintf(text, sizeof(text), "tcp-listen: %s: %s", where, why);
	else
		snprintf(text, sizeof(text), "tcp-listen: %s: %s: %s", p->target, where, why);
	channel_log(p->ch, endpoint_keep_error(p->error, text, LOG_LEVEL_ERR), "%s", text);
}

static void cannot_find_host(struct tcp_place *p, const char *why)
{
	char text[ENDPOINT_ERROR_BYTES];

	snprintf(text, sizeof(text), "%s%s", why, sandbox_network_hint(0));
	cannot_listen(p, p->address.host, text);
}

static void cannot_listen_at(struct tcp_place *p, const char *where, int error)
{
	char why[ENDPOINT_ERROR_BYTES];

	snprintf(why, sizeof(why), "%s%s", strerror(error),
		 error == EACCES ? " (ports below 1024 are only for root)" :
				   sandbox_network_hint(error));
	cannot_listen(p, where, why);
}

static int listen_at_address(struct tcp_place *p, const struct addrinfo *at)
{
	const struct channel *ch = p->ch;
	char name[TCP_NAME_BYTES];
	int r;

	tcp_name(at->ai_addr, at->ai_addrlen, name);
	if (!p->has_tls && !tcp_is_loopback(at->ai_addr)) {
		cannot_listen(p, name, "it is not a loopback address, so it needs \"tls\"");
		return -EPERM;
	}
	r = tcp_listen_at(at);
	if (r >= 0)
		r = listener_start(&p->listener[p->n_listeners], ch->loop,
				   LOG_CHANNEL(ch->guest_name, ch->cfg->name), p->target, r,
				   p->come, p->arg);
	if (r) {
		cannot_listen_at(p, name, -r);
		return r;
	}
	if (p->is_paused)
		listener_pause(&p->listener[p->n_listeners]);
	p->n_listeners++;
	return 0;
}

static void stop_listening(struct tcp_place *p)
{
	while (p->n_listeners)
		listener_stop(&p->listener[--p->n_listeners]);
}

static void listen_host_resolved(void *arg, struct addrinfo *list, const char *why)
{
	struct tcp_place *p = arg;
	const struct timeval later = { .tv_sec = RETRY_S };
	int r = list ? 0 : -EADDRNOTAVAIL;

	if (!list)
		cannot_find_host(p, why);
	/* A machine without IPv6 may have a name for the loopback address of IPv6 */
	for (const struct addrinfo *at = list; at && !r && p->n_listeners < TCP_PLACE_MAX_ADDRESSES;
	     at = at->ai_next) {
		r = listen_at_address(p, at);
		if ((r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) && list->ai_next)
			r = 0;
	}
	if (list)
		freeaddrinfo(list);
	if (r)
		stop_listening(p);
	p->listen_error = r;
	if (p->n_listeners)
		*p->error = 0;
	else if (!p->address.is_numeric)
		event_add(p->retry_ev, &later);
}

static void on_listen_retry(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_place *p = arg;

	resolver_start(&p->resolver);
}

int tcp_place_listen(struct tcp_place *p)
{
	if (address_parse(&p->address, p->target))
		return -EINVAL;
	p->resolver = (struct resolver){ .loop = p->ch->loop,
					 .address = &p->address,
					 .passive = true,
					 .done = listen_host_resolved,
					 .arg = p };
	p->retry_ev = event_new(loop_base(p->ch->loop), -1, 0, on_listen_retry, p);
	if (!p->retry_ev)
		return -ENOMEM;
	resolver_start(&p->resolver);
	return p->address.is_numeric && !p->n_listeners ? p->listen_error : 0;
}

void tcp_place_pause(struct tcp_place *p, bool yes)
{
	p->is_paused = yes;
	for (unsigned int i = 0; i < p->n_listeners; i++) {
		if (yes)
			listener_pause(&p->listener[i]);
		else
			listener_go_on(&p->listener[i]);
	}
}

void tcp_place_leave(struct tcp_place *p)
{
	stop_listening(p);
	resolver_stop(&p->resolver);
	if (p->retry_ev)
		event_del(p->retry_ev);
}

void tcp_place_deinit(struct tcp_place *p)
{
	tcp_place_leave(p);
	resolver_deinit(&p->resolver);
	if (p->retry_ev)
		event_free(p->retry_ev);
	p->retry_ev = NULL;
}
