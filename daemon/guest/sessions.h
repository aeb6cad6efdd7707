/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sessions.h - the sessions of channels that have them
 *
 * A channel with sessions (its board) has no memory of its own. Each OPEN gives it one more session,
 * which is a channel with an id, memory and an end on the host of its own, and which the guest ends by
 * CLOSE.
 */
#ifndef OKL4FSD_GUEST_SESSIONS_H
#define OKL4FSD_GUEST_SESSIONS_H

#include "guest/wire.h"

struct guest;
struct guest_channel;

/** guest_sessions_init() - before the guest has channels */
void guest_sessions_init(struct guest *g);

/** guest_find_id() - the lowest id that a channel, or a session, can have; Return: false: there is none */
bool guest_find_id(const struct guest *g, bool for_session, uint32_t *id);

/** guest_session_open() - OPEN; @gc: out: the session; Return: 0 or a negated okl4_status */
int guest_session_open(struct guest *g, const struct wire_attach *req,
		       const struct guest_channel **gc);

/** guest_session_close() - CLOSE; Return: 0 or a negated okl4_status */
int guest_session_close(struct guest *g, uint32_t id, uint32_t generation);

/** guest_session_is_outcome() - whether a refusal may come to a driver that does nothing wrong */
bool guest_session_is_outcome(uint16_t type, int status);

/** guest_sessions_unsettle() - HELLO: sessions have to be resumed before SETTLE */
void guest_sessions_unsettle(struct guest *g);

/** guest_sessions_settle() - SETTLE: end those that were not resumed */
void guest_sessions_settle(struct guest *g);

/** guest_sessions_guest_gone() - the driver has gone with its memory: end all; clients get the rest */
void guest_sessions_guest_gone(struct guest *g);

/**
 * guest_sessions_remove() - end the sessions of a channel, and tell the driver
 * @g: guest
 * @board: the channel
 * @status: why
 */
void guest_sessions_remove(struct guest *g, struct guest_channel *board, enum okl4_status status);

/** guest_sessions_leave() - the guest is removed: end all, with its memory there */
void guest_sessions_leave(struct guest *g);

/** guest_sessions_end() - the daemon ends: let go of all; the guest's memory is out of reach already */
void guest_sessions_end(struct guest *g);

#endif
