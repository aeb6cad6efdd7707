/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stranger.h - descriptors that came over a unix socket without having been asked for
 *
 * The last close(2) of a descriptor may sleep for as long as its sender likes: a TCP socket that
 * lingers, a file that a program serves. It happens in whichever thread takes the message, or ends
 * the connection that the message lies in. So sockets that strangers can send to are marked. Where
 * the kernel can, it then refuses descriptors. Elsewhere those that come are closed by threads that
 * do nothing else, and that nobody waits for.
 *
 * Which sockets are marked: util/stranger_mark.h.
 */
#ifndef OKL4FSD_UTIL_STRANGER_H
#define OKL4FSD_UTIL_STRANGER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct iovec;
struct msghdr;

/**
 * stranger_recv() - take bytes, and have the descriptors that come with them closed
 * @fd: unix socket
 * @iov: where to
 * @n: entries of @iov
 *
 * Return: as readv(2); ECONNRESET also when too many descriptors wait to be closed.
 */
ssize_t stranger_recv(int fd, const struct iovec *iov, size_t n);

/**
 * stranger_recvmsg() - as recvmsg(2), and give the descriptors to the caller
 * @fd: unix socket
 * @msg: without room for control messages
 * @flags: as recvmsg(2)
 * @fds: out: room for STRANGER_MAX_FDS
 * @n_fds: out: how many came
 *
 * Return: as stranger_recv().
 */
ssize_t stranger_recvmsg(int fd, struct msghdr *msg, int flags, int *fds, size_t *n_fds);

#define STRANGER_MAX_FDS 253 /* SCM_MAX_FD, the most that come in one message */

/** stranger_close() - close a marked socket; Return: 0 */
int stranger_close(int fd);

/** stranger_give() - have a descriptor closed; -1 is allowed; any thread, does not wait; Return: -1 */
int stranger_give(int fd);

/** stranger_give_all() - from now on close(2) on this thread is stranger_give() */
void stranger_give_all(void);

/** stranger_gives_all() - whether it is */
bool stranger_gives_all(void);

#endif
