// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/library.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_vhost.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/nudge.h"
#include "vhost/region_file.h"
#include "vhost/sigbus.h"

#define MAX_VIDS 1024 /* RTE_MAX_VHOST_DEVICE */

/* A connection. The owner has a reference until vhost_library_close(), the library from
 * new_connection() to destroy_connection(), and the queue of connections that are to be made. */
struct vhost_library {
	struct loop *loop;
	const struct vhost_library_ops *ops; /* NULL: it is closed; loop's thread */
	void *owner;
	atomic_uint refs;
	int fd;
	struct event *event; /* on @fd */
	atomic_int vid; /* -1: the library does not have it */
	struct vhost_message reply;
	unsigned int n_reply; /* bytes of it that have come */
	_Atomic uint64_t asked_ms; /* since when an answer is outstanding; 0: none is */
	struct guest_memory memory; /* that is watched */
	atomic_bool closed, lost;
	int lost_fd;
	struct event *lost_event;
	struct loop_post turn; /* it may connect now */
	struct loop_post taken; /* the library has it */
	STAILQ_ENTRY(vhost_library) entry; /* of those that wait for their turn */
	LIST_ENTRY(vhost_library) all;
};

static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static STAILQ_HEAD(, vhost_library) waiting = STAILQ_HEAD_INITIALIZER(waiting);
static LIST_HEAD(, vhost_library) connections = LIST_HEAD_INITIALIZER(connections);
static struct vhost_library *connecting; /* the next new_connection() is of this one */

static _Atomic(struct vhost_library *) by_vid[MAX_VIDS];
/* DPDK cuts a longer one, and listens there */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static char listen_path[PATH_MAX + 2], connect_path[PATH_MAX + 2];

/* Virtual: pages of it that are not used cost nothing. A frontend that asks for 17 queues of 32768
 * entries takes 20 MiB of it. */
#define EAL_HEAP_MIB "128"

static enum log_level eal_log_level = LOG_LEVEL_WARNING;

/* DPDK's lines into our log */
static ssize_t eal_log_write(void *cookie, const char *buf, size_t bytes)
{
	size_t n = bytes;

	while (n && buf[n - 1] == '\n')
		n--;
	if (n)
		log_line(eal_log_level, "dpdk: %.*s", (int)n, buf);
	return (ssize_t)bytes;
}

/* One lcore that may run wherever this process may: otherwise there would be a thread per CPU, and main
 * would be bound to one. Return: 0 or -errno */
static int eal_lcores(char *out, size_t bytes)
{
	size_t n = (size_t)snprintf(out, bytes, "0@(");
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return -errno;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &cpus) && n < bytes)
			n += (size_t)snprintf(out + n, bytes - n, "%s%d",
					      out[n - 1] == '(' ? "" : ",", i);
	}
	if (n < bytes)
		n += (size_t)snprintf(out + n, bytes - n, ")");
	return n < bytes ? 0 : -E2BIG;
}

/* Return: 0 or -EIO, with a log line */
static int eal_start(void)
{
	static char arg[][32] = { "okl4fsd",
				  "--no-huge",
				  "--no-shconf",
				  "--no-pci",
				  "--no-telemetry",
				  "--iova-mode=va",
				  "-m",
				  EAL_HEAP_MIB,
				  "--log-level=*:warning",
				  "--log-level=lib.vhost.*:error",
				  "--lcores" };
	enum { N_ARGS = sizeof(arg) / sizeof(arg[0]) };
	static char lcores[8192], *argv[N_ARGS + 2];
	cookie_io_functions_t io = { .write = eal_log_write };
	struct nudge nudge;
	int r;
	FILE *stream = fopencookie(NULL, "w", io);

	if (stream) {
		setvbuf(stream, NULL, _IOLBF, 1024);
		rte_openlog_stream(stream);
	}
	for (int i = 0; i < N_ARGS; i++)
		argv[i] = arg[i];
	argv[N_ARGS] = lcores;
	/* Where the CPU does not tell how fast its clock is, DPDK sleeps for a tenth of a second to find out,
	 * while guests wait for us. Nothing of what we use needs to know it. */
	nudge_begin(&nudge, 5);
	r = eal_lcores(lcores, sizeof(lcores)) ? -1 : rte_eal_init(N_ARGS + 1, argv);
	nudge_end(&nudge);
	if (r < 0) {
		log_err("DPDK does not start: %s", rte_strerror(rte_errno));
		return -EIO;
	}
	/* From here on it speaks of frontends only, of whom we speak ourselves. */
	eal_log_level = LOG_LEVEL_DEBUG;
	return 0;
}

