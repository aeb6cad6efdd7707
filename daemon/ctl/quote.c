// SPDX-License-Identifier: BSD-3-Clause
/*
 * quote.c - any text as one word of another language
 */

#include "ctl/quote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/**
 * struct escape - what is written in place of a character
 * @c: character; 0 ends a list
 * @text: in its place
 */
struct escape {
	char c;
	const char *text;
};

static char *escaped(const char *text, const struct escape *list, const char *around)
{
	const struct escape *e;
	char *result = NULL;
	size_t bytes;
	FILE *out = open_memstream(&result, &bytes);

	if (!out)
		return NULL;
	fputs(around, out);
	for (; *text; text++) {
		for (e = list; e->c && e->c != *text; e++)
			;
		fputs(e->c ? e->text : (char[]){ *text, 0 }, out);
	}
	fputs(around, out);
	if (!fclose(out))
		return result;
	free(result);
	return NULL;
}

char *quote_shell(const char *text)
{
	static const struct escape list[] = { { '\'', "'\\''" }, { 0, NULL } };
	bool plain = *text && !text[strspn(text, ALPHANUMERIC "@%+=:,./_-")];

	return escaped(text, list, plain ? "" : "'");
}

char *quote_qemu(const char *text)
{
	static const struct escape list[] = { { ',', ",," }, { 0, NULL } };

	return escaped(text, list, "");
}

char *quote_cloud(const char *text)
{
	static const struct escape list[] = { { '"', "\"\"" }, { 0, NULL } };
	bool plain = !text[strspn(text, ALPHANUMERIC "@%+:./_-")];

	return escaped(text, list, plain ? "" : "\"");
}

char *quote_xml(const char *text)
{
	static const struct escape list[] = {
		{ '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '\'', "&apos;" }, { 0, NULL },
	};

	return escaped(text, list, "");
}

bool quote_has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}
