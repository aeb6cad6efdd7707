/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - one channel as the host sees it
 *
 * Between the guest object (which attaches memory and carries notifications) and the endpoint
 * (which moves the bytes). channel_next() is the whole state machine, a pure function; the rest
 * carries its actions out. Everything here runs on the guest's worker.
 */
#ifndef OKL4FSD_CHANNEL_CHANNEL_H
#define OKL4FSD_CHANNEL_CHANNEL_H

#include <libfs/socketpair.h>

#include "config/config.h"
#include "loop/loop.h"
#include "channel/tail.h"
#include "util/log.h"
#include "util/log_limit.h"

/** enum channel_state - where the channel's memory is */
enum channel_state {
	CHANNEL_DETACHED, /* no memory known */
	CHANNEL_ATTACHED, /* memory in use */
	CHANNEL_SUSPENDED, /* memory away (reset, remap, lost socket), its instance may come back */
	CHANNEL_FAILED, /* the peer broke the protocol; that instance is refused */
	N_CHANNEL_STATES,
};

/** enum channel_event - what can happen to it */
enum channel_event {
	CHANNEL_EV_ATTACH_FRESH, /* checked memory of an instance that is new here */
	CHANNEL_EV_ATTACH_SAME, /* checked memory of the instance that was last attached */
	CHANNEL_EV_DETACH, /* the guest takes its memory back */
	CHANNEL_EV_SUSPEND, /* device reset or memory table about to change */
	CHANNEL_EV_GUEST_GONE, /* the frontend has left */
	CHANNEL_EV_FAIL, /* a violation was found */
	N_CHANNEL_EVENTS,
};

/** enum channel_action - what follows, as bits */
enum channel_action {
	CHANNEL_ACT_ENDPOINT_DOWN = 1, /* memory away for now: endpoint stops touching it */
	CHANNEL_ACT_ENDPOINT_GONE = 2, /* for good: endpoint ends its client's streams */
	CHANNEL_ACT_ENDPOINT_UP = 4, /* memory there: endpoint goes on where the cursors are */
	CHANNEL_ACT_ENDPOINT_FRESH = 8, /* memory there, a new stream begins */
	CHANNEL_ACT_TELL_GUEST = 16, /* CHANNEL_FAILED event */
};

/**
 * channel_next() - the state machine
 * @state: now
 * @event: what happened
 * @actions: out: channel_action bits, in the order of their values
 *
 * Return: the next state.
 */
enum channel_state channel_next(enum channel_state state, enum channel_event event,
				unsigned int *actions);

/** channel_state_name() - "detached", ...; static memory */
const char *channel_state_name(enum channel_state state);

/**
 * struct channel_way_stats - counters of one direction
 * @bytes: moved by the host
 * @messages: commits (one a piece moved)
 * @wakes_sent: notifications to the guest on account of this direction
 * @wakes_received: times the endpoint was woken and this direction had moved
 * @full_stalls: the host slept because the ring was full (bwd)
 * @empty_stalls: the host slept because the ring was empty (fwd)
 * @opens: times the host end was opened
 */
struct channel_way_stats {
	uint64_t bytes, messages, wakes_sent, wakes_received, full_stalls, empty_stalls, opens;
};

struct channel;

/**
 * struct channel_guest_ops - what a channel asks of its guest
 * @ring: set the bell bit of channel @id and send a WAKE if the word was zero
 * @tell: queue an event (CHANNEL_FAILED) for the guest
 * @memory_is_lost: whether the guest's memory has been taken away, so that what was just copied from it
 *	may be zeros; NULL: it never is
 */
struct channel_guest_ops {
	void (*ring)(void *guest, uint32_t id);
	void (*tell)(void *guest, const struct channel *ch, enum fs_status status);
	bool (*memory_is_lost)(void *guest);
};

