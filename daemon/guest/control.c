/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests are served one after the other. Each is copied once, decoded (wire.h), carried out and
 * answered before its chain is given back. All requests are idempotent: when a daemon is killed
 * between carrying one out and giving it back, the next daemon carries it out again.
 */
#include "guest/control.h"

#include <inttypes.h>
#include <libfs/checked.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "guest/attach.h"
#include "guest/bell.h"
#include "guest/queue.h"
#include "guest/sessions.h"
#include "guest/state.h"
#include "loop/events.h"

/* Requests that are served in a turn */
#define REQUESTS_A_TURN 16

/* Requests up to this need no allocation */
#define SMALL_REQUEST_BYTES 512

uint64_t guest_host_instance(void)
{
	static _Atomic uint64_t instance;
	uint64_t mine, none = 0;

	if (!instance) {
		if (getrandom(&mine, sizeof(mine), 0) != sizeof(mine))
			mine = (uint64_t)getpid();
		/* The thread that comes first names the process. */
		atomic_compare_exchange_strong(&instance, &none, mine | 1);
	}
	return instance;
}

/* When another driver has come, the memory of the one before is gone for good. */
static void end_old_streams(struct guest *g, uint64_t instance)
{
	guest_sessions_unsettle(g);
	if (g->last_driver && g->last_driver != instance) {
		guest_sessions_guest_gone(g);
		for (uint32_t id = 0; id < g->n_ids; id++) {
			if (g->channel[id])
				channel_guest_gone(&g->channel[id]->ch);
		}
	}
	g->last_driver = instance;
}

static int serve_hello(struct guest *g, const struct wire_request *req, union wire_reply *rep)
{
	struct okl4_bell_shm *bell;

	if (req->hello.version < OKL4FS_ABI_VERSION)
		return -OKL4_REQ_VERSION;
	if (!req->hello.n_event_queues || req->hello.n_event_queues > OKL4FS_BELL_WORDS)
		return -OKL4_REQ_QUEUES;
	bell = guest_memory_at(&g->mem, req->hello.bell_gpa, sizeof(*bell));
	if (req->hello.bell_gpa % OKL4FS_PAGE_BYTES || !bell)
		return -OKL4_BELL_ADDRESS;
	guest_forget_driver(g);
	g->greet = g->unmet = false;
	end_old_streams(g, req->hello.driver_instance);
	g->driver.ready = true;
	g->driver.n_event_queues = req->hello.n_event_queues;
	g->driver.bell_gpa = req->hello.bell_gpa;
	g->driver.bell = bell;
	g->driver.instance = req->hello.driver_instance;
	log_limited(&g->limit, LOG_LEVEL_INFO, &g->about,
		    "driver %016" PRIx64 " says hello, ABI %d, %" PRIu32 " event queue%s",
		    g->driver.instance, OKL4FS_ABI_VERSION, g->driver.n_event_queues,
		    g->driver.n_event_queues == 1 ? "" : "s");
	events_post(&(struct events_fact){
		.kind = EVENTS_GUEST_READY, .guest = g->cfg.name, .instance = g->driver.instance });
	/* The driver may have rung before the bell page was known. */
	for (uint32_t i = 0; i < g->driver.n_event_queues; i++)
		guest_queue_kick(&g->queue[OKL4FS_QUEUE_EVENT + i]);
	return (int)wire_encode_hello(rep, req, OKL4FS_ABI_VERSION, g->n_ids,
				      guest_host_instance());
}

