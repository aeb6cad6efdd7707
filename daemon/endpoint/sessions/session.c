// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/sessions/session.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "endpoint/stream/proxy.h"

/* Without its header a server would take the guest's first bytes for one */
static void send_proxy_header(struct board *board, struct channel *ch, int fd)
{
	const struct endpoint_config *cfg = &ch->cfg->endpoint;
	int r = proxy_send(ch, fd, cfg->path ? cfg->path : cfg->address);

	if (!r)
		return;
	board_note(board, "%s: cannot send the PROXY header: %s", endpoint_type_name(cfg->type),
		   strerror(-r));
	shutdown(fd, SHUT_RDWR);
}

void board_init(struct board *board, const struct endpoint_ops *ops, struct channel *ch)
{
	*board = (struct board){ .ep = { .ops = ops, .ch = ch }, .n_refs = 1 };
	TAILQ_INIT(&board->waiting);
	if (ch->cfg->endpoint.proxy)
		board->greet = send_proxy_header;
}

static void let_board_go(struct board *board)
{
	if (!--board->n_refs)
		free(board);
}

void board_leave(struct board *board)
{
	board->ep.ch = NULL;
	let_board_go(board);
}

void board_info(const struct board *board, struct endpoint_info *info)
{
	info->connected = board->n_open;
	info->clients = board->clients;
	info->failed = board->failed;
	info->handshakes_failed = board->handshakes_failed;
	info->torn = board->torn;
	memcpy(info->error, board->error, sizeof(info->error));
}

void board_note(struct board *board, const char *fmt, ...)
{
	char why[sizeof(board->error)];
	enum log_level level;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	level = endpoint_keep_error(board->error, why, LOG_LEVEL_WARNING);
	if (board->ep.ch)
		channel_log(board->ep.ch, level, "%s", why);
}

static void session_ended(void *arg)
{
	struct session *s = arg;

	s->board->n_open--;
}

static void session_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ .connected = stream_is_open(
						&((const struct session *)ep)->stream) };
}

void session_unwait(struct session *s)
{
	if (s->is_waiting)
		TAILQ_REMOVE(&s->board->waiting, s, next);
	s->is_waiting = false;
	if (s->timer)
		event_free(s->timer);
	s->timer = NULL;
	if (s->cancel)
		s->cancel(s);
}

static void close_stream(struct session *s)
{
	s->board->n_open -= stream_is_open(&s->stream);
	stream_close(&s->stream);
}

static void session_close(struct endpoint *ep)
{
	struct session *s = (struct session *)ep;

	session_unwait(s);
	if (!channel_has_tail(ep->ch))
		close_stream(s);
}

static bool session_is_busy(const struct endpoint *ep)
{
	const struct session *s = (const struct session *)ep;

	return stream_is_open(&s->stream) || (s->tls && tls_n_links(s->tls));
}

static void session_free(struct endpoint *ep)
{
	struct session *s = (struct session *)ep;

	session_unwait(s);
	close_stream(s);
	tls_free(s->tls);
	let_board_go(s->board);
	free(s);
}

/* Of any type: the board knows which */
static const struct endpoint_ops session_ops = {
	.type = N_ENDPOINT_TYPES,
	.info = session_info,
	.close = session_close,
	.is_busy = session_is_busy,
	.free = session_free,
};

static void tear_session(void *arg, int fd)
{
	struct session *s = arg;

	tls_tear(s->tls, fd);
}

struct session *session_new(size_t bytes, struct board *board, struct channel *ch)
{
	struct session *s = calloc(1, bytes);

	if (!s)
		return NULL;
	s->ep = (struct endpoint){ .ops = &session_ops, .ch = ch };
	s->board = board;
	board->n_refs++;
	stream_init(&s->stream, ch, session_ended, s);
	channel_bind(ch, &stream_channel_ops, &s->stream);
	return s;
}

void session_wait(struct session *s)
{
	s->is_waiting = true;
	TAILQ_INSERT_TAIL(&s->board->waiting, s, next);
}

int session_connect(struct session *s, int fd)
{
	struct channel *ch = s->ep.ch;
	bool waited = s->is_waiting;
	int r;

	s->board->clients++;
	s->board->n_open++;
	*s->board->error = 0;
	session_unwait(s);
	s->stream.tear = s->tls ? tear_session : NULL;
	if (s->board->greet)
		s->board->greet(s->board, ch, fd);
	r = stream_open(&s->stream, fd);
	if (r) {
		s->board->n_open--;
		board_note(s->board, "a connection is dropped: %s", strerror(-r));
		if (waited)
			channel_refuse(ch, OKL4_NO_MEMORY);
		return -OKL4_NO_MEMORY;
	}
	if (waited)
		ch->guest_ops->opened(ch->guest, ch);
	return 0;
}

void session_torn(struct session *s, const char *peer, const char *why)
{
	s->board->torn++;
	s->stream.in_torn = true;
	s->stream.cut_off = stream_is_open(&s->stream);
	board_note(s->board, "%s: torn: %s; what came may not be all", peer, why);
}

void session_refuse(struct session *s, enum okl4_status status)
{
	session_unwait(s);
	channel_refuse(s->ep.ch, status);
}
