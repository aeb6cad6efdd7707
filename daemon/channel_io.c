// SPDX-License-Identifier: BSD-3-Clause
/*
 * channel_io.c - what endpoints do with a channel: libfs's calls with counters, wake-ups, and
 * failing the channel when the guest broke the protocol
 */
#include "channel.h"

/**
 * checked() - fail the channel for a violation
 * @ch: channel
 * @r: what libfs returned
 *
 * Return: @r.
 */
static int64_t checked(struct channel *ch, int64_t r)
{
	if (r < 0 && r != -FS_AGAIN && r != -FS_PIPE)
		channel_fail(ch, (int)r);
	return r;
}

/**
 * wake() - wake the guest on account of a direction
 * @ch: channel
 * @way: its counters
 */
static void wake(struct channel *ch, struct channel_way_stats *way)
{
	way->wakes_sent++;
	ch->guest_ops->ring(ch->guest, ch->id);
}

bool channel_usable(const struct channel *ch)
{
	return ch->state == CHANNEL_ATTACHED;
}

void channel_set_open(struct channel *ch, bool rx, bool tx)
{
	if (rx != pipe_is_open(&ch->sp.rx)) {
		if (rx)
			pipe_consumer_open(&ch->sp.rx);
		else
			pipe_consumer_close(&ch->sp.rx);
		ch->fwd.opens += rx;
		wake(ch, &ch->fwd);
	}
	if (tx != pipe_is_open(&ch->sp.tx)) {
		if (tx)
			pipe_producer_open(&ch->sp.tx);
		else
			pipe_producer_close(&ch->sp.tx);
		ch->bwd.opens += tx;
		wake(ch, &ch->bwd);
	}
}

int64_t channel_peek_read(struct channel *ch, struct pipe_seg seg[2])
{
	return checked(ch, pipe_peek_read(&ch->sp.rx, seg));
}

void channel_commit_read(struct channel *ch, uint64_t bytes)
{
	if (pipe_commit_read(&ch->sp.rx, bytes))
		wake(ch, &ch->fwd);
	ch->fwd.bytes += bytes;
	ch->fwd.messages += bytes > 0;
	checked(ch, pipe_error(&ch->sp.rx));
}

int64_t channel_peek_write(struct channel *ch, struct pipe_seg seg[2])
{
	return checked(ch, pipe_peek_write(&ch->sp.tx, seg));
}

void channel_commit_write(struct channel *ch, uint64_t bytes)
{
	if (pipe_commit_write(&ch->sp.tx, bytes))
		wake(ch, &ch->bwd);
	ch->bwd.bytes += bytes;
	ch->bwd.messages += bytes > 0;
	checked(ch, pipe_error(&ch->sp.tx));
}

int64_t channel_readable(struct channel *ch)
{
	return checked(ch, pipe_readable(&ch->sp.rx));
}

int64_t channel_writable(struct channel *ch)
{
	return checked(ch, pipe_writable(&ch->sp.tx));
}

int channel_wait_read(struct channel *ch)
{
	int r = (int)checked(ch, pipe_arm_read(&ch->sp.rx));

	ch->fwd.empty_stalls += !r;
	return r;
}

int channel_wait_write(struct channel *ch, uint64_t bytes)
{
	int r = (int)checked(ch, pipe_arm_write(&ch->sp.tx, bytes));

	ch->bwd.full_stalls += !r;
	return r;
}

int channel_guest_writer(struct channel *ch, struct channel_peer *peer)
{
	int r = (int)checked(ch, pipe_consumer_peer(&ch->sp.rx, &peer->state));

	peer->phase = ch->sp.rx.peer_phase;
	return r;
}

int channel_guest_reader(struct channel *ch, struct channel_peer *peer)
{
	int r = (int)checked(ch, pipe_producer_peer(&ch->sp.tx, &peer->state));

	peer->phase = ch->sp.tx.peer_phase;
	return r;
}

uint64_t channel_read_pos(const struct channel *ch)
{
	return ch->sp.rx.cursor;
}

uint64_t channel_write_pos(const struct channel *ch)
{
	return ch->sp.tx.cursor;
}

uint64_t channel_write_phase(const struct channel *ch)
{
	return ch->sp.tx.phase;
}

bool channel_eof_taken(const struct channel *ch)
{
	uint64_t eof_seen = fs_le64_to_cpu(fs_load_acquire(&ch->sp.tx.shm->consumer.eof_seen));

	return !pipe_is_open(&ch->sp.tx) && ch->sp.tx.phase && eof_seen >= ch->sp.tx.phase;
}
