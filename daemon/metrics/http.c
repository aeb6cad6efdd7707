// SPDX-License-Identifier: BSD-3-Clause
/*
 * http.c - metrics over HTTP
 *
 * evhttp(3) speaks the protocol, but accepts any number of connections and lets each take any time. So
 * there are MAX_CLIENTS places here. While none is free, no connection is accepted, and new clients wait in
 * the kernel's queue. A connection that has not made a whole request, or has not taken its answer, within
 * REQUEST_S is ended.
 *
 * evhttp does not say when it has ended a connection before its first request. But it then releases the
 * bufferevent, to which a place holds a reference too, and removes its callbacks; so a place whose
 * bufferevent has no callbacks is free. This is checked when a client connects and when the time is up.
 */
#include "metrics/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "loop/listener.h"
#include "metrics/metrics.h"
#include "util/address.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/sandbox.h"
#include "util/socket_file.h"

#define MAX_CLIENTS   8
#define REQUEST_S     10
#define HEADERS_BYTES 8192
#define BODY_BYTES    4096 /* a request's body is read and ignored */
#define INPUT_BYTES   16384
#define UNIX_PREFIX   "unix:"

/**
 * struct place - room for a connection
 * @http: the server
 * @bev: the connection; we hold a reference; NULL: the place is free
 * @deadline: timer: the connection is to be ended
 */
struct place {
	struct metrics_http *http;
	struct bufferevent *bev;
	struct event *deadline;
};

/**
 * struct metrics_http - see http.h
 * @entry: in the list of all; there are two while a new one replaces the old one
 * @loop: main loop; borrowed
 * @server: borrowed
 * @file: of a unix socket; none for an address
 * @http: the HTTP server
 * @bound: evhttp's handle of @listener
 * @listener: the listening socket; owned by @http
 * @rest: the time in which it accepts nothing, after descriptors have run out
 * @place: room for connections
 */
struct metrics_http {
	LIST_ENTRY(metrics_http) entry;
	struct loop *loop;
	struct server *server;
	struct socket_file file;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct evconnlistener *listener;
	struct accept_rest rest;
	struct place place[MAX_CLIENTS];
};

static LIST_HEAD(, metrics_http) servers = LIST_HEAD_INITIALIZER(servers);

static void release_place(struct place *p)
{
	event_del(p->deadline);
	bufferevent_decref(p->bev);
	p->bev = NULL;
	if (!accept_rest_is_on(&p->http->rest))
		evconnlistener_enable(p->http->listener);
}

/* Whether evhttp has let go of the connection */
static bool has_ended(const struct place *p)
{
	bufferevent_event_cb on_event = NULL;

	bufferevent_getcb(p->bev, NULL, NULL, &on_event, NULL);
	return !on_event;
}

static unsigned int count_free(const struct metrics_http *http)
{
	unsigned int n = 0;

	for (int i = 0; i < MAX_CLIENTS; i++)
		n += !http->place[i].bev;
	return n;
}

/* Shuts the socket down, and evhttp ends the connection as if the client had gone. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct place *p = arg;

	if (!has_ended(p)) {
		log_info("metrics: a client has not sent a request or read the answer for %d s and "
			 "is dropped",
			 REQUEST_S);
		shutdown(bufferevent_getfd(p->bev), SHUT_RDWR);
	}
	release_place(p);
}

static void give_time(struct place *p)
{
	struct timeval limit = { .tv_sec = REQUEST_S };

	event_add(p->deadline, &limit);
}

/* A bufferevent for a new connection; NULL, when there is no memory, makes evhttp create one itself */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct metrics_http *http = arg;
	struct place *mine = NULL;

	accept_rest_over(&http->rest);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct place *p = &http->place[i];

		if (p->bev && has_ended(p))
			release_place(p);
		if (!p->bev)
			mine = p;
	}
	if (count_free(http) <= 1)
		evconnlistener_disable(http->listener);
	if (!bev || !mine)
		return bev;
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_BYTES);
	bufferevent_incref(bev);
	mine->bev = bev;
	give_time(mine);
	return bev;
}

