/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls of librte_vhost are caught here, and accept() in accept.c:
 *
 * __poll_chk(): its poll set is an array of 1024 entries, waited for 1000 ms at a time, since its
 * entries may change without the thread being told. We wait without a limit, on one descriptor
 * more, which vhost_poke() writes to whenever we change the set; then we report a timeout. The same
 * descriptor lets vhost_probe() send the thread once round its loop: it answers as it comes back.
 *
 * recvmsg(): reads the head of a message with its descriptors. DPDK loses descriptors of a message
 * whose queue number is out of range before any callback of ours is asked, so descriptors that a
 * message has no right to go no further. And since DPDK then waits for the payload for as long as
 * it takes, with every other frontend waiting behind, the socket gets a receive timeout.
 *
 * read(): reads the payload, and would drop descriptors that come with it.
 *
 * sendmsg(): sends an answer. A frontend that does not read its answers would stop the thread, so the
 * socket has a timeout here, too. DPDK goes on after an answer that could not be sent; the connection
 * is ended instead.
 *
 * close(), in stranger_libc.c: the vhost thread closes no descriptor of a frontend by itself.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/loop.h"
#include "vhost/sigbus.h"
#include "util/stranger.h"
#include "vhost/accept.h"
#include "vhost/check.h"
#include "vhost/syscalls.h"

#define DPDK_MAX_FDS         1024 /* lib/vhost/fd_man.h */
#define DPDK_POLL_TIMEOUT_MS 1000
#define DPDK_HEADER_BYTES    12
#define FRONTEND_STALL_S     2

static int poke_fd = -1;
static atomic_bool thread_waits; /* the thread is there, and has waited */
static pthread_mutex_t probe_lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static struct loop *probe_loop;
static struct loop_post *probe_answer; /* NULL: nobody asks */
static _Thread_local int current_socket = -1;
static _Thread_local uint32_t current_request;
static _Thread_local bool answer_lost;

int vhost_syscalls_init(void)
{
	poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return poke_fd < 0 ? -errno : 0;
}

void vhost_poke(void)
{
	if (poke_fd >= 0)
		eventfd_write(poke_fd, 1);
}

bool vhost_probe(struct loop *loop, struct loop_post *answer)
{
	if (!atomic_load(&thread_waits))
		return false;
	pthread_mutex_lock(&probe_lock);
	probe_loop = loop;
	probe_answer = answer;
	pthread_mutex_unlock(&probe_lock);
	vhost_poke();
	return true;
}

void vhost_unprobe(struct loop *loop, struct loop_post *answer)
{
	pthread_mutex_lock(&probe_lock);
	if (probe_loop == loop && probe_answer == answer)
		probe_answer = NULL;
	pthread_mutex_unlock(&probe_lock);
}

/**
 * answer_probe() - the vhost thread is about to wait; tell whoever asked
 */
static void answer_probe(void)
{
	atomic_store(&thread_waits, true);
	pthread_mutex_lock(&probe_lock);
	if (probe_answer)
		loop_post(probe_loop, probe_answer);
	probe_answer = NULL;
	pthread_mutex_unlock(&probe_lock);
}

int vhost_current_socket(void)
{
	return current_socket;
}

uint32_t vhost_take_request(void)
{
	uint32_t request = current_request;

	current_request = 0;
	return request;
}

bool vhost_answer_lost(void)
{
	return answer_lost;
}

/**
 * poll_vhost() - the vhost thread's poll(), without its timeout
 * @fds: its set
 * @n_fds: entries
 *
 * Return: as poll(2); 0 after vhost_poke().
 */
static int poll_vhost(struct pollfd *fds, nfds_t n_fds)
{
	static struct pollfd set[DPDK_MAX_FDS + 1]; /* one thread */
	struct timespec limit;
	eventfd_t n;
	int ready, rest_ms;

	stranger_give_all();
	answer_probe();
	memcpy(set, fds, n_fds * sizeof(*fds));
	rest_ms = vhost_accept_rest(set, n_fds);
	limit = (struct timespec){ rest_ms / 1000, rest_ms % 1000 * 1000000L };
	set[n_fds].fd = poke_fd;
	set[n_fds].events = POLLIN;
	ready = ppoll(set, n_fds + 1, rest_ms < 0 ? NULL : &limit, NULL);
	if (ready < 0)
		return ready;
	for (nfds_t i = 0; i < n_fds; i++)
		fds[i].revents = set[i].revents;
	if (!(set[n_fds].revents & POLLIN))
		return ready;
	(void)eventfd_read(poke_fd, &n);
	return ready - 1;
}

