/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - the inside of a guest, shared by the guest_*.c files
 *
 *	guest.c          making and ending one
 *	guest_channels.c channels come and go
 *	guest_leaver.c   channels that are removed while somebody is still to have the rest
 *	guest_snapshot.c what others are told of it
 *	guest_device.c   what the frontend sets up: memory and rings come and go
 *	guest_queue.c    kicks, doorbells, events, notifications
 *	guest_control.c  the control queue's requests
 *	guest_attach.c   ATTACH: chunks of guest memory become memsections
 *
 * Everything here belongs to the guest's worker.
 */
#ifndef OKL4FSD_GUEST_STATE_H
#define OKL4FSD_GUEST_STATE_H

#include "guest/guest.h"
#include "vhost/memory.h"
#include "util/log_limit.h"
#include "vhost/backend.h"
#include "guest/virtqueue.h"
#include "guest/wire.h"

/**
 * struct extent - a range of guest-physical memory
 * @gpa: first byte
 * @bytes: length
 */
struct extent {
	uint64_t gpa, bytes;
};

/**
 * struct attachment - what an ATTACH said; kept, so that memory can be found again after a remap
 * @valid: there is one
 * @instance: as in the request
 * @sec: the shapes
 * @gpa: address of each chunk, of ctl, then fwd, then bwd
 * @n_gpa: entries
 * @extent: the same as ascending, disjoint ranges
 * @n_extents: entries
 */
struct attachment {
	bool valid;
	uint64_t instance;
	struct wire_sec sec[OKL4FS_N_SECS];
	uint64_t *gpa;
	uint32_t n_gpa;
	struct extent *extent;
	uint32_t n_extents;
};

/**
 * struct guest_channel - a channel with what the guest object keeps for it
 * @cfg: its configuration
 * @ch: the channel
 * @generation: tells it from others that have its id at other times
 * @endpoint: its host end
 * @att: its memory, in guest-physical terms
 * @tell_status: status of the CHANNEL_FAILED event that waits for a buffer
 * @tell_instance: its instance
 */
struct guest_channel {
	struct channel_config cfg;
	struct channel ch;
	uint32_t generation;
	struct endpoint *endpoint;
	struct attachment att;
	enum fs_status tell_status;
	uint64_t tell_instance;
};

/**
 * struct guest_queue - one virtqueue of the device
 * @guest: guest
 * @idx: its number
 * @up: @vq may be used
 * @vq: the virtqueue
 * @mark: how far it was served when it was last let go
 * @kick_fd: a dup(2) of the kick descriptor, or -1
 * @kick: event on it. Edge-triggered: it is never read, since another holder could make us wait
 * @turn: serve the queue, or go on serving it
 * @call: notify the driver, when that could not be done at once
 * @wake: (event) a WAKE waits for a buffer
 * @rung: (event) doorbell bits taken from the bell page and not yet acted on, by word
 */
struct guest_queue {
	struct guest *guest;
	unsigned int idx;
	bool up;
	struct virtqueue vq;
	struct virtqueue_mark mark;
	int kick_fd;
	struct event *kick;
	struct loop_task turn, call;
	bool wake;
	uint64_t rung[OKL4FS_BELL_WORDS];
};

/**
 * struct guest_driver - what HELLO said
 * @ready: it was said
 * @n_event_queues: M
 * @bell_gpa: the bell page
 * @bell: the same, mapped; NULL while the device is suspended
 * @instance: the driver's
 */
struct guest_driver {
	bool ready;
	uint32_t n_event_queues;
	uint64_t bell_gpa;
	struct bell_shm *bell;
	uint64_t instance;
};

/**
 * struct guest - see guest.h
 * @cfg: configuration, without channels
 * @serial: guest_serial()
 * @about: the guest, for log lines
 * @worker: its loop
 * @vhost: its frontend
 * @connected: a frontend is there
 * @broken: the driver broke a ring; nothing is served until it resets the device
 * @mem: guest memory; empty while suspended
 * @queue: the device's queues
 * @driver: what HELLO said
 * @last_driver: driver's instance of the last HELLO; 0: none yet. Memory dies with its driver, but
 *	not with the device
 * @channel: its channels by id; NULL: there is none
 * @n_ids: highest id in use, and one
 * @generation: by id, of the channel that gets it next
 * @tails: what they may keep of streams that have ended
 * @is_parting: the daemon ends, and the next one finds what lies in the guest's memory
 * @changed: ids that a CHANNEL_ADDED or CHANNEL_REMOVED waits for a buffer for; bits as in the bell
 *	page, so that each word belongs to one event queue
 * @failed: likewise for CHANNEL_FAILED
 * @limit: for log lines that the guest can cause
 * @stats: counters, as in the snapshot
 */
