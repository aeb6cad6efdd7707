/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/sandbox.h"
#include "util/socket_file.h"

#define LOCK_SUFFIX ".lock"
#define LOCK_TRIES  16 /* how often another process may remove the file that we have just opened */

/* Whether @path names the file that @fd is */
static bool is_same_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !lstat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Only its owner may open the lock file: anyone who can open it can hold the lock */
static int try_lock(const char *path)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		int error;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			error = errno;
			close(fd);
			return error == EWOULDBLOCK ? -EADDRINUSE : -error;
		}
		if (is_same_file(fd, path))
			return fd;
		close(fd); /* its owner has removed it in between */
	}
	return -EADDRINUSE;
}

static int hold_lock(struct socket_file *f, char **lock)
{
	int fd;

	if (asprintf(lock, "%s" LOCK_SUFFIX, f->path) < 0) {
		*lock = NULL;
		return -ENOMEM;
	}
	if (f->lock_fd >= 0 && is_same_file(f->lock_fd, *lock))
		return 0;
	fd = try_lock(*lock);
	if (fd < 0)
		return fd;
	fd_close(f->lock_fd);
	f->lock_fd = fd;
	return 0;
}

static void explain_lock(const struct socket_file *f, const char *lock, int error)
{
	if (error == -EADDRINUSE)
		log_err("%s: another channel or another okl4fsd listens there (it holds a lock on %s)",
			f->path, lock);
	else if (lock && error != -ENOENT &&
		 error != -EROFS) /* these say what is wrong with the folder */
		log_err("%s: %s; okl4fsd locks this file while it listens at %s, and needs to be able "
			"to create it; remove it if another user has left it behind",
			lock, strerror(-error), f->path);
}

/* A datagram socket cannot connect to a stream socket (EPROTOTYPE); the listener sees nothing */
int socket_file_find_listener(const char *path)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path));
	if (!connect(fd, (struct sockaddr *)&un, sizeof(un)) || errno == EPROTOTYPE)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

static int remove_stale(const char *path)
{
	struct stat st;
	int r;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	r = socket_file_find_listener(path);
	if (r)
		return r;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* An empty one, for @path */
static int begin_at(struct socket_file *f, const char *path)
{
	*f = (struct socket_file){ .path = strdup(path), .lock_fd = -1 };
	return f->path ? 0 : -ENOMEM;
}

int socket_file_claim(struct socket_file *f, const char *path)
{
	_cleanup_free_ char *lock = NULL;
	bool is_new = !f->path;
	int r;

	if (sandbox_hides(path))
		return -EPERM;
	r = is_new ? begin_at(f, path) : 0;
	if (!r) {
		r = hold_lock(f, &lock);
		if (r)
			explain_lock(f, lock, r);
	}
	if (!r)
		r = remove_stale(path);
	if (r && is_new)
		socket_file_release(f);
	return r;
}

int socket_file_bound(struct socket_file *f)
{
	struct stat st;

	if (lstat(f->path, &st))
		return -errno;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->known = true;
	f->borrowed = false;
	return 0;
}

int socket_file_listen(struct socket_file *f, const char *path, unsigned int mode,
		       const char *group, enum fd_unix kind)
{
	bool is_new = !f->path;
	int r = socket_file_claim(f, path), fd;

	if (r)
		return r;
	fd = fd_listen_unix(path, mode, group, kind);
	r = fd < 0 ? fd : socket_file_bound(f);
	if (!r)
		return fd;
	fd_close(fd);
	if (is_new)
		socket_file_release(f);
	return r;
}

const char *socket_file_way_out(int error, const char *path)
{
	const char *hint = sandbox_path_hint(path, SANDBOX_SOCKET);

	if (*hint)
		return hint;
	switch (error) {
	case ENOENT:
		return " (make its folder first, or choose another path)";
	case EACCES:
		return " (okl4fsd may not make files in that folder: change the folder's owner or "
		       "permissions, or choose another path)";
	case EPERM:
		return " (okl4fsd must be a member of the socket's group to give the socket to it; after "
		       "adduser, restart okl4fsd)";
	case EADDRINUSE:
		return " (end the program that listens there, or choose another path)";
	case ENOTSOCK:
		return " (a file that is not a socket is there: remove it, or choose another path)";
	case ENAMETOOLONG:
		return " (a socket's path has at most 107 bytes)";
	default:
		return "";
	}
}

int socket_file_borrow(struct socket_file *f, const char *path)
{
	_cleanup_free_ char *lock = NULL;
	int r = begin_at(f, path);

	if (!r)
		r = hold_lock(f, &lock);
	if (r == -EADDRINUSE) {
		explain_lock(f, lock, r);
	} else if (r && f->path && lock) {
		log_debug("%s: %s; going on without the lock", lock, strerror(-r));
		r = 0;
	}
	if (r) {
		socket_file_release(f);
		return r;
	}
	/* If this fails, the file is lost already. */
	socket_file_bound(f);
	f->borrowed = true;
	return 0;
}

bool socket_file_is_lost(const struct socket_file *f)
{
	struct stat st;

	if (!f->path)
		return false;
	return !f->known || lstat(f->path, &st) || st.st_dev != f->dev || st.st_ino != f->ino;
}

void socket_file_release(struct socket_file *f)
{
	_cleanup_free_ char *lock = NULL;

	if (!f->path)
		return;
	if (f->known && !f->borrowed && !socket_file_is_lost(f))
		unlink(f->path);
	if (f->lock_fd >= 0 && asprintf(&lock, "%s" LOCK_SUFFIX, f->path) < 0)
		lock = NULL;
	/* Before the lock is released: afterwards the file may belong to another process. */
	if (lock && is_same_file(f->lock_fd, lock))
		unlink(lock);
	fd_close(f->lock_fd);
	free(f->path);
	*f = (struct socket_file){ .lock_fd = -1 };
}
