// SPDX-License-Identifier: BSD-3-Clause
/*
 * okl4test - what the tests run in a guest, and at the host's end of a channel
 *
 * One static program, so that guest and host run the same code. See usage() for the subcommands;
 * each one prints what it found and exits with 0 only if everything was right.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

/* The linker makes these names of the section's */
extern const struct command *const __start_commands[], *const __stop_commands[];

const char *argument(char **argv, const char *key, const char *fallback)
{
	size_t length = strlen(key);

	for (; *argv; argv++) {
		if (strncmp(*argv, key, length) == 0 && (*argv)[length] == '=')
			return *argv + length + 1;
	}
	return fallback;
}

/* usage() - print the usage text */
static int usage(void)
{
	for (const struct command *const *at = __start_commands; at < __stop_commands; at++)
		fprintf(stderr, "okl4test %s %s\n", (*at)->name, (*at)->usage);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	for (const struct command *const *at = __start_commands; at < __stop_commands; at++) {
		if (strcmp(argv[1], (*at)->name) == 0)
			return (*at)->run(argv + 2);
	}
	return usage();
}