#if !defined(__USE_FORTIFY_LEVEL) || __USE_FORTIFY_LEVEL == 0
/* Else <poll.h> has declared it. */
int __poll_chk(struct pollfd *fds, nfds_t n_fds, int timeout_ms, size_t fds_bytes);
#endif

/**
 * __poll_chk() - poll() as code compiled with _FORTIFY_SOURCE calls it
 * @fds: set
 * @n_fds: entries
 * @timeout_ms: milliseconds; negative: no limit
 * @fds_bytes: bytes of the array that @fds lies in
 *
 * Return: as poll(2).
 */
int __poll_chk(struct pollfd *fds, nfds_t n_fds, int timeout_ms, size_t fds_bytes)
{
	struct timespec limit = { .tv_sec = timeout_ms / 1000,
				  .tv_nsec = timeout_ms % 1000 * 1000000L };

	if (fds_bytes / sizeof(*fds) < n_fds)
		__builtin_trap();
	current_socket = -1;
	current_request = 0;
	sigbus_here(NULL, -1); /* no message is being handled */
	if (poke_fd >= 0 && timeout_ms == DPDK_POLL_TIMEOUT_MS &&
	    fds_bytes == DPDK_MAX_FDS * sizeof(*fds))
		return poll_vhost(fds, n_fds);
	return ppoll(fds, n_fds, timeout_ms < 0 ? NULL : &limit, NULL);
}

/* Descriptors that a message may have go to DPDK, others are closed; too many are none. */
static void pass_fds(struct msghdr *msg, uint32_t request, const int *fds, size_t n_fds)
{
	struct cmsghdr *c = msg->msg_control;
	bool too_many = n_fds * sizeof(int) > msg->msg_controllen - CMSG_LEN(0);

	if (n_fds && !too_many && vhost_request_takes_fds(request)) {
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS,
				       .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
		msg->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		return;
	}
	for (size_t i = 0; i < n_fds; i++)
		stranger_give(fds[i]);
	msg->msg_controllen = 0;
	if (too_many)
		msg->msg_flags |= MSG_CTRUNC;
}

/* The head of a message, with its descriptors. */
static ssize_t recv_head(int fd, struct msghdr *msg, int flags)
{
	static const struct timeval stall = { .tv_sec = FRONTEND_STALL_S };
	struct msghdr head = { .msg_iov = msg->msg_iov, .msg_iovlen = msg->msg_iovlen };
	int fds[STRANGER_MAX_FDS];
	uint32_t request = 0;
	size_t n_fds;
	ssize_t n = stranger_recvmsg(fd, &head, flags, fds, &n_fds);

	msg->msg_flags = head.msg_flags;
	if (n >= DPDK_HEADER_BYTES) {
		current_socket = fd;
		answer_lost = false;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
		memcpy(&request, msg->msg_iov[0].iov_base, sizeof(request));
		current_request = request;
	}
	pass_fds(msg, request, fds, n_fds);
	return n;
}

/**
 * recvmsg() - as the C library's; heads of vhost-user messages are looked at
 * @fd: socket
 * @msg: as recvmsg(2)
 * @flags: as recvmsg(2)
 *
 * Return: as recvmsg(2).
 */
ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	/* Nobody else in this program receives messages with descriptors 12 bytes at a time. */
	if (msg->msg_iovlen == 1 && msg->msg_iov[0].iov_len == DPDK_HEADER_BYTES &&
	    msg->msg_control)
		return recv_head(fd, msg, flags);
	return syscall(SYS_recvmsg, fd, msg, flags);
}

/**
 * read() - as the C library's; what a vhost-user message carries has no descriptors
 * @fd: descriptor
 * @buf: as read(2)
 * @bytes: as read(2)
 *
 * Return: as read(2).
 */
ssize_t read(int fd, void *buf, size_t bytes)
{
	struct iovec iov = { .iov_base = buf, .iov_len = bytes };

	return fd == current_socket && fd >= 0 ? stranger_recv(fd, &iov, 1) :
						 syscall(SYS_read, fd, buf, bytes);
}

/**
 * sendmsg() - as the C library's; a frontend that does not take its answer is dropped
 * @fd: socket
 * @msg: as sendmsg(2)
 * @flags: as sendmsg(2)
 *
 * Return: as sendmsg(2).
 */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, fd, msg, flags);
	int saved_errno = errno;

	if (n < 0 && fd == current_socket && errno != EINTR) {
		answer_lost = true;
		shutdown(fd, SHUT_RDWR);
	}
	errno = saved_errno;
	return n;
}
