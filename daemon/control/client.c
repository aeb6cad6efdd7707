// SPDX-License-Identifier: BSD-3-Clause
/*
 * client.c - a connection of the control socket
 *
 * Lines come in and lines go out. Clients take turns: in one turn of the loop, each client gets one
 * request carried out or one piece of a long answer made, and only once it has taken everything that it
 * was sent before. So no client holds up the others, and the memory of each is bounded: its input by the
 * length of a line, its output by one piece and by the events that subscribers.c lets wait. A client that
 * does not take its answer for some time is dropped, and so is one that asks nothing for some time; only a
 * whole line counts as a question. A client that wants events may be silent and slow.
 */
#include "control/client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/call.h"
#include "control/subscribers.h"
#include "util/log.h"

#define MAX_LINE_BYTES  65536
#define WRITE_TIMEOUT_S 10

/**
 * struct control_client - a connection
 * @all: all connections
 * @peer: the process and user at the other end
 * @place: what it may do, and its place among all
 * @bev: the connection
 * @idle_ev: timer: it has asked nothing for too long
 * @turn: its next turn
 * @work: the line that is being answered
 * @waits: its request can go on once another client's answer has been taken
 * @subscriber: the events that it wants
 * @closing: nothing more is read; the connection ends when the output has been taken
 */
struct control_client {
	struct control_clients *all;
	struct control_peer peer;
	struct control_place place;
	struct bufferevent *bev;
	struct event *idle_ev;
	struct loop_task turn;
	struct control_work work;
	bool waits;
	struct control_subscriber subscriber;
	bool closing;
};

static struct control_client *client_of(struct control_place *place)
{
	return (struct control_client *)((char *)place - offsetof(struct control_client, place));
}

/* From now on the client must take each piece of an answer within WRITE_TIMEOUT_S. */
static void limit_writing(struct control_client *c)
{
	const struct timeval limit = { .tv_sec = WRITE_TIMEOUT_S };

	bufferevent_set_timeouts(c->bev, NULL, &limit);
}

static bool has_output(const struct control_client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Whether the input has a line, or the beginning of one that is too long */
static bool has_line(const struct control_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t bytes = evbuffer_get_length(in);

	return bytes && (c->closing || bytes > MAX_LINE_BYTES ||
			 evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF).pos >= 0);
}

/* An answer has been taken: requests that had to wait for that may go on. */
static void end_work(struct control_client *c)
{
	struct control_place *place;

	control_work_end(&c->work);
	c->waits = false;
	TAILQ_FOREACH(place, &c->all->places, entry)
	{
		struct control_client *other = client_of(place);

		if (other->waits)
			loop_schedule(c->all->loop, &other->turn);
		other->waits = false;
	}
}

static void client_free(struct control_client *c)
{
	control_subscriber_off(&c->subscriber);
	TAILQ_REMOVE(&c->all->places, &c->place, entry);
	end_work(c);
	loop_cancel(c->all->loop, &c->turn);
	event_free(c->idle_ev);
	evbuffer_free(c->subscriber.queue);
	bufferevent_free(c->bev);
	control_peer_deinit(&c->peer);
	free(c);
}

/* Consumes @line; NULL: nothing is sent */
static void answer(struct control_client *c, char *line)
{
	if (line)
		bufferevent_write(c->bev, line, strlen(line));
	free(line);
}

/* The next line of the input, to be freed, or NULL. At the end of the input, the rest counts as a line. */
static char *take_input_line(struct control_client *c, size_t *bytes)
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

/* The client has nothing to wait for: from now on its silence is limited. */
static void begin_idle(struct control_client *c)
{
	struct timeval limit = { .tv_sec = c->all->idle_seconds };

	if (limit.tv_sec && !c->subscriber.on && !c->closing && !c->work.line)
		event_add(c->idle_ev, &limit);
	else
		event_del(c->idle_ev);
}

/* Decides what comes next: output to be taken, a turn, or more input; frees a client that is done */
static void go_on(struct control_client *c)
{
	bool work = c->work.line || has_line(c);

	if (has_output(c) || work)
		bufferevent_disable(c->bev, EV_READ);
	else if (!c->closing)
		bufferevent_enable(c->bev, EV_READ);
	if (has_output(c))
		return; /* on_written() calls this again */
	if (work && !c->waits)
		loop_schedule(c->all->loop, &c->turn);
	else if (!work && c->closing)
		client_free(c);
}

