// SPDX-License-Identifier: BSD-3-Clause
/*
 * socket.c - the control socket
 *
 * The socket's mode and group say which users may connect; the configuration says which of them may do
 * what (rights.h). A reload changes the latter at once, for clients that are connected too.
 */
#include "control/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/listener.h"
#include "control/client.h"
#include "control/methods.h"
#include "control/subscribers.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * struct control - see socket.h
 * @clients: the connections
 * @watch: calls reloaded() after a reload
 * @socket: where clients connect; borrowed
 * @listener: accepts them
 */
struct control {
	struct control_clients clients;
	struct server_watch watch;
	struct control_socket *socket;
	struct listener listener;
};

/* Replaces a socket whose file is lost; Return: 0 or -errno, with a log line */
static int listen_anew(struct control_socket *s, const struct config *cfg)
{
	int fd = socket_file_listen(&s->file, s->file.path, cfg->control_mode, cfg->control_group,
				    FD_UNIX_STREAM);

	if (fd < 0) {
		log_err("control: %s has been removed or replaced, and cannot be made again: %s%s",
			s->file.path, strerror(-fd), socket_file_way_out(-fd, s->file.path));
		return fd;
	}
	fd_close(s->fd);
	s->fd = fd;
	log_notice("control: %s had been removed or replaced; listening there again", s->file.path);
	return 0;
}

int control_socket_open(struct control_socket *s, const struct config *cfg, int fd)
{
	int r;

	*s = (struct control_socket){ .fd = fd };
	if (fd >= 0) {
		r = socket_file_borrow(&s->file, cfg->control_path);
		if (!r && socket_file_is_lost(&s->file))
			listen_anew(
				s,
				cfg); /* if that fails, the service manager's socket is better than none */
	} else {
		r = socket_file_listen(&s->file, cfg->control_path, cfg->control_mode,
				       cfg->control_group, FD_UNIX_STREAM);
		s->fd = r;
		r = r < 0 ? r : 0;
	}
	if (r) {
		log_err("control: cannot listen on %s: %s%s", cfg->control_path, strerror(-r),
			socket_file_way_out(-r, cfg->control_path));
		control_socket_close(s);
	}
	return r;
}

void control_socket_close(struct control_socket *s)
{
	s->fd = fd_close(s->fd);
	socket_file_release(&s->file);
}

static void take_control_client(void *arg, int fd)
{
	struct control *control = arg;

	control_clients_take(&control->clients, fd);
}

/* Takes the socket's descriptor; Return: 0 or -ENOMEM */
static int serve_clients(struct control *control)
{
	int fd = control->socket->fd;

	control->socket->fd = -1;
	listener_stop(&control->listener);
	return listener_start(&control->listener, control->clients.loop, NULL, "control", fd,
			      take_control_client, control);
}

static void reloaded(void *arg)
{
	struct control *control = arg;

	control_clients_reload(&control->clients);
	if (!socket_file_is_lost(&control->socket->file) ||
	    listen_anew(control->socket, server_config(control->clients.server)))
		return;
	if (serve_clients(control))
		log_err("control: out of memory; nobody can connect until the daemon is restarted");
}

int control_new(struct control **out, struct loop *loop, struct server *server,
		struct control_socket *socket)
{
	struct control *control = calloc(1, sizeof(*control));

	*out = NULL;
	if (!control)
		return -ENOMEM;
	control->socket = socket;
	control_subscribers_open();
	control_clients_init(&control->clients, loop, server, control_methods);
	control->watch = (struct server_watch){ .reloaded = reloaded, .arg = control };
	server_watch(server, &control->watch);
	if (serve_clients(control)) {
		log_err("control: %s", strerror(ENOMEM));
		control_free(control);
		return -ENOMEM;
	}
	*out = control;
	return 0;
}

struct control *control_free(struct control *control)
{
	if (!control)
		return NULL;
	server_unwatch(control->clients.server, &control->watch);
	control_clients_deinit(&control->clients);
	control_subscribers_close();
	listener_stop(&control->listener);
	free(control);
	return NULL;
}
