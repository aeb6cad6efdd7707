// SPDX-License-Identifier: BSD-3-Clause
/*
 * daemon_config.c - configurations: what is accepted, and the exact text of every refusal
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config.h"
#include "config_json.h"

/**
 * load() - load a configuration from a string
 * @text: its content
 * @bytes: its length
 * @cfg: out
 * @errors: out: what was told, with the file called FILE; to be freed
 *
 * Return: as config_load().
 */
static int load(const char *text, size_t bytes, struct config **cfg, char **errors)
{
	char path[] = "okl4fs-config-XXXXXX";
	int fd = mkstemp(path), r;
	char *told, *at;
	size_t told_bytes;
	FILE *f = open_memstream(&told, &told_bytes);

	cr_assert(fd >= 0 && f);
	cr_assert_eq(write(fd, text, bytes), (ssize_t)bytes);
	close(fd);
	r = config_load(cfg, path, f);
	unlink(path);
	fclose(f);

	*errors = calloc(1, told_bytes + 1);
	for (at = told; *at;) {
		if (!strncmp(at, path, sizeof(path) - 1)) {
			strcat(*errors, "FILE");
			at += sizeof(path) - 1;
		} else {
			strncat(*errors, at++, 1);
		}
	}
	free(told);
	return r;
}

/**
 * refused() - a text must be refused with exactly these lines
 * @text: configuration
 * @bytes: its length
 * @lines: what must be told
 */
static void refused(const char *text, size_t bytes, const char *lines)
{
	struct config *cfg = (void *)1;
	char *errors;
	int r = load(text, bytes, &cfg, &errors);

	cr_assert_str_eq(errors, lines);
	cr_assert_eq(r, -EINVAL, "%d", r);
	cr_assert_null(cfg);
	free(errors);
}

/**
 * accepted() - a text must be accepted
 * @text: configuration
 *
 * Return: the configuration.
 */
static struct config *accepted(const char *text)
{
	struct config *cfg;
	char *errors;
	int r = load(text, strlen(text), &cfg, &errors);

	cr_assert_str_eq(errors, "");
	cr_assert_eq(r, 0, "%d", r);
	free(errors);
	return cfg;
}

#define REFUSED(suite, name, text, lines)               \
	Test(suite, name)                               \
	{                                               \
		refused(text, sizeof(text) - 1, lines); \
	}

/* A guest with one channel, in one line */
#define GUEST(channel) \
	"{\"guests\":[{\"name\":\"g\",\"socket\":\"/s\",\"channels\":[" channel "]}]}"
#define CHANNEL(more) GUEST("{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}" more "}")
#define ENDPOINT(e)   GUEST("{\"name\":\"c\",\"endpoint\":" e "}")
#define IN_GUEST(more)                                         \
	"{\"guests\":[{\"name\":\"g\",\"socket\":\"/s\"," more \
	"\"channels\":[{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}]}]}"

/* ------------------------------------------------------------------------------------------- */
/* The text                                                                                    */

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
REFUSED(json_errors, byte_order_mark, "\xef\xbb\xbf{}",
	"FILE:1:1: expected a value, not byte 0xef\n")
REFUSED(json_errors, seventeen_deep, "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
	"FILE:1:17: more than 16 objects and arrays within each other\n")
REFUSED(json_errors, columns_are_characters, "{\"äöü\": x}",
	"FILE:1:9: expected a value, not \"x\"\n")
REFUSED(json_errors, lines_of_other_systems, "{\r\n\"a\": x}",
	"FILE:2:6: expected a value, not \"x\"\n")
REFUSED(json_errors, duplicate_key, "{\"guests\": [],\n \"guests\": []}",
	"FILE:2:2: guests: this key is there already, in line 1\n")
REFUSED(json_errors, duplicate_key_in_disguise, "{\"guests\": [], \"gu\\u0065sts\": []}",
	"FILE:1:16: guests: this key is there already, in line 1\n")
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

/**
 * parse_quietly() - parse a text and throw the errors away
 * @root: out
 * @text: text
 * @bytes: its length
 *
 * Return: as conf_parse().
 */
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

