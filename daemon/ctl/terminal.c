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

static struct {
	bool is_open, is_raw, has_keys, is_ready;
	int signal_fd;
	struct termios before;
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
		if (term.is_raw)
			cfmakeraw(&raw);
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	if (!term.is_raw)
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

void terminal_open_raw(void)
{
	term.is_raw = true;
	terminal_open();
}

int terminal_signal_fd(void)
{
	return term.signal_fd;
}

void terminal_close(void)
{
	if (!term.is_open)
		return;
	term.is_open = false;
	if (!term.is_raw)
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

bool terminal_take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(term.signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	if (info.ssi_signo != SIGWINCH)
		obey_signal((int)info.ssi_signo);
	return true;
}

enum terminal_event terminal_wait(long *timeout_ms, char *key)
{
	long end = (long)clock_ms() + *timeout_ms;

	block_signals();
	for (;;) {
		struct pollfd p[2] = { { .fd = term.signal_fd, .events = POLLIN },
				       { .fd = term.is_open && term.has_keys ? STDIN_FILENO : -1,
					 .events = POLLIN } };
		int n = poll(p, 2, (int)*timeout_ms);
		long left_ms = end - (long)clock_ms();

		*timeout_ms = left_ms > 0 ? left_ms : 0;
		if (n > 0 && p[0].revents && terminal_take_signal())
			return TERMINAL_DRAW;
		if (n > 0 && p[1].revents) {
			if (read(STDIN_FILENO, key, 1) == 1)
				return TERMINAL_KEY;
			term.has_keys = false; /* it has hung up: SIGHUP follows */
		}
		if (!*timeout_ms)
			return TERMINAL_TIME;
	}
}
