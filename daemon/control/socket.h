/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.h - the control socket: JSON-RPC 2.0, one object a line
 *
 * Runs on the main loop. What the methods show comes from snapshots (guest.h), so no method holds
 * up a worker for longer than it takes to copy some counters. Needs events_open().
 */
#ifndef OKL4FS_RPC_H
#define OKL4FS_RPC_H

#include "loop/loop.h"
#include "server/server.h"
#include "util/socket_file.h"

struct rpc;

/**
 * struct rpc_socket - the control socket
 * @fd: it, until rpc_new() takes it; -1: none
 * @file: its file, which is held from before anything else is touched until all the rest has ended:
 *	so a second daemon with the same configuration ends before it does any harm
 */
struct rpc_socket {
	int fd;
	struct socket_file file;
};

/**
 * rpc_socket_open() - listen at the control socket; clients wait until rpc_new()
 * @s: out
 * @cfg: says where, with which mode and group
 * @fd: a socket of the service manager that listens there, owned from here on; negative: none
 *
 * Return: 0 or -errno, with a log line.
 */
int rpc_socket_open(struct rpc_socket *s, const struct config *cfg, int fd);

/** rpc_socket_close() - remove its file, if that is ours; one that could not be opened is allowed */
void rpc_socket_close(struct rpc_socket *s);

/**
 * rpc_new() - serve the control socket
 * @rpc: out
 * @loop: the main loop
 * @server: what the methods show; borrowed until rpc_free()
 * @socket: where; borrowed until rpc_free(), but for its descriptor, which is taken
 *
 * Return: 0 or -errno, with a log line.
 */
int rpc_new(struct rpc **rpc, struct loop *loop, struct server *server, struct rpc_socket *socket);

/** rpc_free() - drop the clients, and listen no longer; NULL is allowed; Return: NULL */
struct rpc *rpc_free(struct rpc *rpc);

#endif
