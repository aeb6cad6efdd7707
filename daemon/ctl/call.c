// SPDX-License-Identifier: BSD-3-Clause
/*
 * call.c - one call of the daemon
 */
#include "ctl/call.h"

#include <string.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/connection.h"
#include "ctl/result.h"
#include "util/fd.h"

enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json_object *params,
		       struct json_object **result)
{
	struct connection c;
	enum ctl_exit r = connection_open(&c, ctl);

	*result = NULL;
	if (r)
		json_object_put(params);
	else
		r = connection_call(&c, method, params, result);
	connection_close(&c);
	return connection_tell(&c, r);
}

enum ctl_exit ctl_list_channels(const struct ctl *ctl, const char *guest,
				struct json_object **result)
{
	struct connection c;
	enum ctl_exit r = connection_open(&c, ctl);

	*result = NULL;
	if (!r)
		r = connection_channels(&c, guest, result);
	connection_close(&c);
	return connection_tell(&c, r);
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
