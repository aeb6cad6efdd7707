// SPDX-License-Identifier: BSD-3-Clause
/*
 * io.c - what endpoints do with a channel: libfs's calls with counters, wake-ups, and
 * failing the channel when the guest broke the protocol
 *
 * A wake-up costs both sides as much as copying some hundred kilobytes, and a guest that has just
 * written often writes again. So after bytes have moved, channel_wait_read() looks for more for a
 * moment before the host sleeps. When none came, the host sleeps at once the next time, so an idle
 * channel costs nothing. No other endpoint's turn is put off by this.
 */
#include "channel/io.h"

#include <libfs/checked.h>

#include "util/clock.h"

static void wake_guest(struct channel *ch, struct channel_way_stats *way)
{
	if (channel_has_tail(ch))
		return; /* its guest is gone */
	way->wakes_sent++;
	ch->guest_ops->ring(ch->guest, ch->id);
}

void channel_set_open(struct channel *ch, bool rx, bool tx)
{
	if (rx != okl4_pipe_is_open(&ch->sp.rx)) {
		if (rx)
			okl4_pipe_consumer_open(&ch->sp.rx);
		else
			okl4_pipe_consumer_close(&ch->sp.rx);
		ch->fwd.opens += rx;
		wake_guest(ch, &ch->fwd);
	}
	if (tx != okl4_pipe_is_open(&ch->sp.tx)) {
		if (tx)
			okl4_pipe_producer_open(&ch->sp.tx);
		else
			okl4_pipe_producer_close(&ch->sp.tx);
		ch->bwd.opens += tx;
		wake_guest(ch, &ch->bwd);
	}
}

int64_t channel_peek_read(struct channel *ch, struct okl4_pipe_seg seg[2])
{
	return channel_check(ch, okl4_pipe_peek_read(&ch->sp.rx, seg));
}

static void bytes_taken(struct channel *ch, uint64_t bytes, bool moved, bool wake)
{
	if (wake)
		wake_guest(ch, &ch->fwd);
	ch->fwd.bytes += bytes;
	ch->fwd.messages += moved;
	channel_check(ch, okl4_pipe_error(&ch->sp.rx));
	if (channel_tail_is_over(ch))
		channel_again(ch); /* which ends it */
}

static void bytes_put(struct channel *ch, uint64_t bytes, bool moved, bool wake)
{
	if (wake)
		wake_guest(ch, &ch->bwd);
	ch->bwd.bytes += bytes;
	ch->bwd.messages += moved;
	channel_check(ch, okl4_pipe_error(&ch->sp.tx));
}

void channel_commit_read(struct channel *ch, uint64_t bytes)
{
	bytes_taken(ch, bytes, bytes > 0, okl4_pipe_commit_read(&ch->sp.rx, bytes));
}

int64_t channel_peek_write(struct channel *ch, struct okl4_pipe_seg seg[2])
{
	return channel_check(ch, okl4_pipe_peek_write(&ch->sp.tx, seg));
}

void channel_commit_write(struct channel *ch, uint64_t bytes)
{
	bytes_put(ch, bytes, bytes > 0, okl4_pipe_commit_write(&ch->sp.tx, bytes));
}

int channel_next_message(struct channel *ch, uint64_t *bytes)
{
	return (int)channel_check(ch, okl4_packet_next(&ch->sp.rx, bytes));
}

void channel_take_message(struct channel *ch, uint64_t bytes)
{
	bytes_taken(ch, bytes, true, okl4_packet_commit_read(&ch->sp.rx, bytes));
}

int channel_message_room(struct channel *ch, uint64_t bytes)
{
	int r = okl4_packet_room(&ch->sp.tx, bytes);

	return r == -OKL4_ARG && !okl4_pipe_error(&ch->sp.tx) ? r : (int)channel_check(ch, r);
}

void channel_put_message(struct channel *ch, uint64_t bytes)
{
	bytes_put(ch, bytes, true, okl4_packet_commit_write(&ch->sp.tx, bytes));
}

int64_t channel_readable(struct channel *ch)
{
	return channel_check(ch, okl4_pipe_readable(&ch->sp.rx));
}

