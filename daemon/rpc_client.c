// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc_client.c - a connection of the control socket
 *
 * Lines come in and lines go out. A client's memory is bounded: its input by the length of a line,
 * its output by one reply and what rpc_events.c lets wait, since the next line is looked at only
 * after all before it was taken. A client that does not take a reply for some time is dropped, and so
 * is one that asks nothing for some time: what counts is a whole line, not a byte. Who wants events
 * may be silent and slow.
 */
#include "rpc_client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc_call.h"
#include "rpc_events.h"
#include "util/log.h"

#define MAX_LINE_BYTES  65536
#define WRITE_TIMEOUT_S 10

/**
 * struct rpc_client - a connection
 * @all: all of them
 * @peer: who it is
 * @right: what he may
 * @bev: the connection
 * @idle_ev: nothing was asked for too long
 * @subscriber: what he wants to be told
 * @closing: nothing more is read; it is over when the output is
 * @entry: in the list of all
 */
struct rpc_client {
	struct rpc_clients *all;
	struct rpc_peer peer;
	enum rpc_right right;
	struct bufferevent *bev;
	struct event *idle_ev;
	struct rpc_subscriber subscriber;
	bool closing;
	LIST_ENTRY(rpc_client) entry;
};

/**
 * limit_writing() - from now on it has to take its answers, each in some time
 * @c: client
 */
static void limit_writing(struct rpc_client *c)
{
	const struct timeval limit = { .tv_sec = WRITE_TIMEOUT_S };

	bufferevent_set_timeouts(c->bev, NULL, &limit);
}

/**
 * client_free() - end a connection
 * @c: client
 */
static void client_free(struct rpc_client *c)
{
	rpc_subscriber_off(&c->subscriber);
	LIST_REMOVE(c, entry);
	c->all->n--;
	event_free(c->idle_ev);
	bufferevent_free(c->bev);
	rpc_peer_deinit(&c->peer);
	free(c);
}

/**
 * answer() - send a line
 * @c: client
 * @line: consumed; NULL: nothing is to be sent
 */
static void answer(struct rpc_client *c, char *line)
{
	if (line)
		bufferevent_write(c->bev, line, strlen(line));
	free(line);
}

/**
 * take_line() - the next line of the input
 * @c: client
 * @bytes: out: its length
 *
 * At the end of the input what is left counts as a line too.
 *
 * Return: it, to be freed, or NULL.
 */
static char *take_line(struct rpc_client *c, size_t *bytes)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	char *line = evbuffer_readln(in, bytes, EVBUFFER_EOL_LF);

	if (line || !c->closing || !evbuffer_get_length(in))
		return line;
	*bytes = evbuffer_get_length(in);
	line = malloc(*bytes + 1);
	if (line) {
		evbuffer_remove(in, line, *bytes);
		line[*bytes] = 0;
	}
	return line;
}

/**
 * begin_idle() - from now on nothing is asked
 * @c: client
 */
static void begin_idle(struct rpc_client *c)
{
	struct timeval limit = { .tv_sec = c->all->idle_seconds };

	if (limit.tv_sec && !c->subscriber.on && !c->closing)
		event_add(c->idle_ev, &limit);
	else
		event_del(c->idle_ev);
}

/**
 * call() - carry out a line
 * @c: client
 * @line: the line
 * @bytes: its length
 */
static void call(struct rpc_client *c, const char *line, size_t bytes)
{
	const struct rpc_caller caller = {
		.server = c->all->server,
		.right = c->right,
		.uid = c->peer.uid,
		.subscriber = &c->subscriber,
	};

	answer(c, rpc_answer(&caller, line, bytes));
	if (c->subscriber.on)
		bufferevent_set_timeouts(c->bev, NULL, NULL);
	begin_idle(c);
}

/**
 * serve() - answer lines, as long as the output is empty
 * @c: client; may be freed
 */
static void serve(struct rpc_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t bytes;
	char *line;

	while (!evbuffer_get_length(out) && (line = take_line(c, &bytes))) {
		if (strspn(line, " \t\r") != bytes)
			call(c, line, bytes);
		free(line);
	}
	if (!evbuffer_get_length(out) && !c->closing && evbuffer_get_length(in) > MAX_LINE_BYTES) {
		c->closing = true;
		evbuffer_drain(in, evbuffer_get_length(in));
		answer(c, rpc_error_line(RPC_INVALID_REQUEST, "a line has at most 65536 bytes"));
	}
	if (c->closing && !evbuffer_get_length(out)) {
		client_free(c);
		return;
	}
	if (c->closing || evbuffer_get_length(out))
		bufferevent_disable(c->bev, EV_READ);
	else
		bufferevent_enable(c->bev, EV_READ);
}
_Static_assert(MAX_LINE_BYTES == 65536, "the sentence above says so");

/**
 * on_read() - input has come
 * @bev: not used
 * @arg: client
 */
static void on_read(struct bufferevent *bev, void *arg)
{
	serve(arg);
}

/**
 * on_written() - the output has gone
 * @bev: not used
 * @arg: client
 */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct rpc_client *c = arg;

	rpc_subscriber_written(&c->subscriber);
	serve(c);
}

