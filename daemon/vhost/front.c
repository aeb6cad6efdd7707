// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/front.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/listener.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/log_limit.h"
#include "util/pace.h"
#include "util/socket_file.h"
#include "util/stranger.h"

#define CONNECT_RETRY_MS  500L
#define WHOLE_MESSAGE_S   2 /* so long may a message take from its first byte to its last */
#define MESSAGES_PER_WAKE 16

/* A frontend is read no faster than this; all connections of a guest count together. QEMU sends some 200
 * messages to set up 17 queues. A message costs 1, and 1 for each descriptor. */
#define MESSAGES_PER_S     1000
#define MESSAGES_AT_ONCE   2000
#define COST_OF_CONNECTION 16
#define COST_OF_REFUSAL    1

static const struct timeval retry_later = { .tv_usec = CONNECT_RETRY_MS * 1000 };
static const struct timeval whole_message = { .tv_sec = WHOLE_MESSAGE_S };

/* All but @file is the worker's. */
struct vhost_front {
	const struct guest_config *cfg;
	struct loop *worker;
	const struct vhost_device_ops *ops;
	void *device;
	char *name;
	struct log_about about;
	struct log_limit limit;
	struct socket_file file; /* (listen) main's */
	struct listener listener; /* (listen) */
	struct event *retry; /* (connect) */
	int why_not; /* (connect) the errno that was logged last */
	int fd; /* of the frontend, or -1 */
	struct event *readable, *late;
	struct event *rest; /* while it is pending, nothing is read */
	struct pace pace;
	bool no_fds_told; /* that descriptors have run out */
	struct loop_task leave; /* the connection is to end */
	struct vhost_library *library;
	bool open, busy; /* the library has taken the connection; it carries out @msg */
	struct vhost_said said;
	struct guest_memory memory;
	struct vhost_message msg; /* that is coming, or is carried out */
	unsigned int n_bytes; /* of it that have come */
	int fds[VHOST_MAX_FDS]; /* that have come with it */
	unsigned int n_fds;
	int start_fd; /* argument of start_on_worker() */
	int start_r; /* its result */
};

/* --- Descriptors --------------------------------------------------------------------------------- */

static void give_fds(struct vhost_front *f)
{
	for (unsigned int i = 0; i < f->n_fds; i++)
		stranger_give(f->fds[i]);
	f->n_fds = 0;
}

/*
 * Whether a descriptor is that of an eventfd; where /proc does not show this process, as in a container
 * or another process namespace, whether it belongs to no file system: a write to such a one that has
 * O_NONBLOCK never waits. The attributes are those that the kernel has, so no file server is asked.
 */
static bool is_eventfd(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(eventfd) + 1];
	struct statx st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	if (n >= 0)
		return n == sizeof(eventfd) - 1 && !memcmp(target, eventfd, (size_t)n);
	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
	       !(st.stx_mode & S_IFMT);
}

/* It is shared with the frontend. O_NONBLOCK lets a write fail, not wait, when the counter is full. */
static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void look_at_fds(struct vhost_front *f, struct vhost_fd facts[VHOST_MAX_FDS])
{
	enum vhost_fds kind = vhost_request_fds(f->msg.request);

	memset(facts, 0, VHOST_MAX_FDS * sizeof(facts[0]));
	for (unsigned int i = 0; i < f->n_fds; i++) {
		if (kind == VHOST_FDS_EVENT) {
			facts[i].is_eventfd = is_eventfd(f->fds[i]) && make_nonblocking(f->fds[i]);
		} else if (kind == VHOST_FDS_MEMORY) {
			facts[i].file = region_file_look(f->fds[i]);
		}
	}
}

