/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets and connections. new_device() of DPDK is not used: it comes only when every queue that
 * was ever mentioned is ready, and a firmware sets up one of two.
 */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <pthread.h>
#include <rte_vhost.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/stranger.h"
#include "vhost/eal.h"
#include "vhost/private.h"
#include "vhost/syscalls.h"

#define VIRTIO_F_VERSION_1_BIT 32
#define RETRY_MS               500L

static pthread_mutex_t backends_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vhost_backend *backends;

/**
 * new_connection() - a frontend has connected, or we to it
 * @vid: DPDK's number
 *
 * Return: 0, or -1 to turn it away.
 */
static int new_connection(int vid)
{
	struct vhost_backend *b;
	char path[PATH_MAX];

	if (vid < 0 || vid >= MAX_VIDS || rte_vhost_get_ifname(vid, path, sizeof(path)))
		return -1;
	pthread_mutex_lock(&backends_lock);
	for (b = backends; b && (b->closing || strcmp(b->path, path) != 0); b = b->next)
		;
	pthread_mutex_unlock(&backends_lock);
	if (!b)
		return -1;
	if (b->vid >= 0) {
		log_limited(&b->limit, LOG_LEVEL_WARNING, &b->about,
			    "a second frontend is turned away");
		return -1;
	}
	if (rte_vhost_extern_callback_register(vid, &vhost_message_ops, NULL))
		return -1;
	vhost_message_reset(b);
	b->lost = false;
	b->vid = vid;
	vhost_set_of(vid, b);
	vhost_call(b, b->ops->connected);
	return 0;
}

/**
 * destroy_connection() - the connection has ended; DPDK unmaps when this returns
 * @vid: DPDK's number
 */
static void destroy_connection(int vid)
{
	struct vhost_backend *b = vhost_of(vid);

	if (!b)
		return;
	vhost_set_of(vid, NULL);
	vhost_message_lost(b);
	vhost_call_disconnected(b);
	vhost_message_reset(b);
	if (b->gone_fd >= 0)
		eventfd_write(b->gone_fd, 1);
}

static const struct rte_vhost_device_ops device_ops = {
	.vring_state_changed = vhost_vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

/**
 * start() - DPDK gets the socket
 * @b: backend
 * @flags: RTE_VHOST_USER_*
 *
 * Return: 0, or -EIO: nothing listens (connect), bind(2) failed (listen), out of memory.
 */
static int start(struct vhost_backend *b, uint64_t flags)
{
	const char *path = b->path;
	sigset_t signals;
	mode_t mask;
	int r;

	if (rte_vhost_driver_register(path, flags))
		return -EIO;
	b->registered = true;
	vhost_eal_mask_signals(&signals);
	/* bind(2) makes the file for its owner only; publish() opens it to others */
	mask = umask(0177);
	r = rte_vhost_driver_set_features(path, 1ULL << VIRTIO_F_VERSION_1_BIT |
							1ULL << VHOST_USER_F_PROTOCOL_FEATURES) ||
	    rte_vhost_driver_set_protocol_features(
		    path,
		    1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) ||
	    rte_vhost_driver_callback_register(path, &device_ops) || rte_vhost_driver_start(path);
	umask(mask);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	if (r) {
		/* No connection, so there is nothing to wait for. */
		rte_vhost_driver_unregister(path);
		b->registered = false;
	}
	vhost_poke();
	return r ? -EIO : 0;
}

/* A name beside the socket that nobody has. */
static int private_path(struct vhost_backend *b)
{
	const char *socket = b->cfg->socket, *slash = strrchr(socket, '/');
	int folder = slash ? (int)(slash - socket) + 1 : 0;
	static unsigned int n; /* main */
	struct stat st;

	do {
		snprintf(b->path, sizeof(b->path), "%.*s.%u", folder, socket, ++n);
	} while (!lstat(b->path, &st));
	return strlen(b->path) < sizeof(((struct sockaddr_un *)NULL)->sun_path) ? 0 : -ENAMETOOLONG;
}

static int publish(const struct vhost_backend *b)
{
	int r = fd_set_access(b->path, b->cfg->socket_perm, b->cfg->socket_group);

	if (!r && rename(b->path, b->cfg->socket))
		r = -errno;
	return r;
}

/* Return: 0 or -errno, with a log line; then nobody listens */
static int listen_at(struct vhost_backend *b)
{
	const char *path = b->cfg->socket;
	int r = private_path(b);

	if (!r)
		r = start(b, 0);
	if (!r)
		r = publish(b);
	if (!r)
		r = socket_file_bound(&b->file);
	if (r)
		log_about(LOG_LEVEL_ERR, &b->about, "socket %s: %s", path, strerror(-r));
	else
		log_about(LOG_LEVEL_INFO, &b->about, "waiting for a frontend at %s", path);
	return r;
}

static void tell_left(void *arg)
{
	struct vhost_backend *b = arg;

	pthread_mutex_lock(&backends_lock);
	if (!b->closing)
		loop_post(b->main_loop, &b->left);
	pthread_mutex_unlock(&backends_lock);
}

/* Have DPDK forget the socket, without waiting for that; then b->left comes. */
static void leave(struct vhost_backend *b)
{
	b->leaving = true;
	b->leave = (struct vhost_leave){ .path = b->path, .done = tell_left, .arg = b };
	vhost_leave(&b->leave);
}

static void listen_at_again(struct vhost_backend *b)
{
	if (!listen_at(b))
		log_about(LOG_LEVEL_NOTICE, &b->about,
			  "socket %s had been removed or replaced; listening there again",
			  b->cfg->socket);
}

static void listen_left(void *arg)
{
	struct vhost_backend *b = arg;

	b->registered = b->leaving = false;
	listen_at_again(b);
}

/* In place of a socket whose file is lost, while no frontend is connected by way of it */
static void listen_again(struct vhost_backend *b)
{
	int r = socket_file_claim(&b->file, b->cfg->socket);

	b->listen_again = false;
	if (r) {
		log_about(LOG_LEVEL_ERR, &b->about,
			  "socket %s has been removed or replaced, and cannot be made again: %s",
			  b->cfg->socket, strerror(-r));
		return;
	}
	if (b->registered)
		leave(b);
	else
		listen_at_again(b);
}

static void listen_gone(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_backend *b = arg;
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	if (b->listen_again && b->vid < 0 && !b->leaving)
		listen_again(b);
}

/* Have a function called when the connection has ended, and one when DPDK has forgotten the socket. */
static int watch_gone(struct vhost_backend *b, event_callback_fn gone, void (*left)(void *arg))
{
	b->left = (struct loop_post){ .fn = left, .arg = b };
	b->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->gone_fd >= 0)
		b->gone = event_new(loop_base(b->main_loop), b->gone_fd, EV_READ | EV_PERSIST, gone,
				    b);
	return b->gone && !event_add(b->gone, NULL) ? 0 : -ENOMEM;
}

