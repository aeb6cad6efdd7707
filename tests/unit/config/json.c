// SPDX-License-Identifier: BSD-3-Clause
/*
 * json.c - configurations as text: JSON with comments, and the place of every value
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/json.h"
#include "rig.h"

#define TEXT(text) text, sizeof(text) - 1 /* which may hold a NUL */
#define BOM \
	"1:1: a UTF-8 byte order mark stands before the JSON: remove it (editors call that `UTF-8 without BOM`)"

Test(json_errors, each_text_has_its_line)
{
	static const struct {
		const char *text;
		size_t bytes;
		const char *line;
	} rows[] = {
		{ TEXT(""), "1:1: expected a value, not the end of the file" },
		{ TEXT("// no\n"), "2:1: expected a value, not the end of the file" },
		{ TEXT("{\n  `guests`: []\n"),
		  "3:1: expected ',' or '}', not the end of the file" },
		{ TEXT("{`guests`: ["), "1:13: expected a value, not the end of the file" },
		{ TEXT("{`a`: 1 `b`: 2}"), "1:9: expected ',' or '}', not '`'" },
		{ TEXT("[1 2]"), "1:4: expected ',' or ']', not '2'" },
		{ TEXT("{`a` 1}"), "1:6: expected ':', not '1'" },
		{ TEXT("{`a`: 1,}"), "1:9: expected a key in quotation marks, not '}'" },
		{ TEXT("[1,]"), "1:4: expected a value, not ']'" },
		{ TEXT("{a: 1}"), "1:2: expected a key in quotation marks, not 'a'" },
		{ TEXT("[1}"), "1:3: expected ',' or ']', not '}'" },
		{ TEXT("{`guests`: []} {"), "1:16: expected nothing more, not '{'" },
		{ TEXT("{`guests`: []}\nx"), "2:1: expected nothing more, not 'x'" },
		{ TEXT("{'a': 1}"), "1:2: expected a key in quotation marks, not '''" },
		{ TEXT("['a']"), "1:2: expected a value, not '''" },
		{ TEXT("{ /* no */ }"), "1:3: only // begins a comment" },
		{ TEXT("# no"), "1:1: expected a value, not '#'" },
		{ TEXT("{} /"), "1:4: expected nothing more, not '/'" },
		{ TEXT("{`a`: yes}"), "1:7: expected a value, not `yes`" },
		{ TEXT("[NaN]"), "1:2: expected a value, not `NaN`" },
		{ TEXT("[True]"), "1:2: expected a value, not `True`" },
		{ TEXT("[-Infinity]"), "1:2: malformed number" },
		{ TEXT("[0123]"), "1:2: malformed number" },
		{ TEXT("[+1]"), "1:2: expected a value, not '+'" },
		{ TEXT("[1.]"), "1:2: malformed number" },
		{ TEXT("[1e]"), "1:2: malformed number" },
		{ TEXT("{`a`: `b\n`}"), "1:7: the string does not end on its line" },
		{ TEXT("`a\\"), "1:1: the string does not end on its line" },
		{ TEXT("[`a\tb`]"), "1:4: byte 0x09 must be escaped" },
		{ TEXT("[`\\q`]"), "1:2: malformed value: invalid string sequence" },
		{ TEXT("[`a\\u0000b`]"), "1:2: a string must not contain a NUL" },
		{ TEXT("[\0]"), "1:2: expected a value, not byte 0x00" },
		{ TEXT("[`\xff`]"), "1:2: malformed value: invalid utf-8 string" },
		{ TEXT("\xef\xbb\xbf{`guests`: []}"), BOM },
		{ TEXT("\xef\xbb\xbf// ours\n{`guests`: []}"), BOM },
		{ TEXT("\xff\xfe{\0`\0g\0"), "1:1: the text is UTF-16: JSON must be UTF-8" },
		{ TEXT("\xfe\xff\0{\0`\0g"), "1:1: the text is UTF-16: JSON must be UTF-8" },
		{ TEXT("{}\xef\xbb\xbf"), "1:3: expected nothing more, not byte 0xef" },
		{ TEXT("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"),
		  "1:17: more than 16 objects and arrays within each other" },
		{ TEXT("{`äöü`: x}"), "1:9: expected a value, not `x`" },
		{ TEXT("{\r\n`a`: x}"), "2:6: expected a value, not `x`" },
		{ TEXT("{`guests`: [],\n `guests`: []}"),
		  "2:2: guests: this key already appears in line 1" },
		{ TEXT("{`guests`: [], `gu\\u0065sts`: []}"),
		  "1:16: guests: this key already appears in line 1" },
		{ TEXT("{`guests`: [], `a b\\n`: 1}"), "1:16: [`a b\\x0a`]: unknown key" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refused(rows[i].text, rows[i].bytes, rows[i].line);
}

Test(json_errors, too_many_keys)
{
	char *text = calloc(1, 4096), *at = text;

	at = stpcpy(at, "{");
	for (int i = 0; i <= CONF_MAX_KEYS; i++)
		at += sprintf(at, "%s\"k%d\":0", i ? ",\n" : "", i);
	stpcpy(at, "}");
	refused(text, strlen(text), "65:1: an object has at most 64 keys");
	free(text);
}

static int parse_quietly(struct conf_node **root, const char *text, size_t bytes)
{
	struct conf_errors errors = { .out = fopen("/dev/null", "w"), .file = "FILE" };
	int r = conf_parse(root, text, bytes, &errors);

	fclose(errors.out);
	return r;
}

Test(json, every_prefix_of_a_valid_text_is_refused_without_harm)
{
	static const char text[] = "{ \"a\": [ 1, -2.5e+3, \"x\\u00e4\\n\", true, null ], // c\n"
				   "  \"b\": { \"c\": {} } }";
	struct conf_node *root;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		/* In memory of its own, so that a sanitizer sees a step beyond the end. */
		char *copy = malloc(n + !n);

		memcpy(copy, text, n);
		cr_assert_eq(parse_quietly(&root, copy, n), -EINVAL, "%zu bytes", n);
		cr_assert_null(root);
		free(copy);
	}
	cr_assert_eq(parse_quietly(&root, text, sizeof(text) - 1), 0);
	conf_free(root);
}

Test(json, one_changed_byte_does_no_harm)
{
	static const char text[] =
		"{ \"a\": [ 1, -2.5e+3, \"x\\u00e4\\n\", true ], // c\n \"b\": {} }";
	struct conf_node *root;
	unsigned int n_accepted = 0;

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int c = 0; c < 256; c++) {
			char copy[sizeof(text)];

			memcpy(copy, text, sizeof(text));
			copy[i] = (char)c;
			if (!parse_quietly(&root, copy, sizeof(text) - 1))
				n_accepted++;
			else
				cr_assert_null(root);
			conf_free(root);
		}
	}
	cr_assert_gt(n_accepted, sizeof(text) - 1);
}