/* When DPDK's own mmap(2) fails (the file is sealed, say), it loses the descriptor. */
static const char *try_mappings(const struct vhost_front *f)
{
	for (unsigned int i = 0; i < f->n_fds; i++) {
		struct vhost_msg_region r = f->msg.payload.memory.region[i];
		uint64_t bytes = r.mmap_offset + r.bytes;
		void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->fds[i], 0);

		if (at == MAP_FAILED)
			return "a region's file cannot be mapped for writing";
		munmap(at, bytes);
	}
	return NULL;
}

/* --- The end of a connection --------------------------------------------------------------------- */

static void begin_message(struct vhost_front *f)
{
	f->n_bytes = 0;
	memset(&f->msg, 0, sizeof(f->msg));
}

static void free_events(struct vhost_front *f)
{
	struct event **events[] = { &f->readable, &f->late, &f->rest };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
}

static void leave(void *arg)
{
	struct vhost_front *f = arg;

	if (f->fd < 0)
		return;
	loop_cancel(f->worker, &f->leave);
	free_events(f);
	shutdown(f->fd, SHUT_RDWR);
	f->fd = stranger_give(f->fd);
	give_fds(f);
	begin_message(f);
	/* The memory is ours until the library unmaps it, so tails are copied first. */
	f->ops->disconnected(f->device);
	f->library = vhost_library_close(f->library);
	f->open = f->busy = false;
	memset(&f->said, 0, sizeof(f->said));
	f->memory.n_regions = 0;
	if (f->retry) /* not at once: a frontend that is dropped as soon as it is there would keep us busy */
		event_add(f->retry, &retry_later);
}

void vhost_front_drop(struct vhost_front *f)
{
	if (f->fd < 0)
		return;
	shutdown(f->fd, SHUT_RDWR);
	event_del(f->readable);
	loop_schedule(f->worker, &f->leave);
}

static bool is_leaving(const struct vhost_front *f)
{
	return f->fd < 0 || f->leave.queued;
}

/* --- Its pace ------------------------------------------------------------------------------------ */

/* Return: for how many milliseconds to rest, with a line when that begins; 0: not at all */
static unsigned int spend(struct vhost_front *f, unsigned int tokens)
{
	bool first;
	unsigned int ms = pace_spend(&f->pace, tokens, clock_us(), &first);

	if (first)
		log_about(LOG_LEVEL_WARNING, &f->about,
			  "the frontend sends too many messages, or connects too often; it is "
			  "served no faster than %d messages per second",
			  MESSAGES_PER_S);
	return ms;
}

static bool is_resting(const struct vhost_front *f)
{
	return event_pending(f->rest, EV_TIMEOUT, NULL);
}

static void rest_from_reading(struct vhost_front *f, unsigned int ms)
{
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L };

	if (!ms)
		return;
	event_del(f->readable);
	event_add(f->rest, &delay);
}

static void read_on(struct vhost_front *f)
{
	if (f->open && !f->busy && !is_leaving(f) && !is_resting(f))
		event_add(f->readable, NULL);
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	read_on(arg);
}

/* --- Messages ------------------------------------------------------------------------------------ */

static void reply(struct vhost_front *f, const void *payload)
{
	struct vhost_message out = { .request = f->msg.request,
				     .flags = VHOST_FLAG_VERSION | VHOST_FLAG_REPLY,
				     .bytes = sizeof(out.payload.u64) };

	memcpy(&out.payload, payload, sizeof(out.payload.u64));
	if (send(f->fd, &out, VHOST_REPLY_BYTES, MSG_NOSIGNAL | MSG_DONTWAIT) == VHOST_REPLY_BYTES)
		return;
	log_limited(&f->limit, LOG_LEVEL_WARNING, &f->about,
		    "the frontend does not read its answers; it is dropped");
	vhost_front_drop(f);
}

static void acknowledge(struct vhost_front *f, bool failed)
{
	uint64_t word = failed;

	if (f->msg.flags & VHOST_FLAG_NEED_REPLY)
		reply(f, &word);
}

