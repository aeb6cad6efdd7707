/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attach.h - ATTACH: chunks of guest memory become memsections
 */
#ifndef OKL4FSD_GUEST_ATTACH_H
#define OKL4FSD_GUEST_ATTACH_H

#include "guest/wire.h"

struct attachment;
struct guest;
struct guest_channel;

/** guest_attach() - ATTACH; Return: 0 or a negated okl4_status */
int guest_attach(struct guest *g, const struct wire_attach *req);

/**
 * guest_attach_check() - look at the memory that an ATTACH or OPEN names, without touching it
 * @g: guest
 * @gc: the channel that it is for; its own earlier memory does not count. NULL: a new session
 * @req: the request
 * @ring_bytes: what the rings must have
 * @att: out, to be dropped
 *
 * Return: 0 or a negated okl4_status, and then there is nothing to drop.
 */
int guest_attach_check(struct guest *g, const struct guest_channel *gc,
		       const struct wire_attach *req, uint64_t ring_bytes, struct attachment *att);

/** guest_attach_take() - attach checked memory, which belongs to @gc from here on; Return: as guest_attach() */
int guest_attach_take(struct guest *g, struct guest_channel *gc, const struct attachment *att);

/**
 * guest_reattach() - find a channel's memory again after a remap; Return: 0 or a negated
 *	okl4_status
 */
int guest_reattach(struct guest *g, struct guest_channel *gc);

/** attachment_drop() - forget what an ATTACH said */
void attachment_drop(struct attachment *att);

/** guest_forget_driver() - as before HELLO: no channel's memory is touched from here on */
void guest_forget_driver(struct guest *g);

#endif
