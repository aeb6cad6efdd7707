// SPDX-License-Identifier: BSD-3-Clause
#include "server/try_running.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/fd.h"

#define TCP_LISTENS 0x0a /* TCP_LISTEN in the kernel's include/net/tcp_states.h */

int try_lock_holder(const char *path)
{
	_cleanup_free_ char *lock = NULL, *line = NULL;
	char key[64];
	struct stat st;
	size_t size = 0;
	int pid = 0;
	FILE *f;

	if (asprintf(&lock, "%s.lock", path) < 0)
		lock = NULL;
	if (!lock || lstat(lock, &st))
		return 0;
	snprintf(key, sizeof(key), " %02x:%02x:%" PRIu64 " ", major(st.st_dev), minor(st.st_dev),
		 (uint64_t)st.st_ino);
	f = fopen("/proc/locks", "re");
	if (!f)
		return -1;
	while (getline(&line, &size, f) > 0) {
		int one;

		if (strstr(line, key) && sscanf(line, "%*s FLOCK %*s %*s %d", &one) == 1)
			pid = one > 0 ? one : -1; /* of another namespace of processes */
	}
	fclose(f);
	return pid;
}

/* Whether a descriptor of a process is the socket of that inode; Return: as try_port_holder() */
static int holds_socket(int pid, unsigned long inode)
{
	char path[64], name[64], link[64];
	struct dirent *entry;
	int found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	snprintf(name, sizeof(name), "socket:[%lu]", inode);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (!found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = 0;
		found = !strcmp(link, name);
	}
	closedir(dir);
	return found;
}

static int find_in_table(const char *table, int pid, uint16_t port)
{
	FILE *f = fopen(table, "re");
	_cleanup_free_ char *line = NULL;
	unsigned long inode;
	unsigned int at, state;
	size_t size = 0;
	int found = 0;

	while (f && found != 1 && getline(&line, &size, f) > 0) {
		int one = 0;

		if (sscanf(line, "%*d: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", &at, &state,
			   &inode) == 3 &&
		    at == port && state == TCP_LISTENS)
			one = holds_socket(pid, inode);
		found = one ? one : found;
	}
	if (f)
		fclose(f);
	return found;
}

int try_port_holder(int pid, uint16_t port)
{
	int r = find_in_table("/proc/net/tcp", pid, port), r6;

	if (r == 1)
		return r;
	r6 = find_in_table("/proc/net/tcp6", pid, port);
	return r6 ? r6 : r;
}
