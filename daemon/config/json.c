// SPDX-License-Identifier: BSD-3-Clause
/*
 * json.c - JSON as a tree that knows where each value stood
 *
 * A recursive descent over the text with one character of lookahead (config_scan.h). The depth is
 * bounded, so the recursion is. Scalars are cut out of the text and given to json-c's tokener in its
 * strict mode.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "config/scan.h"
#include "util/bom.h"

static const char *const kind_names[] = {
	[CONF_OBJECT] = "an object", [CONF_ARRAY] = "an array",    [CONF_STRING] = "a string",
	[CONF_NUMBER] = "a number",  [CONF_BOOLEAN] = "a boolean", [CONF_NULL] = "null",
};
_Static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == N_CONF_KINDS, "a name for each kind");

const char *conf_kind_name(enum conf_kind kind)
{
	return kind_names[kind];
}

/**
 * decode() - let json-c read a scalar
 * @p: parser, behind the scalar
 * @begin: offset of its first byte
 * @pos: its place
 * @value: out: put it with json_object_put(); NULL for null
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int decode(struct scanner *p, size_t begin, struct conf_pos pos, struct json_object **value)
{
	enum json_tokener_error e;
	char *token = strndup(p->text + begin, p->at - begin);

	if (!token)
		return -ENOMEM;
	/* With the NUL, which tells the tokener that a number is over. */
	json_tokener_reset(p->tokener);
	*value = json_tokener_parse_ex(p->tokener, token, (int)(p->at - begin) + 1);
	free(token);

	e = json_tokener_get_error(p->tokener);
	if (e != json_tokener_success)
		return scan_error(p, pos, "malformed value: %s", json_tokener_error_desc(e));
	return 0;
}

/**
 * copy_string() - the bytes of a string value
 * @p: parser
 * @value: the string
 * @pos: its place
 * @text: out
 * @bytes: out
 *
 * Return: 0, -EINVAL (it has a NUL) or -ENOMEM.
 */
static int copy_string(struct scanner *p, struct json_object *value, struct conf_pos pos,
		       char **text, size_t *bytes)
{
	*bytes = (size_t)json_object_get_string_len(value);
	if (memchr(json_object_get_string(value), 0, *bytes))
		return scan_error(p, pos, "a string must not contain a NUL");
	*text = strdup(json_object_get_string(value));
	return *text ? 0 : -ENOMEM;
}

/**
 * parse_string() - a string or a key
 * @p: parser, at its quotation mark
 * @text: out: its bytes
 * @bytes: out: how many
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int parse_string(struct scanner *p, char **text, size_t *bytes)
{
	struct conf_pos pos = p->pos;
	struct json_object *value;
	size_t begin = p->at;
	int r = scan_string(p);

	if (!r)
		r = decode(p, begin, pos, &value);
	if (r)
		return r;
	r = copy_string(p, value, pos, text, bytes);
	json_object_put(value);
	return r;
}

/**
 * parse_number() - a number
 * @p: parser, at its first character
 * @node: to be filled
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int parse_number(struct scanner *p, struct conf_node *node)
{
	struct json_object *value;
	size_t begin = p->at;
	int r;

	node->kind = CONF_NUMBER;
	r = scan_number(p, &node->is_integer);
	if (!r)
		r = decode(p, begin, node->pos, &value);
	if (r)
		return r;
	/* json-c saturates what does not fit */
	node->integer = json_object_get_int64(value);
	if (node->integer == INT64_MAX || node->integer == INT64_MIN)
		node->is_integer = false;
	json_object_put(value);

	node->text_bytes = p->at - begin;
	node->text = strndup(p->text + begin, node->text_bytes);
	return node->text ? 0 : -ENOMEM;
}

/**
 * parse_word() - true, false or null
 * @p: parser, at a letter
 * @node: to be filled
 *
 * Return: 0 or -EINVAL.
 */
static int parse_word(struct scanner *p, struct conf_node *node)
{
	static const struct {
		const char *word;
		enum conf_kind kind;
		bool boolean;
	} words[] = {
		{ "true", CONF_BOOLEAN, true },
		{ "false", CONF_BOOLEAN, false },
		{ "null", CONF_NULL, false },
	};
	size_t begin = p->at;

	while ((scan_peek(p) | 0x20) >= 'a' && (scan_peek(p) | 0x20) <= 'z')
		scan_step(p);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (p->at - begin == strlen(words[i].word) &&
		    !memcmp(p->text + begin, words[i].word, p->at - begin)) {
			node->kind = words[i].kind;
			node->boolean = words[i].boolean;
			return 0;
		}
	}
	return scan_error(p, node->pos, "expected a value, not \"%.*s\"",
			  (int)(p->at - begin > 32 ? 32 : p->at - begin), p->text + begin);
}

