// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/fds.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Whether a descriptor is that of an eventfd; where /proc does not show this process, as in a container
 * or another process namespace, whether it belongs to no file system: a write to such a one that has
 * O_NONBLOCK never waits. The attributes are those that the kernel has, so no file server is asked.
 */
static bool is_eventfd(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(eventfd) + 1];
	struct statx st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	if (n >= 0)
		return n == sizeof(eventfd) - 1 && !memcmp(target, eventfd, (size_t)n);
	return !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
	       !(st.stx_mode & S_IFMT);
}

/* It is shared with the frontend. O_NONBLOCK lets a write fail, not wait, when the counter is full. */
static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void vhost_fds_look(const struct vhost_message *msg, const int *fd, unsigned int n,
		    struct vhost_fd facts[VHOST_MAX_FDS])
{
	enum vhost_fds kind = vhost_request_fds(msg->request);

	memset(facts, 0, VHOST_MAX_FDS * sizeof(facts[0]));
	for (unsigned int i = 0; i < n; i++) {
		if (kind == VHOST_FDS_EVENT)
			facts[i].is_eventfd = is_eventfd(fd[i]) && make_nonblocking(fd[i]);
		else if (kind == VHOST_FDS_MEMORY)
			facts[i].file = region_file_look(fd[i]);
	}
}

/* When DPDK's own mmap(2) fails (the file is sealed, say), it loses the descriptor. */
const char *vhost_fds_map(const struct vhost_message *msg, const int *fd, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vhost_msg_region r = msg->payload.memory.region[i];
		uint64_t bytes = r.mmap_offset + r.bytes;
		void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd[i], 0);

		if (at == MAP_FAILED)
			return "a region's file cannot be mapped for writing";
		munmap(at, bytes);
	}
	return NULL;
}