struct guest {
	struct guest_config cfg;
	uint64_t serial;
	struct log_about about;
	struct loop *worker;
	struct vhost_backend *vhost;
	bool connected, broken;
	struct guest_memory mem;
	struct guest_queue queue[VHOST_MAX_QUEUES];
	struct guest_driver driver;
	uint64_t last_driver;
	struct guest_channel *channel[OKL4FS_MAX_CHANNELS];
	uint32_t n_ids;
	uint32_t generation[OKL4FS_MAX_CHANNELS];
	struct tail_budget tails;
	bool is_parting;
	uint64_t changed[OKL4FS_BELL_WORDS], failed[OKL4FS_BELL_WORDS];
	struct log_limit limit;
	struct guest_snapshot stats;
};

/** guest_channel_of() - the channel with an id; NULL: there is none */
static inline struct guest_channel *guest_channel_of(const struct guest *g, uint32_t id)
{
	return id < g->n_ids ? g->channel[id] : NULL;
}

/* guest_channels.c */

/** guest_channels_leave() - the guest is removed: offer no channel any more, while its memory is there */
void guest_channels_leave(struct guest *g);

/** guest_channels_end() - end all channels, the guest's memory being out of reach */
void guest_channels_end(struct guest *g);

/** guest_channel_free() - end a channel that has no memory any more; NULL is allowed */
void guest_channel_free(struct guest_channel *gc);

/* guest_leaver.c */

/**
 * guest_leaver_add() - let a removed channel live on until its endpoint has nothing to do any more
 * @gc: channel without memory, not offered any more; owned from here on
 *
 * Return: false when there is nothing to wait for: then it is still the caller's.
 */
bool guest_leaver_add(struct guest_channel *gc);

/* guest_device.c */

extern const struct vhost_device_ops guest_device_ops;

/** guest_break() - the driver broke a ring: serve nothing until it resets the device */
void guest_break(struct guest *g, const struct guest_queue *q);

/** guest_forget_driver() - as before HELLO: no channel's memory is touched from here on */
void guest_forget_driver(struct guest *g);

/* guest_queue.c */

/** guest_queue_init() - a queue that is not up */
void guest_queue_init(struct guest *g, unsigned int idx);

/** guest_queue_start() - take up a ring; Return: NULL, or what is wrong with it; static memory */
const char *guest_queue_start(struct guest_queue *q, const struct vhost_ring *ring);

/** guest_queue_stop() - let a ring go */
void guest_queue_stop(struct guest_queue *q);

/** guest_queue_kick() - look at the queue soon, as if it was kicked */
void guest_queue_kick(struct guest_queue *q);

/** guest_queue_look_after() - look after all channels soon, as if rung; the driver is ready */
void guest_queue_look_after(struct guest *g);

/** guest_queue_changed() - an id has another channel, or none: tell the driver, if there is one */
void guest_queue_changed(struct guest *g, uint32_t id);

/** guest_queue_notify() - notify the driver of used buffers */
void guest_queue_notify(struct guest_queue *q);

/** guest_decline_fuse() - answer a chain if it is a FUSE request; Return: true when it was */
bool guest_decline_fuse(struct guest_queue *q, const struct virtqueue_chain *chain);

/** guest_queue_reset() - forget what waits to be told: a driver begins, or has gone */
void guest_queue_reset(struct guest_queue *q);

extern const struct channel_guest_ops guest_channel_ops;

/* guest_control.c */

/** guest_control_turn() - serve a bounded number of requests; Return: more may be there */
bool guest_control_turn(struct guest_queue *q);

/* guest_attach.c */

/** guest_attach() - ATTACH; Return: 0 or a negated fs_status */
int guest_attach(struct guest *g, const struct wire_attach *req);

/**
 * guest_reattach() - find a channel's memory again after a remap; Return: 0 or a negated fs_status
 */
int guest_reattach(struct guest *g, struct guest_channel *gc);

/** attachment_drop() - forget it */
void attachment_drop(struct attachment *att);

#endif
