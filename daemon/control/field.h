/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * field.h - what methods take and give, in tables (private to rpc)
 *
 * The same table checks a request's parameters and makes the description that `rpc.discover` gives.
 */
#ifndef OKL4FS_RPC_FIELD_H
#define OKL4FS_RPC_FIELD_H

#include <stdbool.h>

struct json_object;

/** enum rpc_type - kinds of members */
enum rpc_type {
	RPC_STRING,
	RPC_INTEGER, /* not negative */
	RPC_BOOLEAN,
	RPC_INSTANCE, /* 16 hexadecimal digits */
	RPC_OBJECT, /* with members of its own */
	RPC_LIST, /* of objects */
	RPC_WORDS, /* a list of strings */
	RPC_COUNTS, /* an object: how often each of what it names */
	RPC_CONFIG, /* an object as in the configuration */
	N_RPC_TYPES,
};

/**
 * struct rpc_field - a parameter of a method, or a member of what it gives
 * @name: its name; NULL ends a table
 * @type: what it is
 * @text: what it means
 * @optional: it may be left out
 * @nullable: it may be null
 * @of: (RPC_OBJECT, RPC_LIST) the members
 * @config: (RPC_CONFIG) which part of the configuration, by its name in the schema's $defs
 * @word: (RPC_STRING, RPC_WORDS) the words that there are: gives the one of a number, NULL past the
 *	last; NULL: any string
 */
struct rpc_field {
	const char *name;
	enum rpc_type type;
	const char *text;
	bool optional, nullable;
	const struct rpc_field *of;
	const char *config;
	const char *(*word)(unsigned int idx);
};

/* An entry of a table, and its end; what follows the text are further members of struct rpc_field */
#define RPC_FIELD(name_, type_, text_, ...)                                      \
	{                                                                        \
		.name = (name_), .type = (type_), .text = (text_), ##__VA_ARGS__ \
	}
#define RPC_END              \
	{                    \
		.name = NULL \
	}

/** rpc_no_fields - an empty table */
extern const struct rpc_field rpc_no_fields[];

/** rpc_field_fits() - whether a value is what a field is to be; Return: NULL, or "a string", ... */
const char *rpc_field_fits(const struct rpc_field *field, struct json_object *value);

/** rpc_field_schema() - the JSON schema of a field; Return: a new object */
struct json_object *rpc_field_schema(const struct rpc_field *field);

/** rpc_fields_schema() - the JSON schema of an object with these members; Return: a new object */
struct json_object *rpc_fields_schema(const struct rpc_field *fields);

#endif
