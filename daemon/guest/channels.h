/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channels.h - channels come and go while the guest runs
 */
#ifndef OKL4FSD_GUEST_CHANNELS_H
#define OKL4FSD_GUEST_CHANNELS_H

#include "channel/channel.h"
#include "config/config.h"

struct guest;

/**
 * guest_channel_add() - offer one more channel
 * @guest: guest
 * @cfg: copied
 * @id: out: its id; NULL: not wanted
 *
 * A driver that is there is told (CHANNEL_ADDED).
 *
 * Main thread. Return: 0; -EEXIST: there is one of that name; -ENOSPC: there are OKL4FS_MAX_CHANNELS;
 * or another negated errno, with a log line.
 */
int guest_channel_add(struct guest *guest, const struct channel_config *cfg, uint32_t *id);

/**
 * guest_channel_remove() - offer a channel no longer
 * @guest: guest
 * @name: its name
 *
 * What the endpoint can take at once is moved before; the driver is told (CHANNEL_REMOVED), and from
 * here on the guest's memory is not touched.
 *
 * Main thread. Return: 0, or -ENOENT.
 */
int guest_channel_remove(struct guest *guest, const char *name);

/**
 * guest_channel_reset() - fail a channel that is attached (CHANNEL_RESET); a new stream can begin
 * @guest: guest
 * @name: its name
 *
 * Main thread. Return: 0, or -ENOENT.
 */
int guest_channel_reset(struct guest *guest, const char *name);

/**
 * guest_become() - offer the channels of another configuration
 * @guest: guest
 * @cfg: configuration that differs in channels only
 *
 * Channels that are configured as before go on undisturbed; others are removed and added, each with
 * a log line. One that cannot be added is left out, and told. Sockets whose file was lost are made
 * anew.
 *
 * Main thread.
 */
void guest_become(struct guest *guest, const struct guest_config *cfg);

/** guest_drop_others() - the first half of guest_become(): only remove; main thread */
void guest_drop_others(struct guest *guest, const struct guest_config *cfg);

/** guest_channels_leave() - the guest is removed: offer no channel any more, while its memory is there */
void guest_channels_leave(struct guest *g);

/** guest_channels_end() - end all channels, the guest's memory being out of reach */
void guest_channels_end(struct guest *g);

#endif