int64_t channel_writable(struct channel *ch)
{
	return channel_check(ch, okl4_pipe_writable(&ch->sp.tx));
}

static void relax_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Return: true when there are bytes, or an error that the next call returns */
static bool look_for_more(struct channel *ch)
{
	uint64_t from, limit, elapsed = 0;
	bool there = false;

	if (ch->looked_bytes == ch->fwd.bytes || !ch->look_left_ns || loop_has_tasks(ch->loop))
		return false;
	ch->looked_bytes = ch->fwd.bytes;
	limit = okl4_min(CHANNEL_LOOK_NS, ch->look_left_ns);
	from = clock_ns();
	while (!there && elapsed < limit) {
		for (int i = 0; i < 32 && !there; i++) {
			relax_cpu();
			there = okl4_pipe_readable(&ch->sp.rx) != 0;
		}
		elapsed = clock_ns() - from;
	}
	ch->look_left_ns -= okl4_min(elapsed, ch->look_left_ns);
	return there;
}

int channel_wait_read(struct channel *ch)
{
	int r;

	if (look_for_more(ch))
		return 1;
	r = (int)channel_check(ch, okl4_pipe_arm_read(&ch->sp.rx));

	ch->fwd.empty_stalls += !r;
	return r;
}

int channel_wait_write(struct channel *ch, uint64_t bytes)
{
	int r = (int)channel_check(ch, okl4_pipe_arm_write(&ch->sp.tx, bytes));

	ch->bwd.full_stalls += !r;
	return r;
}

int channel_guest_writer(struct channel *ch, struct channel_peer *peer)
{
	int r = (int)channel_check(ch, okl4_pipe_consumer_peer(&ch->sp.rx, &peer->state));

	peer->phase = ch->sp.rx.peer_phase;
	return r;
}

int channel_guest_reader(struct channel *ch, struct channel_peer *peer)
{
	int r = (int)channel_check(ch, okl4_pipe_producer_peer(&ch->sp.tx, &peer->state));

	peer->phase = ch->sp.tx.peer_phase;
	return r;
}

bool channel_eof_taken(const struct channel *ch)
{
	uint64_t eof_seen = okl4_le64_to_cpu(okl4_load_acquire(&ch->sp.tx.shm->consumer.eof_seen));

	return !okl4_pipe_is_open(&ch->sp.tx) && ch->sp.tx.phase && eof_seen >= ch->sp.tx.phase;
}

/* Cursors before phases, as when the ends move: a close is seen only with all that was written. */
static void publish_place(struct okl4_socketpair *sp, const struct channel_place *place)
{
	struct okl4_pipe_consumer_shm *in = &sp->rx.shm->consumer;
	struct okl4_pipe_producer_shm *out = &sp->tx.shm->producer;

	/* pairs with load_tail() and load_head() of the guest's ends */
	okl4_store_release(&in->tail, okl4_cpu_to_le64(place->read_pos));
	okl4_store_release(&out->head, okl4_cpu_to_le64(place->write_pos));
	/* pairs with load_phase() */
	okl4_store_release(&in->phase, okl4_cpu_to_le64(place->read_phase));
	okl4_store_release(&out->phase, okl4_cpu_to_le64(place->write_phase));
}

int channel_resume(struct channel *ch, const struct channel_place *place)
{
	struct okl4_pipe *rx = &ch->sp.rx, *tx = &ch->sp.tx;
	int r;

	publish_place(&ch->sp, place);
	r = okl4_pipe_consumer_init(rx, rx->shm, rx->ring);
	if (!r)
		r = okl4_pipe_producer_init(tx, tx->shm, tx->ring);
	/* The calls have read what was just published, unless the guest writes there. */
	if (!r && (rx->cursor != place->read_pos || rx->phase != place->read_phase ||
		   tx->cursor != place->write_pos || tx->phase != place->write_phase))
		r = -OKL4_RESUME_CURSORS;
	if (r) {
		channel_fail(ch, r);
		return r;
	}
	wake_guest(ch, &ch->fwd);
	wake_guest(ch, &ch->bwd);
	return 0;
}
