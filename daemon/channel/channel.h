/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - one channel as the host sees it
 *
 * Between the guest object (which attaches memory and carries notifications) and the endpoint
 * (which moves the bytes, io.h). Everything here runs on the guest's worker.
 */
#ifndef OKL4FSD_CHANNEL_CHANNEL_H
#define OKL4FSD_CHANNEL_CHANNEL_H

#include "channel/tails.h"

/** channel_init() - @cfg, @guest_name borrowed; the endpoint is bound afterwards; Return: 0 */
int channel_init(struct channel *ch, const struct channel_config *cfg, const char *guest_name,
		 uint32_t id, struct loop *loop, const struct channel_guest_ops *ops, void *guest);

/** channel_deinit() - endpoint must be gone (channel_give_up()); memory is let go */
void channel_deinit(struct channel *ch);

/** channel_bind() - set the endpoint's callbacks; up() comes at the next attach */
void channel_bind(struct channel *ch, const struct channel_endpoint_ops *ops, void *endpoint);

/** channel_set_session() - it is a session of @of, which has its limit of log lines; NULL: @of has gone */
void channel_set_session(struct channel *ch, struct channel *of);

/** channel_begin() - an endpoint was bound while memory was attached: call its up() now */
void channel_begin(struct channel *ch);

/** channel_set_unavailable() - there is no endpoint, and will be none; after channel_init() */
void channel_set_unavailable(struct channel *ch);

/**
 * channel_attach() - memory that was translated and checked by the guest object
 * @ch: channel
 * @sec: geometry of each memsection, checked (OKL4_SEC_BYTES...)
 * @chunk: three arrays of host pointers, malloc'ed; ownership passes here in every case
 * @instance: as in the request
 *
 * Detaches what was attached before, attaches the socketpair, tells the endpoint.
 *
 * Return: 0 or a negated okl4_status for the reply (-OKL4_CHANNEL_FAILED for the failed instance).
 */
int channel_attach(struct channel *ch, const struct okl4_memsec sec[OKL4FS_N_SECS],
		   void **chunk[OKL4FS_N_SECS], uint64_t instance);

/**
 * channel_detach() - the guest takes its memory back
 *
 * What the endpoint can take at once is moved before; the rest becomes a tail.
 */
void channel_detach(struct channel *ch);

/**
 * channel_is_idle() - whether the channel's memory can go without a loss
 *
 * Return: true when no end is open and no byte lies in the rings.
 */
bool channel_is_idle(struct channel *ch);

/**
 * channel_remove() - the channel is no longer offered: as channel_detach()
 * @ch: channel
 * @take: a peer is connected that gets the rest; else the rest stays in the guest's memory, for the
 *	next channel of this name and ring size
 */
void channel_remove(struct channel *ch, bool take);

/** channel_suspend() - no access to the memory after this returns */
void channel_suspend(struct channel *ch);

/** channel_guest_gone() - likewise, and the instance will not come back */
void channel_guest_gone(struct channel *ch);

/** channel_fail() - the guest broke the protocol (@status, or negated): log it, tell guest and endpoint */
void channel_fail(struct channel *ch, int status);

/**
 * channel_refuse() - (session) the other side does not want the connection, or has lost it
 * @ch: channel
 * @status: why; the endpoint logs it, if need be
 *
 * As channel_fail(): the memory is let go, and the guest is told. The channel goes soon afterwards.
 */
void channel_refuse(struct channel *ch, enum okl4_status status);

/** channel_check() - fail the channel if @r, which libfs returned, is a violation; Return: @r */
int64_t channel_check(struct channel *ch, int64_t r);

/** channel_reset() - an operator fails the channel (OKL4_CHANNEL_RESET); its tails are dropped */
void channel_reset(struct channel *ch);

/** channel_rung() - the guest's bell bit was set, or the device has just come up */
void channel_rung(struct channel *ch);

/** channel_begin_turn() - an event of the endpoint's own side begins a turn, as woken() does */
void channel_begin_turn(struct channel *ch);

/** channel_again() - call woken() again on a later turn: this turn's share is used up */
void channel_again(struct channel *ch);

/* These follow from the shared words alone, so an endpoint that keeps no other state goes on exactly
 * where a killed daemon was. */

/** channel_read_pos() - bytes ever taken from fwd, by this process and its predecessors */
uint64_t channel_read_pos(const struct channel *ch);

/** channel_write_pos() - bytes ever put into bwd, likewise */
uint64_t channel_write_pos(const struct channel *ch);

/** channel_read_phase() - phase of the host's end of fwd: n openings so far are 2n - 1 or 2n */
uint64_t channel_read_phase(const struct channel *ch);

/** channel_write_phase() - phase of the host's end of bwd, likewise */
uint64_t channel_write_phase(const struct channel *ch);

/* An endpoint's share per turn and direction: bytes, and commits, since pieces may be tiny */
#define CHANNEL_TURN_BYTES (1U << 20)
#define CHANNEL_TURN_MOVES 256U

/**
 * CHANNEL_LOOK_NS - how long channel_wait_read() looks for more before it lets the worker sleep
 *
 * It does so only right after bytes have moved, and only when no other task waits for a turn.
 */
#define CHANNEL_LOOK_NS 20000U

/**
 * CHANNEL_TURN_LOOK_NS - how long it looks in all in one turn
 *
 * A guest that writes byte by byte keeps its worker from other guests no longer than this.
 */
#define CHANNEL_TURN_LOOK_NS 2000000U

#endif
