// SPDX-License-Identifier: BSD-3-Clause
/*
 * echo.c - gives back what it gets, ring to ring
 *
 * Killed at any instant
 * ---------------------
 * Nothing is lost and nothing doubled, because the two cursors of the host determine each other: in
 * fresh memory both are 0, and every byte taken from fwd is a byte put into bwd. A piece goes by in
 * three steps: copy; publish bwd's head; publish fwd's tail. A daemon that dies
 *	- before the second step has changed nothing that counts: the bytes are copied again, to the
 *	  same place;
 *	- between the second and the third leaves head - tail = d > 0: d bytes are in bwd already and
 *	  have not been given back in fwd. The next daemon gives them back without copying.
 * A difference that is more than what lies in fwd was not made by an echo, and fails the channel.
 *
 * Opening and closing
 * -------------------
 * The reading end is open all the time: a writer in the guest never gets EPIPE. The writing end is
 * open too, unless the guest's writers have closed and all their bytes are echoed: then it closes,
 * so the guest's reader takes the bytes and sees an end-of-file. It opens again at the first
 * sign of a new writer, which is its phase or its bytes, whichever is seen first:
 *
 *	fwd, as seen from here			bwd
 *	never opened, empty			open (a reader waits)
 *	bytes, writer open or closed		open, while the bytes go over
 *	writer open, empty			open
 *	writer closed, empty			closed
 *	closed again at a later phase, empty	opened and closed: an opening that wrote nothing (or
 *						whose bytes went over before) ends the reader too
 *
 * When the guest's reader closes, the bytes wait in fwd, and a full fwd holds up the writer, until
 * a reader opens again. No bytes are dropped. An end-of-file behind them waits with them.
 *
 * After a restart the table holds with the phases that are found. Only one thing cannot be known:
 * whether the phase of a closed, empty fwd was passed on already. If bwd is found closed, it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <libfs/checked.h>

#include "channel/io.h"
#include "endpoint/endpoint.h"

struct echo {
	struct endpoint ep;
	uint64_t eof_phase; /* phase of the guest's writer whose end was passed on last; 0: none */
};

static void pass_echo_eof(struct echo *e)
{
	struct channel *ch = e->ep.ch;
	/* As it was when nothing was left: the next writer may be there by now */
	uint64_t phase = ch->sp.rx.peer_phase;

	if (phase != e->eof_phase)
		channel_set_open(ch, true, true);
	channel_set_open(ch, true, false);
	e->eof_phase = phase;
}

/* @filled: of a look into fwd. Return: > 0: go on with what is there; else as move of endpoint_turn() */
static int64_t looked(struct echo *e, int64_t filled)
{
	struct channel *ch = e->ep.ch;
	int r;

	if (!filled) {
		pass_echo_eof(e);
		return 0;
	}
	if (filled < 0 && filled != -OKL4_AGAIN)
		return filled;
	channel_set_open(ch, true, true);
	if (filled > 0)
		return filled;
	r = channel_wait_read(ch);
	return r == 1 ? -OKL4_AGAIN : r;
}

/* @room: of a look into bwd, negative; @bytes: room to wait for. Return: as move of endpoint_turn() */
static int64_t wait_for_reader(struct channel *ch, int64_t room, uint64_t bytes)
{
	int r;

	if (room == -OKL4_PIPE)
		return 0; /* a new reader wakes us */
	if (room != -OKL4_AGAIN)
		return room;
	r = channel_wait_write(ch, bytes);
	return r == 1 ? -OKL4_AGAIN : r;
}

static int64_t echo_message(void *arg, uint64_t max)
{
	struct echo *e = arg;
	struct channel *ch = e->ep.ch;
	uint64_t bytes;
	int64_t r = looked(e, channel_next_message(ch, &bytes));

	if (r <= 0)
		return r;
	r = channel_message_room(ch, bytes);
	if (r && !(r == -OKL4_PIPE && ch->is_session)) /* no reader follows: nobody will take it */
		return wait_for_reader(ch, r, okl4_packet_ring_bytes(bytes));
	if (!r) {
		endpoint_copy_message(ch, ch, bytes);
		channel_put_message(ch, bytes);
	}
	channel_take_message(ch, bytes);
	return channel_usable(ch) ? (int64_t)okl4_packet_ring_bytes(bytes) : -OKL4_CHANNEL_FAILED;
}

