/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.h - the connections of the control socket (private to control)
 */
#ifndef OKL4FSD_CONTROL_CLIENT_H
#define OKL4FSD_CONTROL_CLIENT_H

#include <stdint.h>

#include "loop/loop.h"
#include "control/place.h"
#include "control/rights.h"
#include "server/server.h"

struct control_method;

/**
 * struct control_clients - all connections, and what they share
 * @loop: main loop; borrowed
 * @server: what the methods show and change; borrowed
 * @methods: what clients can call; borrowed
 * @rights: which client may call what
 * @idle_seconds: a client that asks nothing for so long is dismissed; 0: never
 * @places: the connections; the one that has asked nothing for the longest time is first
 */
struct control_clients {
	struct loop *loop;
	struct server *server;
	const struct control_method *methods;
	struct control_rights rights;
	uint32_t idle_seconds;
	struct control_places places;
};

/**
 * control_clients_init() - no connections yet
 * @all: out
 * @loop: main loop; borrowed
 * @server: its configuration says which client may call what; borrowed
 * @methods: what clients can call, the last without a name; borrowed
 */
void control_clients_init(struct control_clients *all, struct loop *loop, struct server *server,
			  const struct control_method *methods);

/** control_clients_deinit() - drop all connections */
void control_clients_deinit(struct control_clients *all);

/** control_clients_take() - serve a client that has connected, or tell it why not; @fd is consumed */
void control_clients_take(struct control_clients *all, int fd);

/** control_clients_reload() - apply a new configuration, to connected clients too */
void control_clients_reload(struct control_clients *all);

#endif
