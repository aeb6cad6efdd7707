// SPDX-License-Identifier: BSD-3-Clause
/*
 * okl4fs-login.c - `okl4fs-login CHANNEL [COMMAND...]`: a login over a channel
 *
 * A channel is not a terminal: it has neither job control nor a size. So a pty stands between the
 * channel and login(1), as with sshd. One client after the other gets a login:
 *
 *	wait		until a client is connected: the host's reader is open
 *	greet		ask for the window's size (util/csi.h), and wait for a byte. A client that knows the
 *			request answers at once; others press Enter
 *	serve		move bytes between the channel and the pty, until login ends or the client leaves
 *	part		after login has ended: end our stream, and wait until the client has gone, so that it
 *			does not see the next login
 *
 * A client that has left is an end-of-file. Then the pty is closed, and the kernel hangs up the session.
 * The channel stays open, since the end of our stream could reach the next client.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "util/csi.h"

#define PIECE_BYTES  16384
#define EXIT_NONE    4 /* there is no such channel (okl4fs-login(8)) */
#define DEFAULT_TERM "xterm-256color"
#define LAST_BYTES   65536 /* of output after login has ended, at most */

/**
 * struct flow - one direction
 * @csi: looks for sequences that are for us
 * @at: first byte of @buf that is not written
 * @end: behind its last byte
 * @buf: what was read
 */
struct flow {
	struct csi csi;
	size_t at, end;
	char buf[PIECE_BYTES + CSI_MAX_BYTES];
};

static struct {
	int from_host, to_host; /* the channel */
	int pty, terminal; /* its two sides */
	sigset_t watched;
	int signals; /* signalfd of SIGCHLD and of those that end us */
	pid_t child;
	struct winsize size;
	bool has_size, app_reports; /* a program here wants reports, too */
	struct flow in, out;
} session = { .pty = -1, .size = { .ws_row = 24, .ws_col = 80 } };

static bool take_report(void *arg, const char *sequence)
{
	unsigned short rows, columns;

	(void)arg;
	if (!csi_read_report(sequence, &rows, &columns))
		return false;
	session.size.ws_row = rows;
	session.size.ws_col = columns;
	session.has_size = true;
	if (session.pty >= 0)
		ioctl(session.pty, TIOCSWINSZ, &session.size); /* which sends SIGWINCH */
	return !session.app_reports;
}

/* A program that asks its terminal for reports asks us; the host must go on to report */
static bool take_request(void *arg, const char *sequence)
{
	char report[CSI_MAX_BYTES];

	(void)arg;
	if (!strcmp(sequence, CSI_REPORT_OFF)) {
		session.app_reports = false;
		return true;
	}
	if (strcmp(sequence, CSI_REPORT_ON) != 0)
		return false;
	session.app_reports = true;
	if (write(session.pty, report,
		  csi_make_report(report, session.size.ws_row, session.size.ws_col)) < 0)
		warn("cannot report the size");
	return true;
}

static bool is_pending(const struct flow *f)
{
	return f->at < f->end;
}

/* Return: bytes read, 0 at the end, -1: nothing now, -2: an error */
static ssize_t fill(struct flow *f, int fd, bool (*take)(void *arg, const char *sequence))
{
	static char piece[PIECE_BYTES];
	ssize_t n = read(fd, piece, sizeof(piece));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -1 : -2;
	f->at = 0;
	f->end = csi_pass(&f->csi, piece, (size_t)n, f->buf, take, NULL);
	return n;
}

