// SPDX-License-Identifier: BSD-3-Clause
/*
 * nearest.c - which word somebody meant
 */
#include <string.h>

#include "ctl/command.h"

#define MAX_WORD 40

static unsigned int min_of(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Damerau and Levenshtein: letters that are missing, too many, wrong, or swapped with the next */
static unsigned int distance_of(const char *a, const char *b)
{
	unsigned int d[MAX_WORD + 1][MAX_WORD + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > MAX_WORD || n > MAX_WORD)
		return CTL_FAR;
	for (unsigned int i = 0; i <= m; i++)
		d[i][0] = i;
	for (unsigned int j = 0; j <= n; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			d[i][j] = min_of(min_of(d[i - 1][j], d[i][j - 1]) + 1,
					 d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = min_of(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[m][n];
}

void ctl_nearest(const char *typed, const char *offered, const char **best, unsigned int *distance)
{
	size_t bytes = strlen(typed);
	unsigned int d = bytes > 1 && !strncmp(typed, offered, bytes) ? 0 :
									distance_of(typed, offered);

	if (d > (bytes + 2) / 3 || d >= *distance)
		return;
	*best = offered;
	*distance = d;
}
