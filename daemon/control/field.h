/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * field.h - tables of what methods take (private to control)
 *
 * okl4fs-control(7) describes parameters and results.
 */
#ifndef OKL4FSD_CONTROL_FIELD_H
#define OKL4FSD_CONTROL_FIELD_H

#include <stdbool.h>

struct conf_node;

/** enum control_type - kinds of parameters */
enum control_type {
	CONTROL_STRING,
	CONTROL_INTEGER,
	CONTROL_OBJECT,
	CONTROL_WORDS, /* a list of strings */
	N_CONTROL_TYPES,
};

/**
 * struct control_field - a parameter of a method
 * @name: its name; NULL ends a table
 * @type: what it is
 * @optional: it may be left out
 */
struct control_field {
	const char *name;
	enum control_type type;
	bool optional;
};

/** control_no_fields - an empty table */
extern const struct control_field control_no_fields[];

/** control_field_fits() - check the type of a value; Return: NULL, or what it must be: "a string", ... */
const char *control_field_fits(const struct control_field *field, const struct conf_node *value);

#endif
