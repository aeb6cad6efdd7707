// SPDX-License-Identifier: BSD-3-Clause
/*
 * scan.c - going over the text of a configuration, and knowing where one is
 */
#include "config/scan.h"

#include <errno.h>
#include <stdarg.h>

/**
 * scan_error() - tell of an error at a place in the text
 * @p: scanner
 * @pos: the place
 * @fmt: sentence
 *
 * Return: -EINVAL.
 */
int scan_error(struct scanner *p, struct conf_pos pos, const char *fmt, ...)
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

/**
 * scan_peek() - the next byte
 * @p: scanner
 *
 * Return: it, or -1 at the end of the text.
 */
int scan_peek(const struct scanner *p)
{
	return p->at < p->bytes ? (unsigned char)p->text[p->at] : -1;
}

/**
 * scan_step() - go over the next byte
 * @p: scanner, not at the end
 */
void scan_step(struct scanner *p)
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
 * at_comment() - whether a comment begins here
 * @p: scanner
 *
 * Return: true when it does. Only files have comments.
 */
static bool at_comment(const struct scanner *p)
{
	return p->errors->file && p->at + 1 < p->bytes && p->text[p->at] == '/' &&
	       p->text[p->at + 1] == '/';
}

/**
 * scan_space() - go over white space and comments
 * @p: scanner
 */
void scan_space(struct scanner *p)
{
	for (;;) {
		int c = scan_peek(p);

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			scan_step(p);
		} else if (at_comment(p)) {
			while (scan_peek(p) >= 0 && scan_peek(p) != '\n')
				scan_step(p);
		} else {
			return;
		}
	}
}

/**
 * scan_unexpected() - tell that something else was expected here
 * @p: scanner
 * @expected: what
 *
 * Return: -EINVAL.
 */
int scan_unexpected(struct scanner *p, const char *expected)
{
	int c = scan_peek(p);

	if (c < 0)
		return scan_error(p, p->pos, "expected %s, not the end of the %s", expected,
				  p->errors->file ? "file" : "line");
	if (c == '/' && p->at + 1 < p->bytes && p->text[p->at + 1] == '*')
		return scan_error(p, p->pos, "only // begins a comment");
	if (c < ' ' || c > '~')
		return scan_error(p, p->pos, "expected %s, not byte 0x%02x", expected, c);
	return scan_error(p, p->pos, "expected %s, not '%c'", expected, c);
}

/**
 * scan_string() - go over a string
 * @p: scanner, at its quotation mark
 *
 * Return: 0 or -EINVAL.
 */
int scan_string(struct scanner *p)
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

/**
 * skip_digits() - go over decimal digits
 * @p: scanner
 *
 * Return: how many there were.
 */
static size_t skip_digits(struct scanner *p)
{
	size_t begin = p->at;

	while (scan_peek(p) >= '0' && scan_peek(p) <= '9')
		scan_step(p);
	return p->at - begin;
}

/**
 * scan_number() - go over a number as RFC 8259 has it
 * @p: scanner, at its first character
 * @is_integer: out: there was no fraction and no exponent
 *
 * Return: 0 or -EINVAL.
 */
int scan_number(struct scanner *p, bool *is_integer)
{
	struct conf_pos begin = p->pos;
	bool ok;

	*is_integer = true;
	if (scan_peek(p) == '-')
		scan_step(p);
	if (scan_peek(p) == '0') {
		scan_step(p);
		ok = !skip_digits(p);
	} else {
		ok = skip_digits(p) > 0;
	}
	if (ok && scan_peek(p) == '.') {
		*is_integer = false;
		scan_step(p);
		ok = skip_digits(p) > 0;
	}
	if (ok && (scan_peek(p) == 'e' || scan_peek(p) == 'E')) {
		*is_integer = false;
		scan_step(p);
		if (scan_peek(p) == '+' || scan_peek(p) == '-')
			scan_step(p);
		ok = skip_digits(p) > 0;
	}
	return ok ? 0 : scan_error(p, begin, "malformed number");
}