static int serve_info(struct guest *g, const struct wire_request *req, union wire_reply *rep)
{
	const struct guest_channel *gc = NULL;
	struct wire_channel wc;

	for (wc.id = req->info.first_id; wc.id < g->n_ids && !gc; wc.id++)
		gc = guest_channel_of(g, wc.id);
	if (!gc)
		return -OKL4_NO_CHANNEL;
	wc.id = gc->ch.id;
	wc.generation = gc->generation;
	wc.flags = (gc->cfg.exclusive ? OKL4FS_CHANNEL_EXCLUSIVE : 0) |
		   (gc->cfg.sessions ? OKL4FS_CHANNEL_SESSIONS : 0) |
		   (gc->cfg.packets ? OKL4FS_CHANNEL_PACKETS : 0);
	wc.max_sessions = gc->cfg.sessions;
	wc.ring_bytes = gc->cfg.ring_bytes;
	wc.name = gc->cfg.name;
	wc.mode = gc->cfg.guest_mode;
	wc.uid = gc->cfg.guest_uid;
	wc.gid = gc->cfg.guest_gid;
	return (int)wire_encode_info(rep, req, &wc);
}

static int serve_detach(struct guest *g, const struct wire_request *req)
{
	struct guest_channel *gc = guest_channel_of(g, req->detach.channel);

	if (!gc || gc->generation != req->detach.generation)
		return -OKL4_NO_CHANNEL;
	if (req->type == OKL4FS_REQ_RELEASE && !channel_is_idle(&gc->ch))
		return -OKL4_CHANNEL_IN_USE;
	channel_detach(&gc->ch);
	attachment_drop(&gc->att);
	return 0;
}

static int serve_open(struct guest *g, const struct wire_request *req, union wire_reply *rep)
{
	const struct guest_channel *gc;
	int r = guest_session_open(g, &req->attach, &gc);

	return r ? r : (int)wire_encode_open(rep, req, gc->ch.id, gc->generation, gc->is_waiting);
}

static int serve_request(struct guest *g, const struct wire_request *req, union wire_reply *rep)
{
	int r = 0;

	if (req->type != OKL4FS_REQ_HELLO && !g->driver.ready)
		return -OKL4_REQ_NO_HELLO;
	switch (req->type) {
	case OKL4FS_REQ_HELLO:
		return serve_hello(g, req, rep);
	case OKL4FS_REQ_CHANNEL_INFO:
		return serve_info(g, req, rep);
	case OKL4FS_REQ_ATTACH:
		r = guest_attach(g, &req->attach);
		break;
	case OKL4FS_REQ_DETACH:
	case OKL4FS_REQ_RELEASE:
		r = serve_detach(g, req);
		break;
	case OKL4FS_REQ_OPEN:
		return serve_open(g, req, rep);
	case OKL4FS_REQ_CLOSE:
		r = guest_session_close(g, req->detach.channel, req->detach.generation);
		break;
	case OKL4FS_REQ_SETTLE:
		guest_sessions_settle(g);
		break;
	case OKL4FS_REQ_PING:
		guest_bell_look_after(g);
		break;
	}
	return r ? r : (int)wire_encode_status(rep, req, OKL4_OK);
}

static const char *const request_name[] = {
	[0] = "?",
	[OKL4FS_REQ_HELLO] = "HELLO",
	[OKL4FS_REQ_CHANNEL_INFO] = "CHANNEL_INFO",
	[OKL4FS_REQ_ATTACH] = "ATTACH",
	[OKL4FS_REQ_DETACH] = "DETACH",
	[OKL4FS_REQ_PING] = "PING",
	[OKL4FS_REQ_RELEASE] = "RELEASE",
	[OKL4FS_REQ_OPEN] = "OPEN",
	[OKL4FS_REQ_CLOSE] = "CLOSE",
	[OKL4FS_REQ_SETTLE] = "SETTLE",
};