/**
 * on_end() - the input is at its end, or something is wrong
 * @bev: not used
 * @what: which
 * @arg: client
 */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct rpc_client *c = arg;

	if (what & BEV_EVENT_EOF && what & BEV_EVENT_READING) {
		c->closing = true;
		rpc_subscriber_off(&c->subscriber);
		limit_writing(c); /* who wanted events had none */
		serve(c);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		log_warning("control: a client has not taken its answer for %d s, and is dropped",
			    WRITE_TIMEOUT_S);
	client_free(c);
}

/**
 * on_idle() - nothing was asked for too long
 * @fd: not used
 * @what: not used
 * @arg: client
 */
static void on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct rpc_client *c = arg;
	char sentence[64];

	if (evbuffer_get_length(bufferevent_get_output(c->bev))) {
		begin_idle(c); /* it has an answer to take; that has a limit of its own */
		return;
	}
	log_debug("control: pid %d has asked nothing for %" PRIu32 " s", (int)c->peer.pid,
		  c->all->idle_seconds);
	snprintf(sentence, sizeof(sentence), "nothing was asked for %" PRIu32 " s",
		 c->all->idle_seconds);
	c->closing = true;
	evbuffer_drain(bufferevent_get_input(c->bev), MAX_LINE_BYTES + 1);
	answer(c, rpc_error_line(RPC_IDLE, sentence));
	serve(c);
}

/**
 * turn_away() - one client too many
 * @fd: its connection; consumed
 */
static void turn_away(int fd)
{
	char *line = rpc_error_line(RPC_BUSY, "there are 64 clients already");

	if (line)
		send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
	free(line);
	close(fd);
}
_Static_assert(RPC_MAX_CLIENTS == 64, "the sentence above says so");

/**
 * client_new() - a connection's memory and events
 * @all: all of them
 * @fd: connection; owned by the client when there is one
 *
 * Return: the client, or NULL.
 */
static struct rpc_client *client_new(struct rpc_clients *all, int fd)
{
	struct rpc_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->all = all;
	if (rpc_peer_init(&c->peer, fd))
		goto fail;
	c->idle_ev = evtimer_new(loop_base(all->loop), on_idle, c);
	if (!c->idle_ev)
		goto fail;
	c->bev = bufferevent_socket_new(loop_base(all->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		goto fail;
	c->subscriber.bev = c->bev;
	c->right = rpc_rights_of(&all->rights, &c->peer);
	return c;
fail:
	if (c->idle_ev)
		event_free(c->idle_ev);
	rpc_peer_deinit(&c->peer);
	free(c);
	return NULL;
}

void rpc_clients_take(struct rpc_clients *all, int fd)
{
	struct rpc_client *c;

	if (all->n == RPC_MAX_CLIENTS) {
		turn_away(fd);
		return;
	}
	c = client_new(all, fd);
	if (!c) {
		close(fd);
		return;
	}
	log_debug("control: client with pid %d, uid %u, gid %u", (int)c->peer.pid, c->peer.uid,
		  c->peer.groups[0]);
	LIST_INSERT_HEAD(&all->list, c, entry);
	all->n++;
	bufferevent_setcb(c->bev, on_read, on_written, on_end, c);
	/* One byte more than a line may have, so that a longer one is seen */
	bufferevent_setwatermark(c->bev, EV_READ, 0, MAX_LINE_BYTES + 1);
	limit_writing(c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	begin_idle(c);
}

/**
 * take_config() - who may what, and for how long he may say nothing
 * @all: clients
 */
static void take_config(struct rpc_clients *all)
{
	const struct config *cfg = server_config(all->server);

	rpc_rights_init(&all->rights, cfg);
	all->idle_seconds = cfg->control_idle_seconds;
}

void rpc_clients_init(struct rpc_clients *all, struct loop *loop, struct server *server)
{
	all->loop = loop;
	all->server = server;
	LIST_INIT(&all->list);
	take_config(all);
}

void rpc_clients_deinit(struct rpc_clients *all)
{
	while (!LIST_EMPTY(&all->list))
		client_free(LIST_FIRST(&all->list));
	rpc_rights_deinit(&all->rights);
}

/**
 * end_subscription() - the client must not be told any more; it learns that, and goes
 * @c: client
 */
static void end_subscription(struct rpc_client *c)
{
	rpc_subscriber_off(&c->subscriber);
	limit_writing(c);
	c->closing = true;
	evbuffer_drain(bufferevent_get_input(c->bev), MAX_LINE_BYTES + 1);
	answer(c, rpc_error_line(RPC_DENIED, "the configuration has changed: no rights any more"));
}

void rpc_clients_reload(struct rpc_clients *all)
{
	struct rpc_client *c;

	rpc_rights_deinit(&all->rights);
	take_config(all);
	LIST_FOREACH(c, &all->list, entry)
	{
		c->right = rpc_rights_of(&all->rights, &c->peer);
		if (c->right == RPC_NOBODY && c->subscriber.on)
			end_subscription(c);
		begin_idle(c);
	}
}
