// SPDX-License-Identifier: BSD-3-Clause
/*
 * result.c - error lines, and the members of what the daemon returned
 */

#include "ctl/result.h"

#include <stdarg.h>
#include <stdio.h>

#include <json-c/json.h>

#include "ctl/text.h"
#include "util/fd.h"

void ctl_error(const char *fmt, ...)
{
	_cleanup_free_ char *safe = NULL;
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	safe = text_safe(line); /* names may stand in it */
	fprintf(stderr, "okl4fsctl: %s\n", safe);
}

const char *ctl_string(struct json_object *object, const char *key)
{
	struct json_object *value = ctl_object(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

unsigned long long ctl_number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(ctl_object(object, key));
}

bool ctl_boolean(struct json_object *object, const char *key)
{
	return json_object_get_boolean(ctl_object(object, key));
}

struct json_object *ctl_object(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

size_t ctl_list(struct json_object *object, const char *key, struct json_object **list)
{
	*list = ctl_object(object, key);
	return json_object_is_type(*list, json_type_array) ? json_object_array_length(*list) : 0;
}

void ctl_show_json(struct json_object *result)
{
	puts(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
}
