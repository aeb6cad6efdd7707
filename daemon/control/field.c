// SPDX-License-Identifier: BSD-3-Clause
/*
 * field.c - what methods take
 */
#include "control/field.h"

#include <string.h>

#include "config/node.h"

const struct control_field control_no_fields[] = { { .name = NULL } };

/* A value of each type: in an error text, in a request */
static const struct {
	const char *a;
	enum conf_kind kind;
} types[] = {
	[CONTROL_STRING] = { "a string", CONF_STRING },
	[CONTROL_INTEGER] = { "a number", CONF_NUMBER },
	[CONTROL_OBJECT] = { "an object", CONF_OBJECT },
	[CONTROL_WORDS] = { "an array of strings", CONF_ARRAY },
};
_Static_assert(sizeof(types) / sizeof(types[0]) == N_CONTROL_TYPES, "an entry for each type");

const char *control_field_fits(const struct control_field *field, const struct conf_node *value)
{
	const char *a = types[field->type].a;

	if (value->kind != types[field->type].kind)
		return a;
	if (field->type == CONTROL_INTEGER) /* however large it is */
		return strpbrk(value->text, ".eE") ? a : NULL;
	if (field->type != CONTROL_WORDS)
		return NULL;
	for (value = value->first; value; value = value->next) {
		if (value->kind != CONF_STRING)
			return a;
	}
	return NULL;
}
