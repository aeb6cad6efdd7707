// SPDX-License-Identifier: BSD-3-Clause
/*
 * dial.c - connections that the daemon makes, when the guest wants them
 *
 * To open the channel in the guest is to connect, to close it is to hang up:
 *
 *	echo x > f		a connection for what is written, then its end-of-file
 *	cat f			a connection for what is read, until the other side ends it
 *	exec 3<>f		a connection that stays until 3 is closed, or the other side ends it
 *
 * When to connect
 * ---------------
 * There is one connection at a time. One is wanted when there is none and the guest has an end open
 * or has left bytes in fwd. While an attempt fails, what the guest writes waits in the ring, which is
 * back-pressure when it is full, and a reader waits: the host's reading end is open (or never was),
 * its writing end is not. The next attempt comes after 50 ms, then twice as long each time up to 5 s,
 * with up to a quarter more, so that many channels do not come at once. While no connection is
 * wanted there is no attempt: an idle channel has no timer.
 *
 * When it is over
 * ---------------
 * When both directions have ended (way.c), and when nothing in the guest needs it any longer:
 *	- the other side has ended its direction, and the guest has no writer, and nothing to be sent;
 *	- the guest has closed all its ends, has had a reader, and all is sent. If it had none, the other
 *	  side's answer is kept for a reader that comes later (echo question > f; cat f);
 *	- the guest's writers have closed and that was passed on, and now another writer comes, while
 *	  there is no reader: that writer gets the next connection. The same holds when the other side
 *	  has ended its direction meanwhile, which over TCP may mean that it is gone.
 *
 * A program that had the channel open when a connection ended sees that, as on a socket: end-of-file,
 * EPIPE. It stays so until the program has closed, and only then is there another connection. If that
 * came at once, a reader that has not looked in between would take the next connection's bytes for
 * the former one's, and a writer would not know that a part of what it wrote may be lost. Likewise, a
 * reader that finds what a former connection has left in bwd gets that, and its end. Bytes that no
 * connection took wait in fwd for the next one.
 *
 * After a restart the daemon finds all that in the shared phases: the host's writing end is open only
 * while there is a connection. So if it is open, a connection was torn, and the guest's open ends are
 * left behind as above.
 */
#include "endpoint/stream/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libfs/checked.h>

#include "endpoint/stream/proxy.h"
#include "util/clock.h"

/* The guest's side of the channel at this moment */
struct guest_view {
	struct channel_peer writer, reader;
	int64_t waiting_bytes; /* in fwd */
};

/* Return: false when the channel is not usable, or has just failed */
static bool view_guest(struct dial *d, struct guest_view *v)
{
	if (!channel_usable(d->ch))
		return false;
	if (channel_guest_writer(d->ch, &v->writer) || channel_guest_reader(d->ch, &v->reader))
		return false;
	/* Loaded after the phase, which the writer stored after its bytes (pipe.c, D): all bytes of a
	 * writer that is seen to have closed are counted */
	v->waiting_bytes = channel_readable(d->ch);
	return v->waiting_bytes >= 0;
}

/* Whether nothing in the guest needs the connection any longer; the head of this file says why */
static bool is_dial_over(struct dial *d, const struct guest_view *v)
{
	const struct stream *s = &d->stream;
	bool writer = v->writer.state == OKL4_PIPE_OPEN, reader = v->reader.state == OKL4_PIPE_OPEN;
	bool to_send = s->out_open && v->waiting_bytes > 0;

	d->had_reader |= reader || v->reader.phase != d->first_reader;
	if (s->out_eof && !reader && (writer || v->waiting_bytes > 0))
		return true;
	if (!s->in_open && writer && v->writer.phase != s->in_end_writer)
		return true;
	if (writer || to_send)
		return false;
	if (!s->in_open)
		return true;
	return !reader && (d->had_reader || (!s->out_open && !s->out_eof));
}

/* Whether a writer or reader of the guest has still to see the end of the former connection */
static bool is_guest_left(const struct dial *d, const struct guest_view *v)
{
	if (d->stream.left_writer && v->writer.phase == d->stream.left_writer)
		return true;
	return v->reader.state == OKL4_PIPE_OPEN && channel_write_phase(d->ch) &&
	       !channel_eof_taken(d->ch);
}

