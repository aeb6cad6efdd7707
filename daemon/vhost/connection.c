// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/stranger.h"
#include "vhost/fds.h"

#define WHOLE_MESSAGE_S   2 /* so long may a message take from its first byte to its last */
#define MESSAGES_PER_WAKE 16
#define SEND_BUFFER_BYTES 4096 /* the kernel doubles it; answers have more room (record.h) */

_Static_assert(4 * SEND_BUFFER_BYTES <= RECORD_ANSWER_BYTES,
	       "an answer that was not read yet is not overwritten");

/* A frontend is read no faster than this; all connections of a guest count together. QEMU sends some 200
 * messages to set up 17 queues. */
#define MESSAGES_PER_S   1000
#define MESSAGES_AT_ONCE 2000

static const struct timeval whole_message = { .tv_sec = WHOLE_MESSAGE_S };

/* --- The end of a connection --------------------------------------------------------------------- */

static void free_events(struct vhost_connection *c)
{
	struct event **events[] = { &c->readable, &c->late, &c->rest };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
}

void vhost_connection_end(struct vhost_connection *c, bool keep)
{
	if (c->fd < 0)
		return;
	if (!c->readable) { /* it was inherited and not taken up */
		c->fd = stranger_give(c->fd);
		kept_end(&c->kept, !keep);
		return;
	}
	loop_cancel(c->worker, &c->leave);
	free_events(c);
	if (!keep)
		shutdown(c->fd, SHUT_RDWR);
	if (c->step) /* they are the record's */
		c->in.n_fds = 0;
	inbox_give_fds(&c->in);
	kept_end(&c->kept, !keep);
	c->fd = keep ? stranger_give(c->fd) : stranger_give_stored(c->fd);
	/* The memory is ours until the library unmaps it, so tails are copied first. */
	c->ops->disconnected(c->device);
	c->library = vhost_library_close(c->library);
	c->open = c->busy = false;
	c->step = 0;
	memset(&c->in, 0, sizeof(c->in));
	memset(&c->said, 0, sizeof(c->said));
	c->memory.n_regions = 0;
	c->ended(c->owner);
}

static void leave(void *arg)
{
	vhost_connection_end(arg, false);
}

void vhost_connection_drop(struct vhost_connection *c)
{
	if (c->fd < 0)
		return;
	shutdown(c->fd, SHUT_RDWR);
	event_del(c->readable);
	loop_schedule(c->worker, &c->leave);
}

static bool is_leaving(const struct vhost_connection *c)
{
	return c->fd < 0 || c->leave.queued;
}

/* --- Its pace ------------------------------------------------------------------------------------ */

unsigned int vhost_connection_spend(struct vhost_connection *c, unsigned int tokens)
{
	bool first;
	unsigned int ms = pace_spend(&c->pace, tokens, clock_us(), &first);

	if (first)
		log_about(LOG_LEVEL_WARNING, &c->about,
			  "the frontend sends too many messages, or connects too often; it is "
			  "served no faster than %d messages per second",
			  MESSAGES_PER_S);
	return ms;
}

static bool is_resting(const struct vhost_connection *c)
{
	return event_pending(c->rest, EV_TIMEOUT, NULL);
}

static void rest_from_reading(struct vhost_connection *c, unsigned int ms)
{
	if (!ms)
		return;
	event_del(c->readable);
	loop_start_timer(c->rest, ms);
}

/* The event tells of what is in the socket when it is added. */
static void read_on(struct vhost_connection *c)
{
	event_del(c->readable);
	if (c->open && !c->busy && !is_leaving(c) && !is_resting(c))
		event_add(c->readable, NULL);
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	read_on(arg);
}

/* --- Messages ------------------------------------------------------------------------------------ */

/* The message was carried out or refused: it is recorded, taken from the socket and answered. */
static void conclude(struct vhost_connection *c, bool carried_out, const void *answer)
{
	struct vhost_message out = { .request = c->in.msg.request,
				     .flags = VHOST_FLAG_VERSION | VHOST_FLAG_REPLY,
				     .bytes = sizeof(out.payload.u64) };
	int r;

	if (answer)
		memcpy(&out.payload, answer, sizeof(out.payload.u64));
	r = kept_commit(&c->kept, &c->in, &c->said, carried_out, answer ? &out : NULL);
	if (r) {
		log_about(LOG_LEVEL_ERR, &c->about,
			  "vhost-user message %s cannot be recorded: %s; the frontend is dropped",
			  vhost_request_name(c->in.msg.request), strerror(-r));
		vhost_connection_drop(c);
		return;
	}
	r = kept_conclude(&c->kept, !carried_out && c->in.n_fds);
	if (!r)
		return;
	log_limited(&c->limit, LOG_LEVEL_WARNING, &c->about,
		    "the frontend does not read its answers; it is dropped");
	vhost_connection_drop(c);
}

