/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * field.h - tables of what methods take and give (private to control)
 *
 * The same table checks a request's parameters and makes the description that `rpc.discover` gives.
 */
#ifndef OKL4FSD_CONTROL_FIELD_H
#define OKL4FSD_CONTROL_FIELD_H

#include <stdbool.h>

struct conf_node;
struct json_object;

/** enum control_type - types of fields */
enum control_type {
	CONTROL_STRING,
	CONTROL_INTEGER, /* not negative */
	CONTROL_BOOLEAN,
	CONTROL_INSTANCE, /* 16 hexadecimal digits */
	CONTROL_OBJECT, /* with members of its own */
	CONTROL_LIST, /* of objects */
	CONTROL_WORDS, /* a list of strings */
	CONTROL_COUNTS, /* an object: how often each key has happened */
	CONTROL_CONFIG, /* an object as in the configuration */
	N_CONTROL_TYPES,
};

/**
 * struct control_field - a parameter of a method, or a member of its result
 * @name: its name; NULL ends a table
 * @type: what it is
 * @text: what it means
 * @optional: it may be left out
 * @nullable: it may be null
 * @of: (CONTROL_OBJECT, CONTROL_LIST) the members
 * @config: (CONTROL_CONFIG) which part of the configuration, by its name in the schema's $defs
 * @word: (CONTROL_STRING, CONTROL_WORDS) gives the allowed word with this index, NULL past the last; NULL:
 *	any string is allowed
 */
struct control_field {
	const char *name;
	enum control_type type;
	const char *text;
	bool optional, nullable;
	const struct control_field *of;
	const char *config;
	const char *(*word)(unsigned int idx);
};

/* An entry of a table, and its end; further members of struct control_field may follow the text */
#define CONTROL_FIELD(name_, type_, text_, ...)                                  \
	{                                                                        \
		.name = (name_), .type = (type_), .text = (text_), ##__VA_ARGS__ \
	}
#define CONTROL_END          \
	{                    \
		.name = NULL \
	}

/** control_no_fields - an empty table */
extern const struct control_field control_no_fields[];

/** control_field_fits() - check the type of a value; Return: NULL, or what it must be: "a string", ... */
const char *control_field_fits(const struct control_field *field, const struct conf_node *value);

/** control_field_schema() - the JSON schema of a field; Return: a new object */
struct json_object *control_field_schema(const struct control_field *field);

/** control_fields_schema() - the JSON schema of an object with these members; Return: a new object */
struct json_object *control_fields_schema(const struct control_field *fields);

#endif