/* The next line becomes the client's work, unless it is empty. */
static void begin_work(struct control_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t bytes;
	char *line = take_input_line(c, &bytes);

	if (!line) { /* too long, or out of memory */
		c->closing = true;
		evbuffer_drain(in, evbuffer_get_length(in));
		answer(c, control_error_line(CONTROL_INVALID_REQUEST,
					     "a line has at most 65536 bytes"));
		return;
	}
	if (strspn(line, " \t\r") == bytes) {
		free(line);
		return;
	}
	control_work_begin(&c->work, line, bytes);
	TAILQ_REMOVE(&c->all->places, &c->place, entry);
	TAILQ_INSERT_TAIL(&c->all->places, &c->place, entry);
	event_del(c->idle_ev);
	limit_writing(c);
	control_subscriber_hold(&c->subscriber);
}
_Static_assert(MAX_LINE_BYTES == 65536, "the sentence above says so");

/* Carries out one request, or makes one piece of an answer; Return: false: the client is to be freed */
static bool work(struct control_client *c)
{
	const struct control_caller caller = {
		.server = c->all->server,
		.methods = c->all->methods,
		.right = c->place.right,
		.uid = c->peer.uid,
		.subscriber = &c->subscriber,
	};

	switch (control_work_step(&c->work, &caller, bufferevent_get_output(c->bev))) {
	case CONTROL_WORK_MORE:
		return true;
	case CONTROL_WORK_LATER:
		c->waits = true;
		return true;
	case CONTROL_WORK_FAILED:
		return false;
	case CONTROL_WORK_DONE:
		break;
	}
	end_work(c);
	if (c->subscriber.on)
		bufferevent_set_timeouts(c->bev, NULL, NULL);
	control_subscriber_release(&c->subscriber);
	begin_idle(c);
	return true;
}

static void on_turn(void *arg)
{
	struct control_client *c = arg;

	if (!has_output(c) && !c->work.line && has_line(c))
		begin_work(c);
	if (!has_output(c) && c->work.line && !work(c))
		client_free(c);
	else
		go_on(c);
}

