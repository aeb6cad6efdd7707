/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * value.h - single values of a configuration (private to config)
 *
 * Each function takes one value and reports the errors in it: a wrong kind, or a value out of range. What
 * the value was to be read into then stays as it was. Where a value may be missing, it may be NULL.
 */
#ifndef OKL4FSD_CONFIG_VALUE_H
#define OKL4FSD_CONFIG_VALUE_H

#include "config/node.h"

/**
 * struct conf_reader - what all readers need
 * @errors: where errors go
 * @dir: where relative paths begin; NULL: they stay as they are
 * @no_memory: an allocation failed
 */
struct conf_reader {
	struct conf_errors *errors;
	const char *dir;
	bool no_memory;
};

/** conf_is_kind() - whether there is a value and it is of that kind; another kind is an error */
bool conf_is_kind(struct conf_reader *r, const struct conf_node *node, enum conf_kind kind);

/** conf_required() - a member that must be there; Return: it, or NULL, which is an error */
struct conf_node *conf_required(struct conf_reader *r, struct conf_node *object, const char *key);

/** conf_refuse_unused() - report every member that was not looked up: its key is unknown */
void conf_refuse_unused(struct conf_reader *r, const struct conf_node *object);

/** conf_read_string() - a copy of a string that is not empty; Return: true when there is one */
bool conf_read_string(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_path() - a path; a relative one is completed, in the node, too */
void conf_read_path(struct conf_reader *r, struct conf_node *node, char **out);

/** conf_read_socket_path() - likewise, one that fits a socket address */
void conf_read_socket_path(struct conf_reader *r, struct conf_node *node, char **out);

/** conf_read_guest_name() - [A-Za-z0-9._-], at most 63 */
void conf_read_guest_name(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_channel_name() - what can be the name of a file */
void conf_read_channel_name(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_address() - HOST:PORT; @abroad: the error for one that is not a loopback address; NULL: any is fine */
void conf_read_address(struct conf_reader *r, const struct conf_node *node, const char *abroad,
		       char **out);

/** conf_read_unix_url() - a string that begins with "unix:", with such a path behind it */
void conf_read_unix_url(struct conf_reader *r, struct conf_node *node, char **out);

/** conf_read_user() - the name of a user that this system has; Return: true when there is a string */
bool conf_read_user(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_group() - likewise of a group */
bool conf_read_group(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_mode() - permission bits as an octal string */
void conf_read_mode(struct conf_reader *r, const struct conf_node *node, unsigned int *out);

/** conf_read_boolean() - true or false */
void conf_read_boolean(struct conf_reader *r, const struct conf_node *node, bool *out);

/** conf_read_word() - one of some words; Return: true when it is, and @out is its index */
bool conf_read_word(struct conf_reader *r, const struct conf_node *node, const char *const words[],
		    size_t n_words, unsigned int *out);

/** conf_read_number() - a whole number from @min to @max */
void conf_read_number(struct conf_reader *r, const struct conf_node *node, uint64_t min,
		      uint64_t max, uint64_t *out);

/** conf_read_u32() - likewise */
void conf_read_u32(struct conf_reader *r, const struct conf_node *node, uint32_t min, uint32_t max,
		   uint32_t *out);

/** conf_read_id() - number of a user or a group: 0 to 2^32 - 2, since the largest means "none" (chown(2)) */
void conf_read_id(struct conf_reader *r, const struct conf_node *node, uint32_t *out);

#endif
