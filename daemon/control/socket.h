/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.h - the control socket: JSON-RPC 2.0, one object per line
 *
 * It runs on the main loop. What the methods show comes from snapshots (guest.h), so no method holds up a
 * worker for longer than it takes to copy some counters. Call events_open() first.
 */
#ifndef OKL4FSD_CONTROL_SOCKET_H
#define OKL4FSD_CONTROL_SOCKET_H

#include "loop/loop.h"
#include "server/server.h"
#include "util/socket_file.h"

struct control;

/**
 * struct control_socket - the control socket
 * @fd: its descriptor, until control_new() takes it; -1: none
 * @file: its file. The daemon takes it before it touches anything else, and holds it until all the rest
 *	has ended, so a second daemon with the same configuration ends before it does any harm
 */
struct control_socket {
	int fd;
	struct socket_file file;
};

/**
 * control_socket_open() - listen at the control socket; clients wait until control_new()
 * @s: out
 * @cfg: has the path, mode and group
 * @fd: a socket of the service manager that listens there, owned from here on; negative: none
 *
 * Return: 0 or -errno, with a log line.
 */
int control_socket_open(struct control_socket *s, const struct config *cfg, int fd);

/** control_socket_close() - close it and remove its file, if that is ours; allowed after a failed open */
void control_socket_close(struct control_socket *s);

/**
 * control_new() - serve the control socket
 * @control: out
 * @loop: the main loop
 * @server: what the methods show and change; borrowed until control_free()
 * @socket: where; borrowed until control_free(), except its descriptor, which is taken
 *
 * Return: 0 or -errno, with a log line.
 */
int control_new(struct control **control, struct loop *loop, struct server *server,
		struct control_socket *socket);

/** control_free() - drop the clients and stop listening; NULL is allowed; Return: NULL */
struct control *control_free(struct control *control);

#endif