static void library_unref(struct vhost_library *l)
{
	if (atomic_fetch_sub(&l->refs, 1) > 1)
		return;
	fd_close(l->lost_fd);
	free(l);
}

/* --- Connections are made one after the other ------------------------------------------------ */

/* library_lock is held. */
static void next_turn(void)
{
	if (connecting || STAILQ_EMPTY(&waiting))
		return;
	connecting = STAILQ_FIRST(&waiting);
	STAILQ_REMOVE_HEAD(&waiting, entry);
	loop_post(connecting->loop, &connecting->turn);
}

/* Return: whether the turn was this connection's, which it is no longer */
static bool end_turn(struct vhost_library *l)
{
	bool was;

	pthread_mutex_lock(&library_lock);
	was = connecting == l;
	if (was) {
		connecting = NULL;
		next_turn();
	}
	pthread_mutex_unlock(&library_lock);
	return was;
}

static void close_socket(struct vhost_library *l)
{
	if (l->event)
		event_free(l->event);
	l->event = NULL;
	l->fd = fd_close(l->fd);
}

static void not_opened(struct vhost_library *l, int r)
{
	close_socket(l);
	if (l->ops)
		l->ops->opened(l->owner, r);
	library_unref(l);
}

static void read_reply(struct vhost_library *l)
{
	uint8_t *to = (uint8_t *)&l->reply + l->n_reply;
	ssize_t n = recv(l->fd, to, VHOST_REPLY_BYTES - l->n_reply, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* destroy_connection() comes, and tells the owner */
		event_del(l->event);
		return;
	}
	l->n_reply += (unsigned int)n;
	if (l->n_reply < VHOST_REPLY_BYTES)
		return;
	l->n_reply = 0;
	l->asked_ms = 0;
	if (l->ops)
		l->ops->answered(l->owner, &l->reply);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_library *l = arg;

	if (l->vid >= 0)
		read_reply(l);
	else if (end_turn(l)) /* what else can it be but the end? */
		not_opened(l, -ECONNREFUSED);
}

/* The library looks for connections without a rest when it cannot accept one (EMFILE), so there has to be
 * room for its descriptor, too. */
static int connect_to_library(struct vhost_library *l)
{
	int spare = fcntl(l->lost_fd, F_DUPFD_CLOEXEC, 0);

	if (spare < 0)
		return -errno;
	l->asked_ms = clock_ms();
	l->fd = fd_connect_unix(connect_path, FD_UNIX_STREAM);
	fd_close(spare);
	if (l->fd < 0)
		return l->fd;
	l->event = event_new(loop_base(l->loop), l->fd, EV_READ | EV_PERSIST, on_readable, l);
	return l->event && !event_add(l->event, NULL) ? 0 : -ENOMEM;
}

static void take_turn(void *arg)
{
	struct vhost_library *l = arg;
	int r = l->ops ? connect_to_library(l) : -ECANCELED;

	if (!r)
		return;
	end_turn(l);
	not_opened(l, r);
}

static void tell_taken(void *arg)
{
	struct vhost_library *l = arg;

	if (l->ops)
		l->ops->opened(l->owner, 0);
	else
		close_socket(l);
	library_unref(l);
}

/* --- What the library calls, on its own thread ------------------------------------------------ */

/* Memory that is lost while the library handles a message is lost under the guest of that message. */
static enum rte_vhost_msg_result before_message(int vid, void *msg)
{
	struct vhost_library *l = by_vid[vid];

