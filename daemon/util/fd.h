/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fd.h - file descriptors and other things that clean themselves up
 */
#ifndef OKL4FSD_UTIL_FD_H
#define OKL4FSD_UTIL_FD_H

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/** fd_close() - close a descriptor, if it is not negative; Return: -1, to be assigned back */
static inline int fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
	return -1;
}

static inline void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}

static inline void freep(void *p)
{
	free(*(void **)p);
}

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _cleanup_fd_   _cleanup_(fd_closep)
#define _cleanup_free_ _cleanup_(freep)

/**
 * fd_open_standard() - open descriptors 0 to 2 on /dev/null where they are not open
 *
 * Otherwise the next socket could become stderr, and the log would go there. Call it before
 * anything else is opened.
 *
 * Return: 0 or -errno.
 */
int fd_open_standard(void);

/**
 * enum fd_unix - which unix socket
 * @FD_UNIX_STREAM: SOCK_STREAM
 * @FD_UNIX_TAKES_FDS: the same, and connections may bring descriptors (stranger.h)
 * @FD_UNIX_PACKETS: SOCK_SEQPACKET
 */
enum fd_unix { FD_UNIX_STREAM, FD_UNIX_TAKES_FDS, FD_UNIX_PACKETS };

/**
 * fd_listen_unix() - a listening, non-blocking, close-on-exec unix socket
 * @path: where; an existing file is -EADDRINUSE (socket_file.h)
 * @mode: permission bits; from the first moment on the file never has more than these
 * @group: group name for the file, or NULL
 * @kind: which
 *
 * Return: the descriptor, or a negated errno (-ENAMETOOLONG when @path does not fit sun_path).
 */
int fd_listen_unix(const char *path, unsigned int mode, const char *group, enum fd_unix kind);

/**
 * fd_connect_unix() - a connected, non-blocking, close-on-exec unix socket; Return: it or -errno
 */
int fd_connect_unix(const char *path, enum fd_unix kind);

/**
 * fd_hang_up_set() - tell that a socket has hung up while it is neither read nor written
 * @fd: the socket
 *
 * Return: an epoll set that is readable from then on; -1: there is none.
 */
int fd_hang_up_set(int fd);

/**
 * fd_set_access() - give a file its group and then its permission bits
 * @path: file
 * @mode: permission bits
 * @group: group name, or NULL to leave it
 *
 * Return: 0, -ESRCH when the group does not exist, or a negated errno.
 */
int fd_set_access(const char *path, unsigned int mode, const char *group);

#endif