/* Return: false when nothing more is taken there */
static bool drain(struct flow *f, int fd)
{
	ssize_t n = write(fd, f->buf + f->at, f->end - f->at);

	if (n >= 0)
		f->at += (size_t)n;
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static int open_end(const char *path, int mode)
{
	int fd = open(path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		err(errno == ENOENT ? EXIT_NONE : EXIT_FAILURE, "%s", path);
	if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		errx(EXIT_FAILURE, "%s: not a channel", path);
	return fd;
}

enum { FROM_HOST, TO_HOST, PTY, SIGNALS, N_POLLED };
enum outcome { GO_ON, ENDED, HUNG_UP };

/* Return: ENDED: the command has ended. A signal that ends us also hangs up the session */
static enum outcome take_signal(void)
{
	struct signalfd_siginfo info;
	enum outcome r = GO_ON;
	pid_t pid;

	if (read(session.signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return GO_ON;
	if (info.ssi_signo != SIGCHLD)
		exit(0);
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) /* also those that were hung up before */
		r = pid == session.child ? ENDED : r;
	return r;
}

/* poll(2) would report at once that the last client's end is closed; an edge tells of the next one */
static void wait_for_client(void)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET }, seen = { 0 };
	struct epoll_event in = { .events = EPOLLIN };
	int set = epoll_create1(EPOLL_CLOEXEC);

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, session.to_host, &ev))
		err(EXIT_FAILURE, "epoll");
	if (epoll_ctl(set, EPOLL_CTL_ADD, session.signals, &in))
		err(EXIT_FAILURE, "epoll");
	while (!(seen.events & EPOLLOUT) || seen.events & EPOLLERR) {
		if (epoll_wait(set, &seen, 1, -1) < 0 && errno != EINTR)
			err(EXIT_FAILURE, "epoll");
		if (seen.events & EPOLLIN) {
			take_signal();
			continue;
		}
		if (!(seen.events & EPOLLOUT) && seen.events & EPOLLHUP)
			errx(EXIT_FAILURE, "the channel has failed");
	}
	close(set);
}

static void release_held(struct flow *f)
{
	if (is_pending(f) || !f->csi.n)
		return;
	f->at = 0;
	f->end = csi_release(&f->csi, f->buf);
}

/* Return: true when Enter was there, which only wakes us */
static bool skip_enter(struct flow *f)
{
	bool found = false;

	while (is_pending(f) && (f->buf[f->at] == '\r' || f->buf[f->at] == '\n')) {
		f->at++;
		found = true;
	}
	return found;
}

/* Return: false when the client has left without a word */
static bool greet(void)
{
	static const char ask[] = CSI_ESC CSI_REPORT_ON;
	struct pollfd p[2] = { { .fd = session.from_host, .events = POLLIN },
			       { .fd = session.signals, .events = POLLIN } };
	struct flow *in = &session.in;

	if (write(session.to_host, ask, strlen(ask)) < 0 && errno != EAGAIN)
		return false;
	while (!session.has_size && !is_pending(in)) {
		ssize_t n;

		if (!poll(p, 2, in->csi.n ? CSI_HOLD_MS : -1)) {
			release_held(in);
			continue;
		}
		if (p[1].revents)
			take_signal();
		n = fill(in, session.from_host, take_report);
		if (!n || n == -2)
			return false;
		if (n > 0 && skip_enter(in))
			return true;
	}
	return true;
}

static void watch_signals(void)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGHUP, SIGINT };

	sigemptyset(&session.watched);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&session.watched, numbers[i]);
	sigprocmask(SIG_BLOCK, &session.watched, NULL);
	session.signals = signalfd(-1, &session.watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (session.signals < 0)
		err(EXIT_FAILURE, "signalfd");
}

static void start(char **command)
{
	/* We keep the other side open, too: else there would be an end whenever login opens it again */
	if (openpty(&session.pty, &session.terminal, NULL, NULL, &session.size))
		err(EXIT_FAILURE, "cannot make a terminal");
	session.child = fork();
	if (session.child < 0)
		err(EXIT_FAILURE, "cannot fork");
	if (!session.child) {
		close(session.pty);
		if (login_tty(session.terminal))
			err(EXIT_FAILURE, "cannot take the terminal");
		sigprocmask(SIG_UNBLOCK, &session.watched, NULL);
		signal(SIGPIPE, SIG_DFL);
		setenv("TERM", DEFAULT_TERM, 0);
		execvp(command[0], command);
		err(EXIT_FAILURE, "%s", command[0]);
	}
	fcntl(session.pty, F_SETFD, FD_CLOEXEC);
	fcntl(session.terminal, F_SETFD, FD_CLOEXEC);
	fcntl(session.pty, F_SETFL, O_NONBLOCK);
}

static void close_terminal(void)
{
	close(session.pty);
	close(session.terminal);
	session.pty = -1;
}

static enum outcome turn(const struct pollfd *p)
{
	struct flow *in = &session.in, *out = &session.out;

	if (p[TO_HOST].revents & POLLERR)
		return HUNG_UP; /* it no longer reads */
	if (p[TO_HOST].revents & POLLOUT && is_pending(out) && !drain(out, session.to_host))
		return HUNG_UP;
	if (p[PTY].revents & POLLOUT && is_pending(in) && !drain(in, session.pty))
		return HUNG_UP;
	if (p[FROM_HOST].revents && !is_pending(in)) {
		ssize_t n = fill(in, session.from_host, take_report);

		if (!n || n == -2)
			return HUNG_UP;
	}
	if (p[PTY].revents & POLLIN && !is_pending(out))
		fill(out, session.pty, take_request);
	return p[SIGNALS].revents ? take_signal() : GO_ON;
}

