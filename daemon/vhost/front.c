// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/listener.h"
#include "util/log.h"
#include "util/sandbox.h"
#include "util/socket_file.h"
#include "util/stranger.h"
#include "vhost/connector.h"

/* What a connection costs the guest's frontends (connection.h), in messages */
#define COST_OF_CONNECTION 16
#define COST_OF_REFUSAL    1

/* All but @file and @error is the worker's. */
struct vhost_front {
	const struct guest_config *cfg;
	struct loop *worker;
	char *name;
	struct socket_file file; /* (listen) main's */
	char error[512]; /* main's: why the socket cannot be made, or is never seen */
	struct listener listener; /* (listen) */
	struct vhost_connector connector; /* (connect) */
	struct vhost_connection connection;
	bool inherited; /* a former daemon's frontend is to be taken up */
	bool parting; /* the frontend is left to the next daemon */
	int start_fd; /* argument of start_on_worker() */
	int start_r; /* its result */
};

static void on_ended(void *owner)
{
	struct vhost_front *f = owner;

	vhost_connector_try_later(&f->connector);
}

/* One that has left while it waited to be accepted may be followed by many of that kind. */
static bool has_left(int fd)
{
	char byte;

	return !recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

static void turn_away(struct vhost_front *f, int fd)
{
	if (vhost_connection_is_there(&f->connection))
		log_limited(&f->connection.limit, LOG_LEVEL_WARNING, &f->connection.about,
			    "a second frontend is turned away");
	else
		on_ended(f);
	/* At once if it holds nothing: many would fill the queue of what waits to be closed. */
	shutdown(fd, SHUT_RDWR);
	stranger_close(fd);
}

static void take_frontend(void *arg, int fd)
{
	struct vhost_front *f = arg;
	bool turned_away = vhost_connection_is_there(&f->connection) || has_left(fd);
	unsigned int ms = vhost_connection_spend(&f->connection, turned_away ? COST_OF_REFUSAL :
									       COST_OF_CONNECTION);

	if (turned_away)
		turn_away(f, fd);
	else if (vhost_connection_begin(&f->connection, fd, ms))
		on_ended(f);
	if (ms && f->listener.event)
		listener_rest(&f->listener, ms);
}

/* @f->start_fd: -1: there is no socket, but perhaps a frontend that a former daemon had */
static void start_on_worker(void *arg)
{
	struct vhost_front *f = arg;
	bool inherited = f->inherited;

	f->inherited = false;
	f->start_r = 0;
	if (f->cfg->socket_mode == SOCKET_LISTEN && f->start_fd >= 0) {
		listener_stop(&f->listener);
		f->start_r = listener_start(&f->listener, f->worker, &f->connection.about,
					    "vhost-user", f->start_fd, take_frontend, f);
	} else if (f->cfg->socket_mode != SOCKET_LISTEN) {
		f->start_r = vhost_connector_init(&f->connector, f->worker, f->cfg->socket,
						  &f->connection.about, take_frontend, f);
	}
	if (inherited)
		vhost_connection_take_up(&f->connection);
	else if (f->cfg->socket_mode != SOCKET_LISTEN && !f->start_r)
		vhost_connector_try(&f->connector);
}

/* Listens, or says in the log and in @f->error why not */
static void front_listen(struct vhost_front *f)
{
	const char *path = f->cfg->socket;
	int r = socket_file_listen(&f->file, path, f->cfg->socket_perm, f->cfg->socket_group,
				   FD_UNIX_TAKES_FDS);

	f->start_fd = r;
	loop_call(f->worker, start_on_worker, f);
	if (r >= 0 && f->start_r) {
		socket_file_release(&f->file);
		r = f->start_r;
	}
	*f->error = 0;
	if (r >= 0) {
		log_about(LOG_LEVEL_INFO, &f->connection.about, "waiting for a frontend at %s",
			  path);
		return;
	}
	snprintf(f->error, sizeof(f->error), "socket %s: %s%s", path, strerror(-r),
		 socket_file_way_out(-r, path));
	log_about(LOG_LEVEL_ERR, &f->connection.about, "%s", f->error);
}

static int start_front(struct vhost_front *f)
{
	if (!f->name)
		return -ENOMEM;
	f->inherited = vhost_connection_inherit(&f->connection);
	if (f->cfg->socket_mode == SOCKET_LISTEN) {
		front_listen(f);
		return 0;
	}
	/* What listens there is never seen */
	if (sandbox_hides(f->cfg->socket)) {
		snprintf(f->error, sizeof(f->error), "socket %s: %s%s", f->cfg->socket,
			 strerror(EPERM), sandbox_path_hint(f->cfg->socket, SANDBOX_CONNECT));
		log_about(LOG_LEVEL_ERR, &f->connection.about, "%s", f->error);
	}
	loop_call(f->worker, start_on_worker, f);
	return f->start_r;
}

int vhost_front_new(struct vhost_front **out, const struct guest_config *cfg, struct loop *worker,
		    const struct vhost_device_ops *ops, void *device)
{
	struct vhost_front *f = calloc(1, sizeof(*f));
	int r;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	f->cfg = cfg;
	f->worker = worker;
	f->name = strdup(cfg->name);
	f->connection.worker = worker;
	f->connection.ops = ops;
	f->connection.device = device;
	f->connection.ended = on_ended;
	f->connection.owner = f;
	f->connection.about.guest = f->name;
	vhost_connection_init(&f->connection);
	/* The device's calls need *out from the first connection on. */
	*out = f;
	r = start_front(f);
	if (r) {
		vhost_front_part(f); /* the daemon that this fault ends has not taken anything up */
		*out = vhost_front_free(f);
	}
	return r;
}

static void stop_on_worker(void *arg)
{
	struct vhost_front *f = arg;

	listener_stop(&f->listener);
	vhost_connection_end(&f->connection, f->parting);
	vhost_connector_deinit(&f->connector);
}

void vhost_front_part(struct vhost_front *f)
{
	f->parting = true;
}

struct vhost_front *vhost_front_free(struct vhost_front *f)
{
	if (!f)
		return NULL;
	loop_call(f->worker, stop_on_worker, f);
	socket_file_release(&f->file);
	free(f->name);
	free(f);
	return NULL;
}

int vhost_front_why_away(const struct vhost_front *f)
{
	return f->connector.why_not;
}

bool vhost_front_is_negotiated(const struct vhost_front *f)
{
	return f->connection.said.chose;
}

bool vhost_front_path_is_lost(const struct vhost_front *f)
{
	return f->cfg->socket_mode == SOCKET_LISTEN && socket_file_is_lost(&f->file);
}

const char *vhost_front_error(const struct vhost_front *f)
{
	return f->error;
}

void vhost_front_reloaded(struct vhost_front *f)
{
	bool is_lost = vhost_front_path_is_lost(f);

	if (f->cfg->socket_mode != SOCKET_LISTEN || (!is_lost && !*f->error))
		return;
	front_listen(f);
	if (is_lost && !*f->error)
		log_about(LOG_LEVEL_NOTICE, &f->connection.about,
			  "socket %s had been removed or replaced; listening there again",
			  f->cfg->socket);
}

int vhost_front_call(struct vhost_front *f, unsigned int queue)
{
	return f->connection.open ? vhost_library_call(f->connection.library, queue) : 0;
}

bool vhost_front_memory_is_lost(const struct vhost_front *f)
{
	return f->connection.library && vhost_library_memory_is_lost(f->connection.library);
}

void vhost_front_drop(struct vhost_front *f)
{
	vhost_connection_drop(&f->connection);
}