/**
 * listen_start() - listen mode
 * @b: backend
 *
 * Return: 0 or -errno, with a log line.
 */
static int listen_start(struct vhost_backend *b)
{
	int r = watch_gone(b, listen_gone, listen_left);

	if (!r)
		r = socket_file_claim(&b->file, b->cfg->socket);
	if (!r)
		return listen_at(b);
	log_about(LOG_LEVEL_ERR, &b->about, "socket %s: %s", b->cfg->socket, strerror(-r));
	return r;
}

bool vhost_backend_path_is_lost(const struct vhost_backend *b)
{
	return b->cfg->socket_mode == SOCKET_LISTEN && socket_file_is_lost(&b->file);
}

void vhost_backend_reloaded(struct vhost_backend *b)
{
	if (!vhost_backend_path_is_lost(b) || b->leaving)
		return;
	/* The library would end the connection. A frontend that leaves just now finds this set. */
	b->listen_again = true;
	if (b->vid < 0)
		listen_again(b);
	else
		log_about(LOG_LEVEL_NOTICE, &b->about,
			  "socket %s has been removed or replaced; the daemon listens there again "
			  "when the frontend that is connected has left",
			  b->cfg->socket);
}

/* Whether DPDK is still to forget a guest that connected to this path. */
static bool is_leaving(const char *path)
{
	const struct vhost_backend *b;

	pthread_mutex_lock(&backends_lock);
	for (b = backends; b && !(b->closing && !strcmp(b->path, path)); b = b->next)
		;
	pthread_mutex_unlock(&backends_lock);
	return b;
}

/**
 * connect_try() - connect mode: try to reach the frontend, or try again later
 * @fd: unused
 * @what: unused
 * @arg: backend
 */
static void connect_try(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval later = { .tv_usec = RETRY_MS * 1000 };
	struct vhost_backend *b = arg;

	if (!is_leaving(b->path) &&
	    !start(b, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT)) {
		b->waiting = false;
		return;
	}
	if (!b->waiting)
		log_about(LOG_LEVEL_INFO, &b->about,
			  "no frontend listens at %s; trying again every %ld ms", b->cfg->socket,
			  RETRY_MS);
	b->waiting = true;
	event_add(b->retry, &later);
}

/* Not tried at once: a frontend that we drop as soon as it is there would keep us busy. */
static void connect_left(void *arg)
{
	static const struct timeval later = { .tv_usec = RETRY_MS * 1000 };
	struct vhost_backend *b = arg;

	b->registered = b->leaving = false;
	event_add(b->retry, &later);
}

