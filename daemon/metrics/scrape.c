// SPDX-License-Identifier: BSD-3-Clause
/*
 * scrape.c - a snapshot of all guests and channels
 */
#include "metrics/scrape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/text.h"

void scrape_free(struct scrape *s)
{
	for (size_t i = 0; i < s->n_guests; i++) {
		free(s->guest[i].labels);
		free(s->guest[i].channels);
	}
	for (size_t i = 0; i < s->n_channels; i++)
		free(s->channel[i].labels);
	free(s->guest);
	free(s->channel);
}

static int look_at_channels(struct scrape *s, struct guest_row *row, struct guest *guest)
{
	int n = guest_channel_snapshots(guest, 0, OKL4FS_MAX_CHANNELS, &row->channels);
	char label[METRIC_LABEL_BYTES(sizeof("channel"), OKL4FS_NAME_MAX)];
	struct channel_row *grown;

	if (n <= 0)
		return n;
	grown = reallocarray(s->channel, s->n_channels + (size_t)n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->channel = grown;
	for (int i = 0; i < n; i++) {
		struct channel_row *c = &s->channel[s->n_channels];
		struct channel_snapshot *snap = &row->channels[i];

		c->snap = snap;
		c->ring_bytes = snap->cfg->ring_bytes;
		c->endpoint = snap->cfg->endpoint.type;
		metric_label(label, "channel", snap->cfg->name);
		snap->cfg = NULL;
		if (asprintf(&c->labels, "%s,%s", row->labels, label) < 0)
			return -ENOMEM;
		s->n_channels++;
	}
	return 0;
}

int scrape_take(struct scrape *s, struct server *server)
{
	char label[METRIC_LABEL_BYTES(sizeof("guest"), OKL4FS_NAME_MAX)];
	struct guest *guest;
	int r = 0;

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; !r && (guest = server_guest(server, i)); i++) {
		struct guest_row *grown = reallocarray(s->guest, i + 1, sizeof(*grown));
		struct guest_row *row;

		if (!grown)
			return -ENOMEM;
		s->guest = grown;
		row = &grown[i];
		memset(row, 0, sizeof(*row));
		s->n_guests++;
		guest_snapshot(guest, &row->snap);
		row->path_lost = guest_path_is_lost(guest) || row->snap.port_lost;
		metric_label(label, "guest", guest_config(guest)->name);
		row->labels = strdup(label);
		r = row->labels ? look_at_channels(s, row, guest) : -ENOMEM;
	}
	return r;
}
