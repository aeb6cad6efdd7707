// SPDX-License-Identifier: BSD-3-Clause
/*
 * A client that says nothing for MUX_LINE_MS is dropped, and so is the one that has been silent for the
 * longest time when there are too many. The line is taken from the socket and no byte behind it, so what
 * follows is the session's.
 *
 * All channels of a guest belong to one worker, and only that uses their mux. The list of all has a lock,
 * held for a moment when a channel comes or goes.
 */
#include "endpoint/sessions/mux.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"

#define WORD       "CONNECT "
#define WORD_BYTES (sizeof(WORD) - 1)
#define LINE_BYTES (WORD_BYTES + OKL4FS_NAME_MAX + 1) /* with its end */

/* A client that has not said its line */
struct mux_client {
	TAILQ_ENTRY(mux_client) next;
	struct mux *mux;
	int fd;
	struct event *ev;
	uint64_t until_ms;
	size_t bytes; /* in @line */
	char line[LINE_BYTES];
};

struct mux {
	struct mux *next; /* of all; protected by mux_lock */
	const struct loop *loop;
	const char *guest; /* borrowed from the guest */
	TAILQ_HEAD(, mux_board) boards;
	struct unix_place place; /* named after the channel of the first board */
	TAILQ_HEAD(mux_clients, mux_client) clients; /* the oldest first */
	unsigned int n_clients;
	struct event *timer; /* when the oldest is dropped */
	unsigned int port; /* the last one */
};

static pthread_mutex_t mux_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mux *mux_all;

static const struct channel *first_channel(const struct mux *mux)
{
	return TAILQ_FIRST(&mux->boards)->board.ep.ch;
}

static void plan_drop(struct mux *mux)
{
	struct mux_client *oldest = TAILQ_FIRST(&mux->clients);
	uint64_t now = clock_ms();

	event_del(mux->timer);
	if (oldest)
		loop_start_timer(mux->timer, oldest->until_ms > now ? oldest->until_ms - now : 0);
}

/* Return: its connection */
static int take_client(struct mux_client *c)
{
	struct mux *mux = c->mux;
	bool was_oldest = c == TAILQ_FIRST(&mux->clients);
	int fd = c->fd;

	TAILQ_REMOVE(&mux->clients, c, next);
	mux->n_clients--;
	event_free(c->ev);
	free(c);
	if (was_oldest)
		plan_drop(mux);
	return fd;
}

static void drop_client(struct mux_client *c, const char *why)
{
	log_about(LOG_LEVEL_DEBUG, &c->mux->place.about, "mux-listen: a client is dropped: %s",
		  why);
	close(take_client(c));
}

static void on_mux_time(evutil_socket_t fd, short what, void *arg)
{
	struct mux *mux = arg;
	struct mux_client *c;

	while ((c = TAILQ_FIRST(&mux->clients)) && c->until_ms <= clock_ms())
		drop_client(c, "it has not said which channel it wants");
	plan_drop(mux);
}

static struct mux_board *find_board(const struct mux *mux, const char *name, size_t bytes)
{
	struct mux_board *mb;

	TAILQ_FOREACH(mb, &mux->boards, next)
	{
		if (!strncmp(mb->board.ep.ch->cfg->name, name, bytes) &&
		    !mb->board.ep.ch->cfg->name[bytes])
			return mb;
	}
	return NULL;
}

/* The line is complete, without its end */
static void obey_line(struct mux_client *c)
{
	bool is_connect = c->bytes > WORD_BYTES && !memcmp(c->line, WORD, WORD_BYTES) &&
			  !memchr(c->line, 0, c->bytes);
	struct mux_board *mb = NULL;

	if (is_connect)
		mb = find_board(c->mux, c->line + WORD_BYTES, c->bytes - WORD_BYTES);
	if (!is_connect) {
		drop_client(c, "its line is not CONNECT and a name");
	} else if (!mb) {
		drop_client(c, "no channel at this socket has the name that it wants");
	} else if (mb->backlog.n == SESSION_BACKLOG) {
		mb->refused++;
		drop_client(c, "too many wait for the channel that it wants");
	} else {
		backlog_come(&mb->backlog, take_client(c), NULL);
	}
}

/* @c may be gone afterwards */
static void read_line(struct mux_client *c)
{
	size_t room = sizeof(c->line) - c->bytes, taken;
	ssize_t n = recv(c->fd, c->line + c->bytes, room, MSG_PEEK);
	const char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_client(c, "it has left");
		return;
	}
	end = memchr(c->line + c->bytes, '\n', (size_t)n);
	taken = end ? (size_t)(end + 1 - c->line) - c->bytes : (size_t)n;
	/* What was seen is there, so all of it comes */
	if (recv(c->fd, c->line + c->bytes, taken, 0) != (ssize_t)taken) {
		drop_client(c, "its line cannot be read");
		return;
	}
	c->bytes += taken - (end != NULL);
	if (end)
		obey_line(c);
	else if (c->bytes == sizeof(c->line))
		drop_client(c, "its line is too long");
}

static void on_mux_client(evutil_socket_t fd, short what, void *arg)
{
	read_line(arg);
}

