// SPDX-License-Identifier: BSD-3-Clause
/*
 * discard.c - takes everything and gives nothing
 *
 * Both ends are open all the time. A writer in the guest never waits for long; a reader waits for
 * ever, as on a fifo whose writer has nothing to say (and not as on /dev/null, which is at its end).
 * There is no state: after a restart the daemon drops what is in the ring and goes on.
 */
#include <errno.h>
#include <stdlib.h>

#include "endpoint/endpoint.h"

/**
 * woken() - drop what is there
 * @arg: endpoint
 */
static void woken(void *arg)
{
	struct endpoint *ep = arg;

	endpoint_drain(ep->ch);
}

/**
 * up() - open both ends
 * @arg: endpoint
 * @fresh: no difference
 */
static void up(void *arg, bool fresh)
{
	struct endpoint *ep = arg;

	channel_set_open(ep->ch, true, true);
	endpoint_drain(ep->ch);
}

/**
 * down() - nothing is kept
 * @arg: endpoint
 * @gone: no difference
 */
static void down(void *arg, bool gone)
{
}

static const struct channel_endpoint_ops channel_ops = { .up = up, .down = down, .woken = woken };

/**
 * discard_new() - see struct endpoint_ops
 * @out: out
 * @cfg: nothing in it is of use
 * @ch: channel
 *
 * Return: 0 or -ENOMEM.
 */
static int discard_new(struct endpoint **out, const struct endpoint_config *cfg, struct channel *ch)
{
	struct endpoint *ep = calloc(1, sizeof(*ep));

	if (!ep)
		return -ENOMEM;
	ep->ops = &endpoint_discard;
	ep->ch = ch;
	channel_bind(ch, &channel_ops, ep);
	*out = ep;
	return 0;
}

/**
 * discard_info() - somebody is always there
 * @ep: endpoint
 * @info: to be filled
 */
static void discard_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ .connected = true };
}

/**
 * discard_free() - see struct endpoint_ops
 * @ep: endpoint
 */
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
