// SPDX-License-Identifier: BSD-3-Clause
/*
 * discover.c - `rpc.discover`: what the control socket can be asked, as an OpenRPC document
 *
 * Made from the table of methods. What a guest or a channel looks like is the configuration's
 * schema, which is built in (control_config_schema).
 */
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "control/config_schema.h"
#include "control/subscribers.h"
#include "control/json.h"

#define OPENRPC_VERSION "1.3.2"

/**
 * error_text() - what an error means
 * @code: enum control_error
 *
 * Return: a sentence; static memory.
 */
static const char *error_text(enum control_error code)
{
	switch (code) {
	case CONTROL_INVALID_PARAMS:
		return "A parameter is missing, is not known, or is not what it must be";
	case CONTROL_INTERNAL_ERROR:
		return "The daemon is out of memory";
	case CONTROL_BUSY:
		return "There are too many already";
	case CONTROL_REFUSED:
		return "The daemon cannot do that as things stand";
	case CONTROL_DENIED:
		return "Whoever asks has no right to that";
	case CONTROL_PARSE_ERROR:
	case CONTROL_INVALID_REQUEST:
	case CONTROL_METHOD_NOT_FOUND:
	case CONTROL_IDLE:
		break; /* of no method */
	}
	return "";
}

/**
 * add_error() - add an error that a method can give
 * @list: to which
 * @code: enum control_error
 */
static void add_error(struct json_object *list, enum control_error code)
{
	struct json_object *error = json_object_new_object();

	json_object_object_add(error, "code", json_object_new_int(code));
	control_add_string(error, "message", error_text(code));
	json_object_array_add(list, error);
}

/**
 * errors() - all that a method can give
 * @m: method
 *
 * Return: a new array.
 */
static struct json_object *errors(const struct control_method *m)
{
	struct json_object *list = json_object_new_array();

	add_error(list, CONTROL_INVALID_PARAMS);
	add_error(list, CONTROL_INTERNAL_ERROR);
	add_error(list, CONTROL_DENIED);
	if (m->error)
		add_error(list, m->error);
	return list;
}

/**
 * param() - a parameter
 * @field: it
 *
 * Return: a new object.
 */
static struct json_object *param(const struct control_field *field)
{
	struct json_object *object = json_object_new_object();

	control_add_string(object, "name", field->name);
	control_add_string(object, "summary", field->text);
	control_add_boolean(object, "required", !field->optional);
	json_object_object_add(object, "schema", control_field_schema(field));
	return object;
}

/**
 * method() - a method
 * @m: it
 *
 * Return: a new object.
 */
static struct json_object *method(const struct control_method *m)
{
	struct json_object *object = json_object_new_object();
	struct json_object *params = json_object_new_array();
	struct json_object *result = json_object_new_object(), *schema;

	for (const struct control_field *field = m->params; field->name; field++)
		json_object_array_add(params, param(field));
	if (m->result) {
		schema = control_fields_schema(m->result);
	} else {
		schema = json_object_new_object();
		control_add_string(schema, "type", "object");
	}
	control_add_string(result, "name", m->name);
	json_object_object_add(result, "schema", schema);
	control_add_string(object, "name", m->name);
	control_add_string(object, "summary", m->text);
	control_add_string(object, "paramStructure", "by-name");
	json_object_object_add(object, "params", params);
	json_object_object_add(object, "result", result);
	json_object_object_add(object, "errors", errors(m));
	control_add_string(object, "x-right", m->right == CONTROL_ADMIN ? "admin" : "reader");
	return object;
}

/**
 * components() - the configuration's schema
 *
 * Return: a new object.
 */
static struct json_object *components(void)
{
	struct json_object *object = json_object_new_object();
	struct json_object *whole = json_tokener_parse((const char *)control_config_schema),
			   *defs = NULL;

	if (json_object_object_get_ex(whole, "$defs", &defs))
		json_object_object_add(object, "schemas", json_object_get(defs));
	json_object_put(whole);
	return object;
}

int control_discover(struct control_request *req, struct json_object **result)
{
	struct json_object *info = json_object_new_object();
	struct json_object *methods = json_object_new_array();

	control_add_string(info, "title", "okl4fsd");
	control_add_string(
		info, "description",
		"The control socket: JSON-RPC 2.0, one object a line, parameters by name");
	control_add_string(info, "version", OKL4FS_VERSION_STRING);
	for (const struct control_method *m = req->caller->methods; m->name; m++)
		json_object_array_add(methods, method(m));
	*result = json_object_new_object();
	control_add_string(*result, "openrpc", OPENRPC_VERSION);
	json_object_object_add(*result, "info", info);
	json_object_object_add(*result, "methods", methods);
	json_object_object_add(*result, "components", components());
	json_object_object_add(*result, "x-notification", control_subscribers_describe());
	return 0;
}
