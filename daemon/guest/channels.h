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
 * @id: out: its id
 * @why: out, when its endpoint cannot be made: a sentence; else ""
 * @why_bytes: room for it, with its NUL
 *
 * The driver is told (CHANNEL_ADDED) if it is ready.
 *
 * Main thread. Return: 0; -EEXIST: a channel has that name; -ENOSPC: there are OKL4FS_MAX_CHANNELS;
 * or another negated errno, with a log line.
 */
int guest_channel_add(struct guest *guest, const struct channel_config *cfg, uint32_t *id,
		      char *why, size_t why_bytes);

/**
 * guest_channel_begin() - likewise for the channels that a guest begins with
 *
 * A channel whose endpoint cannot be made is kept, but not offered (CHANNEL_UNAVAILABLE), until
 * guest_become().
 *
 * Main thread. Return: 0, or a negated errno.
 */
int guest_channel_begin(struct guest *guest, const struct channel_config *cfg);

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
 * a log line. Endpoints and sockets that could not be made are tried again, and those whose file was
 * lost are made anew. What still cannot be made is one of guest_problems().
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
