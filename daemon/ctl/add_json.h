/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * add_json.h - a guest or a channel as JSON: an argument, stdin or a file
 */
#ifndef OKL4FSD_CTL_ADD_JSON_H
#define OKL4FSD_CTL_ADD_JSON_H

#include "ctl/ctl.h"

struct json_object;

/** add_json_is() - whether an argument is "-", "@FILE" or JSON, and not a name */
bool add_json_is(const char *arg);

/**
 * add_json_read() - read JSON, in which comments are allowed as in the configuration
 * @arg: "-" for stdin, "@FILE", or JSON
 * @object: out: json_object_put() it
 *
 * Return: CTL_DONE, or CTL_USAGE with a line on stderr.
 */
enum ctl_exit add_json_read(const char *arg, struct json_object **object);

#endif
