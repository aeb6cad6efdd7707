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

int load(const char *text, size_t bytes, struct config **cfg, char **errors)
{
	char path[] = "okl4fs-config-XXXXXX";
	int fd = mkstemp(path), r;
	char *told, *at;
	size_t told_bytes;
	FILE *f = open_memstream(&told, &told_bytes);

	cr_assert(fd >= 0 && f);
	cr_assert_eq(write(fd, text, bytes), (ssize_t)bytes);
	close(fd);
	r = config_load(cfg, path, f);
	unlink(path);
	fclose(f);

	*errors = calloc(1, told_bytes + 1);
	for (at = told; *at;) {
		if (!strncmp(at, path, sizeof(path) - 1)) {
			strcat(*errors, "FILE");
			at += sizeof(path) - 1;
		} else {
			strncat(*errors, at++, 1);
		}
	}
	free(told);
	return r;
}

void refused(const char *text, size_t bytes, const char *lines)
{
	struct config *cfg = (void *)1;
	char *errors;
	int r = load(text, bytes, &cfg, &errors);

	cr_assert_str_eq(errors, lines);
	cr_assert_eq(r, -EINVAL, "%d", r);
	cr_assert_null(cfg);
	free(errors);
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
