// SPDX-License-Identifier: BSD-3-Clause
/*
 * discard.c - takes everything and gives nothing
 *
 * Both ends are open all the time. A writer in the guest never waits for long; a reader waits for
 * ever, as on a fifo whose writer writes nothing (unlike /dev/null, which gives end-of-file).
 * There is no state: after a restart the daemon drops what is in the ring and goes on.
 */
#include <errno.h>
#include <stdlib.h>

#include "channel/io.h"
#include "endpoint/endpoint.h"

/* A session ends when its writer has; a channel may get another one. */
static void take_all(struct channel *ch)
{
	struct channel_peer writer;

	if (endpoint_drain(ch) || !ch->is_session || channel_guest_writer(ch, &writer))
		return;
	if (writer.state == OKL4_PIPE_CLOSED && !channel_readable(ch))
		channel_set_open(ch, true, false);
}

static void discard_woken(void *arg)
{
	struct endpoint *ep = arg;

	take_all(ep->ch);
}

static void discard_up(void *arg, bool fresh)
{
	struct endpoint *ep = arg;

	channel_set_open(ep->ch, true, true);
	take_all(ep->ch);
}

static void discard_down(void *arg, bool gone)
{
}

static const struct channel_endpoint_ops discard_channel_ops = {
	.up = discard_up,
	.down = discard_down,
	.woken = discard_woken,
};

static int discard_new(struct endpoint **out, const struct endpoint_config *cfg, struct channel *ch)
{
	struct endpoint *ep = calloc(1, sizeof(*ep));

	if (!ep)
		return -ENOMEM;
	ep->ops = &endpoint_discard;
	ep->ch = ch;
	channel_bind(ch, &discard_channel_ops, ep);
	*out = ep;
	return 0;
}

static void discard_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ .connected = true };
}

static void discard_free(struct endpoint *ep)
{
	free(ep);
}

const struct endpoint_ops endpoint_discard = {
	.type = ENDPOINT_DISCARD,
	.new = discard_new,
	.info = discard_info,
	.free = discard_free,
};
