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

struct command {
	const char *name;
	int (*run)(char **argv);
	const char *usage;
};

static const struct command commands[] = {
	{ "stream", cmd_stream,
	  "TARGET [write=BYTES] [read=BYTES|eof] [seed=N] [read_seed=N] [piece=BYTES|random]\n"
	  "\t\t[progress=BYTES] [corrupt=OFFSET]" },
	{ "seq", cmd_seq, "TARGET records=N [max=BYTES] [seed=N] [progress=N]" },
	{ "peer", cmd_peer, "TARGET" },
	{ "row", cmd_row, "list | NAME [dir=/okl4]" },
	{ "compare", cmd_compare, "list | all | NAME [dir=/okl4]" },
	{ "sleepers", cmd_sleepers, "NODE drain=NODE [each=N]" },
	{ "failing", cmd_failing, "NODE" },
	{ "crowd", cmd_crowd, "NODE... [writers=N] [readers=N] [records=N] [progress=N]" },
	{ "churn", cmd_churn, "NODE [threads=N] [rounds=N]" },
	{ "faulting", cmd_faulting, "NODE" },
	{ "evil", cmd_evil, "list | NAME [channel=ID]" },
	{ "many", cmd_many, "FOLDER [bytes=BYTES]" },
	{ "hold", cmd_hold, "FOLDER [but=NAME] [sleepers=yes]" },
	{ "gone", cmd_gone, "NODE" },
	{ "gone-asleep", cmd_gone_asleep, "NODE" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

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
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(stderr, "okl4test %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	}
	return usage();
}
