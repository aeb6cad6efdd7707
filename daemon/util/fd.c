/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/account.h"
#include "util/fd.h"
#include "util/stranger_mark.h"

int fd_open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR); /* the lowest one that is free */
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

static int unix_address(struct sockaddr_un *un, const char *path)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (!*path)
		return -EINVAL;
	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	memcpy(un->sun_path, path, strlen(path));
	return 0;
}

/* Return: a non-blocking, close-on-exec unix stream socket, or -errno */
static int unix_socket(enum fd_unix kind)
{
	int type = kind == FD_UNIX_PACKETS ? SOCK_SEQPACKET : SOCK_STREAM;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (kind != FD_UNIX_TAKES_FDS)
		stranger_mark(fd);
	return fd;
}

int fd_connect_unix(const char *path, enum fd_unix kind)
{
	_cleanup_fd_ int fd = -1;
	struct sockaddr_un un;
	int r;

	r = unix_address(&un, path);
	if (r)
		return r;
	fd = unix_socket(kind);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

int fd_set_access(const char *path, unsigned int mode, const char *group)
{
	gid_t gid;
	int r;

	if (group) {
		r = account_gid(group, &gid);
		if (r)
			return r;
		if (chown(path, (uid_t)-1, gid))
			return -errno;
	}
	return chmod(path, mode & 0777) ? -errno : 0;
}

int fd_listen_unix(const char *path, unsigned int mode, const char *group, enum fd_unix kind)
{
	_cleanup_fd_ int fd = -1;
	struct sockaddr_un un;
	int r;

	r = unix_address(&un, path);
	if (r)
		return r;
	fd = unix_socket(kind);
	if (fd < 0)
		return fd;
	/* bind(2) gives the file the socket's own mode (Linux): closed to others until it is right. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&un, sizeof(un)))
		return -errno;
	r = fd_set_access(path, mode, group);
	if (!r && listen(fd, SOMAXCONN))
		r = -errno;
	if (r) {
		unlink(path);
		return r;
	}
	r = fd;
	fd = -1;
	return r;
}

int fd_hang_up_set(int fd)
{
	struct epoll_event nothing = { .events = 0 };
	_cleanup_fd_ int set = epoll_create1(EPOLL_CLOEXEC);
	int r;

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &nothing))
		return -1;
	r = set;
	set = -1;
	return r;
}
