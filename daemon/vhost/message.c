/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One message from a frontend goes like this: DPDK's thread reads it and asks message_before(),
 * which judges it, makes the device stop touching what the message may change (often one ring; all
 * memory for a new memory table), and lets DPDK carry it out; message_after() then tells the device
 * how things stand. vring_state_changed() comes in between or after that. A device that was not
 * stopped by anybody is told again; that is harmless.
 *
 * DPDK itself reads vrings while it carries messages out. So mappings are watched (sigbus.h) for as
 * long as they exist, and while the vhost thread handles a message of a guest, memory that is lost
 * under it is that guest's in any case.
 */
#include <fcntl.h>
#include <pthread.h>
#include <rte_vhost.h>
#include <string.h>

#include "vhost/region_file.h"
#include "vhost/sigbus.h"
#include "util/fd.h"
#include "util/stranger.h"
#include "vhost/private.h"
#include "vhost/syscalls.h"

/**
 * struct device_call - arguments of a call on the worker
 * @b: backend
 * @setup: for resume()
 * @queue: for ring_stop() and ring_next()
 * @taken: for ring_stop()
 * @next: from ring_next()
 * @found: from ring_next()
 */
struct device_call {
	struct vhost_backend *b;
	struct vhost_setup setup;
	unsigned int queue;
	uint16_t next;
	bool taken, found;
};

/**
 * call_resume() - resume(), on the worker
 * @arg: struct device_call
 */
static void call_resume(void *arg)
{
	struct device_call *c = arg;

	c->b->ops->resume(c->b->device, &c->setup);
}

/**
 * call_ring_stop() - ring_stop(), on the worker
 * @arg: struct device_call
 */
static void call_ring_stop(void *arg)
{
	struct device_call *c = arg;

	c->b->ops->ring_stop(c->b->device, c->queue, c->taken);
}

/**
 * call_ring_next() - ring_next(), on the worker
 * @arg: struct device_call
 */
static void call_ring_next(void *arg)
{
	struct device_call *c = arg;

	c->found = c->b->ops->ring_next(c->b->device, c->queue, &c->next);
}

/**
 * unwatch_memory() - the regions are about to be unmapped, or have been
 * @b: backend
 */
static void unwatch_memory(struct vhost_backend *b)
{
	for (unsigned int i = 0; i < b->memory.n_regions; i++)
		sigbus_unwatch(b->memory.region[i].map);
	b->memory.n_regions = 0;
}

void vhost_message_lost(struct vhost_backend *b)
{
	uint32_t request = vhost_take_request();
	const char *name = vhost_request_name(request);

	if (request)
		log_limited(&b->limit, LOG_LEVEL_WARNING, &b->about,
			    "vhost-user message %s (%u) could not be read; the frontend is dropped",
			    name ? name : "unknown", request);
}

void vhost_message_reset(struct vhost_backend *b)
{
	if (b->handling)
		log_limited(&b->limit, LOG_LEVEL_WARNING, &b->about, "vhost-user message %s failed",
			    vhost_request_name(b->handling));
	b->handling = 0;
	sigbus_here(NULL, -1);
	unwatch_memory(b);
	memset(b->ready, 0, sizeof(b->ready));
	memset(b->size, 0, sizeof(b->size));
}

/**
 * tell_setup() - tell the device how things stand
 * @b: backend
 * @vid: DPDK's number
 */
static void tell_setup(struct vhost_backend *b, int vid)
{
	struct device_call c = { .b = b };

	c.setup.memory = b->memory;
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		struct vhost_ring *ring = &c.setup.ring[i];
		struct rte_vhost_vring vring;

		memset(&vring, 0, sizeof(vring));
		ring->kick_fd = -1;
		if (!b->ready[i] || !b->memory.n_regions ||
		    rte_vhost_get_vhost_vring(vid, (uint16_t)i, &vring))
			continue;
		ring->size = vring.size;
		ring->desc = vring.desc;
		ring->avail = vring.avail;
		ring->used = vring.used;
		ring->kick_fd = vring.kickfd;
		ring->ready = vring.desc && vring.avail && vring.used && vring.kickfd >= 0;
	}
	vhost_on_worker(b, call_resume, &c);
}

/**
 * drop_fds() - close the descriptors of a message that goes no further
 * @msg: message
 */
static void drop_fds(struct vhost_message *msg)
{
	for (int i = 0; i < msg->n_fds; i++)
		msg->fd[i] = stranger_give(msg->fd[i]);
	msg->n_fds = 0;
}

/**
 * refuse() - refuse a message
 * @b: backend
 * @msg: message
 * @judgement: VHOST_REFUSE or VHOST_HOSTILE
 * @why: what is wrong
 *
 * DPDK answers an error to a sender that asked for an answer, and else drops the connection. That
 * of a hostile one is dropped in any case.
 *
 * Return: RTE_VHOST_MSG_RESULT_ERR.
 */
