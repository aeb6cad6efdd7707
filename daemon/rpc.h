/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc.h - the control socket: JSON-RPC 2.0, one object a line
 *
 * Runs on the main loop. What the methods show comes from snapshots (guest.h), so no method holds
 * up a worker for longer than it takes to copy some counters. Needs events_open().
 */
#ifndef OKL4FS_RPC_H
#define OKL4FS_RPC_H

#include "loop.h"
#include "server.h"

struct rpc;

/**
 * rpc_new() - serve the control socket of the server's configuration
 * @rpc: out
 * @loop: the main loop
 * @server: what the methods show; borrowed until rpc_free()
 * @fd: a listening socket that is used instead, owned from here on, its file not; negative: none
 *
 * Return: 0 or -errno, with a log line.
 */
int rpc_new(struct rpc **rpc, struct loop *loop, struct server *server, int fd);

/** rpc_free() - drop the clients, remove the socket if it is ours; NULL is allowed; Return: NULL */
struct rpc *rpc_free(struct rpc *rpc);

#endif