static void check_pos(const struct conf_node *node, const char *path, unsigned int line,
		      unsigned int column)
{
	char got[128];

	cr_assert_not_null(node);
	cr_assert_str_eq(conf_path(node, got, sizeof(got)), path);
	cr_assert_eq(node->pos.line, line, "%s: line %u", path, node->pos.line);
	cr_assert_eq(node->pos.column, column, "%s: column %u", path, node->pos.column);
}

Test(json, each_value_knows_its_place_and_its_path)
{
	static const char text[] = "// \"a\": \"// no\"\n"
				   "{\n"
				   "\t\"a\" : [ 10, { \"b\": \"// text\" },\n"
				   "  // { [ \"\n"
				   "  \"ä\", false ],\n"
				   "  \"x y\": {\"z\":-7}}";
	struct conf_node *root, *a, *item;

	cr_assert_eq(parse_quietly(&root, text, sizeof(text) - 1), 0);
	check_pos(root, "", 2, 1);
	a = conf_member(root, "a");
	check_pos(a, "a", 3, 8);
	cr_assert_eq(a->key_pos.column, 2);
	item = a->first;
	check_pos(item, "a[0]", 3, 10);
	cr_assert(item->is_integer && item->integer == 10);
	item = item->next;
	check_pos(item, "a[1]", 3, 14);
	check_pos(conf_member(item, "b"), "a[1].b", 3, 21);
	cr_assert_str_eq(conf_member(item, "b")->text, "// text");
	item = item->next;
	check_pos(item, "a[2]", 5, 3);
	cr_assert_str_eq(item->text, "ä");
	check_pos(item->next, "a[3]", 5, 8);
	check_pos(conf_member(conf_member(root, "x y"), "z"), "[\"x y\"].z", 6, 15);
	conf_free(root);
}

Test(json, a_long_string_is_cut_where_it_is_quoted)
{
	char out[16];

	cr_assert_str_eq(conf_quote("short", out, sizeof(out)), "\"short\"");
	cr_assert_str_eq(conf_quote("a\"\\", out, sizeof(out)), "\"a\\\"\\\\\"");
	cr_assert_str_eq(conf_quote("aaa€€€", out, sizeof(out)), "\"aaa€...\"");
	cr_assert_str_eq(conf_quote("aa€€€", out, sizeof(out)), "\"aa€...\"");
	cr_assert_str_eq(conf_quote("a€€€", out, sizeof(out)), "\"a€...\"");
	for (size_t n = 0; n < 64; n++) {
		char text[65] = { 0 };

		memset(text, n % 2 ? 'x' : 1, n);
		conf_quote(text, out, sizeof(out));
		cr_assert_lt(strlen(out), sizeof(out));
		cr_assert_eq(out[strlen(out) - 1], '"');
	}
}
