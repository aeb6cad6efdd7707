/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan.h - going over the text of a configuration (private to config)
 */
#ifndef OKL4FSD_CONFIG_SCAN_H
#define OKL4FSD_CONFIG_SCAN_H

#include "config/json.h"

struct json_tokener;

/**
 * struct scanner - where the parse is
 * @text: the text
 * @bytes: its length
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

/** scan_error() - tell of an error at a place in the text; Return: -EINVAL */
__attribute__((format(printf, 3, 4))) int scan_error(struct scanner *p, struct conf_pos pos,
						     const char *fmt, ...);

/** scan_unexpected() - tell that something else was expected here; Return: -EINVAL */
int scan_unexpected(struct scanner *p, const char *expected);

/** scan_peek() - the next byte; -1 at the end of the text */
int scan_peek(const struct scanner *p);

/** scan_step() - go over the next byte; not at the end */
void scan_step(struct scanner *p);

/** scan_space() - go over white space and comments */
void scan_space(struct scanner *p);

/** scan_string() - go over a string, from its quotation mark on; Return: 0 or -EINVAL */
int scan_string(struct scanner *p);

/** scan_number() - go over a number as RFC 8259 has it; Return: 0 or -EINVAL */
int scan_number(struct scanner *p, bool *is_integer);

#endif
