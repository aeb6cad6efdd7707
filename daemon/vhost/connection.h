/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.h - the connection of one frontend: its messages are read, judged, carried out, answered
 *
 * Everything happens on the worker of the guest, without blocking. A message is looked at when all of
 * it has come. One that passes (message.h) is handled like this: the device stops using what the
 * message may change; the library carries it out (library.h); when its answer comes, the device is
 * told how things stand; what is set up now is recorded (kept.h); the message is taken out of the
 * socket; and the frontend is answered. Only then is the next message looked at. So a frontend that
 * sends half a message, or many, keeps nobody waiting but its own guest, and a daemon that is killed
 * at any of these points leaves the next one what it needs to go on there.
 */
#ifndef OKL4FSD_VHOST_CONNECTION_H
#define OKL4FSD_VHOST_CONNECTION_H

#include "loop/loop.h"
#include "util/log.h"
#include "util/log_limit.h"
#include "util/pace.h"
#include "vhost/kept.h"
#include "vhost/library.h"
#include "vhost/memory.h"
#include "vhost/message.h"

struct event;

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
 * @taken_up: the connection is that of a former daemon, whose driver knows nothing of this one
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
	void (*taken_up)(void *device);
	void (*disconnected)(void *device);
	bool (*ring_next)(void *device, unsigned int queue, uint16_t *next);
	void (*refused)(void *device);
	void (*memory_lost)(void *device);
};

/**
 * struct vhost_connection - the connection, or the place for one
 * @worker: the guest's
 * @ops: the device
 * @device: its argument
 * @ended: is told when it has ended
 * @owner: its argument
 * @about: the guest, for log lines
 * @limit: for those that a frontend can cause
 * @fd: of the frontend, or -1
 * @readable: on @fd. Edge-triggered, since a message stays in the socket until it was carried out
 * @late: the end of a message does not come
 * @rest: while it is pending, no message is read
 * @pace: what the guest's frontends have cost
 * @no_fds_told: the log says that descriptors have run out
 * @leave: the connection is to end
 * @library: where messages are carried out
 * @open: the library has taken the connection
 * @busy: it carries out @in's message
 * @step: of vhost_repeat(), while what a former daemon was told is said again; 0: it is not
 * @in: the message
 * @said: what was said
 * @kept: what is kept for the next daemon
 * @memory: as it is mapped
 */
struct vhost_connection {
	struct loop *worker;
	const struct vhost_device_ops *ops;
	void *device;
	void (*ended)(void *owner);
	void *owner;
	struct log_about about;
	struct log_limit limit;
	/* private */
	int fd;
	struct event *readable, *late, *rest;
	struct pace pace;
	bool no_fds_told;
	struct loop_task leave;
	struct vhost_library *library;
	bool open, busy;
	unsigned int step;
	struct inbox in;
	struct vhost_said said;
	struct kept kept;
	struct guest_memory memory;
};

/** vhost_connection_init() - no connection; the public members are set; any thread */
void vhost_connection_init(struct vhost_connection *c);

/**
 * vhost_connection_inherit() - whether a former daemon has left one; main
 *
 * Return: true: vhost_connection_take_up() is to follow.
 */
bool vhost_connection_inherit(struct vhost_connection *c);

/** vhost_connection_take_up() - go on with what was inherited; worker */
void vhost_connection_take_up(struct vhost_connection *c);

/** vhost_connection_is_there() - there is one; worker */
bool vhost_connection_is_there(const struct vhost_connection *c);

/**
 * vhost_connection_spend() - a frontend of the guest has cost something (util/pace.h)
 * @c: connection, or the place for one
 * @tokens: 1 for a message, and 1 for each descriptor
 *
 * Worker. Return: for how many milliseconds nothing is to be taken; 0: not at all.
 */
unsigned int vhost_connection_spend(struct vhost_connection *c, unsigned int tokens);

/**
 * vhost_connection_begin() - a frontend has come
 * @c: place for it
 * @fd: the connection's from here on
 * @rest_ms: for how long no message is read
 *
 * Worker. Return: 0; or -errno, with a log line: it is turned away.
 */
int vhost_connection_begin(struct vhost_connection *c, int fd, unsigned int rest_ms);

/** vhost_connection_drop() - end it soon; disconnected() and ended() follow; worker */
void vhost_connection_drop(struct vhost_connection *c);

/**
 * vhost_connection_end() - end it now
 * @c: connection; if there is none, nothing happens
 * @keep: the next daemon gets it from the service manager, and the frontend notices nothing
 *
 * Worker.
 */
void vhost_connection_end(struct vhost_connection *c, bool keep);

#endif
