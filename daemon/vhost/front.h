/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front.h - the frontend's connection: where it is made, read, judged and answered
 *
 * Everything happens on the worker of the guest, without blocking. A message is looked at when all of
 * it has come. One that passes (message.h) is handled like this: the device stops using what the
 * message may change; the library carries it out (library.h); when its answer comes, the device is
 * told how things stand, and then the frontend is answered. Only then is the next message read. So a
 * frontend that sends half a message, or many, keeps nobody waiting but its own guest.
 */
#ifndef OKL4FSD_VHOST_FRONT_H
#define OKL4FSD_VHOST_FRONT_H

#include "config/config.h"
#include "loop/loop.h"
#include "vhost/library.h"
#include "vhost/memory.h"
#include "vhost/message.h"

/**
 * struct vhost_setup - all that the frontend has set up
 * @memory: the mapped regions, checked
 * @ring: queues
 */
struct vhost_setup {
	struct guest_memory memory;
	struct vhost_ring ring[VHOST_MAX_QUEUES];
};

/**
 * struct vhost_device_ops - what the device is told; all on its worker
 * @connected: a frontend is there
 * @suspend: memory is about to change: touch neither memory nor rings after this returns
 * @ring_stop: a queue is about to change: do not touch it after this returns; @taken: it may be
 *	gone for good, not only kicked and called by other descriptors
 * @resume: this is how it stands now; may come without a stop before, and say the same again. What
 *	was not stopped has not changed
 * @disconnected: the frontend has left; as suspend(), and nothing of it will come back
 * @ring_next: how far a ring was served when it was suspended; Return: false when it never was
 * @refused: a message of the frontend was refused
 * @memory_lost: guest memory was taken away, zeros are in its place; drop the frontend
 */
struct vhost_device_ops {
	void (*connected)(void *device);
	void (*suspend)(void *device);
	void (*ring_stop)(void *device, unsigned int queue, bool taken);
	void (*resume)(void *device, const struct vhost_setup *setup);
	void (*disconnected)(void *device);
	bool (*ring_next)(void *device, unsigned int queue, uint16_t *next);
	void (*refused)(void *device);
	void (*memory_lost)(void *device);
};

struct vhost_front;

/**
 * vhost_front_new() - make the vhost-user socket of a guest
 * @front: out
 * @cfg: borrowed until vhost_front_free()
 * @worker: the loop that serves it, and that @ops are called on
 * @ops: the device
 * @device: its argument
 *
 * In listen mode the socket is there when this returns. In connect mode a frontend that is not
 * there is called until it is (connector.h).
 *
 * Main. Return: 0 or -errno, with a log line.
 */
int vhost_front_new(struct vhost_front **front, const struct guest_config *cfg, struct loop *worker,
		    const struct vhost_device_ops *ops, void *device);

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

/** vhost_front_path_is_lost() - somebody has removed or replaced the socket's file; main */
bool vhost_front_path_is_lost(const struct vhost_front *front);

/** vhost_front_reloaded() - listen anew if the socket's file is lost; main */
void vhost_front_reloaded(struct vhost_front *front);

/** vhost_front_call() - notify the driver of a queue; worker; Return: 0, or -EAGAIN: soon again */
int vhost_front_call(struct vhost_front *front, unsigned int queue);

/** vhost_front_memory_is_lost() - memory_lost() has come, or will; worker */
bool vhost_front_memory_is_lost(const struct vhost_front *front);

/** vhost_front_drop() - end the connection; disconnected() follows; worker */
void vhost_front_drop(struct vhost_front *front);

#endif