/**
 * struct channel_endpoint_ops - what a channel tells its endpoint
 * @up: the ends can be used; @fresh: a new stream begins, else go on where the cursors are.
 *	The endpoint opens or closes the host ends to match what it is joined to (phases in the
 *	shared memory may say otherwise after a restart)
 * @down: the ends cannot be used until up(); @gone: they will not come back: end the stream, and
 *	not cleanly if channel_is_torn()
 * @woken: the guest rang: bytes, room, or a phase changed. Move a bounded amount; use
 *	channel_again() for the rest
 * @delivers: somebody is to have what the guest writes, also when the guest has gone
 */
struct channel_endpoint_ops {
	void (*up)(void *ep, bool fresh);
	void (*down)(void *ep, bool gone);
	void (*woken)(void *ep);
	bool delivers;
};

TAILQ_HEAD(tail_list, tail);

/**
 * struct channel - one channel; read-only to everybody but channel.c
 * @cfg: its configuration; borrowed from the guest's
 * @guest_name: for log lines; borrowed
 * @id: id in the guest
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
 * @lost_bytes: what the guest wrote and nobody will have
 * @errors: violations by fs_status
 * @torn: the stream that the endpoint is told to end has lost bytes
 * @tails: what former streams have left, in their order; the endpoint works on the first
 * @kept: a copy of what lay in fwd when the memory went away for a while: the tail, if it does not
 *	come back
 * @left: the memory that the last tail is of: its instance (0: none), and how far it has been delivered
 *	if it is no longer in @tails
 * @budget: (set by the guest) for its tails; borrowed; NULL: nothing is kept
 * @ending: scheduled when a stream or a connection has ended, for one who waits for that; or NULL
 */
struct channel {
	const struct channel_config *cfg;
	const char *guest_name;
	uint32_t id;
	struct loop *loop;
	enum channel_state state;
	struct socketpair sp, waiting;
	struct memsec sec[OKL4FS_N_SECS];
	void **chunk[OKL4FS_N_SECS];
	uint64_t instance;
	enum fs_status failed_status;
	struct channel_way_stats fwd, bwd;
	uint64_t attaches, lost_bytes;
	uint32_t errors[FS_STATUS_END];
	bool torn;
	struct tail_list tails;
	struct tail *kept;
	struct {
		uint64_t instance, read_pos;
	} left;
	struct tail_budget *budget;
	struct loop_task *ending;
	/* private */
	const struct channel_guest_ops *guest_ops;
	void *guest;
	const struct channel_endpoint_ops *endpoint_ops;
	void *endpoint;
	struct loop_task task;
	struct log_limit log_limit;
	uint64_t looked_bytes; /* fwd.bytes when more was looked for last */
	bool leaves_rest; /* it is removed, and what lies in fwd stays there */
	uint64_t left_bytes; /* that much */
	uint64_t look_left_ns; /* what is left of this turn's CHANNEL_TURN_LOOK_NS */
};

/** channel_init() - @cfg, @guest_name borrowed; the endpoint is bound afterwards; Return: 0 */
int channel_init(struct channel *ch, const struct channel_config *cfg, const char *guest_name,
		 uint32_t id, struct loop *loop, const struct channel_guest_ops *ops, void *guest);

/** channel_deinit() - endpoint must be gone (channel_give_up()); memory is let go */
void channel_deinit(struct channel *ch);

/** channel_bind() - join the endpoint's callbacks; up() comes at the next attach */
void channel_bind(struct channel *ch, const struct channel_endpoint_ops *ops, void *endpoint);

/**
 * channel_attach() - memory that was translated and checked by the guest object
 * @ch: channel
 * @sec: geometry of each memsection, checked (FS_SEC_BYTES...)
 * @chunk: three arrays of host pointers, malloc'ed; ownership passes here in every case
 * @instance: as in the request
 *
 * Detaches what was attached before, attaches the socketpair, tells the endpoint.
 *
 * Return: 0 or a negated fs_status for the reply (-FS_CHANNEL_FAILED for the failed instance).
 */
int channel_attach(struct channel *ch, const struct memsec sec[OKL4FS_N_SECS],
		   void **chunk[OKL4FS_N_SECS], uint64_t instance);

/** channel_connected() - tell that somebody is there at the host end (events.h) */
void channel_connected(const struct channel *ch);