/* Return: the answer to a message that has none of its own; NULL: its sender wants none */
static const void *acknowledgement(const struct vhost_connection *c, bool failed)
{
	static const uint64_t word[] = { 0, 1 };

	return c->in.msg.flags & VHOST_FLAG_NEED_REPLY ? &word[failed] : NULL;
}

/* A hostile frontend is dropped; and any that has not asked for an answer, as it cannot be told. */
static void refuse(struct vhost_connection *c, enum vhost_verdict verdict, const char *why)
{
	const struct vhost_message *msg = &c->in.msg;
	bool drop = verdict == VHOST_HOSTILE || !(msg->flags & VHOST_FLAG_NEED_REPLY);

	log_limited(&c->limit, LOG_LEVEL_WARNING, &c->about,
		    "vhost-user message %s (%u) refused: %s%s", vhost_request_name(msg->request),
		    msg->request, why, drop ? "; the frontend is dropped" : "");
	c->ops->refused(c->device);
	if (drop)
		vhost_connection_drop(c);
	else
		conclude(c, false, acknowledgement(c, true));
	inbox_give_fds(&c->in);
}

static void tell_setup(struct vhost_connection *c)
{
	struct vhost_setup setup = { .memory = c->memory };

	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		setup.ring[i] = vhost_ring_is_ready(&c->said, i) ?
					vhost_library_ring(c->library, i) :
					(struct vhost_ring){ .kick_fd = -1 };
	c->ops->resume(c->device, &setup);
}

/* What has to be done before the library carries a message out */
static void quiesce(struct vhost_connection *c)
{
	enum vhost_scope scope = vhost_message_scope(&c->in.msg);
	int queue = vhost_message_queue(&c->in.msg);
	uint16_t next;

	if (scope == VHOST_SCOPE_MEMORY) {
		c->ops->suspend(c->device);
		vhost_library_drop_memory(c->library);
		c->memory.n_regions = 0;
	} else if (scope != VHOST_SCOPE_NOTHING) {
		c->ops->ring_stop(c->device, (unsigned int)queue, scope == VHOST_SCOPE_RING);
	}
	/* The reply tells the frontend how far the ring was served; DPDK did not serve it. */
	if (c->in.msg.request == VHOST_REQ_GET_VRING_BASE &&
	    c->ops->ring_next(c->device, (unsigned int)queue, &next))
		vhost_library_set_next(c->library, (unsigned int)queue, next);
}

/* The answer comes to on_answered(). */
static void pass_on(struct vhost_connection *c)
{
	int r = vhost_library_send(c->library, &c->in.msg, c->in.fds, c->in.n_fds);

	if (r) {
		log_about(
			LOG_LEVEL_ERR, &c->about,
			"DPDK cannot be told of vhost-user message %s: %s; the frontend is dropped",
			vhost_request_name(c->in.msg.request), strerror(-r));
		vhost_connection_drop(c);
		return;
	}
	c->busy = true;
	event_del(c->readable);
}

static enum vhost_verdict judge(struct vhost_connection *c, const char **why)
{
	struct vhost_fd facts[VHOST_MAX_FDS];
	enum vhost_verdict verdict;

	*why = "more descriptors come with it than with any message";
	if (c->in.n_fds_came > VHOST_MAX_FDS)
		return VHOST_HOSTILE;
	vhost_fds_look(&c->in.msg, c->in.fds, c->in.n_fds, facts);
	verdict = vhost_judge(&c->in.msg, facts, c->in.n_fds, &c->said, why);
	if (verdict != VHOST_PASS || c->in.msg.request != VHOST_REQ_SET_MEM_TABLE)
		return verdict;
	*why = vhost_fds_map(&c->in.msg, c->in.fds, c->in.n_fds);
	return *why ? VHOST_HOSTILE : VHOST_PASS;
}

static void handle(struct vhost_connection *c)
{
	enum vhost_verdict verdict;
	const char *why;
	uint64_t word;

	rest_from_reading(c, vhost_connection_spend(c, 1 + c->in.n_fds_came));
	verdict = judge(c, &why);
	switch (verdict) {
	case VHOST_PASS:
		quiesce(c);
		pass_on(c);
		return;
	case VHOST_ANSWER:
		word = vhost_answer(&c->in.msg);
		conclude(c, false, &word);
		break;
	default:
		refuse(c, verdict, why);
	}
}

/* The library has carried a message out: this is how things stand now. Return: what is wrong, or NULL */
static const char *take_note(struct vhost_connection *c, const struct vhost_message *answer,
			     bool failed)
{
	if (!failed)
		vhost_said_more(&c->said, &c->in.msg, answer);
	if (c->in.msg.request != VHOST_REQ_SET_MEM_TABLE)
		return NULL;
	if (!failed)
		return vhost_library_memory(c->library, &c->memory);
	vhost_said_no_memory(&c->said);
	return NULL;
}

