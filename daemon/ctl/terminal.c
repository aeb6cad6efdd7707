// SPDX-License-Identifier: BSD-3-Clause
/*
 * terminal.c - drawing on a terminal, and restoring it afterwards
 *
 * Signals are blocked, and signalfd(2) reports them like keys. So no handler interrupts anything,
 * and a signal that ends the program is raised again after the terminal was restored.
 */

#include "ctl/terminal.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "util/clock.h"

/* ECMA-48 and xterm's private modes: the other screen, the cursor */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

#define SEQUENCE_TIMEOUT_MS 50

static struct {
	bool is_open, has_keys, is_ready;
	int signal_fd;
	struct termios before;
	char typed[64]; /* not taken yet: at to end */
	size_t at, end;
} term = { .signal_fd = -1 };

bool terminal_is_one(void)
{
	const char *type = getenv("TERM");

	return isatty(STDOUT_FILENO) && type && *type && strcmp(type, "dumb") != 0;
}

static void take_terminal(void)
{
	struct termios raw;

	term.has_keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &term.before);
	if (term.has_keys) {
		raw = term.before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	fputs(ENTER, stdout);
	fflush(stdout);
	term.is_open = true;
}

static void block_signals(void)
{
	sigset_t set;

	if (term.is_ready)
		return;
	term.is_ready = true;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	term.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	atexit(terminal_close);
}

void terminal_open(void)
{
	block_signals();
	if (!term.is_open)
		take_terminal();
}

void terminal_close(void)
{
	if (!term.is_open)
		return;
	term.is_open = false;
	fputs(LEAVE, stdout);
	fflush(stdout);
	if (term.has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &term.before);
}

void terminal_size(size_t *columns, size_t *rows)
{
	struct winsize size;

	*columns = 80;
	*rows = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		return;
	*columns = size.ws_col;
	*rows = size.ws_row;
}

/* Restores the terminal first, as the signal may end or stop the program */
static void obey_signal(int number)
{
	bool was_open = term.is_open;
	sigset_t set;

	terminal_close();
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it ends, or stops */
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (was_open)
		take_terminal();
}

/* Return: true when everything must be drawn again */
static bool take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(term.signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	if (info.ssi_signo != SIGWINCH)
		obey_signal((int)info.ssi_signo);
	return true;
}

/* Return: whether there is more to take */
static bool read_keys(void)
{
	ssize_t n;

	if (term.at == term.end)
		term.at = term.end = 0;
	n = read(STDIN_FILENO, term.typed + term.end, sizeof(term.typed) - term.end);
	if (n <= 0)
		return false;
	term.end += (size_t)n;
	return true;
}

/* A sequence comes in one piece, or soon: a lone escape is the key. Return: whether a byte is there */
static bool byte_is_there(size_t at)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	if (at < term.end)
		return true;
	return term.end < sizeof(term.typed) && poll(&p, 1, SEQUENCE_TIMEOUT_MS) > 0 &&
	       read_keys() && at < term.end;
}

/* What follows ESC; Return: 0 for a key without a meaning */
static int sequence_key(const char *text, size_t bytes)
{
	static const struct {
		const char *text;
		int key;
	} keys[] = {
		{ "[A", TERMINAL_UP },       { "OA", TERMINAL_UP },
		{ "[B", TERMINAL_DOWN },     { "OB", TERMINAL_DOWN },
		{ "[5~", TERMINAL_PAGE_UP }, { "[6~", TERMINAL_PAGE_DOWN },
		{ "[H", TERMINAL_HOME },     { "OH", TERMINAL_HOME },
		{ "[1~", TERMINAL_HOME },    { "[7~", TERMINAL_HOME },
		{ "[F", TERMINAL_END },      { "OF", TERMINAL_END },
		{ "[4~", TERMINAL_END },     { "[8~", TERMINAL_END },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i].text) == bytes && !strncmp(text, keys[i].text, bytes))
			return keys[i].key;
	return 0;
}

/* Return: the next key; 0: one without a meaning */
static int take_key(void)
{
	const char *key = term.typed + term.at;
	size_t bytes = 2;

	if (*key != '\033') {
		term.at++;
		return (unsigned char)*key;
	}
	if (!byte_is_there(term.at + 1) || (key[1] != '[' && key[1] != 'O')) {
		term.at++;
		return TERMINAL_ESCAPE;
	}
	/* ECMA-48: ESC [, parameters, and a final byte; SS3: ESC O and one byte */
	while (byte_is_there(term.at + bytes) && key[bytes++] < '@')
		;
	term.at += bytes;
	return sequence_key(key + 1, bytes - 1);
}

enum terminal_event terminal_wait(long *timeout_ms, int *key)
{
	long end = (long)clock_ms() + *timeout_ms;

	block_signals();
	for (;;) {
		struct pollfd p[2] = { { .fd = term.signal_fd, .events = POLLIN },
				       { .fd = term.is_open && term.has_keys ? STDIN_FILENO : -1,
					 .events = POLLIN } };
		int n;
		long left_ms;

		if (term.is_open && term.at < term.end) {
			*key = take_key();
			if (*key)
				return TERMINAL_KEY;
			continue;
		}
		n = poll(p, 2, (int)*timeout_ms);
		left_ms = end - (long)clock_ms();

		*timeout_ms = left_ms > 0 ? left_ms : 0;
		if (n > 0 && p[0].revents && take_signal())
			return TERMINAL_DRAW;
		if (n > 0 && p[1].revents) {
			if (read_keys())
				continue;
			term.has_keys = false; /* it has hung up: SIGHUP follows */
		}
		if (!*timeout_ms)
			return TERMINAL_TIME;
	}
}