/* A hostile frontend is dropped; and any that has not asked for an answer, as it cannot be told. */
static void refuse(struct vhost_front *f, enum vhost_verdict verdict, const char *why)
{
	bool drop = verdict == VHOST_HOSTILE || !(f->msg.flags & VHOST_FLAG_NEED_REPLY);

	log_limited(&f->limit, LOG_LEVEL_WARNING, &f->about,
		    "vhost-user message %s (%u) refused: %s%s", vhost_request_name(f->msg.request),
		    f->msg.request, why, drop ? "; the frontend is dropped" : "");
	f->ops->refused(f->device);
	give_fds(f);
	if (drop)
		vhost_front_drop(f);
	else
		acknowledge(f, true);
}

static void tell_setup(struct vhost_front *f)
{
	struct vhost_setup setup = { .memory = f->memory };

	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		setup.ring[i] = vhost_ring_is_ready(&f->said, i) ?
					vhost_library_ring(f->library, i) :
					(struct vhost_ring){ .kick_fd = -1 };
	f->ops->resume(f->device, &setup);
}

/* What has to be done before the library carries a message out */
static void quiesce(struct vhost_front *f)
{
	enum vhost_scope scope = vhost_message_scope(&f->msg);
	int queue = vhost_message_queue(&f->msg);
	uint16_t next;

	if (scope == VHOST_SCOPE_MEMORY) {
		f->ops->suspend(f->device);
		vhost_library_drop_memory(f->library);
		f->memory.n_regions = 0;
	} else if (scope != VHOST_SCOPE_NOTHING) {
		f->ops->ring_stop(f->device, (unsigned int)queue, scope == VHOST_SCOPE_RING);
	}
	/* The reply tells the frontend how far the ring was served; DPDK did not serve it. */
	if (f->msg.request == VHOST_REQ_GET_VRING_BASE &&
	    f->ops->ring_next(f->device, (unsigned int)queue, &next))
		vhost_library_set_next(f->library, (unsigned int)queue, next);
}

static void pass_on(struct vhost_front *f)
{
	int r;

	quiesce(f);
	r = vhost_library_send(f->library, &f->msg, f->fds, f->n_fds);
	for (unsigned int i = 0; i < f->n_fds; i++)
		close(f->fds[i]); /* an eventfd or a file of the kernel's own: it does not block */
	f->n_fds = 0;
	if (r) {
		log_about(
			LOG_LEVEL_ERR, &f->about,
			"DPDK cannot be told of vhost-user message %s: %s; the frontend is dropped",
			vhost_request_name(f->msg.request), strerror(-r));
		vhost_front_drop(f);
		return;
	}
	f->busy = true;
	event_del(f->readable);
}

static void handle(struct vhost_front *f)
{
	struct vhost_fd facts[VHOST_MAX_FDS];
	enum vhost_verdict verdict;
	const char *why;
	uint64_t word;

	rest_from_reading(f, spend(f, 1 + f->n_fds));
	look_at_fds(f, facts);
	verdict = vhost_judge(&f->msg, facts, f->n_fds, &f->said, &why);
	if (verdict == VHOST_PASS && f->msg.request == VHOST_REQ_SET_MEM_TABLE) {
		why = try_mappings(f);
		verdict = why ? VHOST_HOSTILE : verdict;
	}
	switch (verdict) {
	case VHOST_PASS:
		pass_on(f);
		return;
	case VHOST_ANSWER:
		word = vhost_answer(&f->msg);
		reply(f, &word);
		break;
	default:
		refuse(f, verdict, why);
	}
	begin_message(f);
}