/** channel_left() - tell that he is there no longer; @reason: why, as a part of a sentence */
void channel_left(const struct channel *ch, const char *reason);

/**
 * channel_detach() - the guest takes its memory back
 *
 * What the endpoint can take at once is moved before; the rest becomes a tail.
 */
void channel_detach(struct channel *ch);

/** channel_is_idle() - whether a channel's memory can go and nobody notices: no end is open, no byte lies there */
bool channel_is_idle(struct channel *ch);

/**
 * channel_remove() - the channel is not offered any more: as channel_detach()
 * @ch: channel
 * @take: somebody is there who is to have the rest; else it stays in the guest's memory, for the next
 *	channel of this name and ring size
 */
void channel_remove(struct channel *ch, bool take);

/** channel_note_loss() - bytes that the guest wrote will reach nobody: count it, tell it (@why), log it */
void channel_note_loss(struct channel *ch, uint64_t bytes, const char *why);

/** channel_give_up() - what lies in tails is lost: count it, and tear the stream; @why: for log and event */
void channel_give_up(struct channel *ch, const char *why);

/** channel_leave_budget() - what its tails hold is the guest's no longer */
void channel_leave_budget(struct channel *ch);

/** channel_tail_bytes() - what lies in tails; never part of the rings' fill */
uint64_t channel_tail_bytes(const struct channel *ch);

/** channel_end() - the host's end of the guest's memory, in CHANNEL_ATTACHED */
struct socketpair *channel_end(struct channel *ch);

/** channel_suspend() - no access to the memory after this returns */
void channel_suspend(struct channel *ch);

/** channel_guest_gone() - likewise, and the instance will not come back */
void channel_guest_gone(struct channel *ch);

/** channel_fail() - the peer broke the protocol (@status > 0 or negated): logs, tells guest and endpoint */
void channel_fail(struct channel *ch, int status);

/** channel_reset() - fail it by an operator's wish (FS_CHANNEL_RESET), and drop what tails there are */
void channel_reset(struct channel *ch);

/** channel_rung() - the guest's bell bit was set, or the device has just come up */
void channel_rung(struct channel *ch);

/**
 * channel_write_log() - a line about the channel: "guest vm1: channel intervm_test: ..."
 * @ch: channel
 * @site: as log_write()
 * @level: as log_write()
 * @event: as in struct log_about
 * @fmt: the rest of the line
 *
 * What the guest can cause is limited in number, so these lines are. channel_log() is how.
 */
__attribute__((format(printf, 5, 6))) void
channel_write_log(struct channel *ch, const struct log_site *site, enum log_level level,
		  enum log_event event, const char *fmt, ...);

#define channel_log(ch, level, ...) \
	channel_write_log(ch, LOG_SITE, level, LOG_EVENT_NONE, __VA_ARGS__)

/* For endpoints; only between up() and down(). Errors (< 0, a negated fs_status other than AGAIN and
 * PIPE) have already failed the channel, and down() was called: return from the callback at once. */

/** channel_usable() - whether the ends can be used */
bool channel_usable(const struct channel *ch);

/** channel_is_torn() - (in down()) whether the stream that ends is not complete */
static inline bool channel_is_torn(const struct channel *ch)
{
	return ch->torn;
}

/** channel_has_tail() - whether the ends are those of a tail */
static inline bool channel_has_tail(const struct channel *ch)
{
	return !TAILQ_EMPTY(&ch->tails);
}

/** channel_set_open() - bring the host's ends to these states; wakes the guest when a phase changes */
void channel_set_open(struct channel *ch, bool rx, bool tx);

/** channel_peek_read() - as pipe_peek_read() on fwd */
int64_t channel_peek_read(struct channel *ch, struct pipe_seg seg[2]);

/** channel_commit_read() - as pipe_commit_read(); counts, and wakes the guest if need be */
void channel_commit_read(struct channel *ch, uint64_t bytes);

/** channel_peek_write() - as pipe_peek_write() on bwd */
int64_t channel_peek_write(struct channel *ch, struct pipe_seg seg[2]);

