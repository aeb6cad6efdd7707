// SPDX-License-Identifier: BSD-3-Clause
#include "guest/serial/pump.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <libfs/checked.h>

#include "endpoint/endpoint.h"
#include "util/fd.h"

/* What moving a piece has led to, as endpoint_turn() wants it; more than 0: bytes that were moved */
enum { LATER = 0, LOOK_AGAIN = -OKL4_AGAIN, ENDED = -OKL4_PIPE, FAILED = -OKL4_CHANNEL_FAILED };

static struct okl4_pipe *writer_of(struct serial_pump *p)
{
	return &p->memory.end.tx;
}

static struct okl4_pipe *reader_of(struct serial_pump *p)
{
	return &p->memory.end.rx;
}

/* The host's end acts at once. Return: @value, or FAILED when the channel has let go of the memory */
static int64_t ring_host(struct serial_pump *p, int64_t value)
{
	channel_rung(p->ch);
	return p->ch->state == CHANNEL_ATTACHED ? value : FAILED;
}

static int64_t open_ends(struct serial_pump *p)
{
	if (!okl4_pipe_is_open(writer_of(p)))
		okl4_pipe_producer_open(writer_of(p));
	if (!okl4_pipe_is_open(reader_of(p)))
		okl4_pipe_consumer_open(reader_of(p));
	return ring_host(p, LOOK_AGAIN);
}

/* @n: of a call that has read nothing */
static int64_t nothing_read(struct serial_pump *p, ssize_t n)
{
	if (n < 0 && errno == EINTR)
		return LOOK_AGAIN;
	if (n < 0 && errno == EAGAIN) {
		event_add(p->read_ev, NULL);
		return LATER;
	}
	return ENDED;
}

/* The host's reader has closed: a program would get EPIPE, and the next one open the channel again */
static int64_t write_refused(struct serial_pump *p)
{
	struct okl4_pipe *tx = writer_of(p);
	char byte;
	ssize_t n = recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n <= 0)
		return nothing_read(p, n);
	if (p->refused_phase == tx->peer_phase) {
		event_del(p->read_ev);
		return LATER;
	}
	p->refused_phase = tx->peer_phase;
	if (okl4_pipe_is_open(tx))
		okl4_pipe_producer_close(tx);
	return open_ends(p);
}

static int64_t no_room(struct serial_pump *p)
{
	if (okl4_pipe_arm_write(writer_of(p), p->memory.end.ring_bytes / 2))
		return LOOK_AGAIN;
	event_del(p->read_ev);
	return LATER;
}

static int64_t move_in(void *arg, uint64_t max)
{
	struct serial_pump *p = arg;
	struct okl4_pipe_seg seg[2];
	struct iovec iov[2];
	int64_t room = okl4_pipe_peek_write(writer_of(p), seg);
	ssize_t n;

	if (room == -OKL4_PIPE)
		return write_refused(p);
	if (room < 0)
		return room == -OKL4_AGAIN ? no_room(p) : FAILED;
	n = readv(p->fd, iov, endpoint_segs_to_iov(seg, okl4_min(max, (uint64_t)room), iov));
	if (n <= 0)
		return nothing_read(p, n);
	if (!okl4_pipe_is_open(writer_of(p)) && open_ends(p) == FAILED)
		return FAILED;
	return okl4_pipe_commit_write(writer_of(p), (uint64_t)n) ? ring_host(p, n) : n;
}

/* The host's writer has closed: a program would see the end, and the next one open the channel again */
static int64_t reading_ended(struct serial_pump *p)
{
	okl4_pipe_consumer_close(reader_of(p));
	if (!p->on_demand)
		okl4_pipe_consumer_open(reader_of(p));
	return ring_host(p, LOOK_AGAIN);
}

static int64_t nothing_sent(struct serial_pump *p)
{
	if (errno == EINTR)
		return LOOK_AGAIN;
	if (errno == EAGAIN)
		event_add(p->write_ev, NULL);
	else
		p->deaf = true; /* reading finds the end of what came from it */
	return LATER;
}

static int64_t move_out(void *arg, uint64_t max)
{
	struct serial_pump *p = arg;
	struct okl4_pipe_seg seg[2];
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	int64_t filled;
	ssize_t n;

	if (p->deaf || !okl4_pipe_is_open(reader_of(p)))
		return LATER;
	filled = okl4_pipe_peek_read(reader_of(p), seg);
	if (!filled)
		return reading_ended(p);
	if (filled == -OKL4_AGAIN)
		return okl4_pipe_arm_read(reader_of(p)) ? LOOK_AGAIN : LATER;
	if (filled < 0)
		return FAILED;
	msg.msg_iovlen = (size_t)endpoint_segs_to_iov(seg, okl4_min(max, (uint64_t)filled), iov);
	n = sendmsg(p->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return nothing_sent(p);
	return okl4_pipe_commit_read(reader_of(p), (uint64_t)n) ? ring_host(p, n) : n;
}

enum serial_pump_result serial_pump_turn(struct serial_pump *p)
{
	int out = LATER, in = LATER;

	if (!p->memory.map || p->ch->state != CHANNEL_ATTACHED)
		return SERIAL_PUMP_SLEEPS;
	if (!event_pending(p->write_ev, EV_WRITE, NULL))
		out = endpoint_turn(move_out, p);
	if (out != FAILED)
		in = endpoint_turn(move_in, p);
	if (in == ENDED)
		return SERIAL_PUMP_ENDED;
	return in == 1 || out == 1 ? SERIAL_PUMP_AGAIN : SERIAL_PUMP_SLEEPS;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct serial_pump *p = arg;

	p->ready(p->arg);
}

int serial_pump_restart(struct serial_pump *p)
{
	int r;

	serial_memory_free(&p->memory);
	p->refused_phase = 0;
	r = serial_memory_attach(&p->memory, p->ch);
	if (!r && !p->on_demand)
		open_ends(p);
	if (!r)
		event_add(p->read_ev, NULL);
	return r;
}

int serial_pump_start(struct serial_pump *p, struct channel *ch, int fd, void (*ready)(void *arg),
		      void *arg)
{
	enum endpoint_type type = ch->cfg->endpoint.type;
	struct event_base *base = loop_base(ch->loop);
	int r = -ENOMEM;

	*p = (struct serial_pump){ .ch = ch, .fd = fd, .ready = ready, .arg = arg };
	p->on_demand = type == ENDPOINT_UNIX_CONNECT || type == ENDPOINT_TCP_CONNECT;
	p->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_ready, p);
	p->write_ev = event_new(base, fd, EV_WRITE, on_ready, p);
	if (p->read_ev && p->write_ev)
		r = serial_pump_restart(p);
	if (r)
		serial_pump_stop(p);
	return r;
}

bool serial_pump_is_read(struct serial_pump *p)
{
	enum okl4_pipe_state reader = OKL4_PIPE_CLOSED;

	return p->memory.map && !okl4_pipe_producer_peer(writer_of(p), &reader) &&
	       reader == OKL4_PIPE_OPEN;
}

uint64_t serial_pump_left(const struct serial_pump *p)
{
	int bytes = 0;

	return ioctl(p->fd, SIOCINQ, &bytes) || bytes < 0 ? 0 : (uint64_t)bytes;
}

void serial_pump_stop(struct serial_pump *p)
{
	if (!p->ch)
		return;
	if (p->read_ev)
		event_free(p->read_ev);
	if (p->write_ev)
		event_free(p->write_ev);
	channel_guest_gone(p->ch);
	serial_memory_free(&p->memory);
	fd_close(p->fd);
	*p = (struct serial_pump){ .fd = -1 };
}
