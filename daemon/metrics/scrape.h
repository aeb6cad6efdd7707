/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scrape.h - all guests and channels at one moment, with their labels (private to metrics)
 */
#ifndef OKL4FSD_METRICS_SCRAPE_H
#define OKL4FSD_METRICS_SCRAPE_H

#include "server/server.h"

/**
 * struct channel_row - a channel
 * @snap: snapshot without the configuration, which may be freed earlier; it lies in the guest's @channels
 * @ring_bytes, @endpoint: from the configuration
 * @labels: names of guest and channel as labels; owned
 */
struct channel_row {
	const struct channel_snapshot *snap;
	uint64_t ring_bytes;
	enum endpoint_type endpoint;
	char *labels;
};

/**
 * struct guest_row - a guest
 * @snap: snapshot
 * @path_lost: the file of its socket was removed or replaced
 * @labels: its name as a label; owned
 * @channels: snapshots of its channels; owned
 */
struct guest_row {
	struct guest_snapshot snap;
	bool path_lost;
	char *labels;
	struct channel_snapshot *channels;
};

/**
 * struct scrape - everything at one moment
 * @guest: guests
 * @n_guests: how many
 * @channel: the channels of all guests
 * @n_channels: how many
 */
struct scrape {
	struct guest_row *guest;
	size_t n_guests;
	struct channel_row *channel;
	size_t n_channels;
};

/** scrape_take() - take the snapshot; main thread; call scrape_free() in any case; Return: 0 or -ENOMEM */
int scrape_take(struct scrape *s, struct server *server);

/** scrape_free() - free the snapshot */
void scrape_free(struct scrape *s);

#endif