	if (l)
		sigbus_here(&l->lost, l->lost_fd);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result after_message(int vid, void *msg)
{
	sigbus_here(NULL, -1);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops around_messages = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};

static int new_connection(int vid)
{
	struct vhost_library *l;

	pthread_mutex_lock(&library_lock);
	l = connecting;
	pthread_mutex_unlock(&library_lock);
	/* Nobody else can connect; a connection that is refused here is closed. */
	if (!l || vid < 0 || vid >= MAX_VIDS ||
	    rte_vhost_extern_callback_register(vid, &around_messages, NULL))
		return -1;
	by_vid[vid] = l; /* with the reference that the turn had */
	atomic_fetch_add(&l->refs, 1); /* until tell_taken() */
	l->asked_ms = 0;
	l->vid = vid;
	end_turn(l);
	loop_post(l->loop, &l->taken);
	return 0;
}

static void tell_closed(void *arg)
{
	struct vhost_library *l = arg;

	if (l->ops)
		l->ops->closed(l->owner);
}

static void destroy_connection(int vid)
{
	struct vhost_library *l = by_vid[vid];

	if (!l)
		return;
	by_vid[vid] = NULL;
	sigbus_here(NULL, -1);
	/* It ends by itself only when it has run out of memory; else the owner has closed it. */
	if (!l->closed)
		loop_call(l->loop, tell_closed, l);
	vhost_library_drop_memory(l);
	library_unref(l);
}

static int new_device(int vid)
{
	return 0;
}

static void destroy_device(int vid)
{
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

/* --- One connection ---------------------------------------------------------------------------- */

static void on_lost(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_library *l = arg;
	eventfd_t n;

	(void)eventfd_read(fd, &n);
	if (l->lost && l->ops)
		l->ops->memory_lost(l->owner);
}

int vhost_library_open(struct vhost_library **out, struct loop *loop,
		       const struct vhost_library_ops *ops, void *owner)
{
	struct vhost_library *l = calloc(1, sizeof(*l));

	*out = NULL;
	if (!l)
		return -ENOMEM;
	l->loop = loop;
	l->ops = ops;
	l->owner = owner;
	l->refs = 2; /* the owner's, and the turn's */
	l->fd = -1;
	l->vid = -1;
	l->turn = (struct loop_post){ .fn = take_turn, .arg = l };
	l->taken = (struct loop_post){ .fn = tell_taken, .arg = l };
	l->lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->lost_fd >= 0)
		l->lost_event =
			event_new(loop_base(loop), l->lost_fd, EV_READ | EV_PERSIST, on_lost, l);
	if (!l->lost_event || event_add(l->lost_event, NULL)) {
		if (l->lost_event)
			event_free(l->lost_event);
		fd_close(l->lost_fd);
		free(l);
		return -ENOMEM;
	}
	pthread_mutex_lock(&library_lock);
	LIST_INSERT_HEAD(&connections, l, all);
	STAILQ_INSERT_TAIL(&waiting, l, entry);
	next_turn();
	pthread_mutex_unlock(&library_lock);
	*out = l;
	return 0;
}

struct vhost_library *vhost_library_close(struct vhost_library *l)
{
	if (!l)
		return NULL;
	l->ops = NULL;
	l->closed = true;
	event_free(l->lost_event);
	pthread_mutex_lock(&library_lock);
	LIST_REMOVE(l, all);
	pthread_mutex_unlock(&library_lock);
	/* While it is uncertain whether the library takes it, the socket stays: next_turn() waits. */
	if (l->vid >= 0)
		close_socket(l);
	library_unref(l);
	return NULL;
}

int vhost_library_send(struct vhost_library *l, const struct vhost_message *msg, const int *fds,
		       unsigned int n_fds)
{
	struct vhost_message copy = { .request = msg->request,
				      .flags = VHOST_FLAG_VERSION | VHOST_FLAG_NEED_REPLY,
				      .bytes = msg->bytes };
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(VHOST_MAX_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { &copy, VHOST_HEADER_BYTES + msg->bytes };
	struct msghdr out = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	memcpy(&copy.payload, &msg->payload, msg->bytes);
	if (n_fds) {
		control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS,
						   .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
		out.msg_control = &control;
		out.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	n = sendmsg(l->fd, &out, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n != (ssize_t)iov.iov_len)
		return n < 0 ? -errno : -EIO;
	l->asked_ms = clock_ms();
	return 0;
}

void vhost_library_drop_memory(struct vhost_library *l)
{
	for (unsigned int i = 0; i < l->memory.n_regions; i++)
		sigbus_unwatch(l->memory.region[i].map);
	l->memory.n_regions = 0;
}

const char *vhost_library_memory(struct vhost_library *l, struct guest_memory *memory)
{
	_cleanup_free_ struct rte_vhost_memory *table = NULL;
	struct guest_memory *m = &l->memory;
	const char *wrong;

	if (rte_vhost_get_mem_table(l->vid, &table) || table->nregions > GUEST_MEMORY_MAX_REGIONS)
		return "DPDK has no memory table";
	memset(m, 0, sizeof(*m));
	for (uint32_t i = 0; i < table->nregions; i++) {
		const struct rte_vhost_mem_region *t = &table->regions[i];

		m->region[i] = (struct guest_region){
			.gpa = t->guest_phys_addr,
			.user_addr = t->guest_user_addr,
			.bytes = t->size,
			.hva = (uint8_t *)(uintptr_t)t->host_user_addr,
			.map = t->mmap_addr,
			.map_bytes = t->mmap_size,
			/* Not of the file that came last: an equal table leaves the mappings as they are. */
			.page_bytes = region_file_look(t->fd).page_bytes,
		};
	}
	wrong = guest_memory_check(m->region, table->nregions);
	for (uint32_t i = 0; i < table->nregions && !wrong; i++) {
		const struct guest_region *r = &m->region[i];

		m->n_regions = i + 1;
		if (sigbus_watch(r->map, r->map_bytes, r->page_bytes, &l->lost, l->lost_fd))
			wrong = "too many regions in this process";
	}
	if (wrong)
		vhost_library_drop_memory(l);
	*memory = *m;
	return wrong;
}

struct vhost_ring vhost_library_ring(struct vhost_library *l, unsigned int queue)
{
	struct rte_vhost_vring vring = { .kickfd = -1 };

	if (rte_vhost_get_vhost_vring(l->vid, (uint16_t)queue, &vring))
		return (struct vhost_ring){ .kick_fd = -1 };
	return (struct vhost_ring){
		.ready = vring.desc && vring.avail && vring.used && vring.kickfd >= 0,
		.size = vring.size,
		.desc = vring.desc,
		.avail = vring.avail,
		.used = vring.used,
		.kick_fd = vring.kickfd,
	};
}

void vhost_library_set_next(struct vhost_library *l, unsigned int queue, uint16_t next)
{
	rte_vhost_set_vring_base(l->vid, (uint16_t)queue, next, next);
}

int vhost_library_call(struct vhost_library *l, unsigned int queue)
{
	return rte_vhost_vring_call_nonblock(l->vid, (uint16_t)queue) == -EAGAIN ? -EAGAIN : 0;
}

bool vhost_library_memory_is_lost(const struct vhost_library *l)
{
	return l->lost;
}

static uint64_t outstanding_ms(const struct vhost_library *l, uint64_t now)
{
	uint64_t asked = l->asked_ms;

	return asked && asked < now ? now - asked : 0;
}

uint64_t vhost_library_stuck_ms(void)
{
	uint64_t now = clock_ms(), longest = 0;
	struct vhost_library *l;

	pthread_mutex_lock(&library_lock);
	/* The one that is being made may have been given up by its owner, and holds up all others. */
	if (connecting)
		longest = outstanding_ms(connecting, now);
	LIST_FOREACH(l, &connections, all)
	{
		uint64_t ms = outstanding_ms(l, now);

		longest = ms > longest ? ms : longest;
	}
	pthread_mutex_unlock(&library_lock);
	return longest;
}

/* --- The start ---------------------------------------------------------------------------------- */

/* The library's thread inherits the mask: it takes only signals that it brings upon itself. */
static void mask_signals(sigset_t *old)
{
	sigset_t block;

	sigfillset(&block);
	sigdelset(&block, SIGBUS);
	sigdelset(&block, SIGSEGV);
	sigdelset(&block, SIGILL);
	sigdelset(&block, SIGFPE);
	pthread_sigmask(SIG_BLOCK, &block, old);
}

static int register_socket(void)
{
	const char *path = listen_path;

	errno = 0;
	if (rte_vhost_driver_register(path, 0) ||
	    rte_vhost_driver_set_features(path, VHOST_FEATURES) ||
	    rte_vhost_driver_set_protocol_features(path, VHOST_PROTOCOL_FEATURES) ||
	    rte_vhost_driver_callback_register(path, &device_ops) || rte_vhost_driver_start(path))
		return errno ? -errno : -EIO; /* it only says that it failed */
	return 0;
}

/*
 * Up to 23.11 the library's thread does not notice a socket that begins to listen until it looks round,
 * up to a second later. It does notice a connection that the library makes. So it is made to connect to
 * a socket that nobody serves, which ends the connection.
 */
static int wake_thread(const char *folder)
{
	static const struct rte_vhost_device_ops none;
	char path[PATH_MAX + 4];
	int fd;

	snprintf(path, sizeof(path), "%s/w", folder);
	fd = fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM);
	if (fd < 0)
		return fd;
	errno = 0;
	if (rte_vhost_driver_register(path, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) ||
	    rte_vhost_driver_callback_register(path, &none) || rte_vhost_driver_start(path)) {
		int r = errno ? -errno : -EIO;

		fd_close(fd);
		unlink(path);
		return r;
	}
	fd_close(accept(fd, NULL, NULL));
	fd_close(fd);
	unlink(path);
	return 0;
}

static void remove_socket(void)
{
	unlink(listen_path);
	*strrchr(listen_path, '/') = 0;
	rmdir(listen_path);
}

/* The socket is reached through a descriptor of its file, so file and folder are removed at once, and
 * nothing is left behind by a daemon that is killed. Where /proc does not show this process, as in
 * another process namespace, they stay until the end. */
static int hide_socket(void)
{
	int fd = open(listen_path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(connect_path, sizeof(connect_path), "/proc/self/fd/%d", fd);
	if (!access(connect_path, F_OK)) {
		remove_socket();
		return 0;
	}
	close(fd);
	snprintf(connect_path, sizeof(connect_path), "%s", listen_path);
	return atexit(remove_socket) ? -ENOMEM : 0;
}

size_t vhost_library_max_folder(void)
{
	return SOCKET_PATH_MAX - strlen("/.vhost-XXXXXX/s");
}

int vhost_library_init(const char *parent)
{
	char folder[PATH_MAX];
	sigset_t old;
	int r;

	snprintf(folder, sizeof(folder), "%s/.vhost-XXXXXX", parent);
	if (strlen(parent) > vhost_library_max_folder()) {
		log_err("control: its folder %s has %zu bytes; at most %zu leave room for a socket of "
			"DPDK's beside the control socket",
			parent, strlen(parent), vhost_library_max_folder());
		return -ENAMETOOLONG;
	}
	if (!mkdtemp(folder)) { /* mode 0700 */
		r = -errno;
		log_err("cannot make a folder for DPDK's socket in %s: %s", parent, strerror(-r));
		return r;
	}
	snprintf(listen_path, sizeof(listen_path), "%s/s", folder);
	mask_signals(&old);
	r = eal_start();
	if (!r) {
		r = register_socket();
		if (!r)
			r = wake_thread(folder);
		if (!r)
			r = hide_socket();
		if (r) {
			log_err("DPDK's vhost library does not listen at %s: %s", listen_path,
				strerror(-r));
			remove_socket();
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}
