/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node.h - a JSON value that knows where it stood in the text: look-up, paths, errors
 */
#ifndef OKL4FSD_CONFIG_NODE_H
#define OKL4FSD_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** enum conf_kind - kinds of JSON values */
enum conf_kind {
	CONF_OBJECT,
	CONF_ARRAY,
	CONF_STRING,
	CONF_NUMBER,
	CONF_BOOLEAN,
	CONF_NULL,
	N_CONF_KINDS,
};

/** conf_kind_name() - "an object", "a string", ...; static memory */
const char *conf_kind_name(enum conf_kind kind);

/**
 * struct conf_pos - a place in the text
 * @line: from 1
 * @column: characters (UTF-8) from 1; a tab is one
 */
struct conf_pos {
	unsigned int line, column;
};

/**
 * struct conf_node - one value
 * @kind: what it is
 * @pos: where it begins
 * @key: its key when it is a member of an object, else NULL
 * @key_pos: where its key begins
 * @idx: its index when it is an item of an array
 * @text: a string's bytes (NUL-terminated, @text_bytes long), a number as it was written
 * @text_bytes: bytes of @text
 * @integer: a number's value; when not @is_integer, as near as the type can come
 * @is_integer: the number has neither fraction nor exponent and fits int64_t
 * @boolean: a boolean's value
 * @parent: the object or array that it is in; NULL for the whole
 * @first: first member or item
 * @next: next member or item of the same parent
 * @used: conf_member() has looked it up
 */
struct conf_node {
	enum conf_kind kind;
	struct conf_pos pos;
	char *key;
	struct conf_pos key_pos;
	size_t idx;
	char *text;
	size_t text_bytes;
	int64_t integer;
	bool is_integer;
	bool boolean;
	struct conf_node *parent;
	struct conf_node *first;
	struct conf_node *next;
	bool used;
};

/**
 * struct conf_errors - where errors go
 * @out: each is written here as a line
 * @file: name of the file, for the lines; NULL: it is one line without comments, and the place of a value
 *	is not given
 * @n: how many there were
 */
struct conf_errors {
	FILE *out;
	const char *file;
	unsigned int n;
};

/** conf_free() - free a tree; NULL is allowed; Return: NULL */
struct conf_node *conf_free(struct conf_node *root);

/**
 * conf_member() - look up a member of an object
 * @object: an object
 * @key: its key
 *
 * Return: the member, marked as used, or NULL.
 */
struct conf_node *conf_member(struct conf_node *object, const char *key);

/**
 * conf_path() - the path of a value, as "guests[0].channels[1].ring_bytes"
 * @node: the value
 * @out: written here; "" for the whole
 * @size: bytes of @out; a longer path is cut
 *
 * Return: @out.
 */
const char *conf_path(const struct conf_node *node, char *out, size_t size);

/**
 * conf_quote() - a string that may hold anything, in quotation marks and on one line
 * @text: the string
 * @out: written here
 * @size: bytes of @out, 16 or more; a longer string is cut, and ends with "..."
 *
 * Return: @out.
 */
const char *conf_quote(const char *text, char *out, size_t size);

/**
 * conf_error() - report an error in a value: FILE:LINE:COLUMN: PATH: sentence
 * @node: the value
 */
__attribute__((format(printf, 3, 4))) void
conf_error(struct conf_errors *errors, const struct conf_node *node, const char *fmt, ...);

/** conf_key_error() - as conf_error(), with the position of the value's key */
__attribute__((format(printf, 3, 4))) void
conf_key_error(struct conf_errors *errors, const struct conf_node *node, const char *fmt, ...);

#endif
