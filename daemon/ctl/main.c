// SPDX-License-Identifier: BSD-3-Clause
/*
 * main.c - the command line: which command, with which arguments; the table of all commands
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/result.h"
#include "util/fd.h"

static struct ctl ctl;
static bool wants_help, wants_version;

#define COMMON_OPTIONS                                                                        \
	{ .name = "socket",                                                                   \
	  .letter = 's',                                                                      \
	  .value = "SOCKET",                                                                  \
	  .text = &ctl.socket,                                                                \
	  .help = "the daemon's control socket; by default\n"                                 \
		  "$XDG_RUNTIME_DIR/okl4fs/control.sock, then\n"                              \
		  "/run/okl4fs/control.sock" },                                               \
		{ .name = "json", .flag = &ctl.json, .help = "print results as JSON" },       \
	{                                                                                     \
		.name = "help", .letter = 'h', .flag = &wants_help, .help = "print this help" \
	}

static const struct ctl_option of_commands[] = { COMMON_OPTIONS, { .name = NULL } };
static const struct ctl_option before_commands[] = {
	COMMON_OPTIONS,
	{ .name = "version",
	  .letter = 'V',
	  .flag = &wants_version,
	  .help = "print the version of okl4fsctl" },
	{ .name = NULL },
};

static enum ctl_exit run_help(const struct ctl *unused, char **args);

static const struct ctl_command help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "all commands, or one of them in detail",
	.max = 2,
	.run = run_help,
};

static const struct ctl_command *const that_show[] = {
	&ctl_status,      &ctl_guests,  &ctl_channels, &ctl_channel, &ctl_top,
	&ctl_events,      &ctl_metrics, &ctl_setup,    &ctl_doctor,  &ctl_qemu_args,
	&ctl_config_show, &ctl_version, &help,         NULL,
};

static const struct ctl_command *const that_change[] = {
	&ctl_attach,         &ctl_guest_add,
	&ctl_guest_remove,   &ctl_channel_add,
	&ctl_channel_remove, &ctl_channel_reset,
	&ctl_reload,         &ctl_config_save,
	&ctl_log_level,      NULL,
};

static const struct ctl_group groups[] = {
	{ "Commands that show something", that_show },
	{ "Commands that use or change something", that_change },
	{ NULL, NULL },
};

static enum ctl_exit run_help(const struct ctl *unused, char **args)
{
	const struct ctl_command *c;
	int n;

	if (!args[0]) {
		ctl_print_overview(stdout, groups, before_commands);
		return CTL_DONE;
	}
	c = ctl_find_command(groups, args, &n);
	if (!c)
		return CTL_USAGE;
	ctl_print_help(c, of_commands);
	return CTL_DONE;
}

static enum ctl_exit run_command(int argc, char **argv)
{
	int n, n_words;
	const struct ctl_command *c = ctl_find_command(groups, argv, &n_words);

	if (!c)
		return CTL_USAGE;
	argc -= n_words - 1;
	argv += n_words - 1;
	n = ctl_read_options(c, of_commands, argc, argv);
	if (n < 0)
		return CTL_USAGE;
	if (wants_help) {
		ctl_print_help(c, of_commands);
		return CTL_DONE;
	}
	if (argc - n >= c->min && argc - n <= c->max)
		return c->run(&ctl, argv + n);
	ctl_error("%s: %s; see okl4fsctl help %s", c->name,
		  argc - n < c->min ? "an argument is missing" : "too many arguments", c->name);
	return CTL_USAGE;
}

static enum ctl_exit run_words(int argc, char **argv)
{
	int n = ctl_read_options(NULL, before_commands, argc, argv);

	if (n < 0)
		return CTL_USAGE;
	if (wants_version) {
		printf("okl4fsctl %s\n", OKL4FS_VERSION_STRING);
		return CTL_DONE;
	}
	if (n < argc)
		return run_command(argc - n, argv + n);
	ctl_print_overview(wants_help ? stdout : stderr, groups, before_commands);
	return wants_help ? CTL_DONE : CTL_USAGE;
}

int main(int argc, char **argv)
{
	static char name[] = "okl4fsctl";
	enum ctl_exit r;

	if (fd_open_standard()) /* else the connection could become stdout */
		return CTL_REFUSED;
	setlocale(LC_CTYPE, "C.UTF-8"); /* for names; numbers do not depend on the locale */
	signal(SIGPIPE, SIG_IGN);
	if (argc)
		argv[0] = name;
	r = run_words(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		ctl_error("cannot write to stdout");
		return CTL_REFUSED;
	}
	return (int)r;
}
