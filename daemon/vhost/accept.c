/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/listener.h"
#include "util/clock.h"
#include "vhost/accept.h"

#define MAX_RESTING 64 /* what is more than that fails once more, and rests the next time */

/* The vhost thread's, as everything here but is_vhost_thread, of which each thread has its own */
static struct accept_backoff backoff = { .name = "vhost" };
static int resting[MAX_RESTING];
static unsigned int n_resting;
static uint64_t until_ms;
static _Thread_local bool is_vhost_thread;

static void rest(int fd, int error)
{
	if (!n_resting)
		until_ms = clock_ms() + accept_backoff_failed(&backoff, error);
	if (n_resting < MAX_RESTING)
		resting[n_resting++] = fd;
}

int vhost_accept_rest(struct pollfd *fds, nfds_t n_fds)
{
	uint64_t now_ms;

	is_vhost_thread = true;
	if (!n_resting)
		return -1;
	now_ms = clock_ms();
	if (now_ms >= until_ms) {
		n_resting = 0;
		return -1;
	}
	for (nfds_t i = 0; i < n_fds; i++) {
		for (unsigned int n = 0; n < n_resting; n++) {
			if (fds[i].fd == resting[n])
				fds[i].fd = -1;
		}
	}
	return (int)(until_ms - now_ms);
}

/**
 * accept() - as the C library's; what cannot be accepted by the vhost thread rests
 * @fd: listening socket
 * @addr: as accept(2); the type is what glibc declares
 * @bytes: as accept(2)
 *
 * Return: as accept(2).
 */
int accept(int fd, __SOCKADDR_ARG addr, socklen_t *bytes)
{
	int client = (int)syscall(SYS_accept4, fd, addr.__sockaddr__, bytes, 0), error = errno;

	if (!is_vhost_thread)
		return client;
	if (client >= 0)
		accept_backoff_over(&backoff);
	else if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
		rest(fd, error);
	errno = error;
	return client;
}
