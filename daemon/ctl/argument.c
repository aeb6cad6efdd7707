// SPDX-License-Identifier: BSD-3-Clause
/*
 * argument.c - arguments and options that several commands read in the same way
 */

#include "ctl/argument.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/result.h"

const char *ctl_split(const char *command, const char *name, char **guest)
{
	const char *slash = strchr(name, '/');

	*guest = slash ? strndup(name, (size_t)(slash - name)) : NULL;
	if (*guest && **guest && slash[1])
		return slash + 1;
	ctl_error("%s: expected GUEST/CHANNEL, not \"%s\"", command, name);
	return NULL;
}

enum ctl_exit ctl_read_count(const char *text, const char *command, unsigned long *count)
{
	unsigned long long n;
	char *end;

	if (!text)
		return CTL_DONE;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && !errno && n <= ULONG_MAX) {
		*count = (unsigned long)n;
		return CTL_DONE;
	}
	ctl_error("%s: --count must be a number, not \"%s\"", command, text);
	return CTL_USAGE;
}

bool ctl_read_size(const char *text, unsigned long long unit, unsigned long long *bytes)
{
	static const char units[] = "KMGT";
	const char *letter;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return false;
	letter = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (letter) {
		unit = 1ULL << 10 * (letter - units + 1);
		end += !strcmp(end + 1, "iB") ? 3 : 1;
	}
	return !*end && !__builtin_mul_overflow(*bytes, unit, bytes);
}

struct json_object *ctl_guest_param(const char *guest)
{
	struct json_object *params = guest ? json_object_new_object() : NULL;

	if (params)
		json_object_object_add(params, "guest", json_object_new_string(guest));
	return params;
}
