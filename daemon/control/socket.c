// SPDX-License-Identifier: BSD-3-Clause
/*
 * socket.c - the control socket
 *
 * Who may connect is a matter of the socket's mode and group, who may what one of the configuration
 * (control_rights.h). A reload changes the latter at once, and for those who are connected, too.
 */
#include "control/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/listener.h"
#include "control/client.h"
#include "util/fd.h"
#include "util/log.h"

/**
 * struct control - see socket.h
 * @clients: who is there
 * @watch: tells of reloads
 * @socket: where they come from; borrowed
 * @listener: takes them in
 */
struct control {
	struct control_clients clients;
	struct server_watch watch;
	struct control_socket *socket;
	struct listener listener;
};

/* In place of a socket whose file is lost. Return: 0 or -errno, with a log line */
static int listen_again(struct control_socket *s, const struct config *cfg)
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

int control_socket_open(struct control_socket *s, const struct config *cfg, int fd)
{
	int r;

	*s = (struct control_socket){ .fd = fd };
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
		control_socket_close(s);
	}
	return r;
}

void control_socket_close(struct control_socket *s)
{
	s->fd = fd_close(s->fd);
	socket_file_release(&s->file);
}

static void take_client(void *arg, int fd)
{
	struct control *control = arg;

	control_clients_take(&control->clients, fd);
}

/* Serve what the socket has. Return: 0 or -ENOMEM */
static int serve(struct control *control)
{
	int fd = control->socket->fd;

	control->socket->fd = -1;
	listener_stop(&control->listener);
	return listener_start(&control->listener, control->clients.loop, NULL, "control", fd,
			      take_client, control);
}

static void reloaded(void *arg)
{
	struct control *control = arg;

	control_clients_reload(&control->clients);
	if (!socket_file_is_lost(&control->socket->file) ||
	    listen_again(control->socket, server_config(control->clients.server)))
		return;
	if (serve(control))
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
	control_clients_init(&control->clients, loop, server);
	control->watch = (struct server_watch){ .reloaded = reloaded, .arg = control };
	server_watch(server, &control->watch);
	if (serve(control)) {
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
	listener_stop(&control->listener);
	free(control);
	return NULL;
}
