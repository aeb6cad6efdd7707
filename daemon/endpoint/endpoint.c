// SPDX-License-Identifier: BSD-3-Clause
/*
 * endpoint.c - the table of endpoint types, and what several of them do
 */
#include "endpoint/endpoint.h"

#include <errno.h>

#include <libfs/checked.h>

static const struct endpoint_ops *const types[] = {
	[ENDPOINT_INTERVM] = &endpoint_intervm,
	[ENDPOINT_ECHO] = &endpoint_echo,
	[ENDPOINT_DISCARD] = &endpoint_discard,
	[ENDPOINT_UNIX_LISTEN] = &endpoint_unix_listen,
	[ENDPOINT_UNIX_CONNECT] = &endpoint_unix_connect,
	[ENDPOINT_TCP_LISTEN] = &endpoint_tcp_listen,
	[ENDPOINT_TCP_CONNECT] = &endpoint_tcp_connect,
	[ENDPOINT_CHANNEL] = &endpoint_channel,
};
_Static_assert(sizeof(types) / sizeof(types[0]) == N_ENDPOINT_TYPES, "a table for each type");

int endpoint_new(struct endpoint **ep, struct channel *ch)
{
	const struct endpoint_config *cfg = &ch->cfg->endpoint;

	*ep = NULL;
	return types[cfg->type]->new (ep, cfg, ch);
}

struct endpoint *endpoint_free(struct endpoint *ep)
{
	if (ep) {
		channel_bind(ep->ch, NULL, NULL);
		ep->ops->free(ep);
	}
	return NULL;
}

bool endpoint_is_connected(const struct endpoint *ep)
{
	struct endpoint_info info = { 0 };

	if (ep)
		ep->ops->info(ep, &info);
	return info.connected;
}

int endpoint_drain(struct channel *ch)
{
	struct pipe_seg seg[2];
	uint64_t moved = 0;

	for (unsigned int moves = 0; moves < CHANNEL_TURN_MOVES && moved < CHANNEL_TURN_BYTES;
	     moves++) {
		int64_t n = channel_peek_read(ch, seg);
		int r;

		if (n > 0) {
			n = (int64_t)fs_min((uint64_t)n, CHANNEL_TURN_BYTES - moved);
			channel_commit_read(ch, (uint64_t)n);
			moved += (uint64_t)n;
			continue;
		}
		if (n == 0)
			return 0; /* end-of-file: a new writer wakes us */
		r = n == -FS_AGAIN ? channel_wait_read(ch) : (int)n;
		if (r <= 0)
			return r;
	}
	channel_again(ch);
	return 0;
}
