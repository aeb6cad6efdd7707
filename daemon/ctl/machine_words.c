// SPDX-License-Identifier: BSD-3-Clause
#include "ctl/machine_words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int machine_add_option(struct machine_words *words, const char *option, const char *fmt, ...)
{
	char **grown = reallocarray(words->word, (size_t)words->n + 2, sizeof(*grown));
	char *value;
	va_list ap;
	int n;

	if (!grown)
		return -ENOMEM;
	words->word = grown;

	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	words->word[words->n++] = strdup(option);
	words->word[words->n++] = value;
	return words->word[words->n - 2] ? 0 : -ENOMEM;
}

void machine_free(struct machine_words *words)
{
	while (words->n > 0)
		free(words->word[--words->n]);
	free(words->word);
	words->word = NULL;
}