static int64_t echo_piece(void *arg, uint64_t max)
{
	struct echo *e = arg;
	struct channel *ch = e->ep.ch;
	struct okl4_pipe_seg from[2], to[2];
	int64_t filled = looked(e, channel_peek_read(ch, from)), room;

	if (filled <= 0)
		return filled;
	room = channel_peek_write(ch, to);
	if (room == -OKL4_PIPE && ch->is_session) {
		/* No reader follows: nobody will take them */
		filled = (int64_t)okl4_min((uint64_t)filled, max);
		channel_commit_read(ch, (uint64_t)filled);
		return channel_usable(ch) ? filled : -OKL4_CHANNEL_FAILED;
	}
	if (room < 0)
		return wait_for_reader(ch, room, ch->sp.ring_bytes / 2);

	max = okl4_min(max, okl4_min((uint64_t)filled, (uint64_t)room));
	endpoint_copy(to, from, max);
	channel_commit_write(ch, max);
	channel_commit_read(ch, max);
	return channel_usable(ch) ? (int64_t)max : -OKL4_CHANNEL_FAILED;
}

static void echo_woken(void *arg)
{
	struct echo *e = arg;

	struct channel *ch = e->ep.ch;

	if (endpoint_turn(ch->cfg->packets ? echo_message : echo_piece, e) == 1)
		channel_again(ch);
}

/* End the move that a killed predecessor had begun. Return: 0 or an error */
static int end_former_move(struct channel *ch)
{
	uint64_t copied = channel_write_pos(ch) - channel_read_pos(ch);
	int64_t filled = channel_readable(ch);
	struct okl4_pipe_seg seg[2];
	struct channel_peer reader;

	if (filled < 0)
		return (int)filled;
	if (channel_guest_reader(ch, &reader))
		return -OKL4_CHANNEL_FAILED;
	if (ch->is_session && reader.state == OKL4_PIPE_CLOSED)
		return 0; /* from then on bytes were dropped */
	if (copied > (uint64_t)filled) {
		channel_log(ch, LOG_LEVEL_WARNING,
			    "echo: the cursors contradict each other: %" PRIu64
			    " bytes written, %" PRIu64 " read",
			    channel_write_pos(ch), channel_read_pos(ch));
		channel_fail(ch, OKL4_RESUME_CURSORS);
		return -OKL4_RESUME_CURSORS;
	}
	while (copied) {
		int64_t n = channel_peek_read(ch, seg);

		if (n <= 0)
			return (int)n;
		n = (int64_t)okl4_min((uint64_t)n, copied);
		channel_commit_read(ch, (uint64_t)n);
		copied -= (uint64_t)n;
	}
	return 0;
}

static void echo_up(void *arg, bool fresh)
{
	struct echo *e = arg;
	struct channel_peer writer;
	uint64_t phase = channel_write_phase(e->ep.ch);

	e->eof_phase = 0;
	if (end_former_move(e->ep.ch) || channel_guest_writer(e->ep.ch, &writer))
		return;
	if (phase && !(phase & 1) && writer.state == OKL4_PIPE_CLOSED)
		e->eof_phase = writer.phase;
	echo_woken(e);
}

static void echo_down(void *arg, bool gone)
{
}

static const struct channel_endpoint_ops echo_channel_ops = {
	.up = echo_up,
	.down = echo_down,
	.woken = echo_woken,
};

static int echo_new(struct endpoint **out, const struct endpoint_config *cfg, struct channel *ch)
{
	struct echo *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->ep.ops = &endpoint_echo;
	e->ep.ch = ch;
	channel_bind(ch, &echo_channel_ops, e);
	*out = &e->ep;
	return 0;
}

static void echo_info(const struct endpoint *ep, struct endpoint_info *info)
{
	*info = (struct endpoint_info){ .connected = true };
}

static void echo_free(struct endpoint *ep)
{
	free(ep);
}

const struct endpoint_ops endpoint_echo = {
	.type = ENDPOINT_ECHO,
	.new = echo_new,
	.info = echo_info,
	.free = echo_free,
};
