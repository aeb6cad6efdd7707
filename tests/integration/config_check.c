// SPDX-License-Identifier: BSD-3-Clause
/*
 * config_check.c - what `okl4fsd --check=file` says about many configurations, in one process
 *
 * Each line of the input is a configuration. Each line of the output begins with 0, or with 1 and
 * the errors, with tabs between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

static int check(const char *text, size_t bytes, FILE *errors)
{
	int fd = memfd_create("config", MFD_CLOEXEC), r;
	struct config *cfg = NULL;
	char path[32];

	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes) {
		perror("config_check");
		exit(EXIT_FAILURE);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(&cfg, path, errors);
	config_free(cfg);
	close(fd);
	return r;
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		char *told = NULL;
		size_t bytes = 0;
		FILE *errors = open_memstream(&told, &bytes);
		int r;

		if (!errors)
			return EXIT_FAILURE;
		r = check(line, (size_t)n, errors);
		fclose(errors);
		for (char *at = told; (at = strchr(at, '\n'));)
			*at = '\t';
		printf("%d%s\n", r ? 1 : 0, told);
		free(told);
	}
	free(line);
	return EXIT_SUCCESS;
}
