/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bell.h - doorbells of the driver, and events that it is told
 */
#ifndef OKL4FSD_GUEST_BELL_H
#define OKL4FSD_GUEST_BELL_H

#include "channel/channel.h"

struct guest;
struct guest_queue;

extern const struct channel_guest_ops guest_bell_ops;

/** guest_bell_turn() - an event queue's turn: doorbells and new buffers; Return: more to do */
bool guest_bell_turn(struct guest_queue *q);

/** guest_bell_changed() - an id has another channel, or none: tell the driver, if it is ready */
void guest_bell_changed(struct guest *g, uint32_t id);

/**
 * guest_bell_keeps_id() - whether an id that is free must stay so until the driver knows more of it
 * @g: guest
 * @id: id without a channel or session
 * @for_session: a session is to have it, which the driver learns with the reply, before the news
 */
bool guest_bell_keeps_id(const struct guest *g, uint32_t id, bool for_session);

/** guest_bell_forget() - the session with an id has gone: rings so far were for it */
void guest_bell_forget(struct guest *g, uint32_t id);

/** guest_bell_tell_failed() - tell the driver that a session has ended (CHANNEL_FAILED) */
void guest_bell_tell_failed(struct guest *g, uint32_t id, uint64_t instance,
			    enum okl4_status status);

/**
 * guest_bell_look_after() - serve all channels soon, as if rung; the driver is ready
 *
 * A bell may be lost where guest and host do not see each other's atomics and barriers: QEMU's TCG
 * leaves those out for a machine of one CPU. The driver asks for this when it has waited for long.
 */
void guest_bell_look_after(struct guest *g);

/** guest_bell_greet() - have the driver say HELLO, as soon as it has a buffer for an event */
void guest_bell_greet(struct guest *g);

/** guest_bell_reset() - drop all waiting events: a driver begins, or has gone */
void guest_bell_reset(struct guest *g);

#endif
