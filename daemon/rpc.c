// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc.c - the control socket
 *
 * Lines come in and lines go out. A client's memory is bounded: its input by the length of a line,
 * its output by one reply, since the next line is looked at only after the reply before it was
 * taken. A client that does not take a reply for some time is dropped. An idle client costs no
 * wake-up. Who may connect is a matter of the socket's mode and group; who did is in the log.
 */
#include "rpc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "rpc_call.h"
#include "util/fd.h"
#include "util/log.h"

#define MAX_CLIENTS     64
#define MAX_LINE_BYTES  65536
#define ACCEPTS_A_TURN  16
#define RETRY_MS        100 /* accept again, after descriptors ran out */
#define WRITE_TIMEOUT_S 10

/**
 * struct client - a connection
 * @rpc: the control socket
 * @bev: the connection
 * @closing: nothing more is read; it is over when the output is
 * @entry: in the list of all
 */
struct client {
	struct rpc *rpc;
	struct bufferevent *bev;
	bool closing;
	LIST_ENTRY(client) entry;
};

/**
 * struct rpc - see rpc.h
 * @loop: main loop; borrowed
 * @server: borrowed
 * @path: of the socket
 * @fd: listening socket
 * @accept_ev: somebody connects
 * @retry_ev: turns @accept_ev on again
 * @clients: who is there
 * @n_clients: how many
 */
struct rpc {
	struct loop *loop;
	struct server *server;
	char *path;
	int fd;
	struct event *accept_ev, *retry_ev;
	LIST_HEAD(, client) clients;
	unsigned int n_clients;
};

/**
 * client_free() - end a connection
 * @c: client
 */
static void client_free(struct client *c)
{
	LIST_REMOVE(c, entry);
	c->rpc->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

/**
 * answer() - send a line
 * @c: client
 * @line: consumed; NULL: nothing is to be sent
 */
static void answer(struct client *c, char *line)
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
static char *take_line(struct client *c, size_t *bytes)
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
 * serve() - answer lines, as long as the output is empty
 * @c: client; may be freed
 */
static void serve(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t bytes;
	char *line;

	while (!evbuffer_get_length(out) && (line = take_line(c, &bytes))) {
		if (strspn(line, " \t\r") != bytes)
			answer(c, rpc_answer(c->rpc->server, line, bytes));
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
	serve(arg);
}

/**
 * on_end() - the input is at its end, or something is wrong
 * @bev: not used
 * @what: which
 * @arg: client
 */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	if (what & BEV_EVENT_EOF && what & BEV_EVENT_READING) {
		c->closing = true;
		serve(c);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		log_warning("control: a client has not taken its answer for %d s, and is dropped",
			    WRITE_TIMEOUT_S);
	client_free(c);
}

/**
 * log_peer() - who has connected
 * @fd: connection
 */
static void log_peer(int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes))
		log_debug("control: client with pid %d, uid %u, gid %u", (int)peer.pid,
			  (unsigned int)peer.uid, (unsigned int)peer.gid);
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
_Static_assert(MAX_CLIENTS == 64, "the sentence above says so");

/**
 * take_client() - somebody has connected
 * @rpc: control socket
 * @fd: connection; consumed
 */
static void take_client(struct rpc *rpc, int fd)
{
	struct timeval limit = { .tv_sec = WRITE_TIMEOUT_S };
	struct client *c;

	log_peer(fd);
	if (rpc->n_clients == MAX_CLIENTS) {
		turn_away(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->bev = bufferevent_socket_new(loop_base(rpc->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		free(c);
		close(fd);
		return;
	}
	c->rpc = rpc;
	LIST_INSERT_HEAD(&rpc->clients, c, entry);
	rpc->n_clients++;
	bufferevent_setcb(c->bev, on_read, on_written, on_end, c);
	/* One byte more than a line may have, so that a longer one is seen */
	bufferevent_setwatermark(c->bev, EV_READ, 0, MAX_LINE_BYTES + 1);
	bufferevent_set_timeouts(c->bev, NULL, &limit);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/**
 * on_accept() - somebody connects
 * @fd: listening socket
 * @what: not used
 * @arg: control socket
 */
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct timeval later = { .tv_usec = RETRY_MS * 1000L };
	struct rpc *rpc = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			take_client(rpc, client);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		/* Out of descriptors or memory. The event would come again at once, for ever. */
		log_warning("control: accept: %s", strerror(errno));
		event_del(rpc->accept_ev);
		event_add(rpc->retry_ev, &later);
		return;
	}
}

/**
 * on_retry() - accept again
 * @fd: not used
 * @what: not used
 * @arg: control socket
 */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct rpc *rpc = arg;

	event_add(rpc->accept_ev, NULL);
}

/**
 * listen_here() - make the listening socket and its events
 * @rpc: control socket
 * @cfg: path, mode and group
 *
 * Return: 0 or -errno.
 */
static int listen_here(struct rpc *rpc, const struct config *cfg)
{
	struct event_base *base = loop_base(rpc->loop);

	rpc->path = strdup(cfg->control_path);
	if (!rpc->path)
		return -ENOMEM;
	rpc->fd = fd_listen_unix(cfg->control_path, cfg->control_mode, cfg->control_group);
	if (rpc->fd < 0)
		return rpc->fd;
	rpc->accept_ev = event_new(base, rpc->fd, EV_READ | EV_PERSIST, on_accept, rpc);
	rpc->retry_ev = event_new(base, -1, 0, on_retry, rpc);
	if (!rpc->accept_ev || !rpc->retry_ev || event_add(rpc->accept_ev, NULL))
		return -ENOMEM;
	return 0;
}

int rpc_new(struct rpc **out, struct loop *loop, struct server *server)
{
	const struct config *cfg = server_config(server);
	struct rpc *rpc = calloc(1, sizeof(*rpc));
	int r;

	*out = NULL;
	if (!rpc)
		return -ENOMEM;
	rpc->loop = loop;
	rpc->server = server;
	rpc->fd = -1;
	LIST_INIT(&rpc->clients);
	r = listen_here(rpc, cfg);
	if (r) {
		log_err("control: %s: %s", cfg->control_path, strerror(-r));
		rpc_free(rpc);
		return r;
	}
	*out = rpc;
	return 0;
}

struct rpc *rpc_free(struct rpc *rpc)
{
	if (!rpc)
		return NULL;
	while (!LIST_EMPTY(&rpc->clients))
		client_free(LIST_FIRST(&rpc->clients));
	if (rpc->accept_ev)
		event_free(rpc->accept_ev);
	if (rpc->retry_ev)
		event_free(rpc->retry_ev);
	if (rpc->fd >= 0) {
		unlink(rpc->path);
		close(rpc->fd);
	}
	free(rpc->path);
	free(rpc);
	return NULL;
}