static int parse_value(struct scanner *p, struct conf_node *node);

/**
 * add_child() - append an empty member or item
 * @parent: to which
 * @last: the one before it, or NULL
 *
 * Return: it, or NULL when there is no memory.
 */
static struct conf_node *add_child(struct conf_node *parent, struct conf_node *last)
{
	struct conf_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->kind = CONF_NULL;
	node->parent = parent;
	if (last) {
		node->idx = last->idx + 1;
		last->next = node;
	} else {
		parent->first = node;
	}
	return node;
}

/**
 * check_key() - refuse a key that the object has already
 * @p: parser
 * @node: the new member
 */
static void check_key(struct scanner *p, struct conf_node *node)
{
	const struct conf_node *other;

	for (other = node->parent->first; other != node; other = other->next) {
		if (strcmp(other->key, node->key) != 0)
			continue;
		conf_key_error(p->errors, node, "this key is there already, in line %u",
			       other->key_pos.line);
		node->used = true; /* one error is enough */
		return;
	}
}

/**
 * parse_member() - key, colon, value
 * @p: parser, at the key
 * @node: to be filled
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int parse_member(struct scanner *p, struct conf_node *node)
{
	size_t bytes;
	int r;

	if (scan_peek(p) != '"')
		return scan_unexpected(p, "a key in quotation marks");
	node->key_pos = p->pos;
	if (node->idx >= CONF_MAX_KEYS)
		return scan_error(p, p->pos, "an object has at most %d keys", CONF_MAX_KEYS);
	r = parse_string(p, &node->key, &bytes);
	if (r)
		return r;
	check_key(p, node);
	scan_space(p);
	if (scan_peek(p) != ':')
		return scan_unexpected(p, "':'");
	scan_step(p);
	scan_space(p);
	return parse_value(p, node);
}

/**
 * parse_children() - the members of an object or the items of an array
 * @p: parser, at the opening bracket
 * @node: object or array
 * @close: the closing bracket
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int parse_children(struct scanner *p, struct conf_node *node, char close)
{
	struct conf_node *child = NULL;
	int r;

	scan_step(p);
	scan_space(p);
	if (scan_peek(p) == close) {
		scan_step(p);
		return 0;
	}
	for (;;) {
		child = add_child(node, child);
		if (!child)
			return -ENOMEM;
		r = node->kind == CONF_OBJECT ? parse_member(p, child) : parse_value(p, child);
		if (r)
			return r;
		scan_space(p);
		if (scan_peek(p) == close) {
			scan_step(p);
			return 0;
		}
		if (scan_peek(p) != ',')
			return scan_unexpected(p, close == '}' ? "',' or '}'" : "',' or ']'");
		scan_step(p);
		scan_space(p);
	}
}

/**
 * parse_value() - any value
 * @p: parser, at its first character
 * @node: to be filled
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int parse_value(struct scanner *p, struct conf_node *node)
{
	int c = scan_peek(p);
	int r;

	node->pos = p->pos;
	if (c == '"') {
		node->kind = CONF_STRING;
		return parse_string(p, &node->text, &node->text_bytes);
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return parse_number(p, node);
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
		return parse_word(p, node);
	if (c != '{' && c != '[')
		return scan_unexpected(p, "a value");

	if (p->depth == CONF_MAX_DEPTH)
		return scan_error(p, p->pos, "more than %d objects and arrays within each other",
				  CONF_MAX_DEPTH);
	p->depth++;
	node->kind = c == '{' ? CONF_OBJECT : CONF_ARRAY;
	r = parse_children(p, node, c == '{' ? '}' : ']');
	p->depth--;
	return r;
}

int conf_parse(struct conf_node **root, const char *text, size_t bytes, struct conf_errors *errors)
{
	struct scanner p = { .text = text, .bytes = bytes, .pos = { 1, 1 }, .errors = errors };
	struct conf_node *node = calloc(1, sizeof(*node));
	const char *bom = bom_refusal(text, bytes);
	int r = -ENOMEM;

	p.tokener = json_tokener_new();
	if (bom) {
		r = scan_error(&p, p.pos, "%s", bom);
	} else if (node && p.tokener) {
		json_tokener_set_flags(p.tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		scan_space(&p);
		r = parse_value(&p, node);
		scan_space(&p);
		if (!r && p.at < p.bytes)
			r = scan_unexpected(&p, "nothing more");
	}
	if (p.tokener)
		json_tokener_free(p.tokener);
	*root = r ? conf_free(node) : node;
	return r;
}
