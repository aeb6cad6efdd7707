// SPDX-License-Identifier: BSD-3-Clause
/*
 * socket.c - the control socket
 *
 * Who may connect is a matter of the socket's mode and group, who may what one of the configuration
 * (rpc_rights.h). A reload changes the latter at once, and for those who are connected, too.
 */
#include "control/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/acceptor.h"
#include "control/client.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * struct rpc - see rpc.h
 * @clients: who is there
 * @watch: tells of reloads
 * @socket: where they come from; borrowed
 * @acceptor: takes them in
 */
struct rpc {
	struct rpc_clients clients;
	struct server_watch watch;
	struct rpc_socket *socket;
	struct acceptor acceptor;
};

/* In place of a socket whose file is lost. Return: 0 or -errno, with a log line */
static int listen_again(struct rpc_socket *s, const struct config *cfg)
{
	int fd = socket_file_listen(&s->file, s->file.path, cfg->control_mode, cfg->control_group);

	if (fd < 0) {
		log_err("control: %s has been removed or replaced, and cannot be made again: %s",
			s->file.path, strerror(-fd));
		return fd;
	}
	fd_close(s->fd);
	s->fd = fd;
	log_notice("control: %s had been removed or replaced; listening there again", s->file.path);
	return 0;
}

int rpc_socket_open(struct rpc_socket *s, const struct config *cfg, int fd)
{
	int r;

	*s = (struct rpc_socket){ .fd = fd };
	if (fd >= 0) {
		r = socket_file_borrow(&s->file, cfg->control_path);
		if (!r && socket_file_is_lost(&s->file))
			listen_again(s, cfg); /* what the service manager has is better than none */
	} else {
		r = socket_file_listen(&s->file, cfg->control_path, cfg->control_mode,
				       cfg->control_group);
		s->fd = r;
		r = r < 0 ? r : 0;
	}
	if (r) {
		log_err("control: %s: %s", cfg->control_path, strerror(-r));
		rpc_socket_close(s);
	}
	return r;
}

void rpc_socket_close(struct rpc_socket *s)
{
	s->fd = fd_close(s->fd);
	socket_file_release(&s->file);
}

static void take_client(void *arg, int fd)
{
	struct rpc *rpc = arg;

	rpc_clients_take(&rpc->clients, fd);
}

/* Serve what the socket has. Return: 0 or -ENOMEM */
static int serve(struct rpc *rpc)
{
	int fd = rpc->socket->fd;

	rpc->socket->fd = -1;
	acceptor_stop(&rpc->acceptor);
	return acceptor_start(&rpc->acceptor, rpc->clients.loop, NULL, "control", fd, take_client,
			      rpc);
}

static void reloaded(void *arg)
{
	struct rpc *rpc = arg;

	rpc_clients_reload(&rpc->clients);
	if (!socket_file_is_lost(&rpc->socket->file) ||
	    listen_again(rpc->socket, server_config(rpc->clients.server)))
		return;
	if (serve(rpc))
		log_err("control: out of memory; nobody can connect until the daemon is restarted");
}

int rpc_new(struct rpc **out, struct loop *loop, struct server *server, struct rpc_socket *socket)
{
	struct rpc *rpc = calloc(1, sizeof(*rpc));

	*out = NULL;
	if (!rpc)
		return -ENOMEM;
	rpc->socket = socket;
	rpc_clients_init(&rpc->clients, loop, server);
	rpc->watch = (struct server_watch){ .reloaded = reloaded, .arg = rpc };
	server_watch(server, &rpc->watch);
	if (serve(rpc)) {
		log_err("control: %s", strerror(ENOMEM));
		rpc_free(rpc);
		return -ENOMEM;
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
	acceptor_stop(&rpc->acceptor);
	free(rpc);
	return NULL;
}
