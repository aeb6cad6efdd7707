/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.h - the control socket in a thread of its own, and its clients
 */
#ifndef TESTS_UNIT_CONTROL_PEER_H
#define TESTS_UNIT_CONTROL_PEER_H

#include <stdio.h>

/** control_start() - listen, as control_config says; @loop of a suite */
void control_start(void);

/** control_stop() - nothing of it must be left */
void control_stop(void);

/** control_reload() - control_config has changed; it was changed by @change, on the daemon's thread */
void control_reload(void (*change)(void *arg));

/** connection() - connect; Return: a blocking connection with a limit */
int connection(void);

/** client() - connect, for reading lines; Return: a file whose descriptor is there to be written to */
FILE *client(void);

/** say() - send all of a text */
void say(int fd, const char *text);

/** hear() - the next line must begin with this; NULL: the end */
void hear(FILE *f, const char *want);

#endif
