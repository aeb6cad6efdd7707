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
 * with up to a quarter more, so that many channels do not come at once. Nobody there who wants a
 * connection, no attempt: an idle channel has no timer.
 *
 * When it is over
 * ---------------
 * When both directions have ended (stream.c), and when nobody in the guest needs it any more:
 *	- the other side has ended its direction, and the guest has no writer, and nothing to be sent;
 *	- the guest has closed all its ends, has had a reader, and all is sent. Had it none, what the
 *	  other side answers is kept for one who comes (echo question > f; cat f);
 *	- the guest's writers have closed and that was passed on, and now another writer comes, while
 *	  there is no reader: the next connection is his. So it is when the other side has ended its
 *	  direction meanwhile, which over TCP may mean that it is gone.
 *
 * Who had the channel open when a connection ended sees that, as on a socket: end-of-file, EPIPE. It
 * stays so until he has closed, and only then is there another connection. For if it came at once, a
 * reader who has not looked in between would take the next connection's bytes for the former one's,
 * and a writer would not know that a part of what he wrote may be lost. So it is for a reader who
 * finds what a former connection has left in bwd: he gets that, and its end. Bytes that no connection
 * took wait in fwd and are the next one's.
 *
 * After a restart of the daemon that is found in the shared phases: the host's writing end is open
 * only while there is a connection, so if it is found open a connection was torn, and the guest's
 * ends that are open are left behind.
 */
#include "endpoint/stream/dial.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <libfs/checked.h>

#include "util/clock.h"

/**
 * struct guest_view - the guest's side of the channel at this moment
 * @writer: its end of fwd
 * @reader: its end of bwd
 * @waiting_bytes: what lies in fwd
 */
struct guest_view {
	struct channel_peer writer, reader;
	int64_t waiting_bytes;
};

/**
 * view() - look at the guest's side
 * @d: dial
 * @v: out
 *
 * Return: false when the channel is not usable, or has just failed.
 */
static bool view(struct dial *d, struct guest_view *v)
{
	if (!channel_usable(d->ch))
		return false;
	if (channel_guest_writer(d->ch, &v->writer) || channel_guest_reader(d->ch, &v->reader))
		return false;
	/* After the phase, which the writer stored after its bytes (pipe.c, D): a writer that is seen
	 * to have closed has all its bytes counted */
	v->waiting_bytes = channel_readable(d->ch);
	return v->waiting_bytes >= 0;
}

/**
 * is_over() - whether nobody in the guest needs the connection any more
 * @d: dial with a connection that is joined
 * @v: the guest's side
 *
 * Return: true when it is to end; the head of this file says why.
 */
static bool is_over(struct dial *d, const struct guest_view *v)
{
	const struct stream *s = &d->stream;
	bool writer = v->writer.state == PIPE_OPEN, reader = v->reader.state == PIPE_OPEN;
	bool to_send = s->out_open && v->waiting_bytes > 0;

	d->had_reader |= reader || v->reader.phase != d->joined_reader;
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

/**
 * is_left() - whether somebody in the guest is still at the former connection
 * @d: dial without a connection, the host's writing end closed
 * @v: the guest's side
 *
 * Return: true when there is a writer whom it left behind, or a reader who is still to see its end.
 */
static bool is_left(const struct dial *d, const struct guest_view *v)
{
	if (d->stream.left_writer && v->writer.phase == d->stream.left_writer)
		return true;
	return v->reader.state == PIPE_OPEN && channel_write_phase(d->ch) &&
	       !channel_eof_taken(d->ch);
}

/**
 * set_state() - the one place where the state changes
 * @d: dial
 * @state: the next one
 */
static void set_state(struct dial *d, enum dial_state state)
{
	if (d->state == state)
		return;
	if (d->ops->waiting && (state == DIAL_WAITING || d->state == DIAL_WAITING))
		d->ops->waiting(d->arg, state == DIAL_WAITING && d->wait_ms);
	d->state = state;
}

/**
 * give_up() - no attempt any more
 * @d: dial without a connection
 */
static void give_up(struct dial *d)
{
	event_del(d->timer);
	if (d->state == DIAL_TRYING)
		d->ops->abort(d->arg);
	set_state(d, DIAL_IDLE);
}

/**
 * plan() - an attempt, as soon as one may be made
 * @d: dial without a connection
 */
static void plan(struct dial *d)
{
	uint64_t now = clock_ms();
	uint64_t ms = d->not_before_ms > now ? d->not_before_ms - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000) * 1000 };

	set_state(d, DIAL_WAITING);
	event_add(d->timer, &tv);
}

/**
 * wait_longer() - put the next attempt off, each time longer
 * @d: dial
 */
static void wait_longer(struct dial *d)
{
	unsigned int ms;

	d->wait_ms = d->wait_ms ? (unsigned int)fs_min(2ULL * d->wait_ms, DIAL_WAIT_MAX_MS) :
				  DIAL_WAIT_MIN_MS;
	ms = d->wait_ms + arc4random_uniform(d->wait_ms / 4 + 1);
	d->not_before_ms = clock_ms() + ms;
}

/**
 * look() - bring everything to what the guest wants
 * @arg: dial
 *
 * Also called by the stream, when a phase may have changed.
 */
