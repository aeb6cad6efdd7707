// SPDX-License-Identifier: BSD-3-Clause
#include "server/try_running.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/fd.h"
#include "util/words.h"

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
	snprintf(key, sizeof(key), "%02x:%02x:%" PRIu64, major(st.st_dev), minor(st.st_dev),
		 (uint64_t)st.st_ino);
	f = fopen("/proc/locks", "re");
	if (!f)
		return -1;
	while (getline(&line, &size, f) > 0) {
		char *word[6]; /* number, kind, strictness, access, process, file */

		if (words_split(line, word, 6) < 6 || strcmp(word[1], "FLOCK") != 0 ||
		    strcmp(word[5], key) != 0)
			continue;
		pid = (int)strtol(word[4], NULL, 10);
		if (pid <= 0)
			pid = -1; /* of another namespace of processes */
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
	size_t size = 0;
	int found = 0;

	while (f && found != 1 && getline(&line, &size, f) > 0) {
		char *word[10]; /* the 2nd is address:port, the 4th the state, the 10th the inode */
		const char *colon;
		int one = 0;

		if (words_split(line, word, 10) < 10)
			continue;
		colon = strchr(word[1], ':');
		if (colon && strtoul(colon + 1, NULL, 16) == port &&
		    strtoul(word[3], NULL, 16) == TCP_LISTENS)
			one = holds_socket(pid, strtoul(word[9], NULL, 10));
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
