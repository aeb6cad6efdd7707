/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver posts small writable buffers, and the daemon returns one for each event. When no
 * buffer is posted, the event waits as a bit, never in a queue. A pending WAKE means all words of
 * the bell page, a failed channel is reported once, and of an id whose channel has come and gone
 * many times only the last state is reported.
 */
#include "guest/bell.h"

#include <string.h>

#include "guest/queue.h"
#include "guest/state.h"

/* Channels served in a turn; each moves up to CHANNEL_TURN_BYTES in each direction */
#define CHANNELS_A_TURN 8

/* Chains that a turn of an event queue may give back unused: FUSE requests, unsuitable buffers */
#define CHAINS_A_TURN 32

/* It leaves a malformed ring to the queue's turn: an endpoint may be moving bytes just now. */
static bool next_buffer(struct guest_queue *q, struct virtqueue_chain *chain)
{
	bool notify = false;
	int n, r = 0;

	for (n = 0; n < CHAINS_A_TURN; n++) {
		r = virtqueue_pop(&q->vq, chain);
		if (r <= 0 || (!chain->out_bytes && chain->in_bytes >= sizeof(struct okl4fs_event)))
			break;
		if (!guest_decline_fuse(q, chain)) {
			q->guest->stats.refused++;
			log_limited(&q->guest->limit, LOG_LEVEL_WARNING, &q->guest->about,
				    "queue %u: a buffer is not an event buffer", q->idx);
			virtqueue_push(&q->vq, chain->head, 0);
		}
		notify = true;
		r = 0;
	}
	if (notify)
		guest_queue_notify(q);
	if (n == CHAINS_A_TURN || r < 0)
		guest_queue_kick(q);
	return r == 1;
}

static bool send_event(struct guest_queue *q, const struct okl4fs_event *ev)
{
	struct virtqueue_chain chain;

	if (!q->up || !next_buffer(q, &chain))
		return false;
	virtqueue_push(&q->vq, chain.head, (uint32_t)chain_write(&chain, ev, sizeof(*ev)));
	return true;
}

static struct guest_queue *queue_of_word(struct guest *g, unsigned int word)
{
	return &g->queue[OKL4FS_QUEUE_EVENT + word % g->driver.n_event_queues];
}

static bool send_channel_changed(struct guest_queue *q, uint32_t id)
{
	const struct guest_channel *gc = guest_channel_of(q->guest, id);
	struct okl4fs_event ev;

	wire_encode_event(&ev, gc ? OKL4FS_EVENT_CHANNEL_ADDED : OKL4FS_EVENT_CHANNEL_REMOVED, id,
			  OKL4_OK, 0);
	return send_event(q, &ev);
}

static bool send_channel_failed(struct guest_queue *q, uint32_t id)
{
	const struct guest_news *news = &q->guest->news[id];
	struct okl4fs_event ev;

	wire_encode_event(&ev, OKL4FS_EVENT_CHANNEL_FAILED, id, news->status, news->instance);
	return send_event(q, &ev);
}

static bool send_session_answered(struct guest_queue *q, uint32_t id)
{
	const struct guest_news *news = &q->guest->news[id];
	struct okl4fs_event ev;

	wire_encode_event(&ev, OKL4FS_EVENT_SESSION, id, news->status, news->instance);
	return send_event(q, &ev);
}

static bool send_marked(struct guest_queue *q, uint64_t mark[OKL4FS_BELL_WORDS],
			bool (*send)(struct guest_queue *q, uint32_t id))
{
	bool sent = false;

	for (unsigned int w = q->idx - OKL4FS_QUEUE_EVENT; w < OKL4FS_BELL_WORDS;
	     w += q->guest->driver.n_event_queues) {
		while (mark[w]) {
			if (!send(q, (uint32_t)__builtin_ctzll(mark[w]) * OKL4FS_BELL_WORDS + w))
				return sent;
			mark[w] &= mark[w] - 1;
			sent = true;
		}
	}
	return sent;
}

