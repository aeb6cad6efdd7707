// SPDX-License-Identifier: BSD-3-Clause
/*
 * options.c - the command line of okl4fs-serve
 */
#include "serve/options.h"

#include <err.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libfs/version.h"
#include "serve/say.h"

#define FOLDER           "/okl4/"
#define MAX_DEFAULT      64
#define MAX_LARGEST      1023 /* sessions of a channel (ABI.md) */
#define LINGER_DEFAULT_S 10
#define BY_SYSTEMD       "systemd"

static void usage(FILE *to)
{
	fputs("usage: okl4fs-serve NAME [OPTION...] -- COMMAND [ARGUMENT...]\n"
	      "       okl4fs-serve NAME [OPTION...] --connect unix:PATH|HOST:PORT\n"
	      "       okl4fs-serve NAME [OPTION...] --listen unix:PATH|HOST:PORT|systemd\n"
	      "Serve the sessions of the channel NAME (a path, or a node in /okl4), see okl4fs-serve(8)\n"
	      "  -c, --connect PLACE    join each session with a connection to a server in this guest\n"
	      "  -l, --listen PLACE     open a session for each client in this guest\n"
	      "  -m, --max N            sessions at the same time, 1 to 1023 (64)\n"
	      "  -w, --linger SECONDS   how long sessions may go on after SIGTERM (10)\n"
	      "  -v, --verbose          a line when a session begins, and when it ends\n"
	      "      --version          print the version\n",
	      to);
}

static unsigned int number(const char *option, const char *text, unsigned long least,
			   unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || *text < '0' || *text > '9' || n < least || n > most)
		errx(2, "%s %s: a number from %lu to %lu is needed", option, text, least, most);
	return (unsigned int)n;
}

static void parse_place(struct options *o, const char *option, const char *text)
{
	const char *wrong;

	if (o->place.text)
		errx(2, "only one --connect or --listen is possible");
	wrong = place_parse(&o->place, text);
	if (wrong)
		errx(2, "%s %s: %s", option, text, wrong);
}

static void parse_option(struct options *o, int option)
{
	switch (option) {
	case 'c':
		parse_place(o, "--connect", optarg);
		o->connects = true;
		return;
	case 'l':
		o->listens = true;
		o->listens_by_systemd = !strcmp(optarg, BY_SYSTEMD);
		if (!o->listens_by_systemd)
			parse_place(o, "--listen", optarg);
		return;
	case 'm':
		o->max = number("--max", optarg, 1, MAX_LARGEST);
		return;
	case 'w':
		o->linger_s = number("--linger", optarg, 0, UINT_MAX);
		return;
	case 'v':
		say_setup(true);
		return;
	case 'V':
		puts("okl4fs-serve " OKL4FS_VERSION);
		exit(0);
	default:
		usage(option == 'h' ? stdout : stderr);
		exit(option == 'h' ? 0 : 2);
	}
}

void options_parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = { { "connect", required_argument, NULL, 'c' },
						 { "listen", required_argument, NULL, 'l' },
						 { "max", required_argument, NULL, 'm' },
						 { "linger", required_argument, NULL, 'w' },
						 { "verbose", no_argument, NULL, 'v' },
						 { "version", no_argument, NULL, 'V' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	static char path[PATH_MAX];
	const char *slash;
	int option;

	*o = (struct options){ .max = MAX_DEFAULT, .linger_s = LINGER_DEFAULT_S };
	while ((option = getopt_long(argc, argv, "c:l:m:w:vh", options, NULL)) != -1)
		parse_option(o, option);
	if (optind == argc)
		errx(2, "the channel's name is missing (see --help)");
	o->path = argv[optind++];
	if (!strchr(o->path, '/')) {
		snprintf(path, sizeof(path), FOLDER "%s", o->path);
		o->path = path;
	}
	slash = strrchr(o->path, '/');
	setenv("OKL4FS_CHANNEL", slash ? slash + 1 : o->path, 1);
	if (optind < argc)
		o->command = argv + optind;
	if ((o->command != NULL) + o->connects + o->listens != 1)
		errx(2, "one of -- COMMAND, --connect and --listen is needed (see --help)");
}
