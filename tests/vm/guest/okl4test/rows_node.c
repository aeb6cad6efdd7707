// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_node.c - making, naming and removing nodes; what the file system forbids
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

#include "rows.h"

/* listed() - whether the directory shows a name as a fifo */
static bool listed(struct row *r, const char *name)
{
	DIR *dir = opendir(r->dir);
	struct dirent *entry;
	bool found = false;

	expect(dir, "%s: %m", r->dir);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, name) == 0) {
			expect(entry->d_type == DT_FIFO || entry->d_type == DT_UNKNOWN,
			       "readdir says type %d", entry->d_type);
			found = true;
		}
	}
	closedir(dir);
	return found;
}

/* elsewhere() - a path in the mount that does not exist */
static const char *elsewhere(struct row *r, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	return path;
}

ROW(mknod_fifo)
{
	struct stat st;

	expect(mknod(r->path, S_IFIFO | 0640, 0) == 0, "mknod: %m");
	expect(stat(r->path, &st) == 0, "stat: %m");
	expect(S_ISFIFO(st.st_mode), "mode is %#o", st.st_mode);
	expect((st.st_mode & 07777) == 0640, "permissions are %#o", st.st_mode);
	expect(st.st_nlink == 1, "%u links", (unsigned int)st.st_nlink);
	expect(listed(r, r->name), "readdir does not show it");
}

ROW(mknod_twice)
{
	expect(mkfifo(r->path, 0600) == 0, "mkfifo: %m");
	expect_errno(mkfifo(r->path, 0600), EEXIST);
	expect_errno(mknod(r->path, S_IFIFO | 0600, 0), EEXIST);
}

ROW(mknod_unknown_channel)
{
	expect_errno(mkfifo(elsewhere(r, "no_such_channel"), 0600), ENXIO);
	expect(!listed(r, "no_such_channel"), "a refused node is listed");
}

ROW(mknod_other_types)
{
	expect_errno(mknod(r->path, S_IFREG | 0600, 0), EPERM);
	expect_errno(mknod(r->path, S_IFCHR | 0600, makedev(1, 3)), EPERM);
	expect_errno(mknod(r->path, S_IFBLK | 0600, makedev(1, 0)), EPERM);
	expect_errno(mknod(r->path, S_IFSOCK | 0600, 0), EPERM);
	expect(!listed(r, r->name), "a refused node is listed");
}

/* Nothing but a fifo can be made */
ROW(creat_eperm)
{
	expect_errno(creat(r->path, 0600), EPERM);
	expect_errno(open(r->path, O_RDWR | O_CREAT | O_EXCL, 0600), EPERM);
	expect_errno(mkdir(r->path, 0700), EPERM);
	expect_errno(symlink("target", r->path), EPERM);
}

/* A node has its channel's name and no other */
ROW(rename_eperm)
{
	char other[512];

	row_make(r);
	snprintf(other, sizeof(other), "%s", elsewhere(r, "other_name"));
	expect_errno(link(r->path, other), EPERM);
	expect_errno(rename(r->path, other), EPERM);
	expect_errno(renameat2(AT_FDCWD, r->path, AT_FDCWD, other, RENAME_NOREPLACE), EPERM);
	expect_errno(rename(r->path, "/tmp/other_name"), EXDEV);
	snprintf(other, sizeof(other), "%s", row_path(r, "peer_ctl"));
	expect_errno(renameat2(AT_FDCWD, r->path, AT_FDCWD, other, RENAME_EXCHANGE), EPERM);
	expect(listed(r, r->name) && !listed(r, "other_name"), "it has been renamed");
}

ROW(name_too_long)
{
	char name[300];

	for (size_t length = 64; length <= 256; length *= 2) {
		memset(name, 'x', length);
		name[length] = '\0';
		expect_errno(mkfifo(elsewhere(r, name), 0600), ENAMETOOLONG);
		expect_errno(open(elsewhere(r, name), O_RDONLY), ENAMETOOLONG);
	}
	name[63] = '\0'; /* as long as a channel's name may be, but there is no such channel */
	expect_errno(mkfifo(elsewhere(r, name), 0600), ENXIO);
	expect_errno(open(elsewhere(r, name), O_RDONLY), ENOENT);
}

ROW(unlink_while_open)
{
	int fd = row_open(r, "r; open w; connect");
	struct stat st;

	expect(unlink(r->path) == 0, "unlink: %m");
	expect(!listed(r, r->name), "still listed");
	expect_errno(open(r->path, O_RDONLY), ENOENT);
	expect(fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode), "fstat: %m");
	steps(r, "send 100; read r 100; write w 100; expect 100");
	expect(mkfifo(r->path, 0600) == 0, "making it again: %m");
}

/* What was written is delivered even when the channel is closed and its last node is gone */
ROW(unlink_delivers)
{
	steps(r, "open w; write w 64K");
	expect(unlink(r->path) == 0, "unlink: %m");
	steps(r, "close w");
	expect_errno(access(r->path, F_OK), ENOENT);
	/* and then a new stream begins */
	steps(r, "connect; expect 64K; eof; leave; open b; connect; write b 100; expect 100");
}

ROW(directory_calls)
{
	row_make(r);
	expect_errno(rmdir(r->path), ENOTDIR);
	expect_errno(rmdir(elsewhere(r, "no_such_channel")), ENOENT);
	expect_errno(unlink(elsewhere(r, "no_such_channel")), ENOENT);
	expect_errno(rmdir(r->dir), EBUSY);
	expect_errno(open(elsewhere(r, "no_such_channel"), O_RDONLY), ENOENT);
	expect_errno(open(r->dir, O_RDWR), EISDIR);
	expect_errno(open(r->dir, O_TMPFILE | O_RDWR, 0600), EOPNOTSUPP);
}

ROW(chmod_chown_touch)
{
	struct timeval times[2] = { { .tv_sec = 1000000 }, { .tv_sec = 2000000 } };
	struct stat st;

	row_make(r);
	expect(chmod(r->path, 0751) == 0, "chmod: %m");
	expect(chown(r->path, 123, 456) == 0, "chown: %m");
	expect(utimes(r->path, times) == 0, "utimes: %m");
	expect(stat(r->path, &st) == 0, "stat: %m");
	expect((st.st_mode & 07777) == 0751, "permissions are %#o", st.st_mode);
	expect(st.st_uid == 123 && st.st_gid == 456, "owner is %u:%u", st.st_uid, st.st_gid);
	expect(st.st_atime == 1000000 && st.st_mtime == 2000000, "times were not kept");
}
