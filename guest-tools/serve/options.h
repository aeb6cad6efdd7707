/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - what okl4fs-serve is told to do
 */
#ifndef OKL4FS_SERVE_OPTIONS_H
#define OKL4FS_SERVE_OPTIONS_H

#include <stdbool.h>

#include "serve/place.h"

/**
 * struct options - one of @command, @connects and @listens is given
 * @path: of the channel's node
 * @command: what each session begins, or NULL
 * @connects: each session is joined with a connection to @place
 * @listens: each client at @place begins a session
 * @listens_by_systemd: the same, and the service manager has passed the socket
 * @place: where a server is, or where to listen
 * @max: sessions at the same time
 * @linger_s: how long they may go on after SIGTERM
 */
struct options {
	const char *path;
	char **command;
	bool connects, listens, listens_by_systemd;
	struct place place;
	unsigned int max, linger_s;
};

/** options_parse() - from the command line, which is kept; ends the program where that is wrong or asks for help */
void options_parse(struct options *o, int argc, char **argv);

#endif