/* Many may come at once, and their lines are there before they are read */
static void make_place(struct mux *mux)
{
	read_line(TAILQ_FIRST(&mux->clients));
	if (mux->n_clients > MUX_CLIENTS)
		drop_client(TAILQ_FIRST(&mux->clients),
			    "too many have not said which channel they want");
}

static void mux_client_came(void *arg, int fd)
{
	struct mux *mux = arg;
	struct mux_client *c = calloc(1, sizeof(*c));

	if (c)
		c->ev = event_new(loop_base(mux->place.loop), fd, EV_READ | EV_PERSIST,
				  on_mux_client, c);
	if (!c || !c->ev || event_add(c->ev, NULL)) {
		log_about(LOG_LEVEL_WARNING, &mux->place.about,
			  "mux-listen: a client is dropped: out of memory");
		if (c && c->ev)
			event_free(c->ev);
		free(c);
		close(fd);
		return;
	}
	c->mux = mux;
	c->fd = fd;
	c->until_ms = clock_ms() + MUX_LINE_MS;
	TAILQ_INSERT_TAIL(&mux->clients, c, next);
	if (++mux->n_clients == 1)
		plan_drop(mux);
	else if (mux->n_clients > MUX_CLIENTS)
		make_place(mux);
}

static void free_mux(struct mux *mux)
{
	struct mux **at;

	pthread_mutex_lock(&mux_lock);
	for (at = &mux_all; *at && *at != mux; at = &(*at)->next)
		;
	if (*at)
		*at = mux->next;
	pthread_mutex_unlock(&mux_lock);
	while (!TAILQ_EMPTY(&mux->clients))
		close(take_client(TAILQ_FIRST(&mux->clients)));
	unix_place_leave(&mux->place);
	if (mux->timer)
		event_free(mux->timer);
	free(mux);
}

static struct mux *find_mux(const struct channel *ch)
{
	struct mux *mux;

	pthread_mutex_lock(&mux_lock);
	for (mux = mux_all; mux; mux = mux->next) {
		if (mux->loop == ch->loop && !strcmp(mux->guest, ch->guest_name) &&
		    !strcmp(mux->place.path, ch->cfg->endpoint.path))
			break;
	}
	pthread_mutex_unlock(&mux_lock);
	return mux;
}

static int new_mux(struct mux **out, struct channel *ch)
{
	struct mux *mux = calloc(1, sizeof(*mux));
	int r = -ENOMEM;

	if (!mux)
		return -ENOMEM;
	mux->loop = ch->loop;
	mux->guest = ch->guest_name;
	TAILQ_INIT(&mux->boards);
	TAILQ_INIT(&mux->clients);
	mux->place = endpoint_place(ch, &ch->cfg->endpoint, mux_client_came, mux);
	mux->timer = evtimer_new(loop_base(ch->loop), on_mux_time, mux);
	if (mux->timer)
		r = unix_place_listen(&mux->place);
	if (r) {
		free_mux(mux);
		return r;
	}
	pthread_mutex_lock(&mux_lock);
	mux->next = mux_all;
	mux_all = mux;
	pthread_mutex_unlock(&mux_lock);
	*out = mux;
	return 0;
}

static bool has_same_access(const struct endpoint_config *a, const struct endpoint_config *b)
{
	return a->mode == b->mode && !a->group == !b->group &&
	       (!a->group || !strcmp(a->group, b->group));
}

/* Return: 0 or -EINVAL, with a log line */
static int check_access(const struct mux *mux, const struct channel *ch)
{
	if (has_same_access(&first_channel(mux)->cfg->endpoint, &ch->cfg->endpoint))
		return 0;
	log_channel(
		LOG_LEVEL_ERR, ch->guest_name, ch->cfg->name,
		"mux-listen: %s: channel %s, which has the same path, has another mode or group",
		ch->cfg->endpoint.path, first_channel(mux)->cfg->name);
	return -EINVAL;
}

int mux_join(struct mux_board *mb)
{
	struct mux *mux = find_mux(mb->board.ep.ch);
	int r = mux ? check_access(mux, mb->board.ep.ch) : new_mux(&mux, mb->board.ep.ch);

	if (r)
		return r;
	TAILQ_INSERT_TAIL(&mux->boards, mb, next);
	mb->mux = mux;
	return 0;
}

void mux_leave(struct mux_board *mb)
{
	struct mux *mux = mb->mux;
	const struct channel *ch;

	if (!mux)
		return;
	mb->mux = NULL;
	TAILQ_REMOVE(&mux->boards, mb, next);
	if (TAILQ_EMPTY(&mux->boards)) {
		free_mux(mux);
		return;
	}
	ch = first_channel(mux);
	unix_place_rename(&mux->place, LOG_CHANNEL(ch->guest_name, ch->cfg->name),
			  ch->cfg->endpoint.path, ch->cfg->endpoint.group);
}

unsigned int mux_next_port(struct mux_board *mb)
{
	struct mux *mux = mb->mux;

	mux->port = mux->port % 65535 + 1;
	return mux->port;
}

bool mux_is_lost(const struct mux_board *mb)
{
	return unix_place_is_lost(&mb->mux->place);
}

void mux_reloaded(struct mux_board *mb)
{
	unix_place_reloaded(&mb->mux->place);
}
