/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * try_value.h - whether single values of a configuration can be used (private to server/try)
 *
 * Each function looks at one value and reports what is wrong with it, at the place of its node.
 */
#ifndef OKL4FSD_SERVER_TRY_VALUE_H
#define OKL4FSD_SERVER_TRY_VALUE_H

#include "config/config.h"
#include "config/node.h"

/**
 * struct trial - a configuration that is tried
 * @errors: where errors go
 * @untried: what cannot be tried, likewise
 * @manager_makes: the folder that the service manager makes before it starts the daemon; "": none
 * @running: the process that serves its control socket; 0: none does
 */
struct trial {
	struct conf_errors errors, untried;
	char manager_makes[96];
	int running;
};

/** try_listen() - a socket that is to be made at a path; @group may be NULL, and its node is @group_node */
void try_listen(struct trial *t, const struct conf_node *node, const char *path,
		const struct conf_node *group_node, const char *group);

/** try_connect() - a socket that is connected to */
void try_connect(struct trial *t, const struct conf_node *node, const char *path);

/** try_round_file() - a file that intervm sends */
void try_round_file(struct trial *t, const struct conf_node *node, const char *path);

/** try_tls() - certificate, key and CA; @node: the object with them; @listens: the peer connects */
void try_tls(struct trial *t, struct conf_node *node, const struct endpoint_config *cfg,
	     bool listens);

/** try_tcp_listen() - an address that is listened at */
void try_tcp_listen(struct trial *t, const struct conf_node *node, const char *address);

/** try_tcp_connect() - an address that is connected to */
void try_tcp_connect(struct trial *t, const struct conf_node *node, const char *address);

#endif
