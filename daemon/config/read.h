/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read.h - from a JSON tree to configuration structures (private to config)
 */
#ifndef OKL4FSD_CONFIG_READ_H
#define OKL4FSD_CONFIG_READ_H

#include "config/config.h"
#include "config/node.h"

/* What is not given; the rest stays as it was, zeroed */
void config_endpoint_defaults(struct endpoint_config *out, enum endpoint_type type);
void config_channel_defaults(struct channel_config *out);
void config_guest_defaults(struct guest_config *out);

/**
 * config_read() - fill the structures from a tree and check every value
 * @cfg: zeroed; filled as far as possible; config_free() it in every case
 * @root: the tree
 * @dir: says where relative paths begin when the control socket lies there: to be freed, or NULL: they stay
 *	as they are. The tree gets the completed paths, too
 * @errors: every error is reported here
 *
 * Return: 0, also when errors were reported, or -ENOMEM.
 */
int config_read(struct config *cfg, struct conf_node *root, char *(*dir)(const char *control_path),
		struct conf_errors *errors);

/**
 * config_read_channel() - likewise for one channel of @guest (NULL: one with the driver);
 * config_channel_deinit() it in every case
 */
int config_read_channel(struct channel_config *out, const struct guest_config *guest,
			struct conf_node *root, const char *dir, struct conf_errors *errors);

/** config_read_guest() - likewise for one guest; config_guest_deinit() it in every case */
int config_read_guest(struct guest_config *out, struct conf_node *root, const char *dir,
		      struct conf_errors *errors);

#endif