/* Most likely descriptors have run out: the event would come again at once; @arg is evhttp's own */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct metrics_http *http;
	int error = errno;

	evconnlistener_disable(listener);
	LIST_FOREACH(http, &servers, entry)
	{
		if (http->listener == listener)
			accept_rest_begin(&http->rest, error);
	}
}

static void accept_again(void *arg)
{
	struct metrics_http *http = arg;

	evconnlistener_enable(http->listener);
}

/* A connection that has made a request ends; its time may have been up before */
static void on_close(struct evhttp_connection *connection, void *arg)
{
	struct place *p = arg;

	if (p->bev == evhttp_connection_get_bufferevent(connection))
		release_place(p);
}

/* A request has come: its connection may take REQUEST_S again */
static void restart_time(struct metrics_http *http, struct evhttp_connection *connection)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);

	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct place *p = &http->place[i];

		if (p->bev != bev)
			continue;
		give_time(p);
		evhttp_connection_set_closecb(connection, on_close, p);
	}
}

static void refuse_request(struct evhttp_request *request, int code, const char *reason)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(headers, "Content-Type", "text/plain; charset=utf-8");
	if (body)
		evbuffer_add_printf(body, "%s\n", reason);
	evhttp_send_reply(request, code, reason, body);
	if (body)
		evbuffer_free(body);
}

static void send_metrics(struct metrics_http *http, struct evhttp_request *request)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request);
	struct evkeyvalq *out = evhttp_request_get_output_headers(request);
	enum metrics_format format = metrics_choose(evhttp_find_header(in, "Accept"));
	struct evbuffer *body = evbuffer_new();
	char length[24];

	if (!body || metrics_write(http->server, format, body)) {
		refuse_request(request, HTTP_SERVUNAVAIL, "out of memory");
	} else {
		snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
		evhttp_add_header(out, "Content-Type", metrics_content_type(format));
		evhttp_add_header(out, "Content-Length", length);
		evhttp_add_header(out, "Vary", "Accept");
		if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
			evbuffer_drain(body, evbuffer_get_length(body));
		evhttp_send_reply(request, HTTP_OK, "OK", body);
	}
	if (body)
		evbuffer_free(body);
}

static void on_request(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);

	restart_time(arg, evhttp_request_get_connection(request));
	if (!path || strcmp(path, "/metrics") != 0) {
		refuse_request(request, HTTP_NOTFOUND, "Only /metrics is served here");
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		refuse_request(request, HTTP_BADMETHOD, "Only GET and HEAD are allowed");
	} else {
		send_metrics(arg, request);
	}
}

static int listen_tcp(const char *text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct address address;
	_cleanup_fd_ int fd = -1;
	bool is_v6;
	int on = 1;

	if (address_parse(&address, text) || !address_is_loopback(&address))
		return -EINVAL;
	is_v6 = inet_pton(AF_INET6, address.host, &v6.sin6_addr) == 1;
	/* The only name that address_is_loopback() accepts is localhost, which is 127.0.0.1 */
	if (!is_v6 && inet_pton(AF_INET, address.host, &v4.sin_addr) != 1)
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6.sin6_port = v4.sin_port = htons(address.port);
	fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
		 is_v6 ? sizeof(v6) : sizeof(v4)) ||
	    listen(fd, MAX_CLIENTS))
		return -errno;
	on = fd;
	fd = -1;
	return on;
}

