// SPDX-License-Identifier: BSD-3-Clause
/*
 * config_json.c - JSON as a tree that knows where each value stood
 *
 * A recursive descent over the text with one character of lookahead. The depth is bounded, so the
 * recursion is. Scalars are cut out of the text and given to json-c's tokener in its strict mode.
 */
#include "config_json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

/**
 * struct parser - where the parse is
 * @text: the text
 * @bytes: its length
 * @at: next byte
 * @pos: its place
 * @depth: objects and arrays around it
 * @errors: where errors go
 * @tokener: json-c's, for scalars
 */
struct parser {
	const char *text;
	size_t bytes;
	size_t at;
	struct conf_pos pos;
	unsigned int depth;
	struct conf_errors *errors;
	struct json_tokener *tokener;
};

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
 * syntax_error() - tell of an error at a place in the text
 * @p: parser
 * @pos: the place
 * @fmt: sentence
 *
 * Return: -EINVAL.
 */
__attribute__((format(printf, 3, 4))) static int syntax_error(struct parser *p, struct conf_pos pos,
							      const char *fmt, ...)
{
	va_list ap;

	p->errors->n++;
	fprintf(p->errors->out, "%s:%u:%u: ", p->errors->file, pos.line, pos.column);
	va_start(ap, fmt);
	vfprintf(p->errors->out, fmt, ap);
	va_end(ap);
	fputc('\n', p->errors->out);
	return -EINVAL;
}

/**
 * peek() - the next byte
 * @p: parser
 *
 * Return: it, or -1 at the end of the text.
 */
static int peek(const struct parser *p)
{
	return p->at < p->bytes ? (unsigned char)p->text[p->at] : -1;
}

/**
 * step() - go over the next byte
 * @p: parser, not at the end
 */
static void step(struct parser *p)
{
	unsigned char c = (unsigned char)p->text[p->at++];

	if (c == '\n') {
		p->pos.line++;
		p->pos.column = 1;
	} else if ((c & 0xc0) != 0x80) { /* not a continuation byte of UTF-8 */
		p->pos.column++;
	}
}

/**
 * skip_space() - go over white space and comments
 * @p: parser
 */
static void skip_space(struct parser *p)
{
	for (;;) {
		int c = peek(p);

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			step(p);
		} else if (c == '/' && p->at + 1 < p->bytes && p->text[p->at + 1] == '/') {
			while (peek(p) >= 0 && peek(p) != '\n')
				step(p);
		} else {
			return;
		}
	}
}

/**
 * unexpected() - tell that something else was expected here
 * @p: parser
 * @expected: what
 *
 * Return: -EINVAL.
 */
static int unexpected(struct parser *p, const char *expected)
{
	int c = peek(p);

	if (c < 0)
		return syntax_error(p, p->pos, "expected %s, not the end of the file", expected);
	if (c == '/' && p->at + 1 < p->bytes && p->text[p->at + 1] == '*')
		return syntax_error(p, p->pos, "only // begins a comment");
	if (c < ' ' || c > '~')
		return syntax_error(p, p->pos, "expected %s, not byte 0x%02x", expected, c);
	return syntax_error(p, p->pos, "expected %s, not '%c'", expected, c);
}

/**
 * skip_string() - go over a string
 * @p: parser, at its quotation mark
 *
 * Return: 0 or -EINVAL.
 */
static int skip_string(struct parser *p)
{
	struct conf_pos begin = p->pos;

	step(p);
	for (;;) {
		int c = peek(p);

		if (c < 0 || c == '\n')
			return syntax_error(p, begin, "the string does not end on its line");
		if (c < ' ')
			return syntax_error(p, p->pos, "byte 0x%02x must be escaped", c);
		step(p);
		if (c == '"')
			return 0;
		if (c == '\\' && peek(p) > ' ')
			step(p);
	}
}

/**
 * skip_digits() - go over decimal digits
 * @p: parser
 *
 * Return: how many there were.
 */
static size_t skip_digits(struct parser *p)
{
	size_t begin = p->at;

	while (peek(p) >= '0' && peek(p) <= '9')
		step(p);
	return p->at - begin;
}

/**
 * skip_number() - go over a number as RFC 8259 has it
 * @p: parser, at its first character
 * @is_integer: out: there was no fraction and no exponent
 *
 * Return: 0 or -EINVAL.
 */