/**
 * check_pos() - a value must stand where it does
 * @node: the value
 * @path: its path
 * @line: line
 * @column: column
 */
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
	for (size_t n = 0; n < 64; n++) {
		char text[65] = { 0 };

		memset(text, n % 2 ? 'x' : 1, n);
		conf_quote(text, out, sizeof(out));
		cr_assert_lt(strlen(out), sizeof(out));
		cr_assert_eq(out[strlen(out) - 1], '"');
	}
}

/* ------------------------------------------------------------------------------------------- */
/* What it says                                                                                */

REFUSED(config_errors, no_object, "[]", "FILE:1:1: must be an object, not an array\n")
REFUSED(config_errors, no_guests, "{}", "FILE:1:1: \"guests\" is missing\n")
REFUSED(config_errors, guests_of_another_kind, "{\"guests\": {}}",
	"FILE:1:12: guests: must be an array, not an object\n")
REFUSED(config_errors, guest_of_another_kind, "{\"guests\": [1]}",
	"FILE:1:13: guests[0]: must be an object, not a number\n")
REFUSED(config_errors, unknown_key, "{\"guests\": [], \"gests\": 1}",
	"FILE:1:16: gests: unknown key\n")
REFUSED(config_errors, unknown_key_of_a_guest, IN_GUEST("\"sockt\":1,"),
	"FILE:1:38: guests[0].sockt: unknown key\n")
REFUSED(config_errors, unknown_key_of_a_channel, CHANNEL(",\"x\":1"),
	"FILE:1:89: guests[0].channels[0].x: unknown key\n")
REFUSED(config_errors, metrics, "{\"metrics\": {\"listen\": \"127.0.0.1:9714\"}, \"guests\": []}",
	"FILE:1:2: metrics: this version serves no metrics\n")
REFUSED(config_errors, control_of_another_kind, "{\"control\": \"/s\", \"guests\": []}",
	"FILE:1:13: control: must be an object, not a string\n")
REFUSED(config_errors, unknown_key_of_control, "{\"control\": {\"paht\": 1}, \"guests\": []}",
	"FILE:1:14: control.paht: unknown key\n")
REFUSED(config_errors, empty_path, "{\"control\": {\"path\": \"\"}, \"guests\": []}",
	"FILE:1:22: control.path: must not be empty\n")
REFUSED(config_errors, path_of_another_kind, "{\"control\": {\"path\": null}, \"guests\": []}",
	"FILE:1:22: control.path: must be a string, not null\n")
REFUSED(config_errors, mode_as_a_number, "{\"control\": {\"mode\": 660}, \"guests\": []}",
	"FILE:1:22: control.mode: must be a string, not a number\n")
REFUSED(config_errors, mode_with_a_nine, "{\"control\": {\"mode\": \"0690\"}, \"guests\": []}",
	"FILE:1:22: control.mode: must be octal permission bits as \"0660\", not \"0690\"\n")
REFUSED(config_errors, mode_too_long, "{\"control\": {\"mode\": \"04755\"}, \"guests\": []}",
	"FILE:1:22: control.mode: must be octal permission bits as \"0660\", not \"04755\"\n")
REFUSED(config_errors, mode_with_more_than_permissions,
	"{\"control\": {\"mode\": \"4755\"}, \"guests\": []}",
	"FILE:1:22: control.mode: must be octal permission bits as \"0660\", not \"4755\"\n")
REFUSED(config_errors, group_of_another_kind, "{\"control\": {\"group\": 7}, \"guests\": []}",
	"FILE:1:23: control.group: must be a string, not a number\n")
REFUSED(config_errors, socket_path_too_long,
	"{\"control\": {\"path\": \"/23456789-123456789-123456789-123456789-123456789-123456789-"
	"123456789-123456789-123456789-123456789-12345678\"}, \"guests\": []}",
	"FILE:1:22: control.path: the path of a socket has at most 107 bytes, not 108\n")

REFUSED(config_errors, nothing_of_a_guest, "{\"guests\": [{}]}",
	"FILE:1:13: guests[0]: \"name\" is missing\n"
	"FILE:1:13: guests[0]: \"socket\" is missing\n"
	"FILE:1:13: guests[0]: \"channels\" is missing\n")
