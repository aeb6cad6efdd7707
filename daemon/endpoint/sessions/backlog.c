// SPDX-License-Identifier: BSD-3-Clause
/*
 * backlog.c - which client a session gets, where clients call
 *
 * As with accept(2): clients and sessions are joined in the order in which they have come. Few clients
 * are held here; when there is no place for another one, the listening socket is left alone, and the
 * kernel holds the next ones, or lets them wait in connect(2).
 *
 * A client that leaves while it waits goes, unless it has written something: that is for the guest.
 */
#include "endpoint/sessions/backlog.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint/stream/packets.h"
#include "util/fd.h"

/* A client that waits */
struct backlog_client {
	TAILQ_ENTRY(backlog_client) next;
	int fd;
	struct tls *tls;
	bool is_torn; /* TLS has ended too early */
};

static void take_out(struct backlog *b, struct backlog_client *c)
{
	/* An error means that the set has dropped it before */
	epoll_ctl(b->hup_fd, EPOLL_CTL_DEL, c->fd, NULL);
	TAILQ_REMOVE(&b->client, c, next);
	if (b->n-- == SESSION_BACKLOG)
		b->full(b, false);
}

static void drop_client(struct backlog *b, struct backlog_client *c)
{
	take_out(b, c);
	close(c->fd);
	tls_free(c->tls);
	free(c);
}

static void waiting_link_torn(void *arg, struct tls_link *link, const char *why)
{
	struct backlog_client *c = arg;

	c->is_torn = true;
}

static const struct tls_ops waiting_tls_ops = { .torn = waiting_link_torn };

static void session_link_torn(void *arg, struct tls_link *link, const char *why)
{
	session_torn(arg, tls_link_peer(link), why);
}

static const struct tls_ops session_tls_ops = { .torn = session_link_torn };

static int give(struct session *s, int fd, struct tls *tls, bool is_torn)
{
	s->stream.in_torn = is_torn;
	s->tls = tls;
	if (tls)
		tls_move(tls, s->ep.ch, &session_tls_ops, s);
	return session_connect(s, fd);
}

/* A client that has left has nothing to say unless it has written something. */
static bool has_left(const struct backlog *b, int fd)
{
	struct pollfd p = { .fd = fd };
	char c;

	if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR)))
		return false;
	if (b->board->ep.ch->cfg->packets)
		return !packets_has_unread(fd); /* which may be an empty message */
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void on_backlog_hup(evutil_socket_t fd, short what, void *arg)
{
	struct backlog *b = arg;
	struct epoll_event ev[SESSION_BACKLOG];
	int n = epoll_wait(fd, ev, SESSION_BACKLOG, 0);

	for (int i = 0; i < n; i++) {
		struct backlog_client *client = ev[i].data.ptr;

		if (has_left(b, client->fd))
			drop_client(b, client);
		else
			epoll_ctl(fd, EPOLL_CTL_DEL, client->fd, NULL);
	}
}

int backlog_init(struct backlog *b, struct board *board, void (*full)(struct backlog *b, bool yes))
{
	*b = (struct backlog){ .board = board, .hup_fd = -1, .full = full };
	TAILQ_INIT(&b->client);
	b->hup_fd = epoll_create1(EPOLL_CLOEXEC);
	if (b->hup_fd < 0)
		return -errno;
	b->hup = event_new(loop_base(board->ep.ch->loop), b->hup_fd, EV_READ | EV_PERSIST,
			   on_backlog_hup, b);
	if (b->hup && !event_add(b->hup, NULL))
		return 0;
	backlog_deinit(b);
	return -ENOMEM;
}

void backlog_deinit(struct backlog *b)
{
	if (!b->board)
		return;
	while (!TAILQ_EMPTY(&b->client))
		drop_client(b, TAILQ_FIRST(&b->client));
	if (b->hup)
		event_free(b->hup);
	b->hup = NULL;
	b->hup_fd = fd_close(b->hup_fd);
}

void backlog_come(struct backlog *b, int fd, struct tls *tls)
{
	struct epoll_event nothing = { .events = 0 };
	struct backlog_client *c;

	if (has_left(b, fd)) {
		close(fd);
		tls_free(tls);
		return;
	}
	if (!TAILQ_EMPTY(&b->board->waiting)) {
		give(TAILQ_FIRST(&b->board->waiting), fd, tls, false);
		return;
	}
	c = calloc(1, sizeof(*c));
	nothing.data.ptr = c;
	if (!c || epoll_ctl(b->hup_fd, EPOLL_CTL_ADD, fd, &nothing)) {
		board_note(b->board, "a client is dropped: %s", strerror(errno));
		free(c);
		close(fd);
		tls_free(tls);
		return;
	}
	c->fd = fd;
	c->tls = tls;
	if (tls)
		tls_move(tls, b->board->ep.ch, &waiting_tls_ops, c);
	TAILQ_INSERT_TAIL(&b->client, c, next);
	if (++b->n == SESSION_BACKLOG)
		b->full(b, true);
}

int backlog_open(struct backlog *b, struct channel *ch, uint32_t flags, struct endpoint **ep)
{
	struct backlog_client *c;
	struct session *s;
	int r = 1;

	while ((c = TAILQ_FIRST(&b->client)) && has_left(b, c->fd))
		drop_client(b, c);
	if (!c && flags & OKL4FS_OPEN_NOWAIT)
		return -OKL4_NO_CLIENT;
	s = session_new(sizeof(*s), b->board, ch);
	if (!s)
		return -OKL4_NO_MEMORY;
	if (c) {
		take_out(b, c);
		r = give(s, c->fd, c->tls, c->is_torn);
		free(c);
	} else {
		session_wait(s);
	}
	if (r < 0)
		endpoint_free(&s->ep);
	else
		*ep = &s->ep;
	return r;
}