static void connect_gone(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_backend *b = arg;
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	if (!b->registered || b->leaving)
		return;
	leave(b);
}

/**
 * connect_start() - connect mode
 * @b: backend
 *
 * Return: 0 or -ENOMEM.
 */
static int connect_start(struct vhost_backend *b)
{
	snprintf(b->path, sizeof(b->path), "%s", b->cfg->socket);
	b->retry = evtimer_new(loop_base(b->main_loop), connect_try, b);
	if (!b->retry || watch_gone(b, connect_gone, connect_left))
		return -ENOMEM;
	connect_try(-1, 0, b);
	return 0;
}

bool vhost_backend_memory_is_lost(const struct vhost_backend *b)
{
	return b->lost;
}

int vhost_backend_init(void)
{
	int r = vhost_eal_init();

	return r ? r : vhost_leave_init();
}

/**
 * memory_lost() - guest memory was taken away under somebody
 * @fd: the eventfd
 * @what: EV_READ
 * @arg: backend
 */
static void memory_lost(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_backend *b = arg;
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	if (b->lost && b->vid >= 0)
		b->ops->memory_lost(b->device);
}

/**
 * watch_lost() - have memory_lost() called
 * @arg: backend; without @lost_event afterwards if that failed
 *
 * Worker.
 */
static void watch_lost(void *arg)
{
	struct vhost_backend *b = arg;

	b->lost_event =
		event_new(loop_base(b->worker), b->lost_fd, EV_READ | EV_PERSIST, memory_lost, b);
	if (b->lost_event && event_add(b->lost_event, NULL)) {
		event_free(b->lost_event);
		b->lost_event = NULL;
	}
}

int vhost_backend_new(struct vhost_backend **out, const struct guest_config *cfg,
		      struct loop *main_loop, struct loop *worker,
		      const struct vhost_device_ops *ops, void *device)
{
	struct vhost_backend *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (!b)
		return -ENOMEM;
	b->cfg = cfg;
	b->main_loop = main_loop;
	b->worker = worker;
	pthread_mutex_init(&b->worker_lock, NULL);
	b->ops = ops;
	b->device = device;
	b->gone_fd = -1;
	b->vid = -1;
	b->socket = -1;
	b->name = strdup(cfg->name);
	b->about.guest = b->name;
	pthread_mutex_lock(&backends_lock);
	b->next = backends;
	backends = b;
	pthread_mutex_unlock(&backends_lock);
	/* The device's calls need *out from the first connection on. */
	*out = b;
	b->lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->lost_fd >= 0)
		loop_call(worker, watch_lost, b);
	if (b->lost_event)
		r = cfg->socket_mode == SOCKET_LISTEN ? listen_start(b) : connect_start(b);
	if (r)
		*out = vhost_backend_free(b);
	return r;
}

/* The last step of vhost_backend_free(): callbacks no longer come. */
static void forget(void *arg)
{
	struct vhost_backend *b = arg, **at;

	/* The last callback may have seen us a moment before closing. */
	for (int vid = 0; vid < MAX_VIDS; vid++) {
		if (vhost_of(vid) == b)
			vhost_set_of(vid, NULL);
	}
	vhost_message_reset(b);
	pthread_mutex_lock(&backends_lock);
	for (at = &backends; *at != b; at = &(*at)->next)
		;
	*at = b->next;
	pthread_mutex_unlock(&backends_lock);
	stranger_give(b->socket);
	fd_close(b->gone_fd);
	fd_close(b->lost_fd);
	pthread_mutex_destroy(&b->worker_lock);
	free(b->name);
	free(b);
}

struct vhost_backend *vhost_backend_free(struct vhost_backend *b)
{
	if (!b)
		return NULL;
	if (b->retry)
		event_free(b->retry);
	if (b->gone)
		event_free(b->gone);
	vhost_call_closing(b);
	pthread_mutex_lock(&backends_lock); /* see tell_left() */
	loop_unpost(b->main_loop, &b->left);
	pthread_mutex_unlock(&backends_lock);
	socket_file_release(&b->file);
	if (!b->registered) {
		forget(b);
		return NULL;
	}
	b->last = (struct vhost_leave){ .path = b->leaving ? NULL : b->path,
					.done = forget,
					.arg = b };
	vhost_leave(&b->last);
	return NULL;
}

int vhost_backend_call(struct vhost_backend *b, unsigned int queue)
{
	int vid = b->vid;

	if (vid < 0 || rte_vhost_vring_call_nonblock(vid, (uint16_t)queue) != -EAGAIN)
		return 0;
	return -EAGAIN;
}
