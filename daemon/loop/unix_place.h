/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_place.h - a unix socket where clients come, and its file
 */
#ifndef OKL4FSD_LOOP_UNIX_PLACE_H
#define OKL4FSD_LOOP_UNIX_PLACE_H

#include "loop/listener.h"
#include "util/fd.h"
#include "util/socket_file.h"

/**
 * struct unix_place - a listening unix socket
 * @loop: where it listens
 * @about: for log lines; the names are borrowed
 * @what: what listens, likewise; static memory
 * @path: where; borrowed
 * @mode: of the file
 * @group: of the file, or NULL; borrowed
 * @kind: which socket
 * @come: called for each client, as in struct listener
 * @arg: its argument
 * @file: (private) the socket's file
 * @listener: the socket
 */
struct unix_place {
	struct loop *loop;
	struct log_about about;
	const char *what, *path;
	unsigned int mode;
	const char *group;
	enum fd_unix kind;
	void (*come)(void *arg, int fd);
	void *arg;
	struct socket_file file;
	struct listener listener;
};

/** unix_place_listen() - a former socket is given up for the new one; Return: 0 or -errno, with a log line */
int unix_place_listen(struct unix_place *place);

/** unix_place_is_lost() - whether the socket's file was removed or replaced, or there is none */
bool unix_place_is_lost(const struct unix_place *place);

/** unix_place_reloaded() - the configuration was read again: listen again where the file is lost */
void unix_place_reloaded(struct unix_place *place);

/** unix_place_rename() - the socket stays; what is borrowed for @about and @path is @about and @path now */
void unix_place_rename(struct unix_place *place, const struct log_about *about, const char *path,
		       const char *group);

/** unix_place_leave() - close the socket, and remove its file; one that is all zero is allowed */
void unix_place_leave(struct unix_place *place);

#endif