static void on_answered(void *owner, const struct vhost_message *answer)
{
	struct vhost_front *f = owner;
	bool replies = vhost_message_replies(&f->msg);
	bool failed = !replies && answer->payload.u64;
	const char *wrong = NULL;

	f->busy = false;
	if (is_leaving(f))
		return;
	if (failed)
		log_limited(&f->limit, LOG_LEVEL_WARNING, &f->about, "vhost-user message %s failed",
			    vhost_request_name(f->msg.request));
	else
		vhost_said_more(&f->said, &f->msg);
	if (f->msg.request == VHOST_REQ_SET_MEM_TABLE) {
		if (failed)
			f->said.n_regions = 0;
		else
			wrong = vhost_library_memory(f->library, &f->memory);
	}
	if (wrong) {
		refuse(f, VHOST_HOSTILE, wrong);
		return;
	}
	if (vhost_message_scope(&f->msg) != VHOST_SCOPE_NOTHING)
		tell_setup(f);
	if (replies)
		reply(f, &answer->payload);
	else if (failed && !(f->msg.flags & VHOST_FLAG_NEED_REPLY))
		vhost_front_drop(f);
	else
		acknowledge(f, failed);
	begin_message(f);
	read_on(f);
}

/* Return: NULL, or what is wrong with them */
static const char *keep_fds(struct vhost_front *f, const int *fds, size_t n)
{
	bool too_many = n > VHOST_MAX_FDS - f->n_fds;

	for (size_t i = 0; i < n; i++) {
		if (f->n_fds < VHOST_MAX_FDS)
			f->fds[f->n_fds++] = fds[i];
		else
			stranger_give(fds[i]);
	}
	if (!too_many)
		return NULL;
	spend(f, (unsigned int)n);
	return "more descriptors come with it than with any message";
}

/* The kernel has let go of descriptors for which this process had no room. */
static void on_no_fds(struct vhost_front *f)
{
	if (!f->no_fds_told)
		log_about(LOG_LEVEL_ERR, &f->about,
			  "vhost-user message %s (%u) could not be read: this process has no "
			  "descriptors left (raise LimitNOFILE=); the frontend is dropped",
			  vhost_request_name(f->msg.request), f->msg.request);
	f->no_fds_told = true;
	vhost_front_drop(f);
}

static void on_end(struct vhost_front *f)
{
	if (f->n_bytes)
		log_limited(&f->limit, LOG_LEVEL_WARNING, &f->about,
			    "vhost-user message %s (%u) could not be read: its end did not come; "
			    "the frontend is dropped",
			    vhost_request_name(f->msg.request), f->msg.request);
	vhost_front_drop(f);
}

/* Return: whether something has come */
static bool receive(struct vhost_front *f, unsigned int bytes)
{
	struct iovec iov = { (uint8_t *)&f->msg + f->n_bytes, bytes - f->n_bytes };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[STRANGER_MAX_FDS];
	const char *wrong;
	size_t n_fds = 0;
	ssize_t n;

	n = stranger_recvmsg(f->fd, &head, MSG_DONTWAIT, fds, &n_fds);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		on_end(f);
		return false;
	}
	if (!f->n_bytes)
		event_add(f->late, &whole_message);
	f->n_bytes += (unsigned int)n;
	wrong = keep_fds(f, fds, n_fds);
	if (head.msg_flags & MSG_CTRUNC)
		on_no_fds(f);
	else if (wrong)
		refuse(f, VHOST_HOSTILE, wrong);
	else if (n_fds)
		f->no_fds_told = false;
	return true;
}

/* Return: whether more of the message, or the next one, may be read at once */
static bool read_some(struct vhost_front *f)
{
	unsigned int want = f->n_bytes < VHOST_HEADER_BYTES ? VHOST_HEADER_BYTES :
							      VHOST_HEADER_BYTES + f->msg.bytes;
	const char *why;

	if (!receive(f, want))
		return false;
	if (is_leaving(f) || f->n_bytes < VHOST_HEADER_BYTES)
		return true;
	if (f->n_bytes == VHOST_HEADER_BYTES && vhost_judge_header(&f->msg, &why) != VHOST_PASS) {
		refuse(f, VHOST_HOSTILE, why);
		return false;
	}
	if (f->n_bytes < VHOST_HEADER_BYTES + f->msg.bytes)
		return true;
	event_del(f->late);
	handle(f);
	return !f->busy;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_front *f = arg;

	for (unsigned int i = 0;
	     i < 2 * MESSAGES_PER_WAKE && read_some(f) && !is_leaving(f) && !is_resting(f); i++)
		;
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_front *f = arg;

	log_limited(
		&f->limit, LOG_LEVEL_WARNING, &f->about,
		"vhost-user message %s (%u) could not be read: its end did not come within %d s; "
		"the frontend is dropped",
		vhost_request_name(f->msg.request), f->msg.request, WHOLE_MESSAGE_S);
	vhost_front_drop(f);
}

