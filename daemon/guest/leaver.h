/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leaver.h - the end of a channel: at once, or when a client has the rest of its bytes
 */
#ifndef OKL4FSD_GUEST_LEAVER_H
#define OKL4FSD_GUEST_LEAVER_H

#include <stdbool.h>

struct guest_channel;

/** guest_channel_free() - end a channel that no longer has memory; NULL is allowed */
void guest_channel_free(struct guest_channel *gc);

/**
 * guest_leaver_add() - let a removed channel live on until its endpoint is no longer busy
 * @gc: channel without memory that is no longer offered; owned from here on
 *
 * Return: false when there is nothing to wait for: then @gc is still the caller's.
 */
bool guest_leaver_add(struct guest_channel *gc);

/** guest_leavers_end() - end all such channels of a loop that is about to stop; on its thread */
void guest_leavers_end(void *loop);

#endif
