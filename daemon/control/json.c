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
#include <libfs/pipe.h>

#include "util/fd.h"
#include "util/utf8.h"

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

void control_add_opener(struct json_object *object, const char *key,
			const struct okl4_opener *opener)
{
	struct json_object *program = NULL;
	char raw[OKL4FS_COMM_BYTES + 1] = "", comm[3 * sizeof(raw)];

	if (opener && opener->pid) {
		memcpy(raw, opener->comm, OKL4FS_COMM_BYTES);
		utf8_clean(comm, raw);
		program = json_object_new_object();
		control_add_string(program, "comm", comm);
		control_add_number(program, "pid", opener->pid);
		control_add_number(program, "uid", opener->uid);
		control_add_number(program, "gid", opener->gid);
	}
	json_object_object_add_ex(object, key, program, JSON_C_OBJECT_ADD_CONSTANT_KEY);
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
