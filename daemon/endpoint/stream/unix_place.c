// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/stream/unix_place.h"

#include <string.h>

void unix_place_init(struct unix_place *place, struct channel *ch,
		     const struct endpoint_config *cfg, void (*come)(void *arg, int fd), void *arg)
{
	*place = (struct unix_place){ .ch = ch, .cfg = cfg, .come = come, .arg = arg };
}

int unix_place_listen(struct unix_place *place)
{
	const struct endpoint_config *cfg = place->cfg;
	const struct channel *ch = place->ch;
	enum fd_unix kind = ch->cfg->packets ? FD_UNIX_PACKETS : FD_UNIX_STREAM;
	int r = socket_file_listen(&place->file, cfg->path, cfg->mode, cfg->group, kind);

	if (r >= 0) {
		listener_stop(&place->listener);
		r = listener_start(&place->listener, ch->loop,
				   LOG_CHANNEL(ch->guest_name, ch->cfg->name), cfg->path, r,
				   place->come, place->arg);
		if (r)
			socket_file_release(&place->file);
	}
	if (r)
		log_channel(LOG_LEVEL_ERR, ch->guest_name, ch->cfg->name,
			    "%s: cannot listen on %s: %s%s", endpoint_type_name(cfg->type),
			    cfg->path, strerror(-r), socket_file_way_out(-r, cfg->path));
	return r;
}

bool unix_place_is_lost(const struct unix_place *place)
{
	return !place->file.path || socket_file_is_lost(&place->file);
}

void unix_place_reloaded(struct unix_place *place)
{
	const struct channel *ch = place->ch;

	if (unix_place_is_lost(place) && !unix_place_listen(place))
		log_channel(LOG_LEVEL_NOTICE, ch->guest_name, ch->cfg->name,
			    "%s: %s had been removed or replaced; listening there again",
			    endpoint_type_name(place->cfg->type), place->cfg->path);
}

void unix_place_pass_on(struct unix_place *place, struct channel *ch,
			const struct endpoint_config *cfg)
{
	place->ch = ch;
	place->cfg = cfg;
	place->listener.rest.about = *LOG_CHANNEL(ch->guest_name, ch->cfg->name);
	place->listener.rest.name = cfg->path;
}

void unix_place_leave(struct unix_place *place)
{
	listener_stop(&place->listener);
	socket_file_release(&place->file);
}