static void on_client_read(struct bufferevent *bev, void *arg)
{
	go_on(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct control_client *c = arg;

	control_subscriber_written(&c->subscriber);
	go_on(c);
}

/* The input has ended, or the connection has failed. */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct control_client *c = arg;

	if (what & BEV_EVENT_EOF && what & BEV_EVENT_READING) {
		c->closing = true;
		control_subscriber_off(&c->subscriber);
		limit_writing(c); /* there was no limit while the client wanted events */
		go_on(c);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		log_warning("control: a client has not read its answer for %d s and is dropped",
			    WRITE_TIMEOUT_S);
	client_free(c);
}

/* Tells the client why, and ends it; requests that have come meanwhile are not answered */
static void dismiss(struct control_client *c, enum control_error code, const char *sentence)
{
	control_subscriber_off(&c->subscriber);
	limit_writing(c);
	c->closing = true;
	evbuffer_drain(bufferevent_get_input(c->bev), MAX_LINE_BYTES + 1);
	answer(c, control_error_line(code, sentence));
	go_on(c);
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *c = arg;
	char sentence[64];

	if (has_output(c)) {
		begin_idle(c); /* the client has an answer to take, which has a limit of its own */
		return;
	}
	log_debug("control: pid %d has sent no request for %" PRIu32 " s", (int)c->peer.pid,
		  c->all->idle_seconds);
	snprintf(sentence, sizeof(sentence), "no request came for %" PRIu32 " s",
		 c->all->idle_seconds);
	dismiss(c, CONTROL_IDLE, sentence);
}

/* Sends an error if that can be done at once; @fd stays open */
static void tell_at_once(int fd, enum control_error code, const char *sentence)
{
	char *line = control_error_line(code, sentence);

	if (line)
		send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
	free(line);
}

static void give_up_place(struct control_client *c)
{
	log_debug("control: pid %d, uid %u is dropped to make room for another client",
		  (int)c->peer.pid, c->peer.uid);
	/* In the middle of an answer, the sentence would be taken for a part of it. */
	if (!c->work.line && !has_output(c))
		tell_at_once(bufferevent_getfd(c->bev), CONTROL_IDLE,
			     "another client needed a place, and this one had been idle for the "
			     "longest time");
	client_free(c);
}

/* Return: false: there is no room, and the client was told */
static bool make_room_for_client(struct control_clients *all, struct control_client *c, int fd)
{
	struct control_place *place;
	char why[128];

	for (;;) {
		TAILQ_FOREACH(place, &all->places, entry)
		{
			struct control_client *other = client_of(place);

			place->busy = other->work.line || other->subscriber.on || has_output(other);
		}
		if (!control_place_find(&all->places, &c->place, &place, why, sizeof(why))) {
			tell_at_once(fd, CONTROL_BUSY, why);
			return false;
		}
		if (!place)
			return true;
		give_up_place(client_of(place));
	}
}

/* NULL: out of memory, or no room for the client; then @fd stays open */
static struct control_client *client_new(struct control_clients *all, int fd)
{
	struct control_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->all = all;
	c->turn = (struct loop_task){ .fn = on_turn, .arg = c };
	if (control_peer_init(&c->peer, fd))
		goto fail;
	c->place.uid = c->peer.uid;
	c->place.right = control_rights_of(&all->rights, &c->peer);
	if (!make_room_for_client(all, c, fd))
		goto fail;
	c->idle_ev = evtimer_new(loop_base(all->loop), on_idle, c);
	c->subscriber.queue = evbuffer_new();
	if (!c->idle_ev || !c->subscriber.queue)
		goto fail;
	c->bev = bufferevent_socket_new(loop_base(all->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		goto fail;
	c->subscriber.bev = c->bev;
	return c;
fail:
	if (c->idle_ev)
		event_free(c->idle_ev);
	if (c->subscriber.queue)
		evbuffer_free(c->subscriber.queue);
	control_peer_deinit(&c->peer);
	free(c);
	return NULL;
}

void control_clients_take(struct control_clients *all, int fd)
{
	struct control_client *c = client_new(all, fd);

	if (!c) {
		close(fd);
		return;
	}
	log_debug("control: client with pid %d, uid %u, gid %u", (int)c->peer.pid, c->peer.uid,
		  c->peer.groups[0]);
	TAILQ_INSERT_TAIL(&all->places, &c->place, entry);
	bufferevent_setcb(c->bev, on_client_read, on_written, on_end, c);
	/* One byte more than a line may have, so that a longer line is noticed */
	bufferevent_setwatermark(c->bev, EV_READ, 0, MAX_LINE_BYTES + 1);
	limit_writing(c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	begin_idle(c);
}

static void take_config(struct control_clients *all)
{
	const struct config *cfg = server_config(all->server);

	control_rights_init(&all->rights, cfg);
	all->idle_seconds = cfg->control_idle_seconds;
}

void control_clients_init(struct control_clients *all, struct loop *loop, struct server *server,
			  const struct control_method *methods)
{
	all->loop = loop;
	all->server = server;
	all->methods = methods;
	TAILQ_INIT(&all->places);
	take_config(all);
}

void control_clients_deinit(struct control_clients *all)
{
	while (!TAILQ_EMPTY(&all->places))
		client_free(client_of(TAILQ_FIRST(&all->places)));
	control_rights_deinit(&all->rights);
}

/* A reload has taken all rights of the client. */
static void lose_rights(struct control_client *c)
{
	if (c->work.rest) {
		client_free(c); /* in the middle of an answer, the reason cannot be sent */
	} else if (c->subscriber.on && c->work.line) { /* its request may be this very reload */
		control_subscriber_off(&c->subscriber);
		evbuffer_drain(bufferevent_get_input(c->bev), MAX_LINE_BYTES + 1);
		c->closing = true;
	} else if (c->subscriber.on) {
		dismiss(c, CONTROL_DENIED,
			"the configuration has changed and gives this client no rights");
	} else {
		begin_idle(c);
	}
}

void control_clients_reload(struct control_clients *all)
{
	struct control_place *place, *next;

	control_rights_deinit(&all->rights);
	take_config(all);
	for (place = TAILQ_FIRST(&all->places); place; place = next) {
		struct control_client *c = client_of(place);

		next = TAILQ_NEXT(place, entry);
		place->right = control_rights_of(&all->rights, &c->peer);
		if (place->right == CONTROL_NOBODY)
			lose_rights(c);
		else
			begin_idle(c);
	}
}
