// SPDX-License-Identifier: BSD-3-Clause
/*
 * json.c - members of results
 */
#include "control/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libfs/abi.h>

#include "util/fd.h"

void control_add_string(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add_ex(object, key, text ? json_object_new_string(text) : NULL,
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void control_add_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add_ex(object, key, json_object_new_uint64(number),
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void control_add_id(struct json_object *object, const char *key, uint32_t id)
{
	json_object_object_add_ex(object, key,
				  id == OKL4FS_NOT_GIVEN ? NULL : json_object_new_uint64(id),
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void control_add_boolean(struct json_object *object, const char *key, bool boolean)
{
	json_object_object_add_ex(object, key, json_object_new_boolean(boolean),
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void control_add_instance(struct json_object *object, const char *key, uint64_t instance)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, instance);
	json_object_object_add_ex(object, key, instance ? json_object_new_string(text) : NULL,
				  JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

char *control_whole_path(const char *path)
{
	_cleanup_free_ char *dir = path[0] == '/' ? NULL : getcwd(NULL, 0);
	char *whole = NULL;

	if (!dir)
		return strdup(path);
	return asprintf(&whole, "%s/%s", dir, path) < 0 ? NULL : whole;
}

void control_add_path(struct json_object *object, const char *key, const char *path)
{
	_cleanup_free_ char *whole = control_whole_path(path);

	control_add_string(object, key, whole ? whole : path);
}
