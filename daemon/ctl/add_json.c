// SPDX-License-Identifier: BSD-3-Clause
/*
 * add_json.c - a guest or a channel as JSON: an argument, stdin or a file
 */
#include "ctl/add_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/result.h"
#include "util/bom.h"
#include "util/fd.h"

#define MAX_BYTES 65536 /* the limit of a request, so of what is in it */

/* Return: NULL, with a line on stderr, also when it is longer than any request */
static char *read_all(FILE *file, const char *name)
{
	char *text = file ? calloc(1, MAX_BYTES + 1) : NULL;
	size_t bytes = text ? fread(text, 1, MAX_BYTES + 1, file) : 0;

	if (text && bytes <= MAX_BYTES && !ferror(file))
		return text;
	if (bytes > MAX_BYTES)
		ctl_error("%s: longer than %d bytes", name, MAX_BYTES);
	else
		ctl_error("%s: %s", name, strerror(errno));
	free(text);
	return NULL;
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = read_all(file, path);

	if (file)
		fclose(file);
	return text;
}

/* Comments are allowed, as in the configuration; nothing may follow the JSON */
static struct json_object *parse_json(const char *text, const char *what)
{
	struct json_tokener *tokener = json_tokener_new();
	const char *bom = bom_refusal(text, strlen(text));
	struct json_object *object;
	enum json_tokener_error e;
	size_t at;

	if (!tokener || bom) {
		ctl_error("%s%s%s", bom ? what : "", bom ? ": " : "", bom ? bom : "out of memory");
		if (tokener)
			json_tokener_free(tokener);
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	e = json_tokener_get_error(tokener);
	at = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	if (e == json_tokener_success) {
		at += strspn(text + at, " \t\r\n");
		if (object && !text[at])
			return object;
		ctl_error(object ? "%s: byte %zu: something follows the JSON" :
				   "%s: byte %zu: neither a guest nor a channel",
			  what, at + 1);
		json_object_put(object);
		return NULL;
	}
	ctl_error("%s is not JSON: byte %zu: %s", what, at + 1, json_tokener_error_desc(e));
	return NULL;
}

bool add_json_is(const char *arg)
{
	return !strcmp(arg, "-") || strchr("@{[\"/ \t\r\n", *arg) ||
	       !strncmp(arg, "\xef\xbb\xbf", 3);
}

enum ctl_exit add_json_read(const char *arg, struct json_object **object)
{
	_cleanup_free_ char *text = NULL;
	const char *name = "the argument";

	*object = NULL;
	if (!strcmp(arg, "-")) {
		name = "stdin";
		text = read_all(stdin, name);
	} else if (*arg == '@') {
		name = arg + 1;
		text = read_file(name);
	} else {
		text = strdup(arg);
	}
	*object = text ? parse_json(text, name) : NULL;
	return *object ? CTL_DONE : CTL_USAGE;
}
