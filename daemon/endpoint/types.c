// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/types.h"

#include <errno.h>

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
static const struct endpoint_ops *const boards[N_ENDPOINT_TYPES] = {
	[ENDPOINT_TCP_LISTEN] = &sessions_tcp_listen,
	[ENDPOINT_TCP_CONNECT] = &sessions_tcp_connect,
	[ENDPOINT_ECHO] = &sessions_echo,
	[ENDPOINT_DISCARD] = &sessions_discard,
	[ENDPOINT_UNIX_LISTEN] = &sessions_unix_listen,
	[ENDPOINT_MUX_LISTEN] = &sessions_mux_listen,
	[ENDPOINT_UNIX_CONNECT] = &sessions_unix_connect,
	[ENDPOINT_CHANNEL] = &sessions_channel,
};
_Static_assert(sizeof(types) / sizeof(types[0]) == N_ENDPOINT_TYPES, "a table for each type");

int endpoint_new(struct endpoint **ep, struct channel *ch)
{
	const struct endpoint_config *cfg = &ch->cfg->endpoint;

	*ep = NULL;
	if (ch->cfg->sessions)
		return boards[cfg->type] ? boards[cfg->type]->new (ep, cfg, ch) : -EOPNOTSUPP;
	return types[cfg->type] ? types[cfg->type]->new (ep, cfg, ch) : -EOPNOTSUPP;
}
