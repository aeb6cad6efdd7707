// SPDX-License-Identifier: BSD-3-Clause
/*
 * attach.c - `attach GUEST/CHANNEL`: stdin and stdout become the host end of a channel
 */
#include "ctl/attach/attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/call.h"
#include "ctl/command.h"
#include "ctl/result.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "util/fd.h"

/* A larger buffer of the sender means fewer system calls on both sides */
#define SEND_BUFFER_BYTES (1 << 20)

static bool wants_send, wants_receive, wants_progress, wants_lines;
static const char *escape;

/* Either the daemon has refused the connection, or the guest has ended an empty stream */
static enum ctl_exit why_nothing_came(const struct ctl *ctl, const char *name,
				      unsigned long long before)
{
	struct json_object *result, *channel;
	enum ctl_exit r = ctl_find_channel(ctl, "attach", name, &result, &channel);

	if (r == CTL_DONE &&
	    ctl_number(ctl_object(channel, "endpoint"), "clients_refused") > before) {
		ctl_error("%s: another client is attached already", name);
		r = CTL_REFUSED;
	}
	json_object_put(result);
	return r;
}

static enum ctl_exit tell_lost(const struct attach *a)
{
	ctl_error("%s: bytes that the guest wrote are lost: what came is not the whole stream",
		  a->name);
	return CTL_REFUSED;
}

static enum ctl_exit tell_no_daemon(const struct attach *a)
{
	ctl_error("%s: the daemon has gone away in the middle of the stream", a->name);
	return CTL_NO_DAEMON;
}

/* A session has no events of its own: only a daemon that is there has ended it well */
static enum ctl_exit judge_session(const struct ctl *ctl, const struct attach *a)
{
	struct json_object *result;
	enum ctl_exit r = ctl_call(ctl, "version", NULL, &result);

	json_object_put(result);
	if (r)
		return tell_no_daemon(a);
	if (a->up.at == a->up.end)
		return CTL_DONE;
	ctl_error("%s: the connection has ended before all of stdin was sent", a->name);
	return CTL_REFUSED;
}

/* What the end of --send means */
static enum ctl_exit judge_sent(const struct attach *a)
{
	if (a->news.taken && a->news.all)
		return CTL_DONE;
	if (!a->news.is_open)
		return tell_no_daemon(a);
	ctl_error("%s: the connection has ended before the guest had taken everything", a->name);
	return CTL_REFUSED;
}

/* What the end of the guest's stream means: the daemon could have ended it, too */
static enum ctl_exit judge_received(struct attach *a, bool had_news)
{
	a->fd = fd_close(a->fd);
	if (had_news && attach_news_wait(&a->news))
		return tell_no_daemon(a);
	if (a->news.torn)
		return tell_lost(a);
	if (a->mode != ATTACH_BOTH || a->up.at == a->up.end)
		return CTL_DONE;
	ctl_error("%s: the connection has ended before all of stdin was sent", a->name);
	return CTL_REFUSED;
}

static enum ctl_exit judge(const struct ctl *ctl, struct attach *a, unsigned long long refused,
			   bool had_news)
{
	enum ctl_exit r = CTL_DONE;

	if (a->escaped)
		return CTL_DONE;
	if (a->down.dead) {
		ctl_error("cannot write what the guest sends: %s", strerror(a->down.error));
		return CTL_REFUSED;
	}
	if (a->down.error || (a->news.disconnected && a->news.torn))
		return tell_lost(a);
	if (a->has_sessions)
		return a->down.eof ? judge_session(ctl, a) : CTL_DONE;
	if (had_news && !a->news.is_open)
		return tell_no_daemon(a);
	if (!a->news.taken && !a->down.total && !a->accepted)
		r = why_nothing_came(ctl, a->name, refused);
	if (r)
		return r;
	if (a->mode == ATTACH_SEND)
		return judge_sent(a);
	return a->down.eof ? judge_received(a, had_news) : CTL_DONE;
}

static void begin_console(struct attach *a)
{
	_cleanup_free_ char *safe = text_safe(a->name);

	if (a->console.escape < 0)
		fprintf(stderr, "Connected to %s (no escape key)\n", safe);
	else
		fprintf(stderr, "Connected to %s (escape: %s)\n", safe, a->console.escape_name);
	terminal_open_raw();
}

static void end_console(const struct attach *a)
{
	terminal_close();
	fputs(a->escaped ? "\nDisconnected.\n" :
			   "\nDisconnected: the guest has closed the channel, or is gone.\n",
	      stderr);
}

/* Moves everything; Return: ctl_exit, with a line on stderr when it is not CTL_DONE */
static enum ctl_exit run_pump(const struct ctl *ctl, struct attach *a, unsigned long long refused)
{
	const int bytes = SEND_BUFFER_BYTES;
	bool had_news = a->news.is_open;
	enum ctl_exit r = CTL_DONE;

	setsockopt(a->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (a->mode == ATTACH_CONSOLE)
		begin_console(a);
	attach_progress_begin(&a->progress, wants_progress);
	attach_pump(a);
	/* The guest's stream can end before the daemon has told that it took the connection */
	if (a->mode == ATTACH_SEND && a->down.eof && !a->down.error && !a->news.connected &&
	    !a->has_sessions) {
		r = why_nothing_came(ctl, a->name, refused);
		a->accepted = true;
		if (!r)
			attach_pump(a);
	}
	attach_progress_end(&a->progress, a->up.moved + a->down.moved);
	if (a->mode == ATTACH_CONSOLE)
		end_console(a);
	return r ? r : judge(ctl, a, refused, had_news);
}

/* Return: CTL_DONE: connected */
static enum ctl_exit connect_to(struct attach *a, struct json_object *channel)
{
	struct json_object *endpoint = ctl_object(channel, "endpoint");
	const char *path = ctl_string(endpoint, "path");

