// SPDX-License-Identifier: BSD-3-Clause
/*
 * rpc.c - the control socket
 *
 * Who may connect is a matter of the socket's mode and group, who may what one of the configuration
 * (rpc_rights.h). A reload changes the latter at once, and for those who are connected, too.
 */
#include "rpc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rpc_client.h"
#include "util/fd.h"
#include "util/log.h"

#define ACCEPTS_A_TURN 16
#define RETRY_MS       100 /* accept again, after descriptors ran out */

/**
 * struct rpc - see rpc.h
 * @clients: who is there
 * @watch: tells of reloads
 * @path: of the socket, if we have made it; else NULL
 * @fd: listening socket
 * @accept_ev: somebody connects
 * @retry_ev: turns @accept_ev on again
 */
struct rpc {
	struct rpc_clients clients;
	struct server_watch watch;
	char *path;
	int fd;
	struct event *accept_ev, *retry_ev;
};

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
			rpc_clients_take(&rpc->clients, client);
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
 * listen_here() - make the listening socket, unless there is one, and its events
 * @rpc: control socket
 * @cfg: path, mode and group
 *
 * Return: 0 or -errno.
 */
static int listen_here(struct rpc *rpc, const struct config *cfg)
{
	struct event_base *base = loop_base(rpc->clients.loop);

	if (rpc->fd < 0) {
		rpc->path = strdup(cfg->control_path);
		if (!rpc->path)
			return -ENOMEM;
		rpc->fd = fd_listen_unix(cfg->control_path, cfg->control_mode, cfg->control_group);
	}
	if (rpc->fd < 0)
		return rpc->fd;
	rpc->accept_ev = event_new(base, rpc->fd, EV_READ | EV_PERSIST, on_accept, rpc);
	rpc->retry_ev = event_new(base, -1, 0, on_retry, rpc);
	if (!rpc->accept_ev || !rpc->retry_ev || event_add(rpc->accept_ev, NULL))
		return -ENOMEM;
	return 0;
}

/**
 * reloaded() - the configuration is another one
 * @arg: control socket
 */
static void reloaded(void *arg)
{
	struct rpc *rpc = arg;

	rpc_clients_reload(&rpc->clients);
}

int rpc_new(struct rpc **out, struct loop *loop, struct server *server, int fd)
{
	const struct config *cfg = server_config(server);
	struct rpc *rpc = calloc(1, sizeof(*rpc));
	int r;

	*out = NULL;
	if (!rpc) {
		fd_close(fd);
		return -ENOMEM;
	}
	rpc->fd = fd;
	rpc_clients_init(&rpc->clients, loop, server);
	rpc->watch = (struct server_watch){ .reloaded = reloaded, .arg = rpc };
	server_watch(server, &rpc->watch);
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
	server_unwatch(rpc->clients.server, &rpc->watch);
	rpc_clients_deinit(&rpc->clients);
	if (rpc->accept_ev)
		event_free(rpc->accept_ev);
	if (rpc->retry_ev)
		event_free(rpc->retry_ev);
	if (rpc->fd >= 0 && rpc->path)
		unlink(rpc->path);
	fd_close(rpc->fd);
	free(rpc->path);
	free(rpc);
	return NULL;
}