static void log_refusal(struct guest *g, const struct wire_request *req, int status)
{
	bool known = req->type < sizeof(request_name) / sizeof(request_name[0]);
	bool attach = req->type == OKL4FS_REQ_ATTACH || req->type == OKL4FS_REQ_OPEN;
	bool detach = req->type == OKL4FS_REQ_DETACH || req->type == OKL4FS_REQ_RELEASE ||
		      req->type == OKL4FS_REQ_CLOSE;
	uint32_t id = attach ? req->attach.channel : detach ? req->detach.channel : UINT32_MAX;
	const struct guest_channel *gc = guest_end_of(g, id);
	const struct channel *ch = gc ? &gc->ch : NULL;
	struct log_about about = { .guest = g->cfg.name, .channel = ch ? ch->cfg->name : NULL };

	/* Neither the end of the list of channels nor a channel in use is a fault, nor is a request that
	 * was made before the driver could know of this process. */
	if ((req->type == OKL4FS_REQ_CHANNEL_INFO && status == -OKL4_NO_CHANNEL) ||
	    (g->unmet && status == -OKL4_REQ_NO_HELLO) || status == -OKL4_CHANNEL_IN_USE ||
	    guest_session_is_outcome(req->type, status))
		return;
	g->stats.refused++;
	/* The channel has logged its own refusals. */
	if (ch && ch->state == CHANNEL_FAILED && (int)ch->failed_status == -status)
		return;
	log_limited(&g->limit, LOG_LEVEL_WARNING, &about, "request %s refused: %s (%s)",
		    request_name[known ? req->type : 0], okl4_status_text(status),
		    okl4_status_name(status));
}

/* @room is at least that of the reply's header. */
static size_t serve_bytes(struct guest *g, const void *buf, size_t bytes, uint64_t room,
			  union wire_reply *rep)
{
	struct wire_request req;
	int r = wire_decode(&req, buf, bytes);

	g->stats.requests++;
	if (!r && room < wire_reply_bytes(req.type))
		r = -OKL4_REQ_REPLY_SPACE;
	if (!r)
		r = serve_request(g, &req, rep);
	if (r >= 0)
		return (size_t)r;
	log_refusal(g, &req, r);
	return wire_encode_status(rep, &req, r);
}

static size_t refuse_chain(struct guest *g, const struct virtqueue_chain *chain, int status,
			   union wire_reply *rep)
{
	struct okl4fs_req_hdr hdr;
	struct wire_request req;

	/* for the cookie, if there is one */
	wire_decode(&req, &hdr, chain_read(chain, 0, &hdr, sizeof(hdr)));
	g->stats.requests++;
	log_refusal(g, &req, status);
	return wire_encode_status(rep, &req, status);
}

static void serve_chain(struct guest_queue *q, const struct virtqueue_chain *chain)
{
	uint8_t small[SMALL_REQUEST_BYTES], *large = NULL;
	struct guest *g = q->guest;
	union wire_reply rep;
	size_t n;

	if (chain->in_bytes < sizeof(rep.hdr)) {
		refuse_chain(g, chain, -OKL4_REQ_REPLY_SPACE, &rep);
		n = 0; /* no room for a header: write nothing */
	} else if (!chain->out_bytes) {
		n = refuse_chain(g, chain, -OKL4_REQ_CHAIN, &rep);
	} else if (chain->out_bytes > OKL4FS_MAX_REQ_BYTES) {
		n = refuse_chain(g, chain, -OKL4_REQ_LENGTH, &rep);
	} else if (chain->out_bytes <= sizeof(small)) {
		n = serve_bytes(g, small, chain_read(chain, 0, small, sizeof(small)),
				chain->in_bytes, &rep);
	} else if ((large = malloc(chain->out_bytes))) {
		n = serve_bytes(g, large, chain_read(chain, 0, large, chain->out_bytes),
				chain->in_bytes, &rep);
	} else {
		n = refuse_chain(g, chain, -OKL4_NO_MEMORY, &rep);
	}
	free(large);
	virtqueue_push(&q->vq, chain->head, (uint32_t)chain_write(chain, &rep, n));
}

bool guest_control_turn(struct guest_queue *q)
{
	struct virtqueue_chain chain;
	int n, r = 0;

	for (n = 0; n < REQUESTS_A_TURN; n++) {
		r = virtqueue_pop(&q->vq, &chain);
		if (r <= 0)
			break;
		if (!guest_decline_fuse(q, &chain))
			serve_chain(q, &chain);
	}
	if (n)
		guest_queue_notify(q);
	return r > 0;
}
