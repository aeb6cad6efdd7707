// SPDX-License-Identifier: BSD-3-Clause
/*
 * http.c - metrics over HTTP
 *
 * evhttp(3) speaks the protocol; here is what it does not do: it accepts any number of connections and lets each
 * take any time. So there are MAX_CLIENTS places. When none is free, nobody is accepted, and who connects waits
 * in the kernel's queue. A connection that has not made a whole request, or has not taken its answer, within
 * REQUEST_S is ended.
 *
 * evhttp does not say when it has ended a connection before its first request. It does then let go of the
 * bufferevent, of which a place holds a reference too, and takes its callbacks away; so a place whose
 * bufferevent has none is free. That is looked at when somebody connects and when the place's time is up.
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
#include "util/socket_file.h"

#define MAX_CLIENTS   8
#define REQUEST_S     10
#define HEADERS_BYTES 8192
#define BODY_BYTES    4096 /* nobody wants it; it is only to get past it */
#define INPUT_BYTES   16384
#define UNIX_PREFIX   "unix:"

/**
 * struct place - room for a connection
 * @http: the server
 * @bev: the connection, with a reference of ours; NULL: the place is free
 * @deadline: when it is to be ended
 */
struct place {
	struct metrics_http *http;
	struct bufferevent *bev;
	struct event *deadline;
};

/**
 * struct metrics_http - see metrics_http.h
 * @entry: in the list of all; there are two while one takes over from the other
 * @loop: main loop; borrowed
 * @server: borrowed
 * @file: of a unix socket; none when it is an address
 * @http: the HTTP server
 * @bound: evhttp's name for what follows
 * @listener: its listening socket; owned by @http
 * @rest: while descriptors have run out
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

static LIST_HEAD(, metrics_http) all = LIST_HEAD_INITIALIZER(all);

/**
 * release() - a connection has ended
 * @p: its place
 */
static void release(struct place *p)
{
	event_del(p->deadline);
	bufferevent_decref(p->bev);
	p->bev = NULL;
	if (!accept_rest_is_on(&p->http->rest))
		evconnlistener_enable(p->http->listener);
}

/**
 * has_ended() - whether evhttp has let go of a connection
 * @p: its place
 *
 * Return: true when it has.
 */
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

/**
 * on_deadline() - a connection's time is up
 * @fd: not used
 * @what: not used
 * @arg: its place
 *
 * Its socket is shut down, and evhttp ends it as if the client had gone.
 */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct place *p = arg;

	if (!has_ended(p)) {
		log_info(
			"metrics: a client has not made a request, or not taken the answer, for %d s, and is dropped",
			REQUEST_S);
		shutdown(bufferevent_getfd(p->bev), SHUT_RDWR);
	}
	release(p);
}

/**
 * give_time() - a connection may take REQUEST_S from now on
 * @p: its place
 */
static void give_time(struct place *p)
{
	struct timeval limit = { .tv_sec = REQUEST_S };

	event_add(p->deadline, &limit);
}

/**
 * on_connection() - evhttp wants a bufferevent for a connection that it has accepted
 * @base: the loop's
 * @arg: server
 *
 * Return: a new one; NULL (with which evhttp makes one itself) when there is no memory.
 */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct metrics_http *http = arg;
	struct place *mine = NULL;

	accept_backoff_over(&http->rest.backoff);
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct place *p = &http->place[i];

		if (p->bev && has_ended(p))
			release(p);
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

/**
 * on_accept_error() - accept(2) has failed
 * @listener: the listening socket
 * @arg: evhttp's, not ours: it is the argument of its own callback
 *
 * Most likely descriptors have run out. The event would come again at once, for ever.
 */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct metrics_http *http;
	int error = errno;

	evconnlistener_disable(listener);
	LIST_FOREACH(http, &all, entry)
	{
		if (http->listener == listener)
			accept_rest_begin(&http->rest, error);
	}
}

static void look_again(void *arg)
{
	struct metrics_http *http = arg;

	evconnlistener_enable(http->listener);
}

/**
 * on_close() - a connection on which requests were made ends
 * @connection: the connection
 * @arg: its place, unless its time was up before
 */
static void on_close(struct evhttp_connection *connection, void *arg)
{
	struct place *p = arg;

	if (p->bev == evhttp_connection_get_bufferevent(connection))
		release(p);
}

/**
 * watch() - a request has come: begin its connection's time anew
 * @http: server
 * @connection: the connection
 */
static void watch(struct metrics_http *http, struct evhttp_connection *connection)
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

/**
 * refuse() - answer with an error
 * @request: request
 * @code: of HTTP
 * @reason: the sentence of its first line, and all that there is to say
 */
static void refuse(struct evhttp_request *request, int code, const char *reason)
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

/**
 * send_metrics() - answer with the metrics
 * @http: server
 * @request: request
 */
static void send_metrics(struct metrics_http *http, struct evhttp_request *request)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request);
	struct evkeyvalq *out = evhttp_request_get_output_headers(request);
	enum metrics_format format = metrics_choose(evhttp_find_header(in, "Accept"));
	struct evbuffer *body = evbuffer_new();
	char length[24];

	if (!body || metrics_write(http->server, format, body)) {
		refuse(request, HTTP_SERVUNAVAIL, "out of memory");
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

/**
 * on_request() - a whole request has come
 * @request: request
 * @arg: server
 */
static void on_request(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);

	watch(arg, evhttp_request_get_connection(request));
	if (!path || strcmp(path, "/metrics") != 0) {
		refuse(request, HTTP_NOTFOUND, "There is /metrics, and nothing else");
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		refuse(request, HTTP_BADMETHOD, "Metrics can be read: GET or HEAD");
	} else {
		send_metrics(arg, request);
	}
}

/**
 * listen_tcp() - listen on a loopback address
 * @text: the address
 *
 * Return: a descriptor, or -errno.
 */
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
	/* The one name that is loopback is localhost, which is 127.0.0.1 */
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

/* Accept there, and no longer where it was done before. Return: 0 or -ENOMEM; @fd is consumed */
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

/**
 * listen_here() - make the listening socket, for the first time or anew
 * @http: server
 * @cfg: where, and for whom
 *
 * Return: 0 or -errno.
 */
static int listen_here(struct metrics_http *http, const struct config *cfg)
{
	const char *text = cfg->metrics_listen;
	int fd;

	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		fd = socket_file_listen(&http->file, text + strlen(UNIX_PREFIX), cfg->control_mode,
					cfg->control_group);
	else
		fd = listen_tcp(text);
	return fd < 0 ? fd : accept_at(http, fd);
}

/**
 * set_up() - make the HTTP server
 * @http: server
 * @cfg: its configuration
 *
 * Return: 0 or -errno.
 */
static int set_up(struct metrics_http *http, const struct config *cfg)
{
	struct event_base *base = loop_base(http->loop);

	http->http = evhttp_new(base);
	if (!http->http ||
	    accept_rest_init(&http->rest, http->loop, NULL, "metrics", look_again, http))
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
	return listen_here(http, cfg);
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
	LIST_INSERT_HEAD(&all, http, entry);
	http->loop = loop;
	http->server = server;
	r = set_up(http, cfg);
	if (r) {
		log_err("metrics: %s: %s", cfg->metrics_listen, strerror(-r));
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
	r = listen_here(http, server_config(http->server));
	if (r)
		log_err("metrics: %s has been removed or replaced, and cannot be made again: %s",
			http->file.path, strerror(-r));
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
			release(&http->place[i]);
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
