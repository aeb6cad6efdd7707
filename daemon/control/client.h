/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.h - the connections of the control socket (private to rpc)
 */
#ifndef OKL4FS_RPC_CLIENT_H
#define OKL4FS_RPC_CLIENT_H

#include <stdint.h>

#include "loop/loop.h"
#include "control/place.h"
#include "control/rights.h"
#include "server/server.h"

/**
 * struct rpc_clients - all connections, and what holds for all
 * @loop: main loop; borrowed
 * @server: what they are told of; borrowed
 * @rights: who may do what
 * @idle_seconds: after which a client that asks nothing is sent away; 0: never
 * @places: the connections, the one whose last question is the oldest first
 */
struct rpc_clients {
	struct loop *loop;
	struct server *server;
	struct rpc_rights rights;
	uint32_t idle_seconds;
	struct rpc_places places;
};

/** rpc_clients_init() - none yet; @loop and @server are borrowed, @server says who may do what */
void rpc_clients_init(struct rpc_clients *all, struct loop *loop, struct server *server);

/** rpc_clients_deinit() - drop all */
void rpc_clients_deinit(struct rpc_clients *all);

/** rpc_clients_take() - a client has connected: serve it, or say why not; @fd is consumed */
void rpc_clients_take(struct rpc_clients *all, int fd);

/** rpc_clients_reload() - the configuration is another one; it holds for those who are there, too */
void rpc_clients_reload(struct rpc_clients *all);

#endif
