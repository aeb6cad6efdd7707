/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.h - members of results (private to control)
 *
 * Names of members are part of the interface: snake_case, with their unit where they have one.
 * Instances are strings of 16 hexadecimal digits, since not every JSON parser has 64-bit integers.
 * Counters are numbers: they stay below 2^53 for years.
 */
#ifndef OKL4FSD_CONTROL_JSON_H
#define OKL4FSD_CONTROL_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;
struct okl4_opener;

/** control_add_string() - a string, NULL is null; @key is static memory, as in the others */
void control_add_string(struct json_object *object, const char *key, const char *text);

/** control_add_number() - a number */
void control_add_number(struct json_object *object, const char *key, uint64_t number);

/** control_add_id() - number of a user or a group; OKL4FS_NOT_GIVEN is null */

void control_add_id(struct json_object *object, const char *key, uint32_t id);
/** control_add_boolean() - a boolean */
void control_add_boolean(struct json_object *object, const char *key, bool boolean);

/** control_add_instance() - an instance; 0 is null */
void control_add_instance(struct json_object *object, const char *key, uint64_t instance);

/** control_add_opener() - what a guest says of a program; NULL, and a pid of 0, are null */
void control_add_opener(struct json_object *object, const char *key,
			const struct okl4_opener *opener);

/**
 * control_whole_path() - a path; a relative one is made absolute with the daemon's working directory;
 * Return: a new string, or NULL
 */
char *control_whole_path(const char *path);

/** control_add_path() - a path, as control_whole_path() makes it */
void control_add_path(struct json_object *object, const char *key, const char *path);

#endif