static void look(void *arg)
{
	struct dial *d = arg;
	struct stream *s = &d->stream;
	struct guest_view v;
	bool left;

	if (!view(d, &v))
		return;
	if (stream_is_open(s)) {
		if (s->joined && is_over(d, &v))
			stream_hang_up(s);
		else if (s->joined && !s->in_shown && v.reader.state == PIPE_OPEN)
			stream_show(s);
		return;
	}
	channel_set_open(d->ch, pipe_is_open(&d->ch->sp.rx), false);
	left = is_left(d, &v);
	channel_set_open(d->ch, !left, false);
	if (left || d->closed ||
	    (v.writer.state != PIPE_OPEN && v.reader.state != PIPE_OPEN && !v.waiting_bytes)) {
		/* What it ended was nothing, and no connection is to end for it that comes later */
		if (v.writer.state == PIPE_CLOSED && !v.waiting_bytes)
			s->eof_phase = v.writer.phase;
		give_up(d);
	} else if (d->state == DIAL_IDLE) {
		plan(d);
	}
}

/**
 * on_time() - begin an attempt
 * @fd: not used
 * @what: not used
 * @arg: dial
 */
static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;

	set_state(d, DIAL_TRYING);
	d->not_before_ms = clock_ms() + DIAL_SPACING_MS;
	d->ops->attempt(d->arg);
}

/**
 * ended() - the connection is over
 * @arg: dial
 */
static void ended(void *arg)
{
	struct dial *d = arg;
	struct guest_view v;

	set_state(d, DIAL_IDLE);
	if (!view(d, &v))
		return;
	channel_log(d->ch, LOG_LEVEL_DEBUG, "connection %" PRIu64 " to %s has ended", d->clients,
		    d->target);
	/* Who hangs up on what is to be sent is not called again at once. */
	if (v.waiting_bytes > 0 && clock_ms() - d->connected_ms < 1000)
		wait_longer(d);
	else
		d->wait_ms = 0;
	if (v.writer.state == PIPE_CLOSED && !v.waiting_bytes)
		d->stream.eof_phase = v.writer.phase;
	look(d);
}

void dial_connected(struct dial *d, int fd)
{
	int r;

	if (*d->error)
		channel_log(d->ch, LOG_LEVEL_NOTICE, "connected to %s", d->target);
	else
		channel_log(d->ch, LOG_LEVEL_DEBUG, "connected to %s", d->target);
	*d->error = 0;
	d->clients++;
	d->connected_ms = clock_ms();
	d->joined_reader = d->ch->sp.tx.peer_phase;
	d->had_reader = false;
	set_state(d, DIAL_CONNECTED);
	r = stream_open(&d->stream, fd);
	if (r) {
		channel_log(d->ch, LOG_LEVEL_ERR, "connection to %s is dropped: %s", d->target,
			    strerror(-r));
		set_state(d, DIAL_IDLE);
		wait_longer(d);
		look(d);
	}
}

void dial_failed(struct dial *d, const char *fmt, ...)
{
	char why[sizeof(d->error)];
	bool same;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	d->failed++;
	same = !strcmp(why, d->error);
	memcpy(d->error, why, sizeof(d->error));
	wait_longer(d);
	channel_log(d->ch, same ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s; trying again", why);
	set_state(d, DIAL_IDLE);
	look(d);
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
	plan(d);
}

/**
 * up() - the channel's memory is there
 * @arg: dial
 * @fresh: another instance, or another daemon's work: what was left behind stands in the phases
 */
static void up(void *arg, bool fresh)
{
	struct dial *d = arg;
	struct stream *s = &d->stream;
	uint64_t rx = d->ch->sp.rx.phase, tx = d->ch->sp.tx.phase;
	struct guest_view v;

	if (fresh && !stream_is_open(s)) {
		if (!view(d, &v))
			return;
		s->left_writer = s->eof_phase = 0;
		if (v.writer.state == PIPE_OPEN && (tx & 1 || (rx && !(rx & 1))))
			s->left_writer = v.writer.phase;
		if (v.writer.state == PIPE_CLOSED && !v.waiting_bytes)
			s->eof_phase = v.writer.phase;
	}
	if (stream_is_open(s))
		stream_up(s);
	else
		look(d);
}

/**
 * down() - the channel's memory is away
 * @arg: dial
 * @gone: for good
 */
static void down(void *arg, bool gone)
{
	struct dial *d = arg;

	stream_down(&d->stream, gone);
	if (gone)
		stream_close(&d->stream);
	if (!stream_is_open(&d->stream))
		give_up(d);
}

/**
 * woken() - bytes, room, or a phase has changed
 * @arg: dial
 */
static void woken(void *arg)
{
	struct dial *d = arg;

	look(d); /* a writer who is not to be heard on this connection may have come */
	if (stream_is_open(&d->stream))
		stream_woken(&d->stream);
}

static const struct channel_endpoint_ops channel_ops = {
	.up = up,
	.down = down,
	.woken = woken,
	.delivers = true,
};

int dial_init(struct dial *d, struct channel *ch, const char *target, const struct dial_ops *ops,
	      void *arg)
{
	*d = (struct dial){ .ch = ch, .target = target, .ops = ops, .arg = arg };
	stream_init(&d->stream, ch, ended, d);
	d->stream.patient = true;
	d->stream.changed = look;
	d->timer = event_new(loop_base(ch->loop), -1, 0, on_time, d);
	if (!d->timer)
		return -ENOMEM;
	channel_bind(ch, &channel_ops, d);
	return 0;
}

void dial_close(struct dial *d)
{
	d->closed = true;
	if (!channel_has_tail(d->ch))
		stream_close(&d->stream);
	if (!stream_is_open(&d->stream))
		give_up(d);
}

void dial_deinit(struct dial *d)
{
	if (!d->timer)
		return;
	stream_close(&d->stream);
	give_up(d);
	event_free(d->timer);
}

void dial_info(const struct dial *d, struct endpoint_info *info)
{
	info->connected = stream_is_open(&d->stream);
	info->clients = d->clients;
	info->failed = d->failed;
	memcpy(info->error, d->error, sizeof(info->error));
}