static enum rte_vhost_msg_result refuse(struct vhost_backend *b, struct vhost_message *msg,
					enum vhost_judgement judgement, const char *why)
{
	const char *name = vhost_request_name(msg->request);
	bool drop = judgement == VHOST_HOSTILE || !(msg->flags & VHOST_FLAG_NEED_REPLY);

	drop_fds(msg);
	if (judgement == VHOST_HOSTILE)
		msg->flags &= ~VHOST_FLAG_NEED_REPLY;
	log_limited(&b->limit, LOG_LEVEL_WARNING, &b->about,
		    "vhost-user message %s (%u) refused: %s%s", name ? name : "unknown",
		    msg->request, why, drop ? "; the frontend is dropped" : "");
	vhost_call(b, b->ops->refused);
	return RTE_VHOST_MSG_RESULT_ERR;
}

/**
 * ring_in_memory() - whether SET_VRING_ADDR points into guest memory
 * @b: backend
 * @msg: message, of a queue that exists
 *
 * DPDK takes a part whose end lies outside; the device would find that too, but not the message.
 *
 * Return: true when all three parts lie inside one region each.
 */
static bool ring_in_memory(const struct vhost_backend *b, const struct vhost_message *msg)
{
	uint64_t n = b->size[msg->payload.addr.index];
	uint64_t at[] = { msg->payload.addr.desc, msg->payload.addr.avail, msg->payload.addr.used };
	uint64_t bytes[] = { 16 * n, 4 + 2 * n, 4 + 8 * n };
	unsigned int found = 0;

	for (unsigned int i = 0; i < b->memory.n_regions; i++) {
		const struct guest_region *r = &b->memory.region[i];

		for (int j = 0; j < 3; j++) {
			if (at[j] >= r->user_addr && bytes[j] <= r->bytes &&
			    at[j] - r->user_addr <= r->bytes - bytes[j])
				found++;
		}
	}
	return n && found == 3;
}

/**
 * prepare() - what has to be done before DPDK carries a message out
 * @b: backend
 * @vid: DPDK's number
 * @msg: message, judged
 */
static void prepare(struct vhost_backend *b, int vid, const struct vhost_message *msg)
{
	enum vhost_scope scope = vhost_message_scope(msg);
	int queue = vhost_request_queue(msg);
	struct device_call c = { .b = b, .queue = (unsigned int)queue };

	if (scope == VHOST_SCOPE_NOTHING)
		return;
	c.taken = scope == VHOST_SCOPE_RING;
	if (scope == VHOST_SCOPE_MEMORY)
		vhost_call(b, b->ops->suspend);
	else
		vhost_on_worker(b, call_ring_stop, &c);
	if (msg->request == VHOST_REQ_SET_VRING_NUM)
		b->size[queue] = msg->payload.state.num;
	else if (msg->request == VHOST_REQ_SET_MEM_TABLE || msg->request == VHOST_REQ_RESET_OWNER)
		unwatch_memory(b);
	else if (msg->request == VHOST_REQ_SET_VRING_ENABLE && !msg->payload.state.num)
		b->ready[queue] = false;
	if (msg->request != VHOST_REQ_GET_VRING_BASE)
		return;
	/* The reply tells the frontend how far the ring was served; DPDK did not serve it. */
	b->ready[queue] = false;
	vhost_on_worker(b, call_ring_next, &c);
	if (c.found)
		rte_vhost_set_vring_base(vid, (uint16_t)queue, c.next, c.next);
}

/**
 * known_layout() - whether a message looks as struct vhost_message says
 * @msg: message
 *
 * Return: true when the descriptors are where we think they are.
 */
static bool known_layout(const struct vhost_message *msg)
{
	if (msg->n_fds < 0 || msg->n_fds > GUEST_MEMORY_MAX_REGIONS)
		return false;
	for (int i = msg->n_fds; i < GUEST_MEMORY_MAX_REGIONS; i++) {
		if (msg->fd[i] != -1)
			return false;
	}
	return true;
}

/**
 * message_before() - a message has come
 * @vid: DPDK's number
 * @arg: message
 *
 * Return: NOT_HANDLED to let DPDK handle it, ERR to refuse it, REPLY when it was answered here.
 */
static enum rte_vhost_msg_result message_before(int vid, void *arg)
{
	struct vhost_backend *b = vhost_of(vid);
	struct vhost_message *msg = arg;
	enum vhost_judgement judgement;
	const char *why;