static void answer_message(struct vhost_connection *c, const struct vhost_message *answer,
			   bool failed)
{
	bool replies = vhost_message_replies(&c->in.msg);

	if (failed && !(c->in.msg.flags & VHOST_FLAG_NEED_REPLY))
		vhost_connection_drop(c);
	else
		conclude(c, !failed || c->in.msg.request == VHOST_REQ_SET_MEM_TABLE,
			 replies ? &answer->payload : acknowledgement(c, failed));
	for (unsigned int i = 0; i < c->in.n_fds; i++)
		close(c->in.fds[i]); /* an eventfd or a file of the kernel's own: it does not block */
	c->in.n_fds = 0;
	read_on(c);
}

static void repeat(struct vhost_connection *c);
static void misfit(struct vhost_connection *c, const char *why);

static void on_answered(void *owner, const struct vhost_message *answer)
{
	struct vhost_connection *c = owner;
	bool failed = !vhost_message_replies(&c->in.msg) && answer->payload.u64;
	const char *wrong;

	c->busy = false;
	if (is_leaving(c))
		return;
	if (failed)
		log_limited(&c->limit, LOG_LEVEL_WARNING, &c->about, "vhost-user message %s failed",
			    vhost_request_name(c->in.msg.request));
	wrong = take_note(c, answer, failed);
	if (c->step) {
		if (failed || wrong)
			misfit(c, wrong ? wrong : "it failed");
		else
			repeat(c);
		return;
	}
	if (wrong) {
		refuse(c, VHOST_HOSTILE, wrong);
		return;
	}
	if (vhost_message_scope(&c->in.msg) != VHOST_SCOPE_NOTHING)
		tell_setup(c);
	answer_message(c, answer, failed);
}

/* The message would stay in the socket, but its sender waits for an answer. */
static void on_no_fds(struct vhost_connection *c)
{
	const struct vhost_message *msg = &c->in.msg;

	if (!c->no_fds_told)
		log_about(LOG_LEVEL_ERR, &c->about,
			  "vhost-user message %s (%u) could not be read: this process has no "
			  "descriptors left (raise LimitNOFILE=); the frontend is dropped",
			  vhost_request_name(msg->request), msg->request);
	c->no_fds_told = true;
	inbox_give_fds(&c->in);
	vhost_connection_drop(c);
}

static void on_end(struct vhost_connection *c)
{
	const struct vhost_message *msg = &c->in.msg;

	if (c->in.n_bytes)
		log_limited(&c->limit, LOG_LEVEL_WARNING, &c->about,
			    "vhost-user message %s (%u) could not be read: its end did not come; "
			    "the frontend is dropped",
			    vhost_request_name(msg->request), msg->request);
	inbox_give_fds(&c->in);
	vhost_connection_drop(c);
}