	if (strcmp(ctl_string(endpoint, "type"), "unix-listen") != 0) {
		ctl_error("%s: its endpoint is %s; only unix-listen can be attached to", a->name,
			  ctl_string(endpoint, "type"));
		return CTL_REFUSED;
	}
	if (ctl_boolean(channel, "packets")) {
		ctl_error(
			"%s: it carries messages, between which stdin and stdout have no marks; use a "
			"program with a socket of type SOCK_SEQPACKET, such as: socat - "
			"UNIX-CONNECT:%s,socktype=5",
			a->name, path);
		return CTL_REFUSED;
	}
	if (strcmp(ctl_string(channel, "state"), "attached") != 0 && !a->has_sessions)
		ctl_error("%s: the guest is not there yet (%s); waiting", a->name,
			  ctl_string(channel, "state"));
	a->fd = fd_connect_unix(path, FD_UNIX_STREAM);
	if (a->fd >= 0)
		return CTL_DONE;
	ctl_error("%s: %s: %s", a->name, path, strerror(-a->fd));
	return CTL_REFUSED;
}

static enum ctl_exit attach_to(const struct ctl *ctl, struct attach *a, struct json_object *channel)
{
	unsigned long long refused = ctl_number(ctl_object(channel, "endpoint"), "clients_refused");
	enum ctl_exit r;

	a->news.guest = ctl_string(channel, "guest");
	a->news.channel = ctl_string(channel, "name");
	a->has_sessions = ctl_object(channel, "sessions");
	/* Before the connection, of which it tells */
	r = a->has_sessions ? CTL_DONE : attach_news_open(&a->news, ctl);
	if (r && (a->mode == ATTACH_SEND || a->mode == ATTACH_RECEIVE)) {
		ctl_error("%s: the end of the stream cannot be watched", a->name);
		return connection_tell(&a->news.connection, r);
	}
	r = connect_to(a, channel);
	if (!r)
		r = run_pump(ctl, a, refused);
	a->fd = fd_close(a->fd);
	return r;
}

/* Return: CTL_DONE or CTL_USAGE */
static enum ctl_exit choose_mode(const struct ctl *ctl, struct attach *a)
{
	bool terminals = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	const char *error = NULL;

	a->mode = wants_send                ? ATTACH_SEND :
		  wants_receive             ? ATTACH_RECEIVE :
		  terminals && !wants_lines ? ATTACH_CONSOLE :
					      ATTACH_BOTH;
	if (ctl->json)
		error = "--json is not possible, because stdout carries what the guest sends";
	else if (wants_send && wants_receive)
		error = "--send and --receive exclude each other; without them, both directions "
			"are connected";
	else if (wants_progress && a->mode == ATTACH_CONSOLE)
		error = "--progress is not possible on a terminal that shows the guest";
	else if (!attach_console_parse(&a->console, escape))
		error = "--escape must be a character, ^ and a character, or none";
	if (!error)
		return CTL_DONE;
	ctl_error("attach: %s", error);
	return CTL_USAGE;
}

static enum ctl_exit run_attach(const struct ctl *ctl, char **args)
{
	static struct attach a = { .fd = -1, .news.connection.fd = -1 };
	struct json_object *result, *channel;
	enum ctl_exit r = choose_mode(ctl, &a);

	if (r)
		return r;
	a.name = args[0];
	r = ctl_find_channel(ctl, "attach", args[0], &result, &channel);
	if (r == CTL_DONE)
		r = attach_to(ctl, &a, channel);
	attach_news_close(&a.news);
	json_object_put(result);
	return r;
}

static const struct ctl_option options[] = {
	{ .name = "send",
	  .flag = &wants_send,
	  .help = "end when stdin has ended and the guest has\n"
		  "taken everything" },
	{ .name = "receive",
	  .flag = &wants_receive,
	  .help = "do not read stdin; end with the guest's stream" },
	{ .name = "progress",
	  .letter = 'p',
	  .flag = &wants_progress,
	  .help = "show on stderr how much has moved, and how fast" },
	{ .name = "escape",
	  .letter = 'e',
	  .value = "KEY",
	  .text = &escape,
	  .help = "on a terminal: the key that ends the command:\n"
		  "a character, ^ and a character (with Ctrl), or\n"
		  "none; ^] by default" },
	{ .name = "lines",
	  .flag = &wants_lines,
	  .help = "on a terminal: send lines, as typed and edited\n"
		  "here; Ctrl-C ends the command" },
	{ .name = NULL },
};

const struct ctl_command ctl_attach = {
	.name = "attach",
	.arguments = "GUEST/CHANNEL",
	.summary = "connect stdin and stdout to a channel",
	.help = "The channel's endpoint must be unix-listen.\n"
		"\n"
		"If stdin and stdout are terminals, the terminal is the guest's: each key is\n"
		"sent, Ctrl-C too. Ctrl-] ends the command. Otherwise the end of stdin is an end\n"
		"of file for the guest, and the command ends with the guest's stream; or, if the\n"
		"guest does not write, when it has taken everything and has closed the channel.\n"
		"\n"
		"  tar c . | okl4fsctl attach --send vm1/backup\n"
		"  okl4fsctl attach --receive vm1/backup > backup.tar\n",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run_attach,
};
