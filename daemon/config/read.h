/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read.h - from a JSON tree to configuration structures (private to config)
 */
#ifndef OKL4FSD_CONFIG_READ_H
#define OKL4FSD_CONFIG_READ_H

#include "config/config.h"
#include "config/json.h"

struct conf_reader;

/** config_read_endpoint() - the host end of a channel; @node may be NULL */
void config_read_endpoint(struct conf_reader *r, struct conf_node *node,
			  struct endpoint_config *out);

/**
 * config_read() - fill the structures from a tree and check every value
 * @cfg: zeroed; filled as far as it went, to be freed by config_free() in every case
 * @root: the tree
 * @errors: told everything that is wrong
 *
 * Return: 0, also when errors were told, or -ENOMEM.
 */
int config_read(struct config *cfg, struct conf_node *root, struct conf_errors *errors);

/** config_read_channel() - likewise for one channel; config_channel_deinit() it in every case */
int config_read_channel(struct channel_config *out, struct conf_node *root,
			struct conf_errors *errors);

/** config_read_guest() - likewise for one guest; config_guest_deinit() it in every case */
int config_read_guest(struct guest_config *out, struct conf_node *root, struct conf_errors *errors);

/**
 * config_check_unique() - refuse names and socket paths that are there twice
 * @root: the tree that was read
 * @errors: told
 *
 * Return: 0 or -ENOMEM.
 */
int config_check_unique(struct conf_node *root, struct conf_errors *errors);

/** config_check_unique_guest() - likewise within one guest */
int config_check_unique_guest(struct conf_node *root, struct conf_errors *errors);

/**
 * config_check_bridges() - refuse an endpoint `channel` whose partner is not there or does not name it
 * @root: the tree that was read
 * @errors: told
 *
 * Return: 0 or -ENOMEM.
 */
int config_check_bridges(struct conf_node *root, struct conf_errors *errors);

/** config_check_bridges_guest() - likewise between channels of one guest; others may come later */
int config_check_bridges_guest(struct conf_node *root, struct conf_errors *errors);

#endif
