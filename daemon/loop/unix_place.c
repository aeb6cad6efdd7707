// SPDX-License-Identifier: BSD-3-Clause
#include "loop/unix_place.h"

#include <string.h>

int unix_place_listen(struct unix_place *place)
{
	int r = socket_file_listen(&place->file, place->path, place->mode, place->group,
				   place->kind);

	if (r >= 0) {
		listener_stop(&place->listener);
		r = listener_start(&place->listener, place->loop, &place->about, place->path, r,
				   place->come, place->arg);
		if (r)
			socket_file_release(&place->file);
	}
	if (r)
		log_about(LOG_LEVEL_ERR, &place->about, "%s: cannot listen on %s: %s%s",
			  place->what, place->path, strerror(-r),
			  socket_file_way_out(-r, place->path));
	return r;
}

bool unix_place_is_lost(const struct unix_place *place)
{
	return !place->file.path || socket_file_is_lost(&place->file);
}

void unix_place_reloaded(struct unix_place *place)
{
	if (unix_place_is_lost(place) && !unix_place_listen(place))
		log_about(LOG_LEVEL_NOTICE, &place->about,
			  "%s: %s had been removed or replaced; listening there again", place->what,
			  place->path);
}

void unix_place_rename(struct unix_place *place, const struct log_about *about, const char *path,
		       const char *group)
{
	place->about = place->listener.rest.about = *about;
	place->path = place->listener.rest.name = path;
	place->group = group;
}

void unix_place_leave(struct unix_place *place)
{
	listener_stop(&place->listener);
	socket_file_release(&place->file);
}
