/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.h - JSON text to a tree of nodes; for the configuration and for the control socket
 *
 * Stricter than json-c: no duplicate key, no trailing comma, nothing after the value. More lenient
 * than JSON in one thing: in a file, `//` begins a comment that ends with the line.
 */
#ifndef OKL4FSD_CONFIG_JSON_H
#define OKL4FSD_CONFIG_JSON_H

#include "config/node.h"

#define CONF_MAX_DEPTH 16 /* objects and arrays within each other */
#define CONF_MAX_KEYS  64 /* of one object */

/**
 * conf_parse() - text to tree
 * @root: out; conf_free() it
 * @text: the text; no NUL needed at its end
 * @bytes: its length
 * @errors: gets duplicate keys, after which the parse goes on, and the first syntax error, which
 *	ends it
 *
 * Return: 0, -EINVAL (syntax) or -ENOMEM; no tree then.
 */
int conf_parse(struct conf_node **root, const char *text, size_t bytes, struct conf_errors *errors);

#endif
