// SPDX-License-Identifier: BSD-3-Clause
/*
 * json.c - JSON text to a tree of nodes
 *
 * json-c gives no positions, and an error in a configuration is worth little without one. So the
 * structure of the text (objects, arrays, comments) is read here, and each scalar is cut out and given
 * to json-c's tokener, which knows about escapes, UTF-8 and numbers. What its strict mode refuses is
 * refused here already; json-c 0.18 in that mode also refuses every string that is not ASCII.
 *
 * A recursive descent with one character of lookahead. scan_x() goes over a part of the text and knows
 * the place; parse_x() fills a node. The depth is bounded, so the recursion is bounded too.
 */
#include "config/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "util/bom.h"

/**
 * struct scanner - where the parse is
 * @text, @bytes: the text and its length
 * @at: next byte
 * @pos: its place
 * @depth: objects and arrays around it
 * @errors: where errors go
 * @tokener: json-c's, for scalars
 */
struct scanner {
	const char *text;
	size_t bytes;
	size_t at;
	struct conf_pos pos;
	unsigned int depth;
	struct conf_errors *errors;
	struct json_tokener *tokener;
};

/* Return: -EINVAL */
__attribute__((format(printf, 3, 4))) static int scan_error(struct scanner *p, struct conf_pos pos,
							    const char *fmt, ...)
{
	char sentence[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	p->errors->n++;
	if (p->errors->file)
		fprintf(p->errors->out, "%s:%u:%u: ", p->errors->file, pos.line, pos.column);
	else
		fprintf(p->errors->out, "column %u: ", pos.column);
	fprintf(p->errors->out, "%s\n", sentence);
	return -EINVAL;
}

static int scan_peek(const struct scanner *p)
{
	return p->at < p->bytes ? (unsigned char)p->text[p->at] : -1;
}

static void scan_step(struct scanner *p)
{
	unsigned char c = (unsigned char)p->text[p->at++];

	if (c == '\n') {
		p->pos.line++;
		p->pos.column = 1;
	} else if ((c & 0xc0) != 0x80) { /* not a continuation byte of UTF-8 */
		p->pos.column++;
	}
}

/* Only files have comments */
static bool scan_at_comment(const struct scanner *p)
{
	return p->errors->file && p->at + 1 < p->bytes && p->text[p->at] == '/' &&
	       p->text[p->at + 1] == '/';
}

static void scan_space(struct scanner *p)
{
	for (;;) {
		int c = scan_peek(p);

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			scan_step(p);
		} else if (scan_at_comment(p)) {
			while (scan_peek(p) >= 0 && scan_peek(p) != '\n')
				scan_step(p);
		} else {
			return;
		}
	}
}

static int scan_unexpected(struct scanner *p, const char *expected)
{
	int c = scan_peek(p);

	if (c < 0)
		return scan_error(p, p->pos, "expected %s, not the end of the %s", expected,
				  p->errors->file ? "file" : "line");
	if (p->errors->file && c == '/' && p->at + 1 < p->bytes && p->text[p->at + 1] == '*')
		return scan_error(p, p->pos, "only // begins a comment");
	if (c < ' ' || c > '~')
		return scan_error(p, p->pos, "expected %s, not byte 0x%02x", expected, c);
	return scan_error(p, p->pos, "expected %s, not '%c'", expected, c);
}

static int scan_string(struct scanner *p)
{
	struct conf_pos begin = p->pos;

	scan_step(p);
	for (;;) {
		int c = scan_peek(p);

		if (c < 0 || c == '\n')
			return scan_error(p, begin, "the string does not end on its line");
		if (c < ' ')
			return scan_error(p, p->pos, "byte 0x%02x must be escaped", c);
		scan_step(p);
		if (c == '"')
			return 0;
		if (c == '\\' && scan_peek(p) > ' ')
			scan_step(p);
	}
}

/* Return: how many there were */
static size_t scan_digits(struct scanner *p)
{
	size_t begin = p->at;

	while (scan_peek(p) >= '0' && scan_peek(p) <= '9')
		scan_step(p);
	return p->at - begin;
}

/* As RFC 8259 has it; @is_integer: there was neither fraction nor exponent */
static int scan_number(struct scanner *p, bool *is_integer)
{
	struct conf_pos begin = p->pos;
	bool ok;

	*is_integer = true;
	if (scan_peek(p) == '-')
		scan_step(p);
	if (scan_peek(p) == '0') {
		scan_step(p);
		ok = !scan_digits(p);
	} else {
		ok = scan_digits(p) > 0;
	}
	if (ok && scan_peek(p) == '.') {
		*is_integer = false;
		scan_step(p);
		ok = scan_digits(p) > 0;
	}
	if (ok && (scan_peek(p) == 'e' || scan_peek(p) == 'E')) {
		*is_integer = false;
		scan_step(p);
		if (scan_peek(p) == '+' || scan_peek(p) == '-')
			scan_step(p);
		ok = scan_digits(p) > 0;
	}
	return ok ? 0 : scan_error(p, begin, "malformed number");
}

static int decode_scalar(struct scanner *p, size_t begin, struct conf_pos pos,
			 struct json_object **value)
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

static int copy_string_value(struct scanner *p, struct json_object *value, struct conf_pos pos,
			     char **text, size_t *bytes)
{
	*bytes = (size_t)json_object_get_string_len(value);
	if (memchr(json_object_get_string(value), 0, *bytes))
		return scan_error(p, pos, "a string must not contain a NUL");
	*text = strdup(json_object_get_string(value));
	return *text ? 0 : -ENOMEM;
}

static int parse_string(struct scanner *p, char **text, size_t *bytes)
{
	struct conf_pos pos = p->pos;
	struct json_object *value;
	size_t begin = p->at;
	int r = scan_string(p);

	if (!r)
		r = decode_scalar(p, begin, pos, &value);
	if (r)
		return r;
	r = copy_string_value(p, value, pos, text, bytes);
	json_object_put(value);
	return r;
}

static int parse_number(struct scanner *p, struct conf_node *node)
{
	struct json_object *value;
	size_t begin = p->at;
	int r;

	node->kind = CONF_NUMBER;
	r = scan_number(p, &node->is_integer);
	if (!r)
		r = decode_scalar(p, begin, node->pos, &value);
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

static void check_key_once(struct scanner *p, struct conf_node *node)
{
	const struct conf_node *other;

	for (other = node->parent->first; other != node; other = other->next) {
		if (strcmp(other->key, node->key) != 0)
			continue;
		conf_key_error(p->errors, node, "this key already appears in line %u",
			       other->key_pos.line);
		node->used = true; /* one error is enough */
		return;
	}
}

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
	check_key_once(p, node);
	scan_space(p);
	if (scan_peek(p) != ':')
		return scan_unexpected(p, "':'");
	scan_step(p);
	scan_space(p);
	return parse_value(p, node);
}

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
		json_tokener_set_flags(p.tokener, JSON_TOKENER_VALIDATE_UTF8);
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
