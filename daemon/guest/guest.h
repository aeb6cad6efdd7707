/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest.h - one guest: its device, its queues and its channels
 *
 * A guest belongs to one worker loop. vhost_backend brings it vrings and memory (from DPDK's vhost
 * thread, by loop_call()); it serves the control queue, rings bells, and hands memory to channels.
 */
#ifndef OKL4FSD_GUEST_GUEST_H
#define OKL4FSD_GUEST_GUEST_H

#include "channel/channel.h"
#include "config/config.h"
#include "endpoint/endpoint.h"

struct guest;

/**
 * guest_new() - make a guest, its channels and endpoints, and its vhost-user socket
 * @guest: out
 * @cfg: copied
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
 * guest_part() - the daemon ends: leave other guests alone
 * @guest: guest
 *
 * What becomes of this guest from here on is no end of a stream for those that are joined to it.
 *
 * Main thread.
 */
void guest_part(struct guest *guest);

/**
 * guest_host_instance() - what HELLO replies give as host_instance: random, one a process, not
 * zero
 */
uint64_t guest_host_instance(void);

/** guest_serial() - counts the guests of this process, from 1 on: says which was made before which */
uint64_t guest_serial(const struct guest *guest);

/** guest_config() - its configuration, without channels; constant */
const struct guest_config *guest_config(const struct guest *guest);

/**
 * guest_channel_add() - offer one more channel
 * @guest: guest
 * @cfg: copied
 * @id: out: its id; NULL: not wanted
 *
 * A driver that is there is told (CHANNEL_ADDED).
 *
 * Main thread. Return: 0; -EEXIST: there is one of that name; -ENOSPC: there are OKL4FS_MAX_CHANNELS;
 * or another negated errno, with a log line.
 */
int guest_channel_add(struct guest *guest, const struct channel_config *cfg, uint32_t *id);

/**
 * guest_channel_remove() - offer a channel no longer
 * @guest: guest
 * @name: its name
 *
 * What the endpoint can take at once is moved before; the driver is told (CHANNEL_REMOVED), and from
 * here on the guest's memory is not touched.
 *
 * Main thread. Return: 0, or -ENOENT.
 */
int guest_channel_remove(struct guest *guest, const char *name);

/**
 * guest_channel_reset() - fail a channel that is attached (CHANNEL_RESET); a new stream can begin
 * @guest: guest
 * @name: its name
 *
 * Main thread. Return: 0, or -ENOENT.
 */
int guest_channel_reset(struct guest *guest, const char *name);

/**
 * guest_become() - offer the channels of another configuration
 * @guest: guest
 * @cfg: configuration that differs in channels only
 *
 * Channels that are configured as before go on undisturbed; others are removed and added, each with
 * a log line. One that cannot be added is left out, and told. Sockets whose file was lost are made
 * anew.
 *
 * Main thread.
 */
void guest_become(struct guest *guest, const struct guest_config *cfg);

/** guest_path_is_lost() - somebody has removed or replaced the vhost-user socket's file; main thread */
bool guest_path_is_lost(const struct guest *guest);

/** guest_drop_others() - the first half of guest_become(): only remove; main thread */
void guest_drop_others(struct guest *guest, const struct guest_config *cfg);

/**
 * struct channel_snapshot - a channel at one moment, for `channel.list`
 * @cfg: its configuration; borrowed until the channel is removed, which main does
 * @id, @info, @state, @instance, @failed_status, @attaches, @fwd, @bwd: as in struct channel
 * @fwd_fill, @bwd_fill: bytes in the rings; 0 when not attached
 * @fwd_host_phase, @fwd_guest_phase, @bwd_host_phase, @bwd_guest_phase: phases; 0 when not attached
 * @tail_bytes: bytes of streams whose guest has gone, still to be delivered
 * @lost_bytes: bytes that the guest wrote and nobody will have
 * @errors: violations by fs_status
 */
struct channel_snapshot {
	const struct channel_config *cfg;
	uint32_t id;
	struct endpoint_info info;
	enum channel_state state;
	uint64_t instance;
	enum fs_status failed_status;
	uint64_t attaches;
	struct channel_way_stats fwd, bwd;
	uint64_t fwd_fill, bwd_fill;
	uint64_t tail_bytes, lost_bytes;
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
 * @tail_bytes: kept of streams that have ended, or may have
 * @driver_instance: as in HELLO
 * @moved_bytes: both ways, of the channels that are offered
 * @n_channels: channels that are offered
 * @n_in_state: and of these, how many are in each state
 */
struct guest_snapshot {
	bool connected, ready;
	unsigned int n_queues;
	uint64_t memory_bytes, requests, refused, declined_fuse, dropped_messages, device_errors;
	uint64_t tail_bytes, driver_instance, moved_bytes;
	uint32_t n_channels, n_in_state[N_CHANNEL_STATES];
};

/** guest_snapshot() - any thread; waits for the worker */
void guest_snapshot(struct guest *guest, struct guest_snapshot *snap);

/**
 * guest_channel_snapshots() - channels in the order of their ids; main
 * @guest: guest
 * @from: the first id that is wanted
 * @max: at most so many
 * @list: out: to be freed
 *
 * Return: how many; fewer than @max: there are no more; or -ENOMEM.
 */
int guest_channel_snapshots(struct guest *guest, uint32_t from, uint32_t max,
			    struct channel_snapshot **list);

#endif
