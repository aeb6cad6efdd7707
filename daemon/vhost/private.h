/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * private.h - what the files of a backend share: sockets and connections in backend.c, messages in
 * message.c, calls of the guest's device in device.c
 */
#ifndef OKL4FSD_VHOST_PRIVATE_H
#define OKL4FSD_VHOST_PRIVATE_H

#include <limits.h>
#include <stdatomic.h>

#include <pthread.h>

#include "util/log_limit.h"
#include "util/socket_file.h"
#include "vhost/backend.h"
#include "vhost/leave.h"

#define MAX_VIDS 1024 /* RTE_MAX_VHOST_DEVICE */

/**
 * struct vhost_backend - see backend.h
 * @cfg, @main_loop, @worker, @ops, @device: as given to vhost_backend_new(). Once @closing is set
 *	only main_loop may still be used
 * @name: the guest's
 * @about: the guest, for log lines
 * @path: what DPDK calls the socket: in listen mode it is bound there and then renamed, so that the
 *	next guest of the same socket need not wait until DPDK has forgotten this one
 * @next: next in the list of all; protected by its lock
 * @registered: DPDK knows the socket; main
 * @file: listen mode: the socket's file at its place; main
 * @listen_again: listen mode: when the frontend has left; main
 * @leave: has DPDK forget the socket: of a connection that has ended (connect mode), or whose file is
 *	lost (listen mode)
 * @last: the same, and then frees the backend
 * @leaving: @leave is under way; main
 * @left: it has come about; posted to main, protected by the list's lock
 * @waiting: connect mode: it was said that there is no frontend; main
 * @retry: connect mode: timer; main
 * @gone: event on @gone_fd; main
 * @gone_fd: eventfd: the connection has ended
 * @vid: DPDK's number of the connection, or -1. Written by the thread that makes or ends the
 *	connection, while the worker waits or does not know of it
 * @worker_lock: held while the worker is called, so that no call comes after @closing
 * @socket: a dup(2) of the frontend's socket, or -1
 * @closing: frontends are no longer served, no callback reaches the worker; set on the worker
 *	under @worker_lock
 * @lost: guest memory was lost (sigbus.h)
 * @lost_fd: eventfd that says so
 * @lost_event: event on it; worker
 * @limit: for log lines about messages; this and what follows is the vhost thread's
 * @handling: the request between message_before() and message_after(); 0: none
 * @ready: what vring_state_changed() said last
 * @size: queue sizes, as SET_VRING_NUM said
 * @memory: regions in use; none before the first SET_MEM_TABLE
 */
struct vhost_backend {
	const struct guest_config *cfg;
	struct loop *main_loop, *worker;
	pthread_mutex_t worker_lock;
	const struct vhost_device_ops *ops;
	void *device;
	char *name;
	struct log_about about;
	char path[PATH_MAX];
	struct vhost_backend *next;
	struct socket_file file;
	bool registered, leaving, waiting, listen_again;
	struct vhost_leave leave, last;
	struct loop_post left;
	struct event *retry, *gone;
	int gone_fd;
	atomic_int vid, socket;
	atomic_bool closing, lost;
	int lost_fd;
	struct event *lost_event;
	struct log_limit limit;
	uint32_t handling;
	bool ready[VHOST_MAX_QUEUES];
	uint32_t size[VHOST_MAX_QUEUES];
	struct guest_memory memory;
};

/** vhost_of() - the backend of a connection; NULL: none. Any thread that DPDK calls us on */
struct vhost_backend *vhost_of(int vid);

/** vhost_set_of() - a connection is this backend's; NULL: nobody's */
void vhost_set_of(int vid, struct vhost_backend *b);

/** vhost_on_worker() - call a function on the worker, and wait; nothing after vhost_call_closing() */
void vhost_on_worker(struct vhost_backend *b, void (*fn)(void *arg), void *arg);

/** vhost_call() - call one of the device's functions that take only the device, on its worker */
void vhost_call(struct vhost_backend *b, void (*fn)(void *device));

/** vhost_call_disconnected() - tell the device that the frontend has left, and forget it */
void vhost_call_disconnected(struct vhost_backend *b);

/**
 * vhost_call_closing() - end the connection, if there is one, and serve no frontend from here on;
 * nothing of the backend is left on the worker
 */
void vhost_call_closing(struct vhost_backend *b);

/** vhost_unwatch_lost() - have lost memory told no more; worker */
void vhost_unwatch_lost(struct vhost_backend *b);

/** vhost_message_reset() - begin or end a connection: nothing is set up */
void vhost_message_reset(struct vhost_backend *b);

/** vhost_message_lost() - the connection has ended: tell of a message that came to no callback */
void vhost_message_lost(struct vhost_backend *b);

struct rte_vhost_user_extern_ops;
/* vhost_message_ops - DPDK's callbacks around each message */
extern const struct rte_vhost_user_extern_ops vhost_message_ops;

/**
 * vhost_vring_state_changed() - DPDK's callback: a queue has become ready or ceased to be; Return:
 * 0
 */
int vhost_vring_state_changed(int vid, uint16_t queue, int enable);

#endif