REFUSED(config_errors, guest_name,
	"{\"guests\":[{\"name\":\"a b\",\"socket\":\"/s\",\"channels\":[]}]}",
	"FILE:1:20: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not \"a b\"\n")
REFUSED(config_errors, guest_name_too_long,
	"{\"guests\":[{\"name\":\"123456789-123456789-123456789-123456789-123456789-123456789-1234\","
	"\"socket\":\"/s\",\"channels\":[]}]}",
	"FILE:1:20: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not "
	"\"123456789-123456789-123456789-123456789-123456789-123456789-1234\"\n")
REFUSED(config_errors, socket_mode, IN_GUEST("\"socket_mode\":\"server\","),
	"FILE:1:52: guests[0].socket_mode: must be one of \"listen\", \"connect\", not \"server\"\n")
REFUSED(config_errors, socket_perm_without_a_socket_of_ours,
	IN_GUEST("\"socket_mode\":\"connect\",\"socket_perm\":\"0600\","),
	"FILE:1:62: guests[0].socket_perm: has no meaning with \"socket_mode\": \"connect\"\n")
REFUSED(config_errors, socket_group_without_a_socket_of_ours,
	IN_GUEST("\"socket_mode\":\"connect\",\"socket_group\":\"kvm\","),
	"FILE:1:62: guests[0].socket_group: has no meaning with \"socket_mode\": \"connect\"\n")

REFUSED(config_errors, nothing_of_a_channel, GUEST("{}"),
	"FILE:1:50: guests[0].channels[0]: \"name\" is missing\n"
	"FILE:1:50: guests[0].channels[0]: \"endpoint\" is missing\n")
REFUSED(config_errors, channel_of_another_kind, GUEST("[]"),
	"FILE:1:50: guests[0].channels[0]: must be an object, not an array\n")
REFUSED(config_errors, slash_in_a_channel_name,
	GUEST("{\"name\":\"a/b\",\"endpoint\":{\"type\":\"echo\"}}"),
	"FILE:1:58: guests[0].channels[0].name: must be 1 to 63 bytes without '/', and not "
	"\".\" or \"..\", not \"a/b\"\n")
REFUSED(config_errors, dots_as_a_channel_name,
	GUEST("{\"name\":\"..\",\"endpoint\":{\"type\":\"echo\"}}"),
	"FILE:1:58: guests[0].channels[0].name: must be 1 to 63 bytes without '/', and not "
	"\".\" or \"..\", not \"..\"\n")
REFUSED(config_errors, channel_name_too_long,
	GUEST("{\"name\":\"123456789-123456789-123456789-123456789-123456789-123456789-1234\","
	      "\"endpoint\":{\"type\":\"echo\"}}"),
	"FILE:1:58: guests[0].channels[0].name: must be 1 to 63 bytes without '/', and not "
	"\".\" or \"..\", not \"123456789-123456789-123456789-123456789-123456789-123456789-1234\"\n")
REFUSED(config_errors, ring_bytes, CHANNEL(",\"ring_bytes\":5000"),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to "
	"67108864, not 5000\n")
REFUSED(config_errors, ring_bytes_too_small, CHANNEL(",\"ring_bytes\":2048"),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to "
	"67108864, not 2048\n")
REFUSED(config_errors, ring_bytes_too_large, CHANNEL(",\"ring_bytes\":134217728"),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to "
	"67108864, not 134217728\n")
REFUSED(config_errors, ring_bytes_negative, CHANNEL(",\"ring_bytes\":-4096"),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to "
	"67108864, not -4096\n")
REFUSED(config_errors, ring_bytes_far_too_large, CHANNEL(",\"ring_bytes\":99999999999999999999"),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to "
	"67108864, not 99999999999999999999\n")
REFUSED(config_errors, ring_bytes_not_whole, CHANNEL(",\"ring_bytes\":4096.0"),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to "
	"67108864, not 4096.0\n")
