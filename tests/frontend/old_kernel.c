/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * old_kernel.c - preloaded, it imitates a kernel that cannot refuse descriptors (before Linux 6.16)
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PASSRIGHTS 83 /* SO_PASSRIGHTS */

int setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
	if (level == SOL_SOCKET && name == PASSRIGHTS) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, bytes);
}
