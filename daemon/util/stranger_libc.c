/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls of the C library that would close a stranger's descriptor in passing (util/stranger.h),
 * also when libevent makes them: it accepts, reads and closes the connections of the control socket
 * and of the metrics. This program defines them, and the dynamic linker binds every call here. They do what the C library's do, except for marked sockets. No socket is
 * marked where the kernel refuses descriptors itself (Linux 6.16).
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/stranger.h"
#include "util/stranger_mark.h"

/** accept4() - see accept4(2) */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict bytes, int flags)
{
	int client = (int)syscall(SYS_accept4, fd, address.__sockaddr__, bytes, flags);

	if (client >= 0)
		stranger_inherit(client, fd);
	return client;
}

/** readv() - see readv(2) */
ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (stranger_is_marked(fd))
		return stranger_recv(fd, iov, (size_t)n);
	return syscall(SYS_readv, fd, iov, n);
}

/** close() - see close(2) */
int close(int fd)
{
	return stranger_is_marked(fd) ? stranger_close(fd) : (int)syscall(SYS_close, fd);
}
