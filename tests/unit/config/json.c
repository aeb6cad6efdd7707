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

REFUSED(json_errors, nothing, "", "FILE:1:1: expected a value, not the end of the file\n")
REFUSED(json_errors, only_a_comment, "// no\n",
	"FILE:2:1: expected a value, not the end of the file\n")
REFUSED(json_errors, open_object, "{\n  \"guests\": []\n",
	"FILE:3:1: expected ',' or '}', not the end of the file\n")
REFUSED(json_errors, open_array, "{\"guests\": [",
	"FILE:1:13: expected a value, not the end of the file\n")
REFUSED(json_errors, missing_comma, "{\"a\": 1 \"b\": 2}",
	"FILE:1:9: expected ',' or '}', not '\"'\n")
REFUSED(json_errors, missing_comma_in_array, "[1 2]", "FILE:1:4: expected ',' or ']', not '2'\n")
REFUSED(json_errors, missing_colon, "{\"a\" 1}", "FILE:1:6: expected ':', not '1'\n")
REFUSED(json_errors, trailing_comma, "{\"a\": 1,}",
	"FILE:1:9: expected a key in quotation marks, not '}'\n")
REFUSED(json_errors, trailing_comma_in_array, "[1,]", "FILE:1:4: expected a value, not ']'\n")
REFUSED(json_errors, key_without_quotes, "{a: 1}",
	"FILE:1:2: expected a key in quotation marks, not 'a'\n")
REFUSED(json_errors, wrong_bracket, "[1}", "FILE:1:3: expected ',' or ']', not '}'\n")
REFUSED(json_errors, trailing_garbage, "{\"guests\": []} {",
	"FILE:1:16: expected nothing more, not '{'\n")
REFUSED(json_errors, trailing_word, "{\"guests\": []}\nx",
	"FILE:2:1: expected nothing more, not 'x'\n")
REFUSED(json_errors, single_quotes, "{'a': 1}",
	"FILE:1:2: expected a key in quotation marks, not '''\n")
REFUSED(json_errors, single_quoted_value, "['a']", "FILE:1:2: expected a value, not '''\n")
REFUSED(json_errors, c_comment, "{ /* no */ }", "FILE:1:3: only // begins a comment\n")
REFUSED(json_errors, hash_comment, "# no", "FILE:1:1: expected a value, not '#'\n")
REFUSED(json_errors, half_a_comment, "{} /", "FILE:1:4: expected nothing more, not '/'\n")
REFUSED(json_errors, wrong_word, "{\"a\": yes}", "FILE:1:7: expected a value, not \"yes\"\n")
REFUSED(json_errors, not_a_number, "[NaN]", "FILE:1:2: expected a value, not \"NaN\"\n")
REFUSED(json_errors, upper_case, "[True]", "FILE:1:2: expected a value, not \"True\"\n")
REFUSED(json_errors, infinity, "[-Infinity]", "FILE:1:2: malformed number\n")
REFUSED(json_errors, leading_zero, "[0123]", "FILE:1:2: malformed number\n")
REFUSED(json_errors, leading_plus, "[+1]", "FILE:1:2: expected a value, not '+'\n")
REFUSED(json_errors, no_digits_behind_the_point, "[1.]", "FILE:1:2: malformed number\n")
REFUSED(json_errors, no_digits_in_the_exponent, "[1e]", "FILE:1:2: malformed number\n")
REFUSED(json_errors, string_without_end, "{\"a\": \"b\n\"}",
	"FILE:1:7: the string does not end on its line\n")
REFUSED(json_errors, string_without_end_of_file, "\"a\\",
	"FILE:1:1: the string does not end on its line\n")
REFUSED(json_errors, tab_in_a_string, "[\"a\tb\"]", "FILE:1:4: byte 0x09 must be escaped\n")
REFUSED(json_errors, unknown_escape, "[\"\\q\"]",
	"FILE:1:2: malformed value: invalid string sequence\n")
REFUSED(json_errors, escaped_nul, "[\"a\\u0000b\"]", "FILE:1:2: a string must not contain a NUL\n")
REFUSED(json_errors, nul, "[\0]", "FILE:1:2: expected a value, not byte 0x00\n")
REFUSED(json_errors, not_utf8, "[\"\xff\"]", "FILE:1:2: malformed value: invalid utf-8 string\n")
REFUSED(json_errors, byte_order_mark, "\xef\xbb\xbf{\"guests\": []}",
	"FILE:1:1: a UTF-8 byte order mark stands before the JSON: remove it (editors call that "
	"\"UTF-8 without BOM\")\n")
REFUSED(json_errors, byte_order_mark_before_a_comment, "\xef\xbb\xbf// ours\n{\"guests\": []}",
	"FILE:1:1: a UTF-8 byte order mark stands before the JSON: remove it (editors call that "
	"\"UTF-8 without BOM\")\n")
REFUSED(json_errors, utf_16, "\xff\xfe{\0\"\0g\0",
	"FILE:1:1: the text is UTF-16: JSON must be UTF-8\n")
REFUSED(json_errors, utf_16_big_endian, "\xfe\xff\0{\0\"\0g",
	"FILE:1:1: the text is UTF-16: JSON must be UTF-8\n")
REFUSED(json_errors, byte_order_mark_elsewhere, "{}\xef\xbb\xbf",
	"FILE:1:3: expected nothing more, not byte 0xef\n")
REFUSED(json_errors, seventeen_deep, "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
	"FILE:1:17: more than 16 objects and arrays within each other\n")
REFUSED(json_errors, columns_are_characters, "{\"äöü\": x}",
	"FILE:1:9: expected a value, not \"x\"\n")
REFUSED(json_errors, lines_of_other_systems, "{\r\n\"a\": x}",
	"FILE:2:6: expected a value, not \"x\"\n")
REFUSED(json_errors, duplicate_key, "{\"guests\": [],\n \"guests\": []}",
	"FILE:2:2: guests: this key already appears in line 1\n")
REFUSED(json_errors, duplicate_key_in_disguise, "{\"guests\": [], \"gu\\u0065sts\": []}",
	"FILE:1:16: guests: this key already appears in line 1\n")
REFUSED(json_errors, odd_key_in_a_path, "{\"guests\": [], \"a b\\n\": 1}",
	"FILE:1:16: [\"a b\\x0a\"]: unknown key\n")

Test(json_errors, too_many_keys)
{
	char *text = calloc(1, 4096), *at = text;

	at = stpcpy(at, "{");
	for (int i = 0; i <= CONF_MAX_KEYS; i++)
		at += sprintf(at, "%s\"k%d\":0", i ? ",\n" : "", i);
	stpcpy(at, "}");
	refused(text, strlen(text), "FILE:65:1: an object has at most 64 keys\n");
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
