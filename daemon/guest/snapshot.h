/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshot.h - what a guest and its channels look like at one moment
 */
#ifndef OKL4FSD_GUEST_SNAPSHOT_H
#define OKL4FSD_GUEST_SNAPSHOT_H

#include "channel/channel.h"
#include "endpoint/endpoint.h"

struct guest;

/**
 * struct channel_snapshot - a channel at one moment, for `channel.list`
 * @cfg: its configuration; borrowed until the channel is removed, which main does
 * @id, @info, @state, @instance, @failed_status, @attaches, @fwd, @bwd: as in struct channel
 * @port: (WAY_SERIAL) path of its port's socket, borrowed likewise; else NULL
 * @port_why_away: errno of the last attempt to connect there; 0: it succeeded, or the daemon listens
 * @fwd_fill, @bwd_fill: bytes in the rings; 0 when not attached
 * @fwd_host_phase, @fwd_guest_phase, @bwd_host_phase, @bwd_guest_phase: phases; 0 when not attached
 * @writer, @reader: which programs in the guest have its ends of fwd and bwd open, as it says; a @pid
 *	of 0: none, or not given
 * @tail_bytes: bytes of streams whose guest has gone, still to be delivered
 * @lost_bytes: bytes that the guest wrote and that cannot be delivered
 * @errors: violations by okl4_status
 * @sessions: how many sessions the channel may have (@max; 0: it is one without), has, has that wait for
 *	the other side, and had at once; how many were opened and refused so far. The other numbers
 *	are then sums over its sessions
 */
struct channel_snapshot {
	const struct channel_config *cfg;
	uint32_t id;
	struct endpoint_info info;
	const char *port;
	int port_why_away;
	enum channel_state state;
	uint64_t instance;
	enum okl4_status failed_status;
	uint64_t attaches;
	struct channel_way_stats fwd, bwd;
	uint64_t fwd_fill, bwd_fill;
	uint64_t tail_bytes, lost_bytes;
	uint64_t fwd_host_phase, fwd_guest_phase, bwd_host_phase, bwd_guest_phase;
	struct okl4_opener writer, reader;
	uint32_t errors[OKL4_STATUS_END];
	struct {
		uint32_t max, live, waiting, peak;
		uint64_t opened, refused;
	} sessions;
};

/**
 * struct guest_snapshot - a guest at one moment, for `guest.list`
 * @connected: a frontend is there
 * @why_away: errno of the last attempt to connect to the frontend; 0: it succeeded, or the daemon
 *	listens
 * @negotiated: the frontend has set the features
 * @served: its socket could be made; true where the frontend listens
 * @port_lost: (WAY_SERIAL) the file of a port's socket was removed or replaced
 * @ready: the driver has said HELLO; (WAY_SERIAL) as @connected
 * @n_queues: queues in use
 * @memory_bytes: guest memory that is mapped
 * @requests: control requests served
 * @refused: control requests refused
 * @declined_fuse: FUSE requests of a firmware or a stray virtiofs mount
 * @dropped_messages: vhost-user messages that were refused
 * @device_errors: times the device was taken from the frontend (bad region, bad vring)
 * @tail_bytes: bytes that are kept of streams that have ended, or may have ended
 * @driver_instance: as in HELLO
 * @moved_bytes: in both directions, by the channels that are offered
 * @n_channels: channels, also those that are unavailable
 * @n_in_state: how many of these are in each state
 */
struct guest_snapshot {
	bool connected, served, negotiated, port_lost, ready;
	int why_away;
	unsigned int n_queues;
	uint64_t memory_bytes, requests, refused, declined_fuse, dropped_messages, device_errors;
	uint64_t tail_bytes, driver_instance, moved_bytes;
	uint32_t n_channels, n_in_state[N_CHANNEL_STATES];
};

/** guest_snapshot() - look at a guest; main; waits for the worker */
void guest_snapshot(struct guest *guest, struct guest_snapshot *snap);

/**
 * guest_channel_snapshots() - channels in the order of their ids; main
 * @guest: guest
 * @from: the first id that is wanted
 * @max: at most so many
 * @list: out; the caller frees it
 *
 * Return: how many (fewer than @max when there are no more), or -ENOMEM.
 */
int guest_channel_snapshots(struct guest *guest, uint32_t from, uint32_t max,
			    struct channel_snapshot **list);

#endif
