/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * value.h - single values of a configuration (private to config)
 *
 * A value that is not of its kind or not in its range is told; what it was to be read into is then
 * as it was. The value may be NULL where "there is none" is allowed.
 */
#ifndef OKL4FSD_CONFIG_VALUE_H
#define OKL4FSD_CONFIG_VALUE_H

#include "config/json.h"

/**
 * struct conf_reader - what all readers need
 * @errors: where errors go
 * @no_memory: an allocation failed
 */
struct conf_reader {
	struct conf_errors *errors;
	bool no_memory;
};

/** conf_is_kind() - whether there is a value and it is of that kind; tells when it is of another */
bool conf_is_kind(struct conf_reader *r, const struct conf_node *node, enum conf_kind kind);

/** conf_required() - a member that must be there; Return: it, or NULL, which is told */
struct conf_node *conf_required(struct conf_reader *r, struct conf_node *object, const char *key);

/** conf_refuse_unused() - tell of every member that nobody has looked up */
void conf_refuse_unused(struct conf_reader *r, const struct conf_node *object);

/** conf_read_string() - a string that is not empty, as a copy; Return: true when there is one */
bool conf_read_string(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_socket_path() - a path that fits a socket address */
void conf_read_socket_path(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_guest_name() - [A-Za-z0-9._-], at most 63 */
void conf_read_guest_name(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_channel_name() - what can be the name of a file */
void conf_read_channel_name(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_address() - HOST:PORT; @abroad: what to tell of one that is not of this machine alone, or NULL */
void conf_read_address(struct conf_reader *r, const struct conf_node *node, const char *abroad,
		       char **out);

/** conf_read_unix_url() - a string that begins with "unix:", and a socket's path behind it */
void conf_read_unix_url(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_user() - a user that this system has, by name; Return: true when there is a string */
bool conf_read_user(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_group() - likewise a group */
bool conf_read_group(struct conf_reader *r, const struct conf_node *node, char **out);

/** conf_read_mode() - permission bits as an octal string */
void conf_read_mode(struct conf_reader *r, const struct conf_node *node, unsigned int *out);

/** conf_read_boolean() - true or false */
void conf_read_boolean(struct conf_reader *r, const struct conf_node *node, bool *out);

/** conf_read_word() - one of some words; Return: true when it is, and @out says which */
bool conf_read_word(struct conf_reader *r, const struct conf_node *node, const char *const words[],
		    size_t n_words, unsigned int *out);

/** conf_read_u32() - a number from 0 to 2^32 - 1 */
void conf_read_u32(struct conf_reader *r, const struct conf_node *node, uint32_t *out);

/** conf_read_id() - number of a user or a group: from 0 to 2^32 - 2, since the largest means "none" (chown(2)) */
void conf_read_id(struct conf_reader *r, const struct conf_node *node, uint32_t *out);

#endif
