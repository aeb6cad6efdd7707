// SPDX-License-Identifier: BSD-3-Clause
/*
 * node.c - look-up, paths and errors of JSON values
 */
#include "config/node.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[CONF_OBJECT] = "an object", [CONF_ARRAY] = "an array",    [CONF_STRING] = "a string",
	[CONF_NUMBER] = "a number",  [CONF_BOOLEAN] = "a boolean", [CONF_NULL] = "null",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == N_CONF_KINDS, "a name for each kind");

const char *conf_kind_name(enum conf_kind kind)
{
	return kind_names[kind];
}

struct conf_node *conf_free(struct conf_node *root)
{
	struct conf_node *child, *next;

	if (!root)
		return NULL;
	for (child = root->first; child; child = next) {
		next = child->next;
		conf_free(child);
	}
	free(root->key);
	free(root->text);
	free(root);
	return NULL;
}

struct conf_node *conf_member(struct conf_node *object, const char *key)
{
	struct conf_node *member;

	for (member = object->first; member; member = member->next) {
		if (!strcmp(member->key, key)) {
			member->used = true;
			return member;
		}
	}
	return NULL;
}

static bool is_plain_key(const char *key)
{
	return *key && !key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789_-")];
}

const char *conf_quote(const char *text, char *out, size_t size)
{
	char *at = out;
	char *end = out + size - sizeof("...\""); /* the last escape may go up to here */

	*at++ = '"';
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (end - at < (ptrdiff_t)sizeof("\\x00")) {
			while (((unsigned char)*text & 0xc0) == 0x80 && at > out + 1)
				text--, at--; /* not in the middle of a character */
			at = stpcpy(at, "...");
			break;
		}
		if (c < ' ' || c == 0x7f)
			at += sprintf(at, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			at += sprintf(at, "\\%c", c);
		else
			*at++ = (char)c;
	}
	*at++ = '"';
	*at = 0;
	return out;
}

static void print_path(FILE *out, const struct conf_node *node)
{
	char quoted[128];

	if (!node->parent)
		return;
	print_path(out, node->parent);
	if (!node->key)
		fprintf(out, "[%zu]", node->idx);
	else if (is_plain_key(node->key))
		fprintf(out, "%s%s", node->parent->parent ? "." : "", node->key);
	else
		fprintf(out, "[%s]", conf_quote(node->key, quoted, sizeof(quoted)));
}

const char *conf_path(const struct conf_node *node, char *out, size_t size)
{
	FILE *f = fmemopen(out, size, "w");

	out[0] = 0;
	if (!f)
		return out;
	print_path(f, node);
	fclose(f);
	out[size - 1] = 0;
	return out;
}

__attribute__((format(printf, 4, 0))) static void print_error(struct conf_errors *errors,
							      const struct conf_node *node,
							      struct conf_pos pos, const char *fmt,
							      va_list ap)
{
	char sentence[512];

	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	errors->n++;
	if (errors->file)
		fprintf(errors->out, "%s:%u:%u: ", errors->file, pos.line, pos.column);
	if (node->parent) {
		print_path(errors->out, node);
		fputs(": ", errors->out);
	}
	fprintf(errors->out, "%s\n", sentence);
}

void conf_error(struct conf_errors *errors, const struct conf_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(errors, node, node->pos, fmt, ap);
	va_end(ap);
}

void conf_key_error(struct conf_errors *errors, const struct conf_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_error(errors, node, node->key_pos, fmt, ap);
	va_end(ap);
}
