/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lines.h - errors that are written one per line, for an answer (private to control)
 */
#ifndef OKL4FSD_CONTROL_LINES_H
#define OKL4FSD_CONTROL_LINES_H

#include <stdbool.h>
#include <stdio.h>

struct control_request;

/**
 * struct control_lines - collects errors, one per line
 * @out: to write to
 * @text: what was written; complete after fclose(@out)
 * @bytes: its length
 */
struct control_lines {
	FILE *out;
	char *text;
	size_t bytes;
};

/** control_lines_begin() - Return: false when there is no memory */
bool control_lines_begin(struct control_lines *lines);

/**
 * control_lines_end() - make a sentence of the lines for an error, and free them
 * @lines: of control_lines_begin()
 * @req: gets the sentence
 * @code: the error; 0: none
 *
 * Return: @code, or CONTROL_INTERNAL_ERROR when there is an error without a line.
 */
int control_lines_end(struct control_lines *lines, struct control_request *req, int code);

#endif