static void set_dial_state(struct dial *d, enum dial_state state)
{
	if (d->state == state)
		return;
	if (d->ops->waiting && (state == DIAL_WAITING || d->state == DIAL_WAITING))
		d->ops->waiting(d->arg, state == DIAL_WAITING && d->wait_ms);
	d->state = state;
}

static void stop_trying(struct dial *d)
{
	event_del(d->timer);
	if (d->state == DIAL_TRYING)
		d->ops->abort(d->arg);
	set_dial_state(d, DIAL_IDLE);
}

static void plan_attempt(struct dial *d)
{
	uint64_t now = clock_ms();
	uint64_t ms = d->not_before_ms > now ? d->not_before_ms - now : 0;

	set_dial_state(d, DIAL_WAITING);
	loop_start_timer(d->timer, ms);
}

static void wait_longer(struct dial *d)
{
	unsigned int ms;

	d->wait_ms = d->wait_ms ? (unsigned int)okl4_min(2ULL * d->wait_ms, DIAL_WAIT_MAX_MS) :
				  DIAL_WAIT_MIN_MS;
	ms = d->wait_ms + arc4random_uniform(d->wait_ms / 4 + 1);
	d->not_before_ms = clock_ms() + ms;
}

/* Bring everything to what the guest wants; also a hook of the stream (struct stream, changed) */
static void look_at_guest(void *arg)
{
	struct dial *d = arg;
	struct stream *s = &d->stream;
	struct guest_view v;
	bool left;

	if (!view_guest(d, &v))
		return;
	if (stream_is_open(s)) {
		if (s->serves && is_dial_over(d, &v))
			stream_hang_up(s);
		else if (s->serves && !s->in_shown && v.reader.state == OKL4_PIPE_OPEN)
			stream_show(s);
		return;
	}
	channel_set_open(d->ch, okl4_pipe_is_open(&d->ch->sp.rx), false);
	left = is_guest_left(d, &v);
	channel_set_open(d->ch, !left, false);
	if (left || d->closed ||
	    (v.writer.state != OKL4_PIPE_OPEN && v.reader.state != OKL4_PIPE_OPEN &&
	     !v.waiting_bytes)) {
		/* That writer sent nothing: its end is not for a connection that comes later */
		if (v.writer.state == OKL4_PIPE_CLOSED && !v.waiting_bytes)
			s->eof_phase = v.writer.phase;
		stop_trying(d);
	} else if (d->state == DIAL_IDLE) {
		plan_attempt(d);
	}
}

static void on_dial_time(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;

	set_dial_state(d, DIAL_TRYING);
	d->not_before_ms = clock_ms() + DIAL_SPACING_MS;
	d->ops->attempt(d->arg);
}

static void connection_ended(void *arg)
{
	struct dial *d = arg;
	struct guest_view v;

	set_dial_state(d, DIAL_IDLE);
	if (!view_guest(d, &v))
		return;
	channel_log(d->ch, LOG_LEVEL_DEBUG, "connection %" PRIu64 " to %s has ended", d->clients,
		    d->target);
	/* A peer that hangs up at once, with bytes still to be sent, is not called again at once. */
	if (v.waiting_bytes > 0 && clock_ms() - d->connected_ms < 1000)
		wait_longer(d);
	else
		d->wait_ms = 0;
	if (v.writer.state == OKL4_PIPE_CLOSED && !v.waiting_bytes)
		d->stream.eof_phase = v.writer.phase;
	look_at_guest(d);
}

