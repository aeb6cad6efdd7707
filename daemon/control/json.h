/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.h - members of results (private to rpc)
 *
 * Names of results are part of the interface: snake_case, with their unit where they have one.
 * Instances are strings of 16 hexadecimal digits, since not every reader of JSON has 64-bit
 * integers; so are no counters, which stay below 2^53 for longer than anybody will wait.
 */
#ifndef OKL4FS_RPC_JSON_H
#define OKL4FS_RPC_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

/** rpc_add_string() - a string, NULL is null; @key is static memory, as in the others */
void rpc_add_string(struct json_object *object, const char *key, const char *text);

/** rpc_add_number() - a number */
void rpc_add_number(struct json_object *object, const char *key, uint64_t number);

/** rpc_add_id() - number of a user or a group; OKL4FS_NOT_GIVEN is null */
void rpc_add_id(struct json_object *object, const char *key, uint32_t id);
/** rpc_add_boolean() - a boolean */
void rpc_add_boolean(struct json_object *object, const char *key, bool boolean);

/** rpc_add_instance() - an instance; 0 is null */
void rpc_add_instance(struct json_object *object, const char *key, uint64_t instance);

/** rpc_add_path() - a path, made absolute from the daemon's working directory */
void rpc_add_path(struct json_object *object, const char *key, const char *path);

#endif
