// SPDX-License-Identifier: BSD-3-Clause
/*
 * okl4fsctl.c - the command line: which command, with which arguments
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl.h"

static const char usage_text[] =
	"usage: okl4fsctl [-s SOCKET] [--json] COMMAND\n"
	"\n"
	"  status                what the daemon is doing\n"
	"  guests                all guests\n"
	"  channels [GUEST]      all channels, or those of a guest\n"
	"  qemu-args GUEST [--way fs|generic] [--memory MIB]\n"
	"                        what joins a QEMU to the daemon, to be pasted\n"
	"            --libvirt   the same as a domain of libvirt; --libvirt=filesystem: its device alone\n"
	"            --cloud-hypervisor  the same as arguments of Cloud Hypervisor\n"
	"  attach GUEST/CHANNEL  join stdin and stdout to a channel with endpoint unix-listen\n"
	"  guest-add JSON        serve one more guest, described as in the configuration file\n"
	"  guest-remove GUEST    serve a guest no longer\n"
	"  channel-add GUEST JSON       offer one more channel, described likewise\n"
	"  channel-remove GUEST/CHANNEL offer a channel no longer\n"
	"  channel-reset GUEST/CHANNEL  end a channel's stream; the guest can begin a new one\n"
	"  reload                read the configuration file again and become what it says\n"
	"  version               versions of okl4fsctl and of the daemon\n"
	"  help                  this text\n"
	"\n"
	"JSON may be - for stdin. What these change lasts until the next reload.\n"
	"\n"
	"  -s, --socket SOCKET   the daemon's control socket; else $XDG_RUNTIME_DIR/okl4fs/control.sock,\n"
	"                        then /run/okl4fs/control.sock\n"
	"      --json            print results as JSON\n"
	"\n"
	"Exit status: 0 done, 1 refused, 2 usage, 3 no daemon\n";

/**
 * struct command - one command
 * @name: its name
 * @min: arguments at least
 * @max: and at most
 * @method: the method whose result is shown, with the argument as `guest`
 * @show: prints the result for people
 * @run: or what to do instead
 */
struct command {
	const char *name;
	int min, max;
	const char *method;
	void (*show)(struct json_object *result);
	enum ctl_exit (*run)(const struct ctl *ctl, char **args);
};

static const struct command commands[] = {
	{ "status", 0, 0, "status", ctl_show_status, NULL },
	{ "guests", 0, 0, "guest.list", ctl_show_guests, NULL },
	{ "channels", 0, 1, "channel.list", ctl_show_channels, NULL },
	{ "version", 0, 0, "version", ctl_show_version, NULL },
	{ "qemu-args", 1, CTL_MAX_ARGS, NULL, NULL, ctl_qemu_args },
	{ "attach", 1, 1, NULL, NULL, ctl_attach },
	{ "guest-add", 1, 1, NULL, NULL, ctl_guest_add },
	{ "guest-remove", 1, 1, NULL, NULL, ctl_guest_remove },
	{ "channel-add", 2, 2, NULL, NULL, ctl_channel_add },
	{ "channel-remove", 1, 1, NULL, NULL, ctl_channel_remove },
	{ "channel-reset", 1, 1, NULL, NULL, ctl_channel_reset },
	{ "reload", 0, 0, NULL, NULL, ctl_reload },
};

/**
 * run() - carry a command out
 * @ctl: how
 * @c: the command
 * @args: its arguments; NULL at the end
 *
 * Return: exit status.
 */
static enum ctl_exit run(const struct ctl *ctl, const struct command *c, char **args)
{
	struct json_object *result;
	enum ctl_exit r;

	if (c->run)
		return c->run(ctl, args);
	r = ctl_call(ctl, c->method, ctl_guest_param(args[0]), &result);
	if (r)
		return r;
	if (ctl->json)
		ctl_show_json(result);
	else
		c->show(result);
	json_object_put(result);
	return CTL_DONE;
}

/**
 * find() - look a command up, and check its arguments
 * @argc: command and arguments
 * @argv: them
 *
 * Return: it, or NULL with a line on stderr.
 */
static const struct command *find(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, argv[0]) != 0)
			continue;
		if (argc - 1 >= c->min && argc - 1 <= c->max)
			return c;
		ctl_error("%s: %s; see okl4fsctl help", c->name,
			  argc - 1 < c->min ? "an argument is missing" : "too many arguments");
		return NULL;
	}
	ctl_error("there is no command \"%s\"; see okl4fsctl help", argv[0]);
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .socket = NULL };
	const struct command *command;
	enum ctl_exit r;
	int option;

	while ((option = getopt_long(argc, argv, "+s:h", options, NULL)) != -1) {
		if (option == 's')
			ctl.socket = optarg;
		else if (option == 'j')
			ctl.json = true;
		else if (option == 'h')
			return fputs(usage_text, stdout) < 0;
		else
			return CTL_USAGE;
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		return CTL_USAGE;
	}
	if (!strcmp(argv[optind], "help"))
		return fputs(usage_text, stdout) < 0;
	command = find(argc - optind, argv + optind);
	if (!command)
		return CTL_USAGE;
	signal(SIGPIPE, SIG_IGN);
	r = run(&ctl, command, argv + optind + 1);
	if (fflush(stdout) || ferror(stdout)) {
		ctl_error("cannot write to stdout");
		return CTL_REFUSED;
	}
	return (int)r;
}
