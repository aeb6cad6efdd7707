/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front.h - where a guest's frontend comes from: the socket that it connects to, or listens at
 *
 * What it says is connection.h's. A frontend that a former daemon had is taken up first.
 */
#ifndef OKL4FSD_VHOST_FRONT_H
#define OKL4FSD_VHOST_FRONT_H

#include "config/config.h"
#include "loop/loop.h"
#include "vhost/connection.h"

struct vhost_front;

/**
 * vhost_front_new() - make the vhost-user socket of a guest
 * @front: out
 * @cfg: borrowed until vhost_front_free()
 * @worker: the loop that serves it, and that @ops are called on
 * @ops: the device
 * @device: its argument
 *
 * In listen mode the socket is there when this returns, unless vhost_front_error() says why not. In
 * connect mode a frontend that is not there is called until it is (connector.h).
 *
 * Main. Return: 0 or -errno.
 */
int vhost_front_new(struct vhost_front **front, const struct guest_config *cfg, struct loop *worker,
		    const struct vhost_device_ops *ops, void *device);

/** vhost_front_part() - the daemon ends: vhost_front_free() leaves the frontend to the next one; main */
void vhost_front_part(struct vhost_front *front);

/**
 * vhost_front_free() - leave the frontend (disconnected() comes), remove the socket; main;
 * Return: NULL
 */
struct vhost_front *vhost_front_free(struct vhost_front *front);

/**
 * vhost_front_why_away() - (connect) errno of the last attempt to reach the frontend; 0: it
 * succeeded, or the daemon listens; worker
 */
int vhost_front_why_away(const struct vhost_front *front);

/** vhost_front_is_negotiated() - the frontend has set the features (SET_FEATURES); worker */
bool vhost_front_is_negotiated(const struct vhost_front *front);

/** vhost_front_path_is_lost() - somebody has removed or replaced the socket's file; main */
bool vhost_front_path_is_lost(const struct vhost_front *front);

/** vhost_front_error() - (listen) why the socket cannot be made, a sentence; "": it can; main */
const char *vhost_front_error(const struct vhost_front *front);

/** vhost_front_reloaded() - listen anew if there is no socket, or its file is lost; main */
void vhost_front_reloaded(struct vhost_front *front);

/** vhost_front_call() - notify the driver of a queue; worker; Return: 0, or -EAGAIN: soon again */
int vhost_front_call(struct vhost_front *front, unsigned int queue);

/** vhost_front_memory_is_lost() - memory_lost() has come, or will; worker */
bool vhost_front_memory_is_lost(const struct vhost_front *front);

/** vhost_front_drop() - end the connection; disconnected() follows; worker */
void vhost_front_drop(struct vhost_front *front);

#endif