static enum outcome serve(void)
{
	struct flow *in = &session.in, *out = &session.out;
	enum outcome r = GO_ON;

	while (r == GO_ON) {
		struct pollfd p[N_POLLED] = {
			{ .fd = is_pending(in) ? -1 : session.from_host, .events = POLLIN },
			{ .fd = session.to_host, .events = is_pending(out) ? POLLOUT : 0 },
			{ .fd = session.pty,
			  .events = (short)((is_pending(in) ? POLLOUT : 0) |
					    (is_pending(out) ? 0 : POLLIN)) },
			{ .fd = session.signals, .events = POLLIN },
		};
		int n = poll(p, N_POLLED, in->csi.n || out->csi.n ? CSI_HOLD_MS : -1);

		if (!n) {
			release_held(in);
			release_held(out);
		} else if (n > 0) {
			r = turn(p);
		}
	}
	return r;
}

/* Return: false when the client has gone */
static bool write_out(void)
{
	struct pollfd p[2] = { { .fd = session.to_host, .events = POLLOUT },
			       { .fd = session.signals, .events = POLLIN } };

	while (is_pending(&session.out)) {
		if (poll(p, 2, -1) <= 0)
			continue;
		if (p[1].revents)
			take_signal();
		if (p[0].revents & POLLERR ||
		    (p[0].revents && !drain(&session.out, session.to_host)))
			return false;
	}
	return true;
}

/* What login and its children printed last, then the end */
static void part(void)
{
	static const char off[] = CSI_ESC CSI_REPORT_OFF;
	struct pollfd p[2] = { { .fd = session.from_host, .events = POLLIN },
			       { .fd = session.signals, .events = POLLIN } };
	size_t bytes = 0;
	ssize_t n = 1;

	while (n > 0 && bytes < LAST_BYTES && write_out()) {
		n = fill(&session.out, session.pty, take_request);
		bytes += n > 0 ? (size_t)n : 0;
	}
	close_terminal();
	session.out.at = 0;
	session.out.end = csi_release(&session.out.csi, session.out.buf);
	memcpy(session.out.buf + session.out.end, off, strlen(off));
	session.out.end += strlen(off);
	write_out();
	close(session.to_host);
	do {
		poll(p, 2, -1);
		if (p[1].revents)
			take_signal();
		n = fill(&session.in, session.from_host, take_report);
	} while (n > 0 || n == -1);
}

/*
 * After an end-of-file. Reading goes on when the next client is there already. Return: false when a
 * client that has only ended its own stream stays, for which we have to end ours.
 */
static bool has_left(void)
{
	struct pollfd p = { .fd = session.to_host };

	poll(&p, 1, 0);
	return p.revents & POLLERR || fill(&session.in, session.from_host, take_report);
}

static void forget(void)
{
	memset(&session.in, 0, sizeof(session.in));
	memset(&session.out, 0, sizeof(session.out));
	session.size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	session.has_size = session.app_reports = false;
}

static void serve_clients(const char *path, char **command)
{
	session.from_host = open_end(path, O_RDONLY);
	session.to_host = open_end(path, O_WRONLY);
	for (;;) {
		bool ended = false;

		wait_for_client();
		if (greet()) {
			start(command);
			ended = serve() == ENDED;
			if (ended)
				part();
			else
				close_terminal();
		}
		forget();
		if (!ended && !has_left())
			return; /* the service manager starts the next one */
		/* An opening that has read the end reads it again until the next client's writer is there */
		close(session.from_host);
		session.from_host = open_end(path, O_RDONLY);
		if (ended)
			session.to_host = open_end(path, O_WRONLY);
	}
}

int main(int argc, char **argv)
{
	static char path[] = "/bin/login", keep_environment[] = "-p";
	static char *default_command[] = { path, keep_environment, NULL };

	if (argc < 2 || argv[1][0] == '-') {
		fprintf(argc > 1 && !strcmp(argv[1], "--help") ? stdout : stderr,
			"usage: okl4fs-login CHANNEL [COMMAND [ARGUMENT...]]\n"
			"A login for each client of a channel, see okl4fs-login(8)\n");
		return argc > 1 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	signal(SIGPIPE, SIG_IGN);
	watch_signals();
	serve_clients(argv[1], argc > 2 ? argv + 2 : default_command);
	return 0;
}
