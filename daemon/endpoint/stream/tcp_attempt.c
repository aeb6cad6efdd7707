// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/stream/tcp_attempt.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "util/fd.h"
#include "util/sandbox.h"

#define CONNECT_S 5 /* so long an address may take to answer */

struct tcp_addresses *tcp_addresses_new(struct addrinfo *list)
{
	struct tcp_addresses *addresses = calloc(1, sizeof(*addresses));

	if (!addresses) {
		freeaddrinfo(list);
		return NULL;
	}
	*addresses = (struct tcp_addresses){ 1, list };
	return addresses;
}

struct tcp_addresses *tcp_addresses_let_go(struct tcp_addresses *addresses)
{
	if (!addresses || --addresses->n_refs)
		return NULL;
	freeaddrinfo(addresses->list);
	free(addresses);
	return NULL;
}

void tcp_attempt_end(struct tcp_attempt *a)
{
	a->addresses = tcp_addresses_let_go(a->addresses);
	a->at = NULL;
	if (a->ev)
		event_free(a->ev);
	a->ev = NULL;
	a->fd = fd_close(a->fd);
	if (a->link)
		tls_link_free(a->link);
	a->link = NULL;
}

static void fail_attempt(struct tcp_attempt *a)
{
	tcp_attempt_end(a);
	a->failed(a->arg);
}

static void connect_attempt(struct tcp_attempt *a, int fd)
{
	tcp_attempt_end(a);
	a->connected(a->arg, fd);
}

/* Keep why the present address did not work */
static void note_address(struct tcp_attempt *a, const char *why)
{
	char name[TCP_NAME_BYTES];

	tcp_name(a->at->ai_addr, a->at->ai_addrlen, name);
	if (!strcmp(name, a->target))
		snprintf(a->why, sizeof(a->why), "%s", why);
	else
		snprintf(a->why, sizeof(a->why), "%s: %s", name, why);
}

static void note_error(struct tcp_attempt *a, int error)
{
	char why[ENDPOINT_ERROR_BYTES];

	snprintf(why, sizeof(why), "%s%s", strerror(error), sandbox_network_hint(error));
	note_address(a, why);
}

static void address_connected(struct tcp_attempt *a)
{
	int r, fd = a->fd;

	a->fd = -1;
	tcp_tune(fd, a->ch->cfg->endpoint.peer_timeout_s);
	if (!a->tls) {
		connect_attempt(a, fd);
		return;
	}
	r = tls_link_new(&a->link, a->tls, fd);
	if (r) {
		note_address(a, strerror(-r));
		fail_attempt(a);
	}
}

static void try_next_address(struct tcp_attempt *a);

static void on_address_answer(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_attempt *a = arg;
	int error = ETIMEDOUT;
	socklen_t bytes = sizeof(error);

	event_free(a->ev);
	a->ev = NULL;
	if (what & EV_WRITE)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (!error) {
		address_connected(a);
		return;
	}
	a->timed_out = error == ETIMEDOUT;
	note_error(a, error);
	a->fd = fd_close(a->fd);
	a->at = a->at->ai_next;
	try_next_address(a);
}

/* Return: true when it has begun to connect */
static bool try_this_address(struct tcp_attempt *a)
{
	const struct timeval limit = { .tv_sec = CONNECT_S };

	if (!a->tls && !tcp_is_loopback(a->at->ai_addr)) {
		note_address(a, "it is not a loopback address, so it needs \"tls\"");
		return false;
	}
	a->fd = tcp_connect_to(a->at);
	if (a->fd < 0) {
		note_error(a, -a->fd);
		return false;
	}
	a->ev = event_new(loop_base(a->ch->loop), a->fd, EV_WRITE, on_address_answer, a);
	if (a->ev && !event_add(a->ev, &limit))
		return true;
	note_address(a, strerror(ENOMEM));
	a->fd = fd_close(a->fd);
	return false;
}

/* The present address, and the next ones until one begins to connect */
static void try_next_address(struct tcp_attempt *a)
{
	while (a->at && !try_this_address(a))
		a->at = a->at->ai_next;
	if (!a->at)
		fail_attempt(a);
}

void tcp_attempt_start(struct tcp_attempt *a, struct tcp_addresses *addresses)
{
	a->addresses = addresses;
	addresses->n_refs++;
	a->at = addresses->list;
	a->timed_out = false;
	try_next_address(a);
}

void tcp_attempt_link_opened(struct tcp_attempt *a, int fd)
{
	a->link = NULL; /* it lives on by itself, until the stream has closed */
	connect_attempt(a, fd);
}

void tcp_attempt_link_failed(struct tcp_attempt *a, const char *why)
{
	a->link = NULL;
	note_address(a, why);
	fail_attempt(a);
}
