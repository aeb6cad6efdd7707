/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leaver.h - the end of a channel: at once, or when a client has the rest of its bytes
 */
#ifndef OKL4FSD_GUEST_LEAVER_H
#define OKL4FSD_GUEST_LEAVER_H

#include <stdbool.h>
#include <stdint.h>

struct guest;
struct guest_channel;

/** guest_channel_free() - end a channel that no longer has memory; NULL is allowed */
void guest_channel_free(struct guest_channel *gc);

/** guest_id_free() - an id no longer has a channel or a session */
void guest_id_free(struct guest *g, uint32_t id);

/**
 * guest_leaver_add() - let a removed channel live on until its endpoint is no longer busy
 * @gc: channel without memory that is no longer offered; owned from here on
 * @g: (session) its guest, in whose budget its bytes stay; NULL: they no longer count
 *
 * Return: false when there is nothing to wait for: then @gc is still the caller's.
 */
bool guest_leaver_add(struct guest_channel *gc, struct guest *g);

/** guest_leavers_let_go() - a guest is removed: what its sessions have left no longer counts for it */
void guest_leavers_let_go(struct guest *g);

/** guest_leavers_end() - end all such channels of a loop that is about to stop; on its thread */
void guest_leavers_end(void *loop);

#endif