/* Return: whether the next message may be looked at */
static bool read_message(struct vhost_connection *c)
{
	const char *why;

	switch (inbox_look(&c->in, c->fd, &why)) {
	case INBOX_WHOLE:
		event_del(c->late);
		if (c->in.n_fds)
			c->no_fds_told = false;
		handle(c);
		return !c->busy && !is_leaving(c) && !is_resting(c);
	case INBOX_PART:
		if (!event_pending(c->late, EV_TIMEOUT, NULL))
			event_add(c->late, &whole_message);
		return false;
	case INBOX_BAD:
		refuse(c, VHOST_HOSTILE, why);
		return false;
	case INBOX_NO_FDS:
		on_no_fds(c);
		return false;
	case INBOX_END:
		on_end(c);
		return false;
	default:
		return false;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_connection *c = arg;

	for (unsigned int i = 0; i < MESSAGES_PER_WAKE; i++) {
		if (!read_message(c))
			return;
	}
	read_on(c);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_connection *c = arg;
	const struct vhost_message *msg = &c->in.msg;

	log_limited(
		&c->limit, LOG_LEVEL_WARNING, &c->about,
		"vhost-user message %s (%u) could not be read: its end did not come within %d s; "
		"the frontend is dropped",
		vhost_request_name(msg->request), msg->request, WHOLE_MESSAGE_S);
	vhost_connection_drop(c);
}

/* --- A former daemon's connection ---------------------------------------------------------------- */

static void misfit(struct vhost_connection *c, const char *why)
{
	c->in.n_fds = 0; /* the record's */
	log_about(LOG_LEVEL_WARNING, &c->about,
		  "the connection of the former process cannot be taken up: %s: %s; "
		  "the frontend is dropped",
		  vhost_request_name(c->in.msg.request), why);
	vhost_connection_drop(c);
}

static void taken_up(struct vhost_connection *c)
{
	c->step = 0;
	c->in.n_fds = 0;
	kept_inherited(&c->kept);
	tell_setup(c);
	c->ops->taken_up(c->device);
	if (kept_conclude(&c->kept, true))
		vhost_connection_drop(c);
	read_on(c);
}

/* Says the next of what was said to the former process's library to this one's */
static void repeat(struct vhost_connection *c)
{
	const char *why = "a descriptor is missing";

	while (c->step < VHOST_REPEAT_STEPS) {
		if (!vhost_repeat(&c->kept.record.state.said, c->step++, &c->in.msg))
			continue;
		if (kept_fds(&c->kept, &c->in) && judge(c, &why) == VHOST_PASS)
			pass_on(c);
		else
			misfit(c, why);
		return;
	}
	taken_up(c);
}

/* --- The beginning of a connection --------------------------------------------------------------- */

static void on_opened(void *owner, int r)
{
	struct vhost_connection *c = owner;

	if (is_leaving(c))
		return;
	c->open = !r;
	if (r) {
		log_limited(&c->limit, LOG_LEVEL_ERR, &c->about,
			    "DPDK takes no connection: %s; the frontend is dropped", strerror(-r));
		vhost_connection_drop(c);
	} else if (c->step) {
		c->step = 0;
		repeat(c);
	} else {
		read_on(c);
	}
}

static void on_closed(void *owner)
{
	struct vhost_connection *c = owner;

	log_about(
		LOG_LEVEL_ERR, &c->about,
		"DPDK has ended the connection after vhost-user message %s; the frontend is dropped",
		vhost_request_name(c->in.msg.request));
	vhost_connection_end(c, false);
}

static void on_memory_lost(void *owner)
{
	struct vhost_connection *c = owner;

	c->ops->memory_lost(c->device);
}

static const struct vhost_library_ops library_ops = {
	.opened = on_opened,
	.answered = on_answered,
	.closed = on_closed,
	.memory_lost = on_memory_lost,
};

void vhost_connection_init(struct vhost_connection *c)
{
	c->fd = -1;
	c->leave = (struct loop_task){ .fn = leave, .arg = c };
	c->pace = (struct pace){ .per_s = MESSAGES_PER_S, .burst = MESSAGES_AT_ONCE };
}

bool vhost_connection_inherit(struct vhost_connection *c)
{
	const char *why;

	c->fd = kept_inherit(&c->kept, c->about.guest, &why);
	if (why)
		log_about(LOG_LEVEL_WARNING, &c->about,
			  "the connection of the former process cannot be taken up: %s; "
			  "the frontend is dropped",
			  why);
	return c->fd >= 0;
}

bool vhost_connection_is_there(const struct vhost_connection *c)
{
	return c->fd >= 0;
}

/* Return: 0 or -ENOMEM, with a log line */
static int open_library(struct vhost_connection *c, int fd)
{
	struct event_base *base = loop_base(c->worker);
	int bytes = SEND_BUFFER_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST | EV_ET, on_readable, c);
	c->late = evtimer_new(base, on_late, c);
	c->rest = evtimer_new(base, on_rested, c);
	if (c->readable && c->late && c->rest &&
	    !vhost_library_open(&c->library, c->worker, &library_ops, c))
		return 0;
	log_limited(&c->limit, LOG_LEVEL_ERR, &c->about,
		    "out of memory or descriptors; a frontend is turned away");
	free_events(c);
	return -ENOMEM;
}

int vhost_connection_begin(struct vhost_connection *c, int fd, unsigned int rest_ms)
{
	int r = open_library(c, fd);

	if (!r) {
		r = kept_begin(&c->kept, c->about.guest, fd);
		if (!r) {
			c->fd = fd;
			rest_from_reading(c, rest_ms);
			c->ops->connected(c->device);
			return 0;
		}
		free_events(c);
		c->library = vhost_library_close(c->library);
		log_limited(&c->limit, LOG_LEVEL_ERR, &c->about,
			    "a frontend is turned away: its connection cannot be recorded: %s",
			    strerror(-r));
	}
	shutdown(fd, SHUT_RDWR);
	stranger_give(fd);
	return r;
}

void vhost_connection_take_up(struct vhost_connection *c)
{
	int fd = c->fd;

	if (open_library(c, fd)) {
		c->fd = -1;
		shutdown(fd, SHUT_RDWR);
		kept_end(&c->kept, true);
		stranger_give_stored(fd);
		c->ended(c->owner);
		return;
	}
	c->step = 1; /* on_opened() begins */
	log_about(LOG_LEVEL_INFO, &c->about, "the frontend of the former process is taken up");
	c->ops->connected(c->device);
}