/* --- The beginning of a connection --------------------------------------------------------------- */

static void on_opened(void *owner, int r)
{
	struct vhost_front *f = owner;

	if (is_leaving(f))
		return;
	f->open = !r;
	if (!r) {
		read_on(f);
		return;
	}
	log_limited(&f->limit, LOG_LEVEL_ERR, &f->about,
		    "DPDK takes no connection: %s; the frontend is dropped", strerror(-r));
	vhost_front_drop(f);
}

static void on_closed(void *owner)
{
	struct vhost_front *f = owner;

	log_about(
		LOG_LEVEL_ERR, &f->about,
		"DPDK has ended the connection after vhost-user message %s; the frontend is dropped",
		vhost_request_name(f->msg.request));
	leave(f);
}

static void on_memory_lost(void *owner)
{
	struct vhost_front *f = owner;

	f->ops->memory_lost(f->device);
}

static const struct vhost_library_ops library_ops = {
	.opened = on_opened,
	.answered = on_answered,
	.closed = on_closed,
	.memory_lost = on_memory_lost,
};

/* Return: 0 or -errno */
static int begin_connection(struct vhost_front *f, int fd)
{
	struct event_base *base = loop_base(f->worker);

	f->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, f);
	f->late = evtimer_new(base, on_late, f);
	f->rest = evtimer_new(base, on_rested, f);
	if (!f->readable || !f->late || !f->rest)
		return -ENOMEM;
	return vhost_library_open(&f->library, f->worker, &library_ops, f);
}

