/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest.h - one guest: its device, its queues and its channels
 *
 * A guest belongs to one worker loop. vhost_backend brings it vrings and memory (from DPDK's vhost
 * thread, by loop_call()); it serves the control queue, rings bells, and hands memory to channels.
 */
#ifndef OKL4FS_GUEST_H
#define OKL4FS_GUEST_H

#include "channel.h"
#include "config.h"
#include "endpoint/endpoint.h"

struct guest;

/**
 * guest_new() - make a guest, its channels and endpoints, and its vhost-user socket
 * @guest: out
 * @cfg: borrowed until guest_free()
 * @main_loop: loop of the calling thread
 * @worker: the loop that it belongs to
 *
 * Main thread. Return: 0 or -errno, with a log line.
 */
int guest_new(struct guest **guest, const struct guest_config *cfg, struct loop *main_loop,
	      struct loop *worker);

/**
 * guest_free() - leave the frontend, end the streams, remove the sockets; main thread; Return:
 * NULL
 */
struct guest *guest_free(struct guest *guest);

/**
 * guest_host_instance() - what HELLO replies give as host_instance: random, one a process, not
 * zero
 */
uint64_t guest_host_instance(void);

/** guest_config() - its configuration */
const struct guest_config *guest_config(const struct guest *guest);

/**
 * struct channel_snapshot - a channel at one moment, for `channel.list`
 * @name: borrowed from the configuration
 * @id, @ring_bytes, @exclusive, @endpoint, @info, @state, @instance, @failed_status, @attaches,
 * @fwd, @bwd: as in struct channel
 * @fwd_fill, @bwd_fill: bytes in the rings; 0 when not attached
 * @fwd_host_phase, @fwd_guest_phase, @bwd_host_phase, @bwd_guest_phase: phases; 0 when not attached
 * @errors: violations by fs_status
 */
struct channel_snapshot {
	const char *name;
	uint32_t id;
	uint64_t ring_bytes;
	bool exclusive;
	enum endpoint_type endpoint;
	struct endpoint_info info;
	enum channel_state state;
	uint64_t instance;
	enum fs_status failed_status;
	uint64_t attaches;
	struct channel_way_stats fwd, bwd;
	uint64_t fwd_fill, bwd_fill;
	uint64_t fwd_host_phase, fwd_guest_phase, bwd_host_phase, bwd_guest_phase;
	uint32_t errors[FS_STATUS_END];
};

/**
 * struct guest_snapshot - a guest at one moment, for `guest.list`
 * @connected: a frontend is there
 * @ready: the driver has said HELLO
 * @n_queues: queues in use
 * @memory_bytes: guest memory mapped
 * @requests: control requests served
 * @refused: control requests refused
 * @declined_fuse: FUSE requests of a firmware or a stray virtiofs mount
 * @dropped_messages: vhost-user messages that were refused
 * @device_errors: times the device was taken from the frontend (bad region, bad vring)
 * @driver_instance: as in HELLO
 */
struct guest_snapshot {
	bool connected, ready;
	unsigned int n_queues;
	uint64_t memory_bytes, requests, refused, declined_fuse, dropped_messages, device_errors;
	uint64_t driver_instance;
};

/** guest_snapshot() - any thread; waits for the worker */
void guest_snapshot(struct guest *guest, struct guest_snapshot *snap);

/**
 * guest_channel_snapshot() - the @idx-th channel; any thread; Return: 0, or -ENOENT past the last
 */
int guest_channel_snapshot(struct guest *guest, size_t idx, struct channel_snapshot *snap);

#endif
