/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_file.h - the file by which a listening unix socket is reached, and the lock beside it
 *
 * A socket file says nothing about who listens, and to connect in order to find out is to be a
 * client: it opens and closes the host's end of a running channel. So a daemon that listens at PATH
 * holds a flock(2) on PATH.lock for as long as the socket is its own. The kernel gives up the lock
 * with the process, so a lock file that was left behind is free. Two paths to one folder lead to
 * one lock file.
 *
 * Other programs know nothing of the lock. Whether one of them listens is asked with a socket of
 * another type, which cannot be connected: its listener does not notice (socket_file.c).
 */
#ifndef OKL4FSD_UTIL_SOCKET_FILE_H
#define OKL4FSD_UTIL_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct socket_file - the file of a socket; all zero: none
 * @path: where; NULL: none
 * @lock_fd: the lock is held while this is open; -1: it is not
 * @known: @dev and @ino say which file is ours
 * @borrowed: the file is the service manager's, who removes it
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
 * socket_file_claim() - take the lock, and remove a socket file that nobody listens on
 * @f: none, or the same path, whose file was lost: then what is still ours is kept
 * @path: where; copied
 *
 * bind(2) and socket_file_bound() follow; socket_file_listen() is all three.
 *
 * Return: 0; -EADDRINUSE when another process listens there, also an okl4fsd that is just about to;
 * -ENOTSOCK when it is no socket; or a negated errno. With a log line when the lock is to blame.
 */
int socket_file_claim(struct socket_file *f, const char *path);

/** socket_file_bound() - the file is there: remember which it is; Return: 0 or -errno */
int socket_file_bound(struct socket_file *f);

/**
 * socket_file_listen() - claim a path and listen there
 * @f: as socket_file_claim()
 * @path: as socket_file_claim()
 * @mode: permission bits
 * @group: group name for the file, or NULL
 *
 * Return: a descriptor as fd_listen_unix()'s, or a negated errno; then @f is as before.
 */
int socket_file_listen(struct socket_file *f, const char *path, unsigned int mode,
		       const char *group, bool takes_fds);

/**
 * socket_file_borrow() - a socket of the service manager listens at @path
 *
 * Return: 0; -EADDRINUSE when another okl4fsd holds the lock; -ENOMEM. A lock that cannot be had for
 * another reason is done without: the folder need not be ours.
 */
int socket_file_borrow(struct socket_file *f, const char *path);

/** socket_file_is_lost() - somebody has removed or replaced the file, so nobody can connect */
bool socket_file_is_lost(const struct socket_file *f);

/** socket_file_release() - remove the file if it is still ours, and give up the lock; none is allowed */
void socket_file_release(struct socket_file *f);

#endif
