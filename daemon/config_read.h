/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_read.h - from a JSON tree to configuration structures (private to config)
 */
#ifndef OKL4FS_CONFIG_READ_H
#define OKL4FS_CONFIG_READ_H

#include "config.h"
#include "config_json.h"

/**
 * config_read() - fill the structures from a tree and check every value
 * @cfg: zeroed; filled as far as it went, to be freed by config_free() in every case
 * @root: the tree
 * @errors: told everything that is wrong
 *
 * Return: 0, also when errors were told, or -ENOMEM.
 */
int config_read(struct config *cfg, struct conf_node *root, struct conf_errors *errors);

/**
 * config_check_unique() - refuse names and socket paths that are there twice
 * @root: the tree that was read
 * @errors: told
 *
 * Return: 0 or -ENOMEM.
 */
int config_check_unique(struct conf_node *root, struct conf_errors *errors);

#endif