/* Accepts at @fd, and no longer at the socket before it; consumes @fd; Return: 0 or -ENOMEM */
static int accept_at(struct metrics_http *http, int fd)
{
	const unsigned int flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
	struct evconnlistener *listener =
		evconnlistener_new(loop_base(http->loop), NULL, NULL, flags, 0, fd);
	struct evhttp_bound_socket *bound;

	if (!listener) {
		close(fd);
		return -ENOMEM;
	}
	bound = evhttp_bind_listener(http->http, listener);
	if (!bound) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	if (http->bound)
		evhttp_del_accept_socket(http->http, http->bound);
	http->bound = bound;
	http->listener = listener;
	if (!count_free(http))
		evconnlistener_disable(listener);
	evconnlistener_set_error_cb(listener, on_accept_error);
	return 0;
}

static const char *way_out(const struct config *cfg, int error)
{
	bool is_unix = !strncmp(cfg->metrics_listen, UNIX_PREFIX, strlen(UNIX_PREFIX));

	return is_unix ? socket_file_way_out(error, cfg->metrics_listen + strlen(UNIX_PREFIX)) :
			 sandbox_network_hint(error);
}

static int listen_for_http(struct metrics_http *http, const struct config *cfg)
{
	const char *text = cfg->metrics_listen;
	int fd;

	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		fd = socket_file_listen(&http->file, text + strlen(UNIX_PREFIX), cfg->control_mode,
					cfg->control_group, FD_UNIX_STREAM);
	else
		fd = listen_tcp(text);
	return fd < 0 ? fd : accept_at(http, fd);
}

static int set_up_http(struct metrics_http *http, const struct config *cfg)
{
	struct event_base *base = loop_base(http->loop);

	http->http = evhttp_new(base);
	if (!http->http ||
	    accept_rest_init(&http->rest, http->loop, NULL, "metrics", accept_again, http))
		return -ENOMEM;
	for (int i = 0; i < MAX_CLIENTS; i++) {
		http->place[i].http = http;
		http->place[i].deadline = evtimer_new(base, on_deadline, &http->place[i]);
		if (!http->place[i].deadline)
			return -ENOMEM;
	}
	evhttp_set_max_headers_size(http->http, HEADERS_BYTES);
	evhttp_set_max_body_size(http->http, BODY_BYTES);
	evhttp_set_allowed_methods(http->http, UINT16_MAX); /* on_request() says what is wrong */
	evhttp_set_bevcb(http->http, on_connection, http);
	evhttp_set_gencb(http->http, on_request, http);
	return listen_for_http(http, cfg);
}

int metrics_http_new(struct metrics_http **out, struct loop *loop, struct server *server)
{
	const struct config *cfg = server_config(server);
	struct metrics_http *http;
	int r;

	*out = NULL;
	if (!cfg->metrics_listen)
		return 0;
	http = calloc(1, sizeof(*http));
	if (!http)
		return -ENOMEM;
	LIST_INSERT_HEAD(&servers, http, entry);
	http->loop = loop;
	http->server = server;
	r = set_up_http(http, cfg);
	if (r) {
		log_err("metrics: %s: %s%s", cfg->metrics_listen, strerror(-r), way_out(cfg, -r));
		metrics_http_free(http);
		return r;
	}
	log_info("metrics: served at %s", cfg->metrics_listen);
	*out = http;
	return 0;
}

void metrics_http_reloaded(struct metrics_http *http)
{
	int r;

	if (!http || !socket_file_is_lost(&http->file))
		return;
	r = listen_for_http(http, server_config(http->server));
	if (r)
		log_err("metrics: %s has been removed or replaced, and cannot be made again: %s%s",
			http->file.path, strerror(-r), socket_file_way_out(-r, http->file.path));
	else
		log_notice("metrics: %s had been removed or replaced; listening there again",
			   http->file.path);
}

struct metrics_http *metrics_http_free(struct metrics_http *http)
{
	if (!http)
		return NULL;
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (http->place[i].bev)
			release_place(&http->place[i]);
	if (http->http)
		evhttp_free(http->http);
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (http->place[i].deadline)
			event_free(http->place[i].deadline);
	accept_rest_deinit(&http->rest);
	socket_file_release(&http->file);
	LIST_REMOVE(http, entry);
	free(http);
	return NULL;
}
