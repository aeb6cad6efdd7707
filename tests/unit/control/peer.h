/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.h - the control socket in a thread of its own, and its clients
 */
#ifndef TESTS_UNIT_DAEMON_RPC_PEER_H
#define TESTS_UNIT_DAEMON_RPC_PEER_H

#include <stdio.h>

/** rpc_start() - listen, as rpc_config says; @loop of a suite */
void rpc_start(void);

/** rpc_stop() - nothing of it must be left */
void rpc_stop(void);

/** rpc_reload() - rpc_config has changed; it was changed by @change, on the daemon's thread */
void rpc_reload(void (*change)(void *arg));

/** connection() - connect; Return: a blocking connection with a limit */
int connection(void);

/** client() - connect, for reading lines; Return: a file whose descriptor is there to be written to */
FILE *client(void);

/** say() - send all of a text */
void say(int fd, const char *text);

/** hear() - the next line must begin with this; NULL: the end */
void hear(FILE *f, const char *want);

#endif