/* One that has left while it waited to be accepted may be followed by many of that kind. */
static bool has_left(int fd)
{
	char byte;

	return !recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

/* Return: for how many milliseconds no other one is to be taken */
static unsigned int take_frontend(struct vhost_front *f, int fd)
{
	unsigned int ms;

	if (f->fd >= 0 || has_left(fd)) {
		if (f->fd >= 0)
			log_limited(&f->limit, LOG_LEVEL_WARNING, &f->about,
				    "a second frontend is turned away");
		else if (f->retry)
			event_add(f->retry, &retry_later);
		/* At once if it holds nothing: many would fill the queue of what waits to be closed. */
		shutdown(fd, SHUT_RDWR);
		stranger_close(fd);
		return spend(f, COST_OF_REFUSAL);
	}
	ms = spend(f, COST_OF_CONNECTION);
	if (begin_connection(f, fd)) {
		log_limited(&f->limit, LOG_LEVEL_ERR, &f->about,
			    "out of memory or descriptors; a frontend is turned away");
		free_events(f);
		stranger_give(fd);
		if (f->retry)
			event_add(f->retry, &retry_later);
		return ms;
	}
	f->fd = fd;
	begin_message(f);
	rest_from_reading(f, ms);
	f->ops->connected(f->device);
	return ms;
}

static void on_frontend(void *arg, int fd)
{
	struct vhost_front *f = arg;
	unsigned int ms = take_frontend(f, fd);

	if (ms)
		listener_rest(&f->listener, ms);
}

static void try_connect(evutil_socket_t unused, short what, void *arg)
{
	struct vhost_front *f = arg;
	int fd = fd_connect_unix(f->cfg->socket, true);

	if (fd >= 0) {
		f->why_not = 0;
		take_frontend(f, fd);
		return;
	}
	if (f->why_not != fd)
		log_about(LOG_LEVEL_INFO, &f->about,
			  "no frontend listens at %s: %s; trying again every %ld ms",
			  f->cfg->socket, strerror(-fd), CONNECT_RETRY_MS);
	f->why_not = fd;
	event_add(f->retry, &retry_later);
}

static void start_on_worker(void *arg)
{
	struct vhost_front *f = arg;

	if (f->cfg->socket_mode == SOCKET_LISTEN) {
		listener_stop(&f->listener);
		f->start_r = listener_start(&f->listener, f->worker, &f->about, "vhost-user",
					    f->start_fd, on_frontend, f);
		return;
	}
	f->retry = evtimer_new(loop_base(f->worker), try_connect, f);
	f->start_r = f->retry ? 0 : -ENOMEM;
	if (f->retry)
		try_connect(-1, 0, f);
}

/* Return: 0 or -errno, with a log line; then nobody listens */
static int front_listen(struct vhost_front *f)
{
	const char *path = f->cfg->socket;
	int fd =
		socket_file_listen(&f->file, path, f->cfg->socket_perm, f->cfg->socket_group, true);

	if (fd >= 0) {
		f->start_fd = fd;
		loop_call(f->worker, start_on_worker, f);
		fd = f->start_r;
	}
	if (fd < 0)
		log_about(LOG_LEVEL_ERR, &f->about, "socket %s: %s", path, strerror(-fd));
	else
		log_about(LOG_LEVEL_INFO, &f->about, "waiting for a frontend at %s", path);
	return fd < 0 ? fd : 0;
}

int vhost_front_new(struct vhost_front **out, const struct guest_config *cfg, struct loop *worker,
		    const struct vhost_device_ops *ops, void *device)
{
	struct vhost_front *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	*out = NULL;
	if (!f)
		return -ENOMEM;
	f->cfg = cfg;
	f->worker = worker;
	f->ops = ops;
	f->device = device;
	f->fd = -1;
	f->leave = (struct loop_task){ .fn = leave, .arg = f };
	f->pace = (struct pace){ .per_s = MESSAGES_PER_S, .burst = MESSAGES_AT_ONCE };
	f->name = strdup(cfg->name);
	f->about.guest = f->name;
	/* The device's calls need *out from the first connection on. */
	*out = f;
	if (f->name && cfg->socket_mode == SOCKET_LISTEN) {
		r = front_listen(f);
	} else if (f->name) {
		loop_call(worker, start_on_worker, f);
		r = f->start_r;
	}
	if (r)
		*out = vhost_front_free(f);
	return r;
}

static void stop_on_worker(void *arg)
{
	struct vhost_front *f = arg;

	listener_stop(&f->listener);
	leave(f);
	if (f->retry)
		event_free(f->retry);
	f->retry = NULL;
}

struct vhost_front *vhost_front_free(struct vhost_front *f)
{
	if (!f)
		return NULL;
	loop_call(f->worker, stop_on_worker, f);
	socket_file_release(&f->file);
	free(f->name);
	free(f);
	return NULL;
}

bool vhost_front_path_is_lost(const struct vhost_front *f)
{
	return f->cfg->socket_mode == SOCKET_LISTEN && socket_file_is_lost(&f->file);
}

void vhost_front_reloaded(struct vhost_front *f)
{
	if (vhost_front_path_is_lost(f) && !front_listen(f))
		log_about(LOG_LEVEL_NOTICE, &f->about,
			  "socket %s had been removed or replaced; listening there again",
			  f->cfg->socket);
}

int vhost_front_call(struct vhost_front *f, unsigned int queue)
{
	return f->open ? vhost_library_call(f->library, queue) : 0;
}

bool vhost_front_memory_is_lost(const struct vhost_front *f)
{
	return f->library && vhost_library_memory_is_lost(f->library);
}
