// SPDX-License-Identifier: BSD-3-Clause
/*
 * bridge.c - bytes between a session and a socket, both ways
 *
 * Each descriptor has one edge-triggered event for reading and writing, from the beginning to the end. So
 * a wake-up costs no system call besides those that move bytes, and it also tells when a peer has gone
 * while nothing is to be written. A piece is read into memory that all bridges share; only what
 * the receiver did not take is kept, and nothing is read as long as something is kept.
 */
#include "serve/bridge.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libfs/ioctl.h"

#define PIECE_BYTES 65536
#define TURNS       16 /* pieces of a direction before others have their turn */

/**
 * struct side - one of the two descriptors
 * @gone: what poll(2) reports of it when its peer no longer reads
 */
struct side {
	struct bridge *bridge;
	int fd;
	bool is_session;
	short gone;
	struct event *event;
};

/**
 * struct flow - one direction
 * @rest: what @to has not taken, or NULL
 * @at, @end: where in @rest
 * @has_ended: @from has had its end of file
 * @is_over: nothing moves any longer
 */
struct flow {
	struct side *from, *to;
	char *rest;
	size_t at, end;
	bool has_ended, is_over;
};

enum { SESSION, OTHER };

struct bridge {
	struct side side[2];
	struct flow flow[2]; /* by the side that it comes from */
	struct event *again;
	int error;
	void (*ended)(void *arg, int error);
	void *arg;
};

static void shut(const struct side *s, int how)
{
	if (s->is_session)
		ioctl(s->fd, OKL4FS_IOC_SHUTDOWN, how);
	else
		shutdown(s->fd, how);
}

static void forget_rest(struct flow *f)
{
	free(f->rest);
	f->rest = NULL;
}

/* The receiver no longer reads, so the sender should not write */
static void break_flow(struct flow *f)
{
	forget_rest(f);
	f->is_over = true;
	shut(f->from, SHUT_RD);
}

static void end_flow(struct flow *f)
{
	f->is_over = true;
	shut(f->to, SHUT_WR);
}

static bool is_temporary(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Return: bytes taken, or -1: the receiver no longer reads */
static ssize_t give(struct flow *f, const char *bytes, size_t n)
{
	ssize_t taken;

	do
		taken = write(f->to->fd, bytes, n);
	while (taken < 0 && errno == EINTR);
	if (taken >= 0)
		return taken;
	return errno == EAGAIN ? 0 : -1;
}

/* Return: false: the receiver has to take something first, or the direction is over */
static bool give_rest(struct flow *f)
{
	ssize_t n = give(f, f->rest + f->at, f->end - f->at);

	if (n < 0) {
		break_flow(f);
		return false;
	}
	f->at += (size_t)n;
	if (f->at < f->end)
		return n > 0; /* once more: an edge comes only after EAGAIN */
	forget_rest(f);
	return true;
}

static bool give_piece(struct flow *f, const char *piece, size_t n)
{
	ssize_t taken = give(f, piece, n);

	if (taken >= 0 && (size_t)taken < n) {
		f->rest = malloc(n - (size_t)taken);
		if (f->rest) {
			f->at = 0;
			f->end = n - (size_t)taken;
			memcpy(f->rest, piece + taken, f->end);
			return true;
		}
		f->from->bridge->error = ENOMEM;
	}
	if (taken == (ssize_t)n)
		return true;
	break_flow(f);
	return false;
}

/* Return: false: nothing can move now */
static bool move_piece(struct flow *f)
{
	static char piece[PIECE_BYTES];
	ssize_t n;

	if (f->rest)
		return give_rest(f);
	if (f->has_ended) {
		end_flow(f);
		return false;
	}
	n = read(f->from->fd, piece, sizeof(piece));
	if (n > 0)
		return give_piece(f, piece, (size_t)n);
	if (n < 0 && !is_temporary())
		f->from->bridge->error = errno;
	f->has_ended = !n;
	return !n || (n < 0 && errno == EINTR);
}

/* Return: true: there is more to do at once */
static bool run_flow(struct flow *f)
{
	for (int i = 0; i < TURNS; i++)
		if (f->is_over || f->from->bridge->error || !move_piece(f))
			return false;
	return true;
}

static void look_whether_gone(struct flow *f)
{
	struct pollfd p = { .fd = f->to->fd };

	if (!f->is_over && !f->rest && poll(&p, 1, 0) > 0 && p.revents & f->to->gone)
		break_flow(f);
}

static void run(struct bridge *b)
{
	bool more = run_flow(&b->flow[SESSION]);

	more = run_flow(&b->flow[OTHER]) || more;
	if (b->error || (b->flow[SESSION].is_over && b->flow[OTHER].is_over)) {
		void (*ended)(void *, int) = b->ended;
		void *arg = b->arg;
		int error = b->error;

		bridge_free(b);
		ended(arg, error);
	} else if (more) {
		event_add(b->again, &(struct timeval){ 0 });
	}
}

static void woken(evutil_socket_t fd, short what, void *arg)
{
	struct side *s = arg;
	struct bridge *b = s->bridge;

	if (what & EV_WRITE)
		look_whether_gone(&b->flow[s == &b->side[SESSION] ? OTHER : SESSION]);
	run(b);
}

static void go_on(evutil_socket_t fd, short what, void *arg)
{
	run(arg);
}

static bool watch(struct event_base *base, struct side *s)
{
	if (evutil_make_socket_nonblocking(s->fd))
		return false;
	s->event = event_new(base, s->fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, woken, s);
	return s->event && !event_add(s->event, NULL);
}

struct bridge *bridge_new(struct event_base *base, int session, int other,
			  void (*ended)(void *arg, int error), void *arg)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (!b) {
		close(session);
		close(other);
		return NULL;
	}
	b->side[SESSION] =
		(struct side){ .bridge = b, .fd = session, .is_session = true, .gone = POLLERR };
	/* HUP: it has shut down both directions, so there may still be something to read */
	b->side[OTHER] = (struct side){ .bridge = b, .fd = other, .gone = POLLERR | POLLHUP };
	b->flow[SESSION] = (struct flow){ .from = &b->side[SESSION], .to = &b->side[OTHER] };
	b->flow[OTHER] = (struct flow){ .from = &b->side[OTHER], .to = &b->side[SESSION] };
	b->ended = ended;
	b->arg = arg;
	b->again = evtimer_new(base, go_on, b);
	if (!b->again || !watch(base, &b->side[SESSION]) || !watch(base, &b->side[OTHER])) {
		bridge_free(b);
		return NULL;
	}
	return b;
}

void bridge_free(struct bridge *b)
{
	struct linger reset = { .l_onoff = 1 };

	if (!b)
		return;
	/* What TCP's peer gets is not whole, so it should not look as if it were */
	if (!b->flow[SESSION].is_over || b->flow[SESSION].rest)
		setsockopt(b->side[OTHER].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	for (int i = 0; i < 2; i++) {
		if (b->side[i].event)
			event_free(b->side[i].event);
		close(b->side[i].fd);
		forget_rest(&b->flow[i]);
	}
	if (b->again)
		event_free(b->again);
	free(b);
}
