// SPDX-License-Identifier: BSD-3-Clause
/*
 * call.c - one call of the daemon, and what it gave
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl.h"
#include "ctl/connection.h"
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

struct json_object *ctl_guest_param(const char *guest)
{
	struct json_object *params = guest ? json_object_new_object() : NULL;

	if (params)
		json_object_object_add(params, "guest", json_object_new_string(guest));
	return params;
}

const char *ctl_split(const char *command, const char *name, char **guest)
{
	const char *slash = strchr(name, '/');

	*guest = slash ? strndup(name, (size_t)(slash - name)) : NULL;
	if (*guest && **guest && slash[1])
		return slash + 1;
	ctl_error("%s: GUEST/CHANNEL is wanted, not \"%s\"", command, name);
	return NULL;
}

enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json_object *params,
		       struct json_object **result)
{
	struct link link;
	enum ctl_exit r = link_open(&link, ctl);

	*result = NULL;
	if (r)
		json_object_put(params);
	else
		r = link_call(&link, method, params, result);
	link_close(&link);
	return link_tell(&link, r);
}

enum ctl_exit ctl_list_channels(const struct ctl *ctl, const char *guest,
				struct json_object **result)
{
	struct link link;
	enum ctl_exit r = link_open(&link, ctl);

	*result = NULL;
	if (!r)
		r = link_channels(&link, guest, result);
	link_close(&link);
	return link_tell(&link, r);
}

enum ctl_exit ctl_find_channel(const struct ctl *ctl, const char *command, const char *name,
			       struct json_object **result, struct json_object **channel)
{
	_cleanup_free_ char *guest = NULL;
	const char *wanted = ctl_split(command, name, &guest);
	struct json_object *list;
	enum ctl_exit r;
	size_t n;

	*result = NULL;
	if (!wanted)
		return CTL_USAGE;
	r = ctl_list_channels(ctl, guest, result);
	if (r)
		return r;
	n = ctl_list(*result, "channels", &list);
	for (size_t i = 0; i < n; i++) {
		*channel = json_object_array_get_idx(list, i);
		if (!strcmp(ctl_string(*channel, "name"), wanted))
			return CTL_DONE;
	}
	ctl_error("guest \"%s\" has no channel \"%s\"", guest, wanted);
	return CTL_REFUSED;
}
