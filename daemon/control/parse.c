// SPDX-License-Identifier: BSD-3-Clause
/*
 * parse.c - a line of the control socket as JSON by the letter
 */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "control/call.h"
#include "util/bom.h"

/* json-c takes single quotes, keys that are there twice, and some numbers that are none. */
static bool is_strict(const char *line, size_t bytes, char *sentence, size_t size)
{
	FILE *errors = fmemopen(sentence, size, "w");
	bool strict;

	if (!errors)
		return false;
	strict = config_is_json(line, bytes, errors);
	fclose(errors);
	sentence[strcspn(sentence, "\n")] = 0;
	return strict;
}

bool control_parse(const char *line, size_t bytes, struct json_object **value, char *sentence,
		   size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(CONTROL_MAX_DEPTH);
	const char *bom = bom_refusal(line, bytes);
	enum json_tokener_error e;
	size_t at;

	if (!tokener || bom || memchr(line, 0, bytes)) {
		snprintf(sentence, size, "%s",
			 !tokener ? "out of memory" :
			 bom      ? bom :
				    "the line holds a NUL");
		if (tokener)
			json_tokener_free(tokener);
		return false;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*value = json_tokener_parse_ex(tokener, line, (int)bytes);
	e = json_tokener_get_error(tokener);
	at = json_tokener_get_parse_end(tokener);
	if (e == json_tokener_continue) { /* a number alone, or the line ends too early */
		*value = json_tokener_parse_ex(tokener, "", 1);
		e = json_tokener_get_error(tokener);
		at = bytes;
	}
	snprintf(sentence, size, "byte %zu: %s", at + 1, json_tokener_error_desc(e));
	json_tokener_free(tokener);
	if (e != json_tokener_success)
		return false;
	if (is_strict(line, bytes, sentence, size))
		return true;
	json_object_put(*value);
	return false;
}