/** channel_commit_write() - as pipe_commit_write(); counts, and wakes the guest if need be */
void channel_commit_write(struct channel *ch, uint64_t bytes);

/** channel_readable() - bytes that lie in fwd now; Return: them or an error */
int64_t channel_readable(struct channel *ch);

/** channel_writable() - room in bwd now, whether anybody reads or not; Return: bytes or an error */
int64_t channel_writable(struct channel *ch);

/** channel_wait_read() - arm before sleeping; Return: 0 sleep, 1 look again, or an error */
int channel_wait_read(struct channel *ch);

/** channel_wait_write() - likewise for @bytes of room */
int channel_wait_write(struct channel *ch, uint64_t bytes);

/** channel_begin_turn() - an event of the endpoint's own side begins a turn, as woken() does */
void channel_begin_turn(struct channel *ch);

/** channel_again() - call woken() again on a later turn: this turn's share is used up */
void channel_again(struct channel *ch);

/**
 * struct channel_peer - the guest's end of one direction, looked up now
 * @state: never opened, open, closed
 * @phase: its phase, which tells also of openings that came and went between two looks
 */
struct channel_peer {
	enum pipe_state state;
	uint64_t phase;
};

/** channel_guest_writer() - the guest's end of fwd; Return: 0 or an error */
int channel_guest_writer(struct channel *ch, struct channel_peer *peer);

/** channel_guest_reader() - the guest's end of bwd; Return: 0 or an error */
int channel_guest_reader(struct channel *ch, struct channel_peer *peer);

/*
 * What follows from the shared words alone, so that an endpoint which keeps no other state goes on
 * exactly where a killed daemon was.
 */

/** channel_read_pos() - bytes ever taken from fwd, by this process and its predecessors */
uint64_t channel_read_pos(const struct channel *ch);

/** channel_write_pos() - bytes ever put into bwd, likewise */
uint64_t channel_write_pos(const struct channel *ch);

/** channel_read_phase() - phase of the host's end of fwd: n openings so far are 2n - 1 or 2n */
uint64_t channel_read_phase(const struct channel *ch);

/** channel_write_phase() - phase of the host's end of bwd, likewise */
uint64_t channel_write_phase(const struct channel *ch);

/**
 * struct channel_place - where the host's two ends are
 * @read_pos, @read_phase: the end of fwd
 * @write_pos, @write_phase: the end of bwd
 */
struct channel_place {
	uint64_t read_pos, read_phase, write_pos, write_phase;
};

/**
 * channel_resume() - go on at a place that the endpoint has kept, whatever the shared words say
 * @ch: usable channel
 * @place: where
 *
 * For an endpoint that does not trust the guest with its own words. Publishes the place, takes the
 * ends up there, and wakes the guest. What lies in bwd below @place->write_pos was put there before.
 *
 * Return: 0, or an error (-FS_RESUME_CURSORS: the guest's cursors do not go with the place).
 */
int channel_resume(struct channel *ch, const struct channel_place *place);

/**
 * channel_eof_taken() - whether the end-of-file of the present write phase has been used up
 *
 * Return: true when the host's end of bwd is closed and an opening of the guest's reader took that
 * end-of-file and has closed. The guest's own word: a lie confuses nobody but the guest.
 */
bool channel_eof_taken(const struct channel *ch);

/* What an endpoint does a turn and direction: bytes, and commits, since pieces may be tiny */
#define CHANNEL_TURN_BYTES (1U << 20)
#define CHANNEL_TURN_MOVES 256U

/**
 * CHANNEL_LOOK_NS - how long channel_wait_read() looks for more before it lets the worker sleep
 *
 * It does so only right after bytes have moved, and only when nobody else waits for a turn.
 */
#define CHANNEL_LOOK_NS 20000U

/**
 * CHANNEL_TURN_LOOK_NS - and how long in all in one turn
 *
 * So a guest that writes byte by byte keeps its worker from other guests for no longer than this.
 */
#define CHANNEL_TURN_LOOK_NS 2000000U

#endif
