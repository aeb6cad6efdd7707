// SPDX-License-Identifier: BSD-3-Clause
/*
 * field.c - what methods take and give: checked, and described as a JSON schema
 */
#include "control/field.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "config/node.h"
#include "control/json.h"

const struct control_field control_no_fields[] = { CONTROL_END };

/* A value of each type: in an error text, in a schema, in a request */
static const struct {
	const char *a, *type;
	enum conf_kind kind;
} types[] = {
	[CONTROL_STRING] = { "a string", "string", CONF_STRING },
	[CONTROL_INTEGER] = { "a number", "integer", CONF_NUMBER },
	[CONTROL_BOOLEAN] = { "a boolean", "boolean", CONF_BOOLEAN },
	[CONTROL_INSTANCE] = { "a string", "string", CONF_STRING },
	[CONTROL_OBJECT] = { "an object", "object", CONF_OBJECT },
	[CONTROL_LIST] = { "an array", "array", CONF_ARRAY },
	[CONTROL_WORDS] = { "an array of strings", "array", CONF_ARRAY },
	[CONTROL_COUNTS] = { "an object", "object", CONF_OBJECT },
	[CONTROL_CONFIG] = { "an object", "object", CONF_OBJECT },
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

static void add_words(struct json_object *schema, const struct control_field *field)
{
	struct json_object *list;
	const char *word;

	if (!field->word)
		return;
	list = json_object_new_array();
	for (unsigned int i = 0; (word = field->word(i)); i++)
		json_object_array_add(list, json_object_new_string(word));
	json_object_object_add(schema, "enum", list);
}

static struct json_object *string_schema(const struct control_field *field)
{
	struct json_object *schema = json_object_new_object();

	control_add_string(schema, "type", "string");
	add_words(schema, field);
	return schema;
}

static struct json_object *integer_schema(void)
{
	struct json_object *schema = json_object_new_object();

	control_add_string(schema, "type", "integer");
	control_add_number(schema, "minimum", 0);
	return schema;
}

static struct json_object *config_schema(const char *part)
{
	struct json_object *schema = json_object_new_object();
	char ref[64];

	snprintf(ref, sizeof(ref), "#/components/schemas/%s", part);
	control_add_string(schema, "$ref", ref);
	return schema;
}

/* @items is consumed */
static struct json_object *list_schema(struct json_object *items)
{
	struct json_object *schema = json_object_new_object();

	control_add_string(schema, "type", "array");
	json_object_object_add(schema, "items", items);
	return schema;
}

/* Without "null" and without the description */
static struct json_object *bare_schema(const struct control_field *field)
{
	struct json_object *schema;

	switch (field->type) {
	case CONTROL_OBJECT:
		return control_fields_schema(field->of);
	case CONTROL_LIST:
		return list_schema(control_fields_schema(field->of));
	case CONTROL_WORDS:
		return list_schema(string_schema(field));
	case CONTROL_CONFIG:
		return config_schema(field->config);
	case CONTROL_INTEGER:
		return integer_schema();
	case CONTROL_COUNTS:
		schema = json_object_new_object();
		control_add_string(schema, "type", "object");
		json_object_object_add(schema, "additionalProperties", integer_schema());
		return schema;
	case CONTROL_INSTANCE:
		schema = string_schema(field);
		control_add_string(schema, "pattern", "^[0-9a-f]{16}$");
		return schema;
	case CONTROL_STRING:
	case CONTROL_BOOLEAN:
	case N_CONTROL_TYPES:
		break;
	}
	schema = json_object_new_object();
	control_add_string(schema, "type", types[field->type].type);
	add_words(schema, field);
	return schema;
}

struct json_object *control_field_schema(const struct control_field *field)
{
	struct json_object *schema = bare_schema(field), *either, *null;

	if (field->nullable) {
		null = json_object_new_object();
		control_add_string(null, "type", "null");
		either = json_object_new_array();
		json_object_array_add(either, schema);
		json_object_array_add(either, null);
		schema = json_object_new_object();
		json_object_object_add(schema, "oneOf", either);
	}
	control_add_string(schema, "description", field->text);
	return schema;
}

struct json_object *control_fields_schema(const struct control_field *fields)
{
	struct json_object *schema = json_object_new_object();
	struct json_object *members = json_object_new_object();
	struct json_object *required = json_object_new_array();

	for (; fields->name; fields++) {
		json_object_object_add(members, fields->name, control_field_schema(fields));
		if (!fields->optional)
			json_object_array_add(required, json_object_new_string(fields->name));
	}
	control_add_string(schema, "type", "object");
	json_object_object_add(schema, "properties", members);
	json_object_object_add(schema, "required", required);
	control_add_boolean(schema, "additionalProperties", false);
	return schema;
}
