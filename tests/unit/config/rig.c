// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - configurations from a string
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In memory of its own */
static char *with_quotes(const char *text, size_t bytes)
{
	char *copy = malloc(bytes + 1);

	memcpy(copy, text, bytes);
	copy[bytes] = 0;
	for (size_t i = 0; i < bytes; i++) {
		if (copy[i] == '`')
			copy[i] = '"';
	}
	return copy;
}

int load(const char *text, size_t bytes, struct config **cfg, char **errors)
{
	char path[] = "okl4fs-config-XXXXXX", *json = with_quotes(text, bytes), *told, *at;
	int fd = mkstemp(path), r;
	size_t told_bytes;
	FILE *f = open_memstream(&told, &told_bytes);

	cr_assert(fd >= 0 && f);
	cr_assert_eq(write(fd, json, bytes), (ssize_t)bytes);
	close(fd);
	free(json);
	r = config_load(cfg, path, f);
	unlink(path);
	fclose(f);

	*errors = calloc(1, told_bytes + 1);
	for (char *line = strtok_r(told, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		cr_assert_eq(strncmp(line, path, strlen(path)), 0, "%s", line);
		cr_assert_eq(line[strlen(path)], ':', "%s", line);
		strcat(*errors, **errors ? "\n" : "");
		strcat(*errors, line + strlen(path) + 1);
	}
	free(told);
	return r;
}

void refused(const char *text, size_t bytes, const char *lines)
{
	char *want = with_quotes(lines, strlen(lines)), *errors;
	struct config *cfg = (void *)1;
	int r = load(text, bytes, &cfg, &errors);

	cr_assert_str_eq(errors, want, "%s", text);
	cr_assert_eq(r, -EINVAL, "%s: %d", text, r);
	cr_assert_null(cfg);
	free(errors);
	free(want);
}

struct config *accepted(const char *text)
{
	struct config *cfg;
	char *errors;
	int r = load(text, strlen(text), &cfg, &errors);

	cr_assert_str_eq(errors, "");
	cr_assert_eq(r, 0, "%d", r);
	free(errors);
	return cfg;
}
