/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.h - rules of a configuration that span several keys (private to config)
 *
 * Names and socket paths are there once, and the channels of an endpoint `channel` name each other.
 */
#ifndef OKL4FSD_CONFIG_CHECK_H
#define OKL4FSD_CONFIG_CHECK_H

#include "config/node.h"

/**
 * config_check() - check a whole configuration
 * @root: the tree, also one in which single values were refused
 * @errors: every error is reported here
 *
 * Return: 0, also when errors were reported, or -ENOMEM.
 */
int config_check(struct conf_node *root, struct conf_errors *errors);

/** config_check_guest() - likewise one guest; a channel that is joined to another guest is not checked */
int config_check_guest(struct conf_node *root, struct conf_errors *errors);

#endif
