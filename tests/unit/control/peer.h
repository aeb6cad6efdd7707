/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.h - the control socket in a thread of its own, and its clients
 */
#ifndef TESTS_UNIT_CONTROL_PEER_H
#define TESTS_UNIT_CONTROL_PEER_H

#include <stdio.h>

/** control_start() - listen as control_config says; .init of a suite */
void control_start(void);

/** control_stop() - end it; its files must be gone; .fini of a suite */
void control_stop(void);

/** control_reload() - have @change change control_config on the daemon's thread, then reload */
void control_reload(void (*change)(void *arg));

/** connection() - connect; Return: a blocking connection with a limit */
int connection(void);

/** client() - connect; Return: a file to read lines from; write to its descriptor */
FILE *client(void);

/** say() - send all of a text */
void say(int fd, const char *text);

/** hear() - the next line must begin with this; NULL: the end */
void hear(FILE *f, const char *want);

#endif
