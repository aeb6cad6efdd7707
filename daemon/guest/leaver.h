/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leaver.h - the end of a channel, at once or when a client has the rest of it
 */
#ifndef OKL4FSD_GUEST_LEAVER_H
#define OKL4FSD_GUEST_LEAVER_H

#include <stdbool.h>

struct guest_channel;

/** guest_channel_free() - end a channel that has no memory any more; NULL is allowed */
void guest_channel_free(struct guest_channel *gc);

/**
 * guest_leaver_add() - let a removed channel live on until its endpoint has nothing to do any more
 * @gc: channel without memory, not offered any more; owned from here on
 *
 * Return: false when there is nothing to wait for: then it is still the caller's.
 */
bool guest_leaver_add(struct guest_channel *gc);

/** guest_leavers_end() - end those of a loop's, which is about to stop, whatever is left; on its thread */
void guest_leavers_end(void *loop);

#endif
