/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_file.h - the file by which a listening unix socket is reached, and the lock beside it
 *
 * A socket file does not tell which process listens. Connecting to find out would open and close
 * the host's end of a running channel. So a daemon that listens at PATH holds a flock(2) on
 * PATH.lock for as long as it listens. The kernel releases the lock with the process, so a lock
 * file that a dead process left behind is free. Two paths to one folder lead to one lock file.
 *
 * Other programs do not know the lock. To find out whether one of them listens, the daemon tries to
 * connect a socket of another type. That cannot succeed, and the listener does not notice.
 */
#ifndef OKL4FSD_UTIL_SOCKET_FILE_H
#define OKL4FSD_UTIL_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "util/fd.h"

/**
 * struct socket_file - the file of a socket; all zero: none
 * @path: where; NULL: none
 * @lock_fd: the lock is held while this is open; -1: it is not
 * @known: @dev and @ino say which file is ours
 * @borrowed: the file belongs to the service manager, which removes it
 * @dev: device of the file
 * @ino: its inode
 */
struct socket_file {
	char *path;
	int lock_fd;
	bool known, borrowed;
	dev_t dev;
	ino_t ino;
};

/**
 * socket_file_claim() - take the lock, and remove a socket file without a listener
 * @f: none, or one of the same path whose file was lost: then its lock is kept
 * @path: where; copied
 *
 * bind(2) and socket_file_bound() follow; socket_file_listen() is all three.
 *
 * Return: 0; -EADDRINUSE when another process listens there, or an okl4fsd is about to; -ENOTSOCK
 * when the file is not a socket; -EPERM when no other program would see it (sandbox.h); or a negated errno.
 * If the lock is the cause, it is logged.
 */
int socket_file_claim(struct socket_file *f, const char *path);

/** socket_file_bound() - the file exists now: remember which one it is; Return: 0 or -errno */
int socket_file_bound(struct socket_file *f);

/**
 * socket_file_listen() - claim a path and listen there
 * @f: as socket_file_claim()
 * @path: as socket_file_claim()
 * @mode: permission bits
 * @group: group name for the file, or NULL
 * @kind: which
 *
 * Return: a descriptor as fd_listen_unix()'s, or a negated errno; then @f is as before.
 */
int socket_file_listen(struct socket_file *f, const char *path, unsigned int mode,
		       const char *group, enum fd_unix kind);

/**
 * socket_file_way_out() - what to do when a path cannot be listened on, for the end of a log line
 * @error: a positive errno of socket_file_listen()
 * @path: where
 *
 * Return: text with a blank before it, or ""; valid until the thread's next call.
 */
const char *socket_file_way_out(int error, const char *path);

/**
 * socket_file_borrow() - a socket of the service manager listens at @path
 *
 * Return: 0; -EADDRINUSE when another okl4fsd holds the lock; -ENOMEM. If the lock cannot be taken
 * for another reason, the socket is used without it: the folder may belong to another user.
 */
int socket_file_borrow(struct socket_file *f, const char *path);

/** socket_file_find_listener() - Return: 0: nothing listens at @path; -EADDRINUSE: a program does; or -errno */
int socket_file_find_listener(const char *path);

/** socket_file_is_lost() - the file was removed or replaced, so clients cannot connect */
bool socket_file_is_lost(const struct socket_file *f);

/**
 * socket_file_release() - remove the file if it is still ours, and release the lock; all zero is
 * allowed
 */
void socket_file_release(struct socket_file *f);

#endif