static int skip_number(struct parser *p, bool *is_integer)
{
	struct conf_pos begin = p->pos;
	bool ok;

	*is_integer = true;
	if (peek(p) == '-')
		step(p);
	if (peek(p) == '0') {
		step(p);
		ok = !skip_digits(p);
	} else {
		ok = skip_digits(p) > 0;
	}
	if (ok && peek(p) == '.') {
		*is_integer = false;
		step(p);
		ok = skip_digits(p) > 0;
	}
	if (ok && (peek(p) == 'e' || peek(p) == 'E')) {
		*is_integer = false;
		step(p);
		if (peek(p) == '+' || peek(p) == '-')
			step(p);
		ok = skip_digits(p) > 0;
	}
	return ok ? 0 : syntax_error(p, begin, "malformed number");
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
static int decode(struct parser *p, size_t begin, struct conf_pos pos, struct json_object **value)
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
		return syntax_error(p, pos, "malformed value: %s", json_tokener_error_desc(e));
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
static int copy_string(struct parser *p, struct json_object *value, struct conf_pos pos,
		       char **text, size_t *bytes)
{
	*bytes = (size_t)json_object_get_string_len(value);
	if (memchr(json_object_get_string(value), 0, *bytes))
		return syntax_error(p, pos, "a string must not contain a NUL");
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
static int parse_string(struct parser *p, char **text, size_t *bytes)
{
	struct conf_pos pos = p->pos;
	struct json_object *value;
	size_t begin = p->at;
	int r = skip_string(p);

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
static int parse_number(struct parser *p, struct conf_node *node)
{
	struct json_object *value;
	size_t begin = p->at;
	int r;

	node->kind = CONF_NUMBER;
	r = skip_number(p, &node->is_integer);
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
static int parse_word(struct parser *p, struct conf_node *node)
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

	while ((peek(p) | 0x20) >= 'a' && (peek(p) | 0x20) <= 'z')
		step(p);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (p->at - begin == strlen(words[i].word) &&
		    !memcmp(p->text + begin, words[i].word, p->at - begin)) {
			node->kind = words[i].kind;
			node->boolean = words[i].boolean;
			return 0;
		}
	}
	return syntax_error(p, node->pos, "expected a value, not \"%.*s\"",
			    (int)(p->at - begin > 32 ? 32 : p->at - begin), p->text + begin);
}

static int parse_value(struct parser *p, struct conf_node *node);

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
static void check_key(struct parser *p, struct conf_node *node)
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
static int parse_member(struct parser *p, struct conf_node *node)
{
	size_t bytes;
	int r;

	if (peek(p) != '"')
		return unexpected(p, "a key in quotation marks");
	node->key_pos = p->pos;
	if (node->idx >= CONF_MAX_KEYS)
		return syntax_error(p, p->pos, "an object has at most %d keys", CONF_MAX_KEYS);
	r = parse_string(p, &node->key, &bytes);
	if (r)
		return r;
	check_key(p, node);
	skip_space(p);
	if (peek(p) != ':')
		return unexpected(p, "':'");
	step(p);
	skip_space(p);
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
static int parse_children(struct parser *p, struct conf_node *node, char close)
{
	struct conf_node *child = NULL;
	int r;

	step(p);
	skip_space(p);
	if (peek(p) == close) {
		step(p);
		return 0;
	}
	for (;;) {
		child = add_child(node, child);
		if (!child)
			return -ENOMEM;
		r = node->kind == CONF_OBJECT ? parse_member(p, child) : parse_value(p, child);
		if (r)
			return r;
		skip_space(p);
		if (peek(p) == close) {
			step(p);
			return 0;
		}
		if (peek(p) != ',')
			return unexpected(p, close == '}' ? "',' or '}'" : "',' or ']'");
		step(p);
		skip_space(p);
	}
}

/**
 * parse_value() - any value
 * @p: parser, at its first character
 * @node: to be filled
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
static int parse_value(struct parser *p, struct conf_node *node)
{
	int c = peek(p);
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
		return unexpected(p, "a value");

	if (p->depth == CONF_MAX_DEPTH)
		return syntax_error(p, p->pos, "more than %d objects and arrays within each other",
				    CONF_MAX_DEPTH);
	p->depth++;
	node->kind = c == '{' ? CONF_OBJECT : CONF_ARRAY;
	r = parse_children(p, node, c == '{' ? '}' : ']');
	p->depth--;
	return r;
}

int conf_parse(struct conf_node **root, const char *text, size_t bytes, struct conf_errors *errors)
{
	struct parser p = { .text = text, .bytes = bytes, .pos = { 1, 1 }, .errors = errors };
	struct conf_node *node = calloc(1, sizeof(*node));
	int r = -ENOMEM;

	p.tokener = json_tokener_new();
	if (node && p.tokener) {
		json_tokener_set_flags(p.tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		skip_space(&p);
		r = parse_value(&p, node);
		skip_space(&p);
		if (!r && p.at < p.bytes)
			r = unexpected(&p, "nothing more");
	}
	if (p.tokener)
		json_tokener_free(p.tokener);
	*root = r ? conf_free(node) : node;
	return r;
}
