/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * words.h - lines of the kernel's tables in /proc
 */
#ifndef OKL4FSD_UTIL_WORDS_H
#define OKL4FSD_UTIL_WORDS_H

#include <string.h>

/** words_split() - @line becomes its words, which blanks separate; Return: how many, @max at most */
static inline int words_split(char *line, char *word[], int max)
{
	char *rest = NULL;
	int n = 0;

	for (char *at = strtok_r(line, " \n", &rest); at && n < max;
	     at = strtok_r(NULL, " \n", &rest))
		word[n++] = at;
	return n;
}

#endif
