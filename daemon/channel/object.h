/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * object.h - struct channel, and what it calls of its guest and its endpoint
 *
 * The files of this folder, from low to high; each one uses only those before it:
 *
 *	state    the state machine, a pure function
 *	tail     what a guest has written when its memory goes away
 *	object   struct channel
 *	report   what is told of a channel: log lines and events
 *	opener   which programs in the guest have it open
 *	tails    the tails of a channel, and what its ends are meanwhile
 *	channel  attaching and detaching memory, failing, being woken
 *	io       moving bytes
 */
#ifndef OKL4FSD_CHANNEL_OBJECT_H
#define OKL4FSD_CHANNEL_OBJECT_H

#include <libfs/socketpair.h>

#include "channel/state.h"
#include "channel/tail.h"
#include "config/config.h"
#include "loop/loop.h"
#include "util/log_limit.h"

/**
 * struct channel_way_stats - counters of one direction
 * @bytes: moved by the host; of a channel with packets, those of the messages
 * @messages: commits (one per piece moved); of a channel with packets, messages
 * @wakes_sent: notifications to the guest on account of this direction
 * @wakes_received: times the endpoint was woken when this direction had moved
 * @full_stalls: the host slept because the ring was full (bwd)
 * @empty_stalls: the host slept because the ring was empty (fwd)
 * @opens: times the host end was opened
 */
struct channel_way_stats {
	uint64_t bytes, messages, wakes_sent, wakes_received, full_stalls, empty_stalls, opens;
};

/**
 * struct channel_opener - which program in the guest has opened an end, as the guest says
 * @phase: phase of the guest's end at the last look: it is open while that is odd
 * @program: which; a @pid of 0: the guest has not told
 */
struct channel_opener {
	uint64_t phase;
	struct okl4_opener program;
};

struct channel;

/**
 * struct channel_guest_ops - what a channel asks of its guest
 * @ring: set the bell bit of channel @id and send a WAKE if the word was zero
 * @tell: queue an event (CHANNEL_FAILED) for the guest
 * @memory_is_lost: whether the guest's memory has been taken away, so that what was just copied from it
 *	may be zeros; NULL: it never is
 * @opened: (session) the other side has answered, after endpoint_ops.open said that it had not
 */
struct channel_guest_ops {
	void (*ring)(void *guest, uint32_t id);
	void (*tell)(void *guest, const struct channel *ch, enum okl4_status status);
	bool (*memory_is_lost)(void *guest);
	void (*opened)(void *guest, const struct channel *ch);
};

/**
 * struct channel_endpoint_ops - what a channel tells its endpoint
 * @up: the ends can be used; @fresh: a new stream begins, else go on where the cursors are.
 *	The endpoint opens or closes the host ends to match its own side (phases in the shared
 *	memory may say otherwise after a restart)
 * @down: the ends cannot be used until up(); @gone: they will not come back: end the stream, and
 *	not cleanly if channel_is_torn()
 * @woken: the guest rang: bytes, room, or a phase changed. Move a bounded amount; use
 *	channel_again() for the rest
 * @delivers: the endpoint passes on what the guest writes, also when the guest has gone
 */
struct channel_endpoint_ops {
	void (*up)(void *ep, bool fresh);
	void (*down)(void *ep, bool gone);
	void (*woken)(void *ep);
	bool delivers;
};

TAILQ_HEAD(tail_list, tail);

/**
 * struct channel - one channel; only the files of this folder change it
 * @cfg: its configuration; borrowed from the guest's
 * @guest_name: for log lines; borrowed
 * @id: id in the guest
 * @is_session: it is a session of the channel that it has the configuration of: there is one stream in
 *	it, and an end that has closed does not open again
 * @loop: the guest's worker
 * @state: state
 * @sp: what the endpoint works on, while channel_usable(): the host's end of the guest's memory, or of
 *	the first tail; rx is fwd, tx is bwd
 * @waiting: the host's end of the guest's memory while tails come first
 * @sec: the guest's memsections, and the chunk arrays that they point to (owned)
 * @instance: the instance last attached; 0: none
 * @failed_status: why, in CHANNEL_FAILED
 * @fwd: counters of guest to host
 * @bwd: counters of host to guest
 * @attaches: times memory was attached
 * @lost_bytes: what the guest wrote and no peer will get
 * @errors: violations by okl4_status
 * @torn: the stream that the endpoint is told to end has lost bytes
 * @tails: what former streams have left, in their order; the endpoint works on the first
 * @kept: a copy of what lay in fwd when the memory went away for a while: the tail, if it does not
 *	come back
 * @left: the memory that the last tail is of: its instance (0: none), and how far it has been delivered
 *	if it is no longer in @tails
 * @budget: (set by the guest) for its tails; borrowed; NULL: nothing is kept
 * @writer, @reader: the guest's ends of fwd and of bwd; zero when it has not attached
 * @opener_limit: limits the events of their openings; a session has its channel's
 * @ending: scheduled when a stream or a connection has ended, if something waits for that; or NULL
 */
struct channel {
	const struct channel_config *cfg;
	const char *guest_name;
	uint32_t id;
	bool is_session;
	struct loop *loop;
	enum channel_state state;
	struct okl4_socketpair sp, waiting;
	struct okl4_memsec sec[OKL4FS_N_SECS];
	void **chunk[OKL4FS_N_SECS];
	uint64_t instance;
	enum okl4_status failed_status;
	struct channel_way_stats fwd, bwd;
	uint64_t attaches, lost_bytes;
	uint32_t errors[OKL4_STATUS_END];
	bool torn;
	struct tail_list tails;
	struct tail *kept;
	struct {
		uint64_t instance, read_pos;
	} left;
	struct tail_budget *budget;
	struct channel_opener writer, reader;
	struct log_limit *opener_limit;
	struct loop_task *ending;
	/* private */
	const struct channel_guest_ops *guest_ops;
	void *guest;
	const struct channel_endpoint_ops *endpoint_ops;
	void *endpoint;
	struct loop_task task;
	struct log_limit own_opener_limit, log_limit,
		*limit; /* the one that counts: its own, or its channel's (session) */
	uint64_t looked_bytes; /* fwd.bytes at the last look for more */
	bool leaves_rest; /* the channel is removed, and what lies in fwd stays there */
	uint64_t left_bytes; /* how much stays there then */
	uint64_t look_left_ns; /* what is left of this turn's CHANNEL_TURN_LOOK_NS */
};

#endif
