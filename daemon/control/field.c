// SPDX-License-Identifier: BSD-3-Clause
/*
 * field.c - what methods take
 */
#include "control/field.h"

#include <json-c/json.h>

const struct control_field control_no_fields[] = { { .name = NULL } };

/* What a value of a type is, for a person and for the parser */
static const struct {
	const char *a;
	enum json_type json;
} types[] = {
	[CONTROL_STRING] = { "a string", json_type_string },
	[CONTROL_INTEGER] = { "a number", json_type_int },
	[CONTROL_OBJECT] = { "an object", json_type_object },
	[CONTROL_WORDS] = { "an array of strings", json_type_array },
};
_Static_assert(sizeof(types) / sizeof(types[0]) == N_CONTROL_TYPES, "an entry for each type");

const char *control_field_fits(const struct control_field *field, struct json_object *value)
{
	const char *a = types[field->type].a;

	if (!json_object_is_type(value, types[field->type].json))
		return a;
	if (field->type != CONTROL_WORDS)
		return NULL;
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		if (!json_object_is_type(json_object_array_get_idx(value, i), json_type_string))
			return a;
	}
	return NULL;
}