void dial_connected(struct dial *d, int fd)
{
	int r = d->ch->cfg->endpoint.proxy ? proxy_send(d->ch, fd, d->target) : 0;

	if (r) {
		close(fd);
		dial_failed(d, "%s: %s: cannot send the PROXY header: %s",
			    endpoint_type_name(d->ch->cfg->endpoint.type), d->target, strerror(-r));
		return;
	}
	if (*d->error)
		channel_log(d->ch, LOG_LEVEL_NOTICE, "connected to %s", d->target);
	else
		channel_log(d->ch, LOG_LEVEL_DEBUG, "connected to %s", d->target);
	*d->error = 0;
	d->clients++;
	d->connected_ms = clock_ms();
	d->first_reader = d->ch->sp.tx.peer_phase;
	d->had_reader = false;
	set_dial_state(d, DIAL_CONNECTED);
	r = stream_open(&d->stream, fd);
	if (r) {
		channel_log(d->ch, LOG_LEVEL_ERR, "connection to %s is dropped: %s", d->target,
			    strerror(-r));
		set_dial_state(d, DIAL_IDLE);
		wait_longer(d);
		look_at_guest(d);
	}
}

void dial_failed(struct dial *d, const char *fmt, ...)
{
	char why[sizeof(d->error)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	d->failed++;
	wait_longer(d);
	channel_log(d->ch, endpoint_keep_error(d->error, why, LOG_LEVEL_WARNING),
		    "%s; trying again", why);
	set_dial_state(d, DIAL_IDLE);
	look_at_guest(d);
}

void dial_note(struct dial *d, const char *text)
{
	snprintf(d->error, sizeof(d->error), "%s", text);
}

void dial_hint(struct dial *d)
{
	if (d->state != DIAL_WAITING)
		return;
	d->wait_ms = 0;
	d->not_before_ms = 0;
	plan_attempt(d);
}

static void dial_up(void *arg, bool fresh)
{
	struct dial *d = arg;
	struct stream *s = &d->stream;
	uint64_t rx = d->ch->sp.rx.phase, tx = d->ch->sp.tx.phase;
	struct guest_view v;

	if (fresh && !stream_is_open(s)) {
		if (!view_guest(d, &v))
			return;
		s->left_writer = s->eof_phase = 0;
		if (v.writer.state == OKL4_PIPE_OPEN && (tx & 1 || (rx && !(rx & 1))))
			s->left_writer = v.writer.phase;
		if (v.writer.state == OKL4_PIPE_CLOSED && !v.waiting_bytes)
			s->eof_phase = v.writer.phase;
	}
	if (stream_is_open(s))
		stream_up(s, fresh);
	else
		look_at_guest(d);
}

static void dial_down(void *arg, bool gone)
{
	struct dial *d = arg;

	stream_down(&d->stream, gone);
	if (gone)
		stream_close(&d->stream);
	if (!stream_is_open(&d->stream))
		stop_trying(d);
}

static void dial_woken(void *arg)
{
	struct dial *d = arg;

	look_at_guest(d); /* a writer may have come whose bytes are for the next connection */
	if (stream_is_open(&d->stream))
		stream_woken(&d->stream);
}

static const struct channel_endpoint_ops dial_channel_ops = {
	.up = dial_up,
	.down = dial_down,
	.woken = dial_woken,
	.delivers = true,
};

int dial_init(struct dial *d, struct channel *ch, const char *target, const struct dial_ops *ops,
	      void *arg)
{
	*d = (struct dial){ .ch = ch, .target = target, .ops = ops, .arg = arg };
	stream_init(&d->stream, ch, connection_ended, d);
	d->stream.patient = true;
	d->stream.changed = look_at_guest;
	d->timer = event_new(loop_base(ch->loop), -1, 0, on_dial_time, d);
	if (!d->timer)
		return -ENOMEM;
	channel_bind(ch, &dial_channel_ops, d);
	return 0;
}

void dial_close(struct dial *d)
{
	d->closed = true;
	if (!channel_has_tail(d->ch))
		stream_close(&d->stream);
	if (!stream_is_open(&d->stream))
		stop_trying(d);
}

void dial_deinit(struct dial *d)
{
	if (!d->timer)
		return;
	stream_close(&d->stream);
	stop_trying(d);
	event_free(d->timer);
}

void dial_info(const struct dial *d, struct endpoint_info *info)
{
	info->connected = stream_is_open(&d->stream);
	info->clients = d->clients;
	info->failed = d->failed;
	memcpy(info->error, d->error, sizeof(info->error));
}
