/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text.h - text for people: names that do no harm to a terminal, numbers in units
 */
#ifndef OKL4FSD_CTL_TEXT_H
#define OKL4FSD_CTL_TEXT_H

#include <stddef.h>

/**
 * text_safe() - a text as it can be shown
 * @text: any bytes
 *
 * Bytes that could move the cursor, hide or reverse other text, or are not UTF-8, become "\x1b" or
 * "\u202e".
 *
 * Return: a new string, to be freed. Without memory it ends the program.
 */
char *text_safe(const char *text);

/** text_columns() - how many columns of a terminal a text of text_safe() takes */
size_t text_columns(const char *text);

/** text_cut() - shorten a text of text_safe() to @columns, in place; then it ends with "~" */
void text_cut(char *text, size_t columns);

/**
 * text_cut_middle() - the same, but what is left out is in the middle, where "..." stands
 *
 * Names often differ at their end, and paths in the name of the file.
 */
void text_cut_middle(char *text, size_t columns);

/**
 * text_need() - end the program when there is no memory
 * @p: what an allocation returned
 *
 * Return: @p.
 */
void *text_need(void *p);

/* A number for people */
struct text_number {
	char text[48];
};

/** text_size() - bytes: "17 B", "1.5 GiB" */
struct text_number text_size(unsigned long long bytes);

/** text_count() - digits */
struct text_number text_count(unsigned long long n);

/** text_rate() - something per second, in at most five characters: "0", "9.9", "1234", "12.3k" */
struct text_number text_rate(double per_s);

/** text_byte_rate() - bytes per second, in at most ten characters: "1.5 GiB/s" */
struct text_number text_byte_rate(double per_s);

/** text_duration() - "1 d 2 h 3 min 4 s" */
struct text_number text_duration(unsigned long long ms);

#endif