static void flush_events(struct guest_queue *q)
{
	struct guest *g = q->guest;
	struct okl4fs_event ev;
	bool sent;

	if (!g->driver.bell || !q->up || q->vq.error)
		return;
	sent = send_marked(q, g->changed, send_channel_changed);
	sent |= send_marked(q, g->failed, send_channel_failed);
	sent |= send_marked(q, g->answered, send_session_answered);
	wire_encode_event(&ev, OKL4FS_EVENT_WAKE, 0, OKL4_OK, 0);
	if (q->wake && send_event(q, &ev)) {
		q->wake = false;
		sent = true;
	}
	if (sent)
		guest_queue_notify(q);
}

/* Before HELLO there is no bell page, and nothing else to send. */
static void send_greeting(struct guest_queue *q)
{
	struct okl4fs_event ev;

	wire_encode_event(&ev, OKL4FS_EVENT_GREET, 0, OKL4_OK, 0);
	if (!q->guest->greet || q->vq.error || !send_event(q, &ev))
		return;
	q->guest->greet = false;
	guest_queue_notify(q);
}

void guest_bell_greet(struct guest *g)
{
	g->greet = g->unmet = true;
	for (unsigned int i = OKL4FS_QUEUE_EVENT; i < VHOST_MAX_QUEUES; i++)
		send_greeting(&g->queue[i]);
}

static void ring_bell(void *arg, uint32_t id)
{
	unsigned int word = id % OKL4FS_BELL_WORDS;
	struct guest *g = arg;
	okl4_le64 bit = okl4_cpu_to_le64(1ULL << (id / OKL4FS_BELL_WORDS));

	/* A suspended device has no bell page; attaching again rings in any case. */
	if (!g->driver.bell || okl4_fetch_or64(&g->driver.bell->to_guest[word], bit))
		return;
	queue_of_word(g, word)->wake = true;
	flush_events(queue_of_word(g, word));
}

/* @mark: g->failed or g->answered */
static void tell_news(struct guest *g, uint64_t mark[OKL4FS_BELL_WORDS], uint32_t id,
		      uint64_t instance, enum okl4_status status)
{
	unsigned int word = id % OKL4FS_BELL_WORDS;

	if (!g->driver.ready)
		return; /* HELLO makes it forget all of this */
	mark[word] |= 1ULL << (id / OKL4FS_BELL_WORDS);
	g->news[id] = (struct guest_news){ status, instance };
	flush_events(queue_of_word(g, word));
}

void guest_bell_tell_failed(struct guest *g, uint32_t id, uint64_t instance,
			    enum okl4_status status)
{
	tell_news(g, g->failed, id, instance, status);
}

static bool is_marked(const uint64_t mark[OKL4FS_BELL_WORDS], uint32_t id)
{
	return mark[id % OKL4FS_BELL_WORDS] >> (id / OKL4FS_BELL_WORDS) & 1;
}

static void tell_failed(void *arg, const struct channel *ch, enum okl4_status status)
{
	struct guest *g = arg;
	struct guest_channel *gc = g->channel[ch->id];

	if (!gc || gc->is_quiet)
		return; /* it is being removed, which the driver is told as well */
	if (gc->board) {
		gc->board->sessions.refused += gc->is_waiting;
		gc->is_over = true;
		loop_schedule(g->worker, &g->reap);
	}
	/* A driver that still waits for the answer gets this as the answer. */
	if (gc->is_waiting || is_marked(g->answered, ch->id))
		tell_news(g, g->answered, ch->id, ch->instance, status);
	else
		tell_news(g, g->failed, ch->id, ch->instance, status);
}

static void tell_opened(void *arg, const struct channel *ch)
{
	struct guest *g = arg;
	struct guest_channel *gc = g->channel[ch->id];

	if (!gc || gc->is_quiet || gc->is_over || !gc->is_waiting)
		return;
	gc->is_waiting = false;
	gc->board->sessions.waiting--;
	gc->board->sessions.opened++;
	tell_news(g, g->answered, ch->id, ch->instance, OKL4_OK);
}

