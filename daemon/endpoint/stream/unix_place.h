/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_place.h - the socket where the clients of an endpoint come
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_UNIX_PLACE_H
#define OKL4FSD_ENDPOINT_STREAM_UNIX_PLACE_H

#include "channel/channel.h"
#include "loop/listener.h"
#include "util/socket_file.h"

/**
 * struct unix_place - a listening unix socket
 * @ch: the channel, for log lines
 * @cfg: path, mode and group; borrowed
 * @file: the socket's file
 * @listener: the socket
 * @come: called for each client, as in struct listener
 * @arg: its argument
 */
struct unix_place {
	struct channel *ch;
	const struct endpoint_config *cfg;
	struct socket_file file;
	struct listener listener;
	void (*come)(void *arg, int fd);
	void *arg;
};

/** unix_place_init() - nothing is made yet */
void unix_place_init(struct unix_place *place, struct channel *ch,
		     const struct endpoint_config *cfg, void (*come)(void *arg, int fd), void *arg);

/** unix_place_listen() - a former socket is given up for the new one; Return: 0 or -errno, with a log line */
int unix_place_listen(struct unix_place *place);

/** unix_place_is_lost() - whether the socket's file was removed or replaced, or there is none */
bool unix_place_is_lost(const struct unix_place *place);

/** unix_place_reloaded() - the configuration was read again: listen again where the file is lost */
void unix_place_reloaded(struct unix_place *place);

/** unix_place_pass_on() - the socket stays, but @ch and @cfg are those of another channel from here on */
void unix_place_pass_on(struct unix_place *place, struct channel *ch,
			const struct endpoint_config *cfg);

/** unix_place_leave() - close the socket, and remove its file */
void unix_place_leave(struct unix_place *place);

#endif
