// SPDX-License-Identifier: BSD-3-Clause
/*
 * main.c - the command line: which command, with which arguments
 */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/result.h"
#include "util/fd.h"

static const char usage_text[] =
	"usage: okl4fsctl [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n"
	"\n"
	"  status                what the daemon is doing\n"
	"  guests                all guests\n"
	"  channels [GUEST]      all channels, or those of a guest\n"
	"      --names           guests, channels: only the names, one per line\n"
	"  channel GUEST/CHANNEL everything about a channel\n"
	"  top [GUEST]           live view of what the channels move; q quits\n"
	"      -d, --delay SECONDS  time between two updates, 1 by default\n"
	"      -n, --count COUNT    end after COUNT updates; 0: never\n"
	"      -k, --sort KEY       list, name, rate, to-host, to-guest, fill or stalls\n"
	"  events [KIND...]      state changes as they happen; only of these kinds or groups of kinds\n"
	"      -g, --guest GUEST    only of this guest\n"
	"      -n, --count COUNT    end after COUNT events\n"
	"  metrics               the metrics that Prometheus scrapes\n"
	"  qemu-args GUEST [--way fs|generic] [--memory MIB]\n"
	"                        arguments that connect a QEMU to the daemon, ready to paste\n"
	"            --libvirt   as a libvirt domain; --libvirt=filesystem: only its device\n"
	"            --cloud-hypervisor  as arguments of Cloud Hypervisor\n"
	"  attach GUEST/CHANNEL  connect stdin and stdout to a channel with endpoint unix-listen\n"
	"  guest-add JSON        serve one more guest, described as in the configuration file\n"
	"  guest-remove GUEST    stop serving a guest\n"
	"  channel-add GUEST JSON       offer one more channel, described in the same way\n"
	"  channel-remove GUEST/CHANNEL stop offering a channel\n"
	"  channel-reset GUEST/CHANNEL  end a channel's stream; the guest can begin a new one\n"
	"  reload                read the configuration file again and apply it\n"
	"  log-level [LEVEL]     what the daemon logs: err, warning, notice, info or debug\n"
	"  version               versions of okl4fsctl and of the daemon\n"
	"  help                  this text\n"
	"\n"
	"JSON can be - for stdin. These changes last until the next reload.\n"
	"\n"
	"  -s, --socket SOCKET   the daemon's control socket; by default\n"
	"                        $XDG_RUNTIME_DIR/okl4fs/control.sock, then /run/okl4fs/control.sock\n"
	"      --json            print results as JSON\n"
	"  -h, --help            this text\n"
	"\n"
	"Exit status: 0 done, 1 refused, 2 usage, 3 no daemon\n";

