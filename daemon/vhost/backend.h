/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.h - the bridge to DPDK's vhost library
 *
 * The only user of rte_vhost. Its callbacks come on DPDK's vhost thread (or on main, which makes
 * the connection in connect mode), some with queue locks held; here they become calls on the
 * guest's worker, which are waited for. So the device, which is the guest's and runs on the worker,
 * knows neither DPDK nor its threads. The worker never waits for DPDK: vhost_backend_call() gives
 * up when a lock is taken.
 */
#ifndef OKL4FSD_VHOST_BACKEND_H
#define OKL4FSD_VHOST_BACKEND_H

#include "config/config.h"
#include "vhost/memory.h"
#include "loop/loop.h"
#include "vhost/check.h"

/**
 * struct vhost_ring - one queue as the frontend has set it up
 * @ready: it is complete and enabled
 * @size: entries
 * @desc: descriptor table, mapped but unchecked
 * @avail: available ring, likewise
 * @used: used ring, likewise
 * @kick_fd: eventfd, DPDK's: dup(2) it to keep it
 */
struct vhost_ring {
	bool ready;
	unsigned int size;
	void *desc, *avail, *used;
	int kick_fd;
};

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

struct vhost_backend;

/**
 * vhost_backend_init() - start DPDK; once, on main, before the first vhost_backend_new()
 *
 * Threads that DPDK makes take no signals.
 *
 * Return: 0, -ENOTSUP for a DPDK whose vhost library is not the one we know, -EIO; with a log line.
 */
int vhost_backend_init(void);

/**
 * vhost_backend_new() - make the vhost-user socket of a guest
 * @backend: out
 * @cfg: borrowed until vhost_backend_free()
 * @main_loop: loop of the calling thread
 * @worker: the loop that @ops are called on
 * @ops: the device
 * @device: its argument
 *
 * In listen mode the socket is there when this returns. In connect mode a frontend that is not
 * there is tried again twice a second, by a timer of @main_loop that runs only then.
 *
 * Main. Return: 0 or -errno, with a log line.
 */
int vhost_backend_new(struct vhost_backend **backend, const struct guest_config *cfg,
		      struct loop *main_loop, struct loop *worker,
		      const struct vhost_device_ops *ops, void *device);

/**
 * vhost_backend_free() - leave the frontend (disconnected() comes), remove the socket; main;
 * Return: NULL
 */
struct vhost_backend *vhost_backend_free(struct vhost_backend *backend);

/** vhost_backend_path_is_lost() - somebody has removed or replaced the socket's file; main */
bool vhost_backend_path_is_lost(const struct vhost_backend *backend);

/**
 * vhost_backend_reloaded() - listen anew if the socket's file is lost, as soon as no frontend is
 * connected; main
 */
void vhost_backend_reloaded(struct vhost_backend *backend);

/**
 * vhost_backend_call() - notify the driver of a queue; worker; Return: 0, or -EAGAIN: soon again
 */
int vhost_backend_call(struct vhost_backend *backend, unsigned int queue);

/** vhost_backend_memory_is_lost() - whether guest memory was taken away: memory_lost() has come, or will */
bool vhost_backend_memory_is_lost(const struct vhost_backend *backend);

/** vhost_backend_drop() - end the connection; disconnected() follows; worker */
void vhost_backend_drop(struct vhost_backend *backend);

#endif
