// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two directions, one buffer for each, and one poll(2) that asks only for what can be used. The end
 * of stdin is a half-close. Standard descriptors are shared with other programs, so they stay in
 * blocking mode; a pipe that poll(2) calls writable takes PIPE_BUF bytes without blocking, so no
 * more is written at a time. The socket never blocks.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/attach/attach.h"
#include "ctl/terminal.h"

enum { UP_FROM, UP_TO, DOWN_FROM, DOWN_TO, NEWS, SIGNAL, N_POLLED };

static void way_read(struct attach_way *w)
{
	ssize_t n = read(w->from, w->buf, ATTACH_BYTES);

	if (n > 0) {
		w->at = 0;
		w->end = (size_t)n;
		w->total += (size_t)n;
	} else if (!n || (errno != EAGAIN && errno != EINTR)) {
		w->error = n ? errno : 0;
		w->eof = true;
	}
}

static void way_write(struct attach_way *w)
{
	size_t bytes = w->end - w->at;
	ssize_t n = write(w->to, w->buf + w->at, bytes < w->to_max ? bytes : w->to_max);

	if (n >= 0) {
		w->at += (size_t)n;
		w->moved += (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		w->error = errno;
		w->dead = w->eof = true;
	}
}

bool attach_way_done(const struct attach_way *w)
{
	return w->dead || (w->eof && w->at == w->end);
}

/* A negative descriptor asks for nothing */
static void way_poll(const struct attach_way *w, struct pollfd *from, struct pollfd *to)
{
	*from = *to = (struct pollfd){ .fd = -1 };
	if (w->dead)
		return;
	if (w->at < w->end)
		*to = (struct pollfd){ .fd = w->to, .events = POLLOUT };
	else if (!w->eof)
		*from = (struct pollfd){ .fd = w->from, .events = POLLIN };
}

static void turn_up(struct attach *a, const struct pollfd *p)
{
	bool is_console = a->mode == ATTACH_CONSOLE;

	if (p[UP_TO].fd >= 0 && p[UP_TO].revents)
		way_write(&a->up);
	if (p[UP_FROM].fd >= 0 && p[UP_FROM].revents && a->up.at == a->up.end) {
		way_read(&a->up);
		if (is_console && attach_console_escaped(&a->console, &a->up)) {
			a->escaped = true;
			if (a->up.at < a->up.end)
				way_write(&a->up);
		}
		a->escaped |= is_console && a->up.eof; /* the terminal is gone */
	}
}

static void turn_down(struct attach *a, const struct pollfd *p)
{
	struct attach_way *w = &a->down;

	if (p[DOWN_TO].fd >= 0 && p[DOWN_TO].revents)
		way_write(w);
	if (p[DOWN_FROM].fd >= 0 && p[DOWN_FROM].revents) {
		way_read(w);
		if (a->mode == ATTACH_CONSOLE && w->at < w->end)
			attach_console_filter(&a->console, w);
	}
}

/* Return: false when there may still be bytes from the guest */
static bool has_nothing_more(const struct attach *a)
{
	char c;

	if (a->down.at < a->down.end)
		return false;
	return a->down.eof || recv(a->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* The guest's answer may follow, unless it has never written and does not mean to */
static bool is_settled(const struct attach *a)
{
	const struct attach_news *n = &a->news;

	if (a->mode == ATTACH_SEND && n->taken && !n->all)
		return true;
	if (!n->taken || !a->half_closed)
		return false;
	if (a->mode == ATTACH_SEND)
		return has_nothing_more(a);
	return a->mode == ATTACH_BOTH && n->all && a->up.total && !n->guest_writes &&
	       !a->down.total && has_nothing_more(a);
}

static bool is_over(const struct attach *a)
{
	bool lost = a->news.disconnected && a->news.torn; /* the socket may stay open (tear.c) */

	if (a->escaped || is_settled(a) || a->down.dead || (lost && has_nothing_more(a)))
		return true;
	if (!attach_way_done(&a->down))
		return false;
	if (a->has_sessions)
		return attach_way_done(
			&a->up); /* a reader in the guest writes nothing, not even later */
	/* Its end says nothing about the other direction; the daemon does */
	return a->mode != ATTACH_SEND || a->up.dead || a->news.removed || !a->news.is_open ||
	       (!a->news.connected && !a->accepted);
}

static int choose_timeout(struct attach *a)
{
	int ms = attach_progress_show(&a->progress, a->up.moved + a->down.moved);

	if (a->console.from_guest.n && a->down.at == a->down.end)
		ms = ms >= 0 && ms < CSI_HOLD_MS ? ms : CSI_HOLD_MS;
	return ms;
}

static void put_report(struct attach *a)
{
	if (a->console.report_bytes && a->up.at == a->up.end && !a->up.eof)
		attach_console_put_report(&a->console, &a->up);
}

static void wait_and_turn(struct attach *a)
{
	bool is_console = a->mode == ATTACH_CONSOLE;
	struct pollfd p[N_POLLED];
	int n;

	put_report(a);
	way_poll(&a->up, &p[UP_FROM], &p[UP_TO]);
	way_poll(&a->down, &p[DOWN_FROM], &p[DOWN_TO]);
	p[NEWS] = (struct pollfd){ .fd = a->news.is_open ? a->news.connection.fd : -1,
				   .events = POLLIN };
	if (a->has_sessions && a->down.eof)
		p[NEWS] = (struct pollfd){ .fd = a->fd }; /* hung up: nobody takes anything */
	p[SIGNAL] =
		(struct pollfd){ .fd = is_console ? terminal_signal_fd() : -1, .events = POLLIN };
	n = poll(p, N_POLLED, choose_timeout(a));
	if (n < 0)
		return;
	if (!n && is_console && a->down.at == a->down.end)
		attach_console_release(&a->console, &a->down);
	if (p[SIGNAL].fd >= 0 && p[SIGNAL].revents && terminal_take_signal())
		attach_console_resized(&a->console);
	put_report(a); /* before what was typed after it */
	if (p[NEWS].fd >= 0 && p[NEWS].revents && a->has_sessions)
		a->up.dead = true;
	else if (p[NEWS].fd >= 0 && p[NEWS].revents)
		attach_news_take(&a->news);
	turn_up(a, p);
	turn_down(a, p);
}

static size_t write_limit(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) ? ATTACH_BYTES : PIPE_BUF;
}

void attach_pump(struct attach *a)
{
	a->up.from = STDIN_FILENO;
	a->up.to = a->down.from = a->fd;
	a->up.to_max = ATTACH_BYTES;
	a->down.to = STDOUT_FILENO;
	a->down.to_max = write_limit(STDOUT_FILENO);
	a->up.eof = a->mode == ATTACH_RECEIVE;
	while (!is_over(a)) {
		if (attach_way_done(&a->up) && !a->half_closed && a->mode != ATTACH_RECEIVE) {
			shutdown(a->fd, SHUT_WR);
			a->half_closed = true;
		}
		wait_and_turn(a);
	}
	if (a->mode == ATTACH_CONSOLE && a->console.from_guest.n) {
		attach_console_release(&a->console, &a->down);
		way_write(&a->down);
	}
}