bool guest_bell_keeps_id(const struct guest *g, uint32_t id, bool for_session)
{
	/* Of a channel that has gone, no failure is left to tell (guest_bell_changed()) */
	return is_marked(g->failed, id) || is_marked(g->answered, id) ||
	       (for_session && is_marked(g->changed, id));
}

void guest_bell_forget(struct guest *g, uint32_t id)
{
	unsigned int word = id % OKL4FS_BELL_WORDS;

	if (g->driver.ready)
		queue_of_word(g, word)->rung[word] &= ~(1ULL << (id / OKL4FS_BELL_WORDS));
}

void guest_bell_changed(struct guest *g, uint32_t id)
{
	unsigned int word = id % OKL4FS_BELL_WORDS;
	uint64_t bit = 1ULL << (id / OKL4FS_BELL_WORDS);

	/* The marks and rings so far were for the former channel. */
	g->failed[word] &= ~bit;
	if (!g->driver.ready)
		return;
	queue_of_word(g, word)->rung[word] &= ~bit;
	g->changed[word] |= bit;
	flush_events(queue_of_word(g, word));
}

static bool guest_memory_is_lost(void *arg)
{
	const struct guest *g = arg;

	return g->vhost && vhost_front_memory_is_lost(g->vhost);
}

const struct channel_guest_ops guest_bell_ops = {
	.ring = ring_bell,
	.tell = tell_failed,
	.opened = tell_opened,
	.memory_is_lost = guest_memory_is_lost,
};

static void take_bells(struct guest_queue *q)
{
	struct guest_driver *d = &q->guest->driver;

	for (unsigned int w = q->idx - OKL4FS_QUEUE_EVENT; w < OKL4FS_BELL_WORDS;
	     w += d->n_event_queues) {
		/* Most words are zero, and a load is cheaper than an exchange. A bit that is set
		 * after the load comes with a kick of its own. */
		if (okl4_load(&d->bell->to_host[w]))
			q->rung[w] |= okl4_le64_to_cpu(okl4_xchg64(&d->bell->to_host[w], 0));
	}
}

static bool answer_bells(struct guest_queue *q)
{
	struct guest *g = q->guest;
	unsigned int n = 0;

	for (unsigned int w = 0; w < OKL4FS_BELL_WORDS; w++) {
		while (q->rung[w]) {
			uint32_t id = (uint32_t)__builtin_ctzll(q->rung[w]) * OKL4FS_BELL_WORDS + w;

			if (n++ == CHANNELS_A_TURN)
				return true;
			q->rung[w] &= q->rung[w] - 1;
			if (guest_end_of(g, id))
				channel_rung(&g->channel[id]->ch);
		}
	}
	return false;
}

void guest_bell_look_after(struct guest *g)
{
	for (uint32_t id = 0; id < g->n_ids; id++) {
		unsigned int word = id % OKL4FS_BELL_WORDS;

		if (g->channel[id] && channel_usable(&g->channel[id]->ch))
			queue_of_word(g, word)->rung[word] |= 1ULL << (id / OKL4FS_BELL_WORDS);
	}
	for (uint32_t i = 0; i < g->driver.n_event_queues; i++)
		guest_queue_kick(&g->queue[OKL4FS_QUEUE_EVENT + i]);
}

bool guest_bell_turn(struct guest_queue *q)
{
	struct guest_driver *d = &q->guest->driver;
	struct virtqueue_chain chain;

	if (virtqueue_has_next(&q->vq))
		next_buffer(q, &chain);
	send_greeting(q);
	if (q->vq.error || !d->bell || q->idx > d->n_event_queues)
		return false;
	flush_events(q);
	take_bells(q);
	return answer_bells(q);
}

void guest_bell_reset(struct guest *g)
{
	memset(g->changed, 0, sizeof(g->changed));
	memset(g->failed, 0, sizeof(g->failed));
	memset(g->answered, 0, sizeof(g->answered));
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		g->queue[i].wake = false;
		memset(g->queue[i].rung, 0, sizeof(g->queue[i].rung));
	}
}