/* Options that every command takes. "+" ends them at the command; its own options follow it */
#define COMMON_OPTIONS                                                                  \
	{ "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' }, \
	{                                                                               \
		"help", no_argument, NULL, 'h'                                          \
	}
#define END                      \
	{                        \
		NULL, 0, NULL, 0 \
	}
static const struct option common[] = { COMMON_OPTIONS, END };
static const struct option of_lists[] = { COMMON_OPTIONS,
					  { "names", no_argument, NULL, 'N' },
					  END };
static const struct option of_top[] = { COMMON_OPTIONS,
					{ "delay", required_argument, NULL, 'd' },
					{ "count", required_argument, NULL, 'n' },
					{ "sort", required_argument, NULL, 'k' },
					END };
static const struct option of_events[] = { COMMON_OPTIONS,
					   { "guest", required_argument, NULL, 'g' },
					   { "count", required_argument, NULL, 'n' },
					   END };
static const struct option of_qemu_args[] = { COMMON_OPTIONS,
					      { "way", required_argument, NULL, 'w' },
					      { "memory", required_argument, NULL, 'm' },
					      { "libvirt", optional_argument, NULL, 'l' },
					      { "cloud-hypervisor", no_argument, NULL, 'c' },
					      END };

/**
 * struct command - one command
 * @name: its name
 * @min: arguments at least
 * @max: and at most
 * @run: carries it out
 * @options: its options
 * @letters: those of them that have a letter
 */
struct command {
	const char *name;
	int min, max;
	enum ctl_exit (*run)(const struct ctl *ctl, char **args);
	const struct option *options;
	const char *letters;
};

static const struct command commands[] = {
	{ "status", 0, 0, ctl_status, common, ":s:h" },
	{ "guests", 0, 0, ctl_guests, of_lists, ":s:h" },
	{ "channels", 0, 1, ctl_channels, of_lists, ":s:h" },
	{ "channel", 1, 1, ctl_channel, common, ":s:h" },
	{ "top", 0, 1, ctl_top, of_top, ":s:hd:n:k:" },
	{ "events", 0, CTL_MAX_KINDS, ctl_events, of_events, ":s:hg:n:" },
	{ "metrics", 0, 0, ctl_metrics, common, ":s:h" },
	{ "version", 0, 0, ctl_version, common, ":s:h" },
	{ "qemu-args", 1, 1, ctl_qemu_args, of_qemu_args, ":s:h" },
	{ "attach", 1, 1, ctl_attach, common, ":s:h" },
	{ "guest-add", 1, 1, ctl_guest_add, common, ":s:h" },
	{ "guest-remove", 1, 1, ctl_guest_remove, common, ":s:h" },
	{ "channel-add", 2, 2, ctl_channel_add, common, ":s:h" },
	{ "channel-remove", 1, 1, ctl_channel_remove, common, ":s:h" },
	{ "channel-reset", 1, 1, ctl_channel_reset, common, ":s:h" },
	{ "reload", 0, 0, ctl_reload, common, ":s:h" },
	{ "log-level", 0, 1, ctl_log_level, common, ":s:h" },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	ctl_error("there is no command \"%s\"; see okl4fsctl help", name);
	return NULL;
}

static bool take_option(struct ctl *ctl, int option)
{
	switch (option) {
	case 's':
		ctl->socket = optarg;
		return true;
	case 'j':
		ctl->json = true;
		return true;
	case 'N':
		ctl->names = true;
		return true;
	case 'd':
		ctl->delay = optarg;
		return true;
	case 'n':
		ctl->count = optarg;
		return true;
	case 'k':
		ctl->sort = optarg;
		return true;
	case 'g':
		ctl->guest = optarg;
		return true;
	case 'w':
		ctl->way = optarg;
		return true;
	case 'm':
		ctl->memory = optarg;
		return true;
	case 'l':
		ctl->libvirt = optarg ? optarg : "domain";
		return true;
	case 'c':
		ctl->cloud_hypervisor = true;
		return true;
	default:
		return false;
	}
}

/* Return: CTL_DONE with optind at the first argument, CTL_USAGE, or -1 for help */
static int read_options(struct ctl *ctl, int argc, char **argv, const struct option *options,
			const char *letters)
{
	const char *of = options == common ? "" : argv[0], *colon = *of ? ": " : "";
	int option;

	opterr = 0;
	optind = 0; /* another command line than the one before */
	while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (option == 'h')
			return -1;
		if (take_option(ctl, option))
			continue;
		ctl_error(option == ':' ? "%s%soption %s needs a value" :
					  "%s%sunrecognized option or value: %s",
			  of, colon, argv[optind - 1]);
		return CTL_USAGE;
	}
	return CTL_DONE;
}

/* Return: the exit status, or -1 for help */
static int run_command(struct ctl *ctl, int argc, char **argv)
{
	const struct command *c = find_command(argv[0]);
	int r, n;

	if (!c)
		return CTL_USAGE;
	r = read_options(ctl, argc, argv, c->options, c->letters);
	if (r)
		return r;
	n = argc - optind;
	if (n >= c->min && n <= c->max)
		return (int)c->run(ctl, argv + optind);
	ctl_error("%s: %s; see okl4fsctl help", c->name,
		  n < c->min ? "an argument is missing" : "too many arguments");
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	static char name[] = "okl4fsctl";
	struct ctl ctl = { .socket = NULL };
	int r;

	if (fd_open_standard()) /* else the connection could become stdout */
		return CTL_REFUSED;
	setlocale(LC_CTYPE, "C.UTF-8"); /* for names; numbers do not depend on the locale */
	signal(SIGPIPE, SIG_IGN);
	if (argc)
		argv[0] = name;
	r = read_options(&ctl, argc, argv, common, "+:s:h");
	if (r == CTL_DONE && optind >= argc) {
		fputs(usage_text, stderr);
		return CTL_USAGE;
	}
	if (r == CTL_DONE)
		r = strcmp(argv[optind], "help") != 0 ?
			    run_command(&ctl, argc - optind, argv + optind) :
			    -1;
	if (r < 0)
		r = fputs(usage_text, stdout) < 0 ? CTL_REFUSED : CTL_DONE;
	if (fflush(stdout) || ferror(stdout)) {
		ctl_error("cannot write to stdout");
		return CTL_REFUSED;
	}
	return r;
}
