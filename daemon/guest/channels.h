/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channels.h - channels are added and removed while the guest runs
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
 * The driver is told (CHANNEL_ADDED) if it is ready.
 *
 * Main thread. Return: 0; -EEXIST: a channel has that name; -ENOSPC: there are OKL4FS_MAX_CHANNELS;
 * or another negated errno, with a log line.
 */
int guest_channel_add(struct guest *guest, const struct channel_config *cfg, uint32_t *id);

/**
 * guest_channel_remove() - stop offering a channel
 * @guest: guest
 * @name: its name
 *
 * First the bytes that the endpoint can take at once are moved. The driver is told
 * (CHANNEL_REMOVED), and from here on the channel's memory is not touched.
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
 * a log line. A channel that cannot be added is left out, with a log line. Sockets whose file was
 * lost are made anew.
 *
 * Main thread.
 */
void guest_become(struct guest *guest, const struct guest_config *cfg);

/** guest_drop_others() - the first half of guest_become(): only remove; main thread */
void guest_drop_others(struct guest *guest, const struct guest_config *cfg);

/** guest_channels_leave() - the guest is removed: stop offering channels, with its memory there */
void guest_channels_leave(struct guest *g);

/** guest_channels_end() - end all channels; the guest's memory is out of reach already */
void guest_channels_end(struct guest *g);

#endif
