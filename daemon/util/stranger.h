/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stranger.h - unexpected descriptors that arrive over a unix socket
 *
 * The last close(2) of a descriptor may sleep for as long as its sender likes: a TCP socket that
 * lingers, a file that a program serves (FUSE). That close(2) happens in the thread that takes the
 * message, or ends the connection that the message lies in. So sockets that strangers can send to
 * are marked. A new kernel then refuses descriptors. With an older one, the descriptors are closed
 * by threads that do nothing else, and no other thread waits for them.
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
 * stranger_recv() - take bytes; the descriptors that come with them are closed
 * @fd: unix socket
 * @iov: where to
 * @n: entries of @iov
 *
 * Return: as readv(2); ECONNRESET also when too many descriptors wait to be closed.
 */
ssize_t stranger_recv(int fd, const struct iovec *iov, size_t n);

/**
 * stranger_recvmsg() - like recvmsg(2), with the descriptors for the caller
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

/** stranger_give() - let another thread close @fd, or -1; any thread, does not wait; Return: -1 */
int stranger_give(int fd);

/**
 * stranger_give_stored() - as stranger_give(), for a connection that the service manager was told to
 * close, too (store_remove()): not before it has
 *
 * So the last close(2), which closes what still lies in the socket and may sleep, is not that of the
 * service manager.
 */
int stranger_give_stored(int fd);

#endif
