/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kick only schedules the queue's turn. A turn does a bounded amount and schedules the next one
 * if there is more, so guests, queues and channels that share a worker take turns.
 */
#include "guest/queue.h"

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>

#include "guest/state.h"
#include "util/fd.h"

/* DPDK held the queue's lock when the driver was to be notified. */
static void queue_call_again(void *arg)
{
	guest_queue_notify(arg);
}

void guest_queue_notify(struct guest_queue *q)
{
	if (q->up && vhost_backend_call(q->guest->vhost, q->idx) == -EAGAIN)
		loop_schedule(q->guest->worker, &q->call);
}

bool guest_decline_fuse(struct guest_queue *q, const struct virtqueue_chain *chain)
{
	struct wire_fuse_out out;
	struct wire_fuse_in in;
	uint32_t written = 0;

	if (!wire_is_fuse(&in, chain_read(chain, 0, &in, sizeof(in)), chain->out_bytes))
		return false;
	/* FORGET and INTERRUPT have no room for an answer and want none. */
	wire_encode_fuse_refusal(&out, &in);
	if (chain->in_bytes >= sizeof(out))
		written = (uint32_t)chain_write(chain, &out, sizeof(out));
	virtqueue_push(&q->vq, chain->head, written);
	if (!q->guest->stats.declined_fuse++)
		log_limited(
			&q->guest->limit, LOG_LEVEL_INFO, &q->guest->about,
			"queue %u: FUSE requests of a firmware or a virtiofs mount are declined",
			q->idx);
	return true;
}

static void queue_turn(void *arg)
{
	struct guest_queue *q = arg;
	bool more;

	if (!q->up)
		return;
	more = q->ops->turn(q);
	if (q->up && q->vq.error)
		q->ops->broken(q->guest, q);
	else if (more && q->up)
		guest_queue_kick(q);
}

void guest_queue_kick(struct guest_queue *q)
{
	loop_schedule(q->guest->worker, &q->turn);
}

static void queue_kicked(evutil_socket_t fd, short what, void *arg)
{
	guest_queue_kick(arg);
}

void guest_queue_init(struct guest *g, unsigned int idx, const struct guest_queue_ops *ops)
{
	struct guest_queue *q = &g->queue[idx];

	memset(q, 0, sizeof(*q));
	q->guest = g;
	q->idx = idx;
	q->ops = ops;
	q->kick_fd = -1;
	q->turn.fn = queue_turn;
	q->turn.arg = q;
	q->call.fn = queue_call_again;
	q->call.arg = q;
}

const char *guest_queue_start(struct guest_queue *q, const struct vhost_ring *r)
{
	const char *wrong =
		virtqueue_init(&q->vq, &q->guest->mem, r->size, r->desc, r->avail, r->used);

	if (wrong)
		return wrong;
	q->kick_fd = fcntl(r->kick_fd, F_DUPFD_CLOEXEC, 0);
	if (q->kick_fd >= 0)
		q->kick = event_new(loop_base(q->guest->worker), q->kick_fd,
				    EV_READ | EV_PERSIST | EV_ET, queue_kicked, q);
	if (!q->kick || event_add(q->kick, NULL)) {
		guest_queue_stop(q);
		return "its kick descriptor cannot be waited for";
	}
	q->up = true;
	/* An earlier kick may be lost; looking once costs little. */
	guest_queue_kick(q);
	/* And an earlier call may have gone to a descriptor that the frontend has replaced. */
	guest_queue_notify(q);
	return NULL;
}

void guest_queue_stop(struct guest_queue *q)
{
	if (q->up)
		virtqueue_get_mark(&q->vq, &q->mark);
	q->up = false;
	if (q->kick)
		event_free(q->kick);
	q->kick = NULL;
	q->kick_fd = fd_close(q->kick_fd);
	loop_cancel(q->guest->worker, &q->turn);
	loop_cancel(q->guest->worker, &q->call);
}
