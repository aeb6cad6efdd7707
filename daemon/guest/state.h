/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * state.h - the structures of a guest, for the files of this folder
 *
 * Each file includes only files that stand further up here:
 *
 *	virtqueue   a split virtqueue as the device sees it
 *	wire        requests and events as bytes
 *	state       the structures; they belong to the guest's worker
 *	queue       kicks and notifications; turns
 *	bell        doorbells and events
 *	attach      ATTACH: chunks of guest memory become memsections
 *	leaver      the end of a channel
 *	sessions    the sessions of channels that have them
 *	control     the control queue's requests
 *	device      what the frontend sets up: memory and rings come and go
 *	serial/     instead of all these: ports of guests without the driver
 *	channels    channels come and go
 *	snapshot    what others are told of the guest
 *	guest       making and ending one
 */
#ifndef OKL4FSD_GUEST_STATE_H
#define OKL4FSD_GUEST_STATE_H

#include "channel/channel.h"
#include "config/config.h"
#include "endpoint/endpoint.h"
#include "guest/virtqueue.h"
#include "guest/wire.h"
#include "util/log_limit.h"
#include "vhost/front.h"
#include "vhost/memory.h"

struct guest_queue_ops;
struct serial_port;

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
 * @valid: an ATTACH was accepted
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
 * struct guest_sessions - of a channel that has sessions
 * @live: sessions now, those that wait included
 * @waiting: how many of them wait for the other side
 * @peak: most at once
 * @opened: sessions that were opened so far
 * @refused: those that were not, for whatever reason
 */
struct guest_sessions {
	uint32_t live, waiting, peak;
	uint64_t opened, refused;
};

/**
 * struct guest_channel - a channel, or a session, with what the guest object keeps for it
 * @cfg: its configuration
 * @ch: the channel
 * @generation: tells it from channels that have the same id at other times
 * @endpoint: its host end; NULL: it could not be made, and the channel is not offered
 * @why_not: why it could not be made, or not be made again by a reload; NULL: it could
 * @att: its memory, in guest-physical terms
 * @sessions: its sessions; the channel itself has no memory then
 * @board: (session) the channel that it is a session of; NULL: this is a channel
 * @is_waiting: (session) the other side has not answered yet
 * @is_settled: (session) opened or resumed since HELLO
 * @is_over: (session) it has ended, and goes with the next turn of struct guest, @reap
 * @is_quiet: (session) a request about it is being served, and the reply says what becomes of it
 * @port: (WAY_SERIAL) its port
 */
struct guest_channel {
	struct channel_config cfg;
	struct channel ch;
	uint32_t generation;
	struct endpoint *endpoint;
	char *why_not;
	struct attachment att;
	struct guest_sessions sessions;
	struct guest_channel *board;
	bool is_waiting, is_settled, is_over, is_quiet;
	struct serial_port *port;
};

/**
 * struct guest_news - what an event that waits for a buffer will tell
 * @status: the status
 * @instance: the instance
 */
struct guest_news {
	enum okl4_status status;
	uint64_t instance;
};

/**
 * struct guest_queue - one virtqueue of the device
 * @guest: guest
 * @idx: its number
 * @ops: what it is for
 * @up: @vq may be used
 * @vq: the virtqueue
 * @mark: how far it was served when it was last stopped
 * @kick_fd: a dup(2) of the kick descriptor, or -1
 * @kick: event on it. Edge-triggered, since it is never read: another holder could make us wait
 * @turn: serve the queue, or go on serving it
 * @call: notify the driver later, when DPDK held the queue's lock
 * @wake: (event) a WAKE waits for a buffer
 * @rung: (event) doorbell bits taken from the bell page and not yet acted on, by word
 */
struct guest_queue {
	struct guest *guest;
	unsigned int idx;
	const struct guest_queue_ops *ops;
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
 * @ready: the driver has said HELLO
 * @n_event_queues: M
 * @bell_gpa: the bell page
 * @bell: the bell page, mapped; NULL while the device is suspended
 * @instance: the driver's
 */
struct guest_driver {
	bool ready;
	uint32_t n_event_queues;
	uint64_t bell_gpa;
	struct okl4_bell_shm *bell;
	uint64_t instance;
};

/** struct guest_stats - counters; struct guest_snapshot has them under the same names */
struct guest_stats {
	uint64_t requests, refused, declined_fuse, dropped_messages, device_errors;
};

/**
 * struct guest - see guest.h
 * @cfg: configuration, without channels
 * @serial: guest_serial()
 * @about: the guest, for log lines
 * @worker: its loop
 * @vhost: its frontend; NULL: (WAY_SERIAL) it has ports
 * @n_ports: (WAY_SERIAL) how many of them are connected
 * @begun: it has the channels that it begins with
 * @connected: a frontend is there, or a port is connected
 * @greet: a GREET waits for a buffer
 * @unmet: the driver has not said HELLO since the frontend was taken up from a former daemon
 * @broken: the driver broke a ring; nothing is served until it resets the device
 * @mem: guest memory; empty while suspended
 * @queue: the device's queues
 * @driver: what HELLO said
 * @last_driver: driver's instance of the last HELLO; 0: none yet. A driver's memory outlives the
 *	device, but not the driver
 * @channel: its channels and their sessions by id, also channels that are not offered; NULL: there is none
 * @n_ids: one more than the highest id in use
 * @generation: by id, of the channel that gets this id next
 * @tails: how much the channels may keep of streams that have ended
 * @is_parting: the daemon ends, and the next one finds what lies in the guest's memory
 * @changed: ids that a CHANNEL_ADDED or CHANNEL_REMOVED waits for a buffer for; bits as in the bell
 *	page, so that each word belongs to one event queue
 * @failed: likewise for CHANNEL_FAILED
 * @answered: likewise for SESSION
 * @news: by id, what CHANNEL_FAILED or SESSION will tell
 * @reap: removes sessions that are over
 * @limit: for log lines that the guest can cause
 * @stats: counters
 */
struct guest {
	struct guest_config cfg;
	uint64_t serial;
	struct log_about about;
	struct loop *worker;
	struct vhost_front *vhost;
	uint32_t n_ports;
	bool begun, connected, broken, greet, unmet;
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
	uint64_t answered[OKL4FS_BELL_WORDS];
	struct guest_news news[OKL4FS_MAX_CHANNELS];
	struct loop_task reap;
	struct log_limit limit;
	struct guest_stats stats;
};

/** guest_end_of() - the channel that is offered, or the session, with an id; NULL: there is none */
static inline struct guest_channel *guest_end_of(const struct guest *g, uint32_t id)
{
	struct guest_channel *gc = id < g->n_ids ? g->channel[id] : NULL;

	return gc && gc->endpoint && !gc->is_over ? gc : NULL;
}

/** guest_channel_of() - the channel with an id that is offered; NULL: there is none */
static inline struct guest_channel *guest_channel_of(const struct guest *g, uint32_t id)
{
	struct guest_channel *gc = guest_end_of(g, id);

	return gc && !gc->board ? gc : NULL;
}

/** guest_session_of() - the session with an id; NULL: there is none */
static inline struct guest_channel *guest_session_of(const struct guest *g, uint32_t id)
{
	struct guest_channel *gc = guest_end_of(g, id);

	return gc && gc->board ? gc : NULL;
}

#endif