REFUSED(config_errors, ring_bytes_as_a_string, CHANNEL(",\"ring_bytes\":\"1M\""),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a number, not a string\n")
REFUSED(config_errors, exclusive_of_another_kind, CHANNEL(",\"exclusive\":1"),
	"FILE:1:101: guests[0].channels[0].exclusive: must be a boolean, not a number\n")

REFUSED(config_errors, endpoint_of_another_kind, ENDPOINT("\"echo\""),
	"FILE:1:73: guests[0].channels[0].endpoint: must be an object, not a string\n")
REFUSED(config_errors, endpoint_without_type, ENDPOINT("{}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"type\" is missing\n")
REFUSED(config_errors, unknown_type, ENDPOINT("{\"type\":\"tcp-listen\"}"),
	"FILE:1:81: guests[0].channels[0].endpoint.type: must be one of \"intervm\", \"echo\", "
	"\"discard\", \"unix-listen\", not \"tcp-listen\"\n")
REFUSED(config_errors, key_of_another_type, ENDPOINT("{\"type\":\"echo\",\"path\":\"/p\"}"),
	"FILE:1:88: guests[0].channels[0].endpoint.path: unknown key\n")
REFUSED(config_errors, intervm_without_file, ENDPOINT("{\"type\":\"intervm\"}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"file\" is missing\n")
REFUSED(config_errors, rounds, ENDPOINT("{\"type\":\"intervm\",\"file\":\"/f\",\"rounds\":-1}"),
	"FILE:1:112: guests[0].channels[0].endpoint.rounds: must be a whole number from 0 to "
	"4294967295, not -1\n")
REFUSED(config_errors, unix_listen_without_path, ENDPOINT("{\"type\":\"unix-listen\"}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"path\" is missing\n")

REFUSED(config_errors, same_guest_twice,
	"{\"guests\":[\n"
	"{\"name\":\"g\",\"socket\":\"/1\",\"channels\":[{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}]},\n"
	"{\"name\":\"g\",\"socket\":\"/2\",\"channels\":[{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}]}]}",
	"FILE:3:9: guests[1].name: \"g\" is guests[0].name already\n")
REFUSED(config_errors, same_channel_twice,
	GUEST("{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}},\n"
	      "{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}"),
	"FILE:2:9: guests[0].channels[1].name: \"c\" is guests[0].channels[0].name already\n")
REFUSED(config_errors, same_path_twice,
	"{\"control\":{\"path\":\"/s\"},\n"
	"\"guests\":[{\"name\":\"g\",\"socket\":\"/s\",\"channels\":[\n"
	"{\"name\":\"c\",\"endpoint\":{\"type\":\"unix-listen\",\"path\":\"/s\"}}]}]}",
	"FILE:2:32: guests[0].socket: \"/s\" is control.path already\n"
	"FILE:3:53: guests[0].channels[0].endpoint.path: \"/s\" is control.path already\n")

REFUSED(config_errors, all_in_one_go,
	"{\n"
	"  \"contrl\": {},\n"
	"  \"guests\": [\n"
	"    { \"name\": \"vm1\", \"socket\": \"/s\", \"channels\": [\n"
	"      { \"name\": \"a\", \"ring_bytes\": 5000, \"endpoint\": { \"type\": \"echo\" } },\n"
	"      { \"name\": \"a\", \"endpoint\": { \"type\": \"unix-listen\", \"path\": \"/s\", \"mode\": \"x\" } }\n"
	"    ], \"name\": \"vm2\" }\n"
	"  ]\n"
	"}\n",
	"FILE:7:8: guests[0].name: this key is there already, in line 4\n"
	"FILE:5:36: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to 67108864, "
	"not 5000\n"
	"FILE:6:81: guests[0].channels[1].endpoint.mode: must be octal permission bits as \"0660\", "
	"not \"x\"\n"
	"FILE:2:3: contrl: unknown key\n"
	"FILE:6:17: guests[0].channels[1].name: \"a\" is guests[0].channels[0].name already\n"
	"FILE:6:67: guests[0].channels[1].endpoint.path: \"/s\" is guests[0].socket already\n")

Test(config_errors, no_file)
{
	struct config *cfg;
	char told[128] = "";
	FILE *f = fmemopen(told, sizeof(told), "w");

	cr_assert_eq(config_load(&cfg, "/nonexistent/okl4fsd.json", f), -ENOENT);
	fclose(f);
	cr_assert_null(cfg);
	cr_assert_str_eq(told, "/nonexistent/okl4fsd.json: No such file or directory\n");
}

Test(config_errors, a_directory)
{
	struct config *cfg;
	char told[128] = "";
	FILE *f = fmemopen(told, sizeof(told), "w");

	cr_assert_eq(config_load(&cfg, "/tmp", f), -EISDIR);
	fclose(f);
	cr_assert_str_eq(told, "/tmp: Is a directory\n");
}

Test(config_errors, too_large)
{
	char *text = malloc(CONF_MAX_BYTES + 1), *errors;
	struct config *cfg;

	memset(text, ' ', CONF_MAX_BYTES + 1);
	for (int i = 0; i < 13; i++)
		text[i] = "{\"guests\":[]}"[i];
	cr_assert_eq(load(text, CONF_MAX_BYTES + 1, &cfg, &errors), -EFBIG);
	cr_assert_str_eq(errors, "FILE: a configuration has at most 1 MiB\n");
	free(errors);
	cr_assert_eq(load(text, CONF_MAX_BYTES, &cfg, &errors), 0);
	free(errors);
	config_free(cfg);
	free(text);
}

/* ------------------------------------------------------------------------------------------- */
/* What is accepted                                                                            */

Test(config, defaults)
{
	struct config *cfg = accepted(GUEST("{\"name\":\"c\",\"endpoint\":"
					    "{\"type\":\"unix-listen\",\"path\":\"/p\"}}"));
	const struct guest_config *g = &cfg->guests[0];
	const struct channel_config *c = &g->channels[0];
	char control[300];

	snprintf(control, sizeof(control), "%s/control.sock", config_runtime_dir());
	cr_assert_str_eq(cfg->control_path, control);
	cr_assert_eq(cfg->control_mode, 0660);
	cr_assert_null(cfg->control_group);
	cr_assert_eq(cfg->n_guests, 1);
	cr_assert_eq(g->socket_mode, SOCKET_LISTEN);
	cr_assert_eq(g->socket_perm, 0660);
	cr_assert_null(g->socket_group);
	cr_assert_eq(g->n_channels, 1);
	cr_assert_eq(c->ring_bytes, 1U << 20);
	cr_assert_not(c->exclusive);
	cr_assert_eq(c->endpoint.mode, 0600);
	config_free(cfg);
}

Test(config, everything_given)
{
	struct config *cfg = accepted(
		"{ // all keys\n"
		"\"control\":{\"path\":\"/c\",\"mode\":\"0600\",\"group\":\"adm\"},\n"
		"\"guests\":[{\"name\":\"A-z.0_9\",\"socket\":\"/s\",\"socket_perm\":\"0777\","
		"\"socket_group\":\"kvm\",\"socket_mode\":\"listen\",\"channels\":[\n"
		"{\"name\":\"a \\u00e4\",\"ring_bytes\":67108864,\"exclusive\":true,"
		"\"endpoint\":{\"type\":\"intervm\",\"file\":\"rel//f\",\"rounds\":4294967295}},\n"
		"{\"name\":\"b\",\"ring_bytes\":4096,\"endpoint\":{\"type\":\"discard\"}}]},"
		"{\"name\":\"B\",\"socket\":\"/t\",\"socket_mode\":\"connect\",\"channels\":["
		"{\"name\":\"b\",\"endpoint\":{\"type\":\"unix-listen\",\"path\":\"/p\",\"mode\":\"0666\"}}]}]}");
	const struct guest_config *g = cfg->guests;

	cr_assert_str_eq(cfg->control_path, "/c");
	cr_assert_eq(cfg->control_mode, 0600);
	cr_assert_str_eq(cfg->control_group, "adm");
	cr_assert_eq(cfg->n_guests, 2);
	cr_assert_str_eq(g[0].name, "A-z.0_9");
	cr_assert_str_eq(g[0].socket, "/s");
	cr_assert_eq(g[0].socket_perm, 0777);
	cr_assert_str_eq(g[0].socket_group, "kvm");
	cr_assert_eq(g[0].n_channels, 2);
	cr_assert_str_eq(g[0].channels[0].name, "a ä");
	cr_assert_eq(g[0].channels[0].ring_bytes, 64U << 20);
	cr_assert(g[0].channels[0].exclusive);
	cr_assert_eq(g[0].channels[0].endpoint.type, ENDPOINT_INTERVM);
	cr_assert_str_eq(g[0].channels[0].endpoint.file, "rel//f");
	cr_assert_eq(g[0].channels[0].endpoint.rounds, UINT32_MAX);
	cr_assert_eq(g[0].channels[1].endpoint.type, ENDPOINT_DISCARD);
	cr_assert_eq(g[1].socket_mode, SOCKET_CONNECT);
	cr_assert_str_eq(g[1].channels[0].endpoint.path, "/p");
	cr_assert_eq(g[1].channels[0].endpoint.mode, 0666);
	config_free(cfg);
}

Test(config, no_guest_is_allowed)
{
	struct config *cfg = accepted("{\"guests\":[]}");

	cr_assert_eq(cfg->n_guests, 0);
	config_free(cfg);
}

Test(config, as_many_channels_as_there_can_be)
{
	char *text = malloc(1 << 20), *at = text, wanted[128];
	struct config *cfg;

	at = stpcpy(at, "{\"guests\":[{\"name\":\"g\",\"socket\":\"/s\",\"channels\":[");
	for (int i = 0; i < 1024; i++)
		at += sprintf(at, "%s{\"name\":\"c%d\",\"endpoint\":{\"type\":\"echo\"}}",
			      i ? "," : "", i);
	strcpy(at, "]}]}");
	cfg = accepted(text);
	cr_assert_eq(cfg->guests[0].n_channels, 1024);
	cr_assert_str_eq(cfg->guests[0].channels[1023].name, "c1023");
	config_free(cfg);

	strcpy(at, ",{\"name\":\"x\",\"endpoint\":{\"type\":\"echo\"}}]}]}");
	snprintf(wanted, sizeof(wanted),
		 "FILE:1:%zu: guests[0].channels[1024]: a guest has at most 1024 channels, not "
		 "1025\n",
		 (size_t)(at - text) + 2);
	refused(text, strlen(text), wanted);
	free(text);
}

/**
 * equal() - whether two guests are configured alike in everything
 * @a: one
 * @b: the other
 *
 * Return: true when they are.
 */
static bool equal(const struct guest_config *a, const struct guest_config *b)
{
	bool same = config_guest_equal(a, b) && a->n_channels == b->n_channels;

	for (size_t i = 0; i < a->n_channels && same; i++)
		same = config_channel_equal(&a->channels[i], &b->channels[i]);
	return same;
}

Test(config, examples_load)
{
	DIR *dir = opendir(OKL4FS_CONF_DIR);
	unsigned int n = 0;
	struct dirent *entry;

	cr_assert_not_null(dir);
	while ((entry = readdir(dir))) {
		const char *end = strrchr(entry->d_name, '.');
		struct config *cfg;
		char path[512];

		if (!end || strcmp(end, ".json") != 0 || strstr(entry->d_name, ".schema."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", OKL4FS_CONF_DIR, entry->d_name);
		cr_assert_eq(config_load(&cfg, path, stderr), 0, "%s", path);
		cr_assert_gt(cfg->n_guests, 0);
		config_free(cfg);
		n++;
	}
	closedir(dir);
	cr_assert_geq(n, 3);
}

Test(config, built_in)
{
	struct config *cfg, *example;
	const struct guest_config *g;

	unsetenv("XDG_RUNTIME_DIR");
	cr_assert_eq(config_default(&cfg), 0);
	cr_assert_eq(config_load(&example, OKL4FS_CONF_DIR "/okl4fsd.json", stderr), 0);
	/* The example claims to be it. */
	cr_assert_str_eq(cfg->control_path, example->control_path);
	cr_assert_eq(cfg->control_mode, example->control_mode);
	cr_assert_eq(cfg->n_guests, 1);
	g = &cfg->guests[0];
	cr_assert(equal(g, &example->guests[0]));
	cr_assert_str_eq(g->name, "default");
	cr_assert_str_eq(g->channels[0].name, "intervm_test");
	cr_assert_eq(g->channels[0].endpoint.type, ENDPOINT_UNIX_LISTEN);
	config_free(cfg);
	config_free(example);
}

Test(config, runtime_dir)
{
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	cr_assert_str_eq(config_runtime_dir(), geteuid() ? "/run/user/7/okl4fs" : "/run/okl4fs");
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	cr_assert_str_eq(config_runtime_dir(), "/run/okl4fs");
	unsetenv("XDG_RUNTIME_DIR");
	cr_assert_str_eq(config_runtime_dir(), "/run/okl4fs");
}

Test(config, runtime_dir_of_a_user)
{
	bool root = !geteuid();

	if (root)
		cr_assert_eq(seteuid(65534), 0);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	cr_assert_str_eq(config_runtime_dir(), "/run/user/7/okl4fs");
	/* The leak sanitizer wants to trace us when we end. */
	if (root)
		cr_assert(!seteuid(0) && !prctl(PR_SET_DUMPABLE, 1));
}

Test(config, equal_is_everything)
{
	static const char *const others[] = {
		IN_GUEST(""),
		IN_GUEST("\"socket_mode\":\"connect\","),
		IN_GUEST("\"socket_perm\":\"0600\","),
		IN_GUEST("\"socket_group\":\"kvm\","),
		CHANNEL(",\"ring_bytes\":4096"),
		CHANNEL(",\"exclusive\":true"),
		GUEST("{\"name\":\"d\",\"endpoint\":{\"type\":\"echo\"}}"),
		GUEST("{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}},"
		      "{\"name\":\"d\",\"endpoint\":{\"type\":\"echo\"}}"),
		ENDPOINT("{\"type\":\"discard\"}"),
		ENDPOINT("{\"type\":\"intervm\",\"file\":\"/f\"}"),
		ENDPOINT("{\"type\":\"intervm\",\"file\":\"/g\"}"),
		ENDPOINT("{\"type\":\"intervm\",\"file\":\"/f\",\"rounds\":3}"),
		ENDPOINT("{\"type\":\"unix-listen\",\"path\":\"/p\"}"),
		ENDPOINT("{\"type\":\"unix-listen\",\"path\":\"/q\"}"),
		ENDPOINT("{\"type\":\"unix-listen\",\"path\":\"/p\",\"mode\":\"0660\"}"),
	};
	const size_t n = sizeof(others) / sizeof(others[0]);

	for (size_t i = 0; i < n; i++) {
		struct config *a = accepted(others[i]);

		for (size_t j = 0; j < n; j++) {
			struct config *b = accepted(others[j]);

			cr_assert_eq(equal(a->guests, b->guests), i == j, "%zu, %zu", i, j);
			config_free(b);
		}
		config_free(a);
	}
}

Test(config, parts)
{
	static const char text[] = "{\"name\":\"c\",\"exclusive\":true,\"endpoint\":{\"type\":"
				   "\"unix-listen\",\"path\":\"/p\"}}";
	struct channel_config channel, copy;
	struct guest_config guest;
	char *told = NULL;
	size_t bytes;
	FILE *errors = open_memstream(&told, &bytes);

	cr_assert_eq(config_parse_channel(&channel, text, sizeof(text) - 1, errors), 0);
	cr_assert_eq(config_channel_copy(&copy, &channel), 0);
	cr_assert(config_channel_equal(&copy, &channel));
	cr_assert_neq(copy.endpoint.path, channel.endpoint.path);
	config_channel_deinit(&copy);
	config_channel_deinit(&channel);
	cr_assert_eq(config_parse_channel(&channel, "{} // x", 7, errors), -EINVAL);
	cr_assert_eq(config_parse_channel(&channel, "[]", 2, errors), -EINVAL);
	cr_assert_eq(config_parse_guest(&guest, "{\"name\":5}", 10, errors), -EINVAL);
	cr_assert(config_is_json("[1, {\"a\": null}]", 16, errors));
	cr_assert_not(config_is_json("[01]", 4, errors));
	fclose(errors);
	cr_assert_str_eq(told, "column 4: expected nothing more, not '/'\n"
			       "must be an object, not an array\n"
			       "name: must be a string, not a number\n"
			       "\"socket\" is missing\n"
			       "\"channels\" is missing\n"
			       "column 2: malformed number\n");
	free(told);
}