	vhost_take_request();
	if (!b || !known_layout(msg)) {
		log_err("vhost-user: connection %d: a message is not laid out as expected", vid);
		msg->flags &= ~VHOST_FLAG_NEED_REPLY;
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	if (b->closing) {
		msg->flags &= ~VHOST_FLAG_NEED_REPLY;
		drop_fds(msg);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	if (b->socket < 0)
		b->socket = fcntl(vhost_current_socket(), F_DUPFD_CLOEXEC, 0);
	if (b->handling)
		log_limited(&b->limit, LOG_LEVEL_WARNING, &b->about, "vhost-user message %s failed",
			    vhost_request_name(b->handling));
	b->handling = 0;
	judgement = vhost_check_message(msg, &why);
	if (judgement == VHOST_PASS && msg->request == VHOST_REQ_SET_VRING_ADDR &&
	    !ring_in_memory(b, msg)) {
		judgement = VHOST_HOSTILE;
		why = "a part of the ring is not in guest memory";
	}
	if (judgement != VHOST_PASS)
		return refuse(b, msg, judgement, why);
	if (msg->request == VHOST_REQ_GET_QUEUE_NUM) {
		msg->payload.u64 = VHOST_MAX_QUEUES;
		msg->bytes = sizeof(msg->payload.u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	}
	b->handling = msg->request;
	prepare(b, vid, msg);
	sigbus_here(&b->lost, b->lost_fd);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/**
 * take_memory() - after SET_MEM_TABLE: what DPDK has mapped
 * @b: backend
 * @vid: DPDK's number
 *
 * Return: NULL, or what is wrong with it.
 */
static const char *take_memory(struct vhost_backend *b, int vid)
{
	_cleanup_free_ struct rte_vhost_memory *table = NULL;
	struct guest_memory *m = &b->memory;
	const char *wrong = NULL;

	if (rte_vhost_get_mem_table(vid, &table))
		return "DPDK has no memory table";
	memset(m, 0, sizeof(*m));
	for (uint32_t i = 0; i < table->nregions && i < GUEST_MEMORY_MAX_REGIONS && !wrong; i++) {
		const struct rte_vhost_mem_region *t = &table->regions[i];
		struct guest_region *r = &m->region[i];

		r->gpa = t->guest_phys_addr;
		r->user_addr = t->guest_user_addr;
		r->bytes = t->size;
		r->hva = (uint8_t *)(uintptr_t)t->host_user_addr;
		r->map = t->mmap_addr;
		r->map_bytes = t->mmap_size;
		wrong = region_file_check(t->fd, (uint64_t)(r->hva - r->map), r->bytes,
					  &r->page_bytes);
	}
	if (!wrong)
		wrong = guest_memory_check(m->region, table->nregions);
	for (uint32_t i = 0; i < table->nregions && !wrong; i++) {
		const struct guest_region *r = &m->region[i];

		m->n_regions = i + 1;
		if (sigbus_watch(r->map, r->map_bytes, r->page_bytes, &b->lost, b->lost_fd))
			wrong = "too many regions in this process";
	}
	if (wrong)
		unwatch_memory(b);
	return wrong;
}

/**
 * message_after() - DPDK has carried a message out, or message_before() has answered it
 * @vid: DPDK's number
 * @arg: message; its payload may be the reply by now
 *
 * Return: NOT_HANDLED, "as it was"; ERR to drop the frontend.
 */
static enum rte_vhost_msg_result message_after(int vid, void *arg)
{
	struct vhost_backend *b = vhost_of(vid);
	struct vhost_message *msg = arg;
	const char *wrong;

	sigbus_here(NULL, -1);
	if (!b || !b->handling)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	b->handling = 0;
	if (vhost_answer_lost())
		log_limited(&b->limit, LOG_LEVEL_WARNING, &b->about,
			    "the frontend does not read its answers; it is dropped");
	if (msg->request == VHOST_REQ_SET_MEM_TABLE) {
		wrong = take_memory(b, vid);
		if (wrong) {
			/* DPDK owns the descriptors by now */
			msg->n_fds = 0;
			return refuse(b, msg, VHOST_HOSTILE, wrong);
		}
	} else if (msg->request == VHOST_REQ_RESET_OWNER) {
		memset(b->ready, 0, sizeof(b->ready));
	}
	if (vhost_message_scope(msg) != VHOST_SCOPE_NOTHING)
		tell_setup(b, vid);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

int vhost_vring_state_changed(int vid, uint16_t queue, int enable)
{
	struct vhost_backend *b = vhost_of(vid);

	if (!b || queue >= VHOST_MAX_QUEUES)
		return 0;
	b->ready[queue] = enable;
	/* In the middle of a message the queue is stopped, and message_after() will tell it. */
	if (!b->handling)
		tell_setup(b, vid);
	return 0;
}

const struct rte_vhost_user_extern_ops vhost_message_ops = {
	.pre_msg_handle = message_before,
	.post_msg_handle = message_after,
};
