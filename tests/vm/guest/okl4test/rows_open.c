// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_open.c - opening, permissions, exclusive channels, and mounting
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rows.h"

#define PLAIN_USER 65534

static void open_returns_at_once(struct row *r)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_NONBLOCK,
				     O_WRONLY | O_NONBLOCK };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		close(row_open(r, modes[i])); /* nobody has ever opened the other end */
}

static void open_direction(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);
	char byte = 0;

	expect_errno(write(rx, &byte, 1), EBADF);
	expect_errno(read(tx, &byte, 1), EBADF);
}

/* become_plain() - go on as an ordinary user */
static void become_plain(void)
{
	expect(!setgroups(0, NULL) && !setgid(PLAIN_USER) && !setuid(PLAIN_USER), "setuid: %m");
}

static void open_refused(struct row *r)
{
	become_plain();
	expect_errno(open(r->path, O_RDONLY), EACCES);
	expect_errno(open(r->path, O_WRONLY), EACCES);
	expect_errno(unlink(r->path), EACCES);
	expect_errno(chmod(r->path, 0666), EPERM);
}

static void open_for_reading_only(struct row *r)
{
	int fd;

	become_plain();
	fd = open(r->path, O_RDONLY);
	expect(fd >= 0, "open for reading: %m");
	expect_errno(open(r->path, O_WRONLY), EACCES);
	expect_errno(open(r->path, O_RDWR), EACCES);
}

static void permissions_checked(struct row *r)
{
	row_make(r);
	expect(chmod(r->path, 0600) == 0, "chmod: %m");
	expect(in_child(open_refused, r) == 0, "as a plain user, mode 0600");
	expect(chmod(r->path, 0604) == 0, "chmod: %m");
	expect(in_child(open_for_reading_only, r) == 0, "as a plain user, mode 0604");
}

static void cloexec(struct row *r)
{
	int fd = row_open(r, O_RDONLY);

	expect(fcntl(fd, F_GETFD) == FD_CLOEXEC, "O_CLOEXEC is not kept");
}

static void exclusive_ebusy(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx;

	expect_errno(open(r->path, O_RDONLY), EBUSY);
	expect_errno(open(r->path, O_RDWR), EBUSY);
	tx = open(r->path, O_WRONLY); /* the other end of the guest's side is free */
	expect(tx >= 0, "open for writing: %m");
	expect_errno(open(r->path, O_WRONLY), EBUSY);
	close(rx);
	rx = open(r->path, O_RDONLY);
	expect(rx >= 0, "open after close: %m");
	close(tx);
	close(rx);
	close(row_open(r, O_RDWR));
}

/* scratch_mount() - a second mount, with options */
static int scratch_mount(const char *options)
{
	static const char dir[] = "/tmp/okl4_row";

	mkdir(dir, 0755);
	return mount("okl4fs", dir, "okl4fs", 0, options);
}

static void mount_options(struct row *r)
{
	struct stat st;

	(void)r;
	expect(scratch_mount("uid=12,gid=34,mode=751,populate") == 0, "mount: %m");
	expect(stat("/tmp/okl4_row", &st) == 0, "stat: %m");
	expect(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0751, "mode is %#o", st.st_mode);
	expect(st.st_uid == 12 && st.st_gid == 34, "owner is %u:%u", st.st_uid, st.st_gid);
	expect(stat("/tmp/okl4_row/peer_ctl", &st) == 0, "populate: %m");
	expect(S_ISFIFO(st.st_mode), "populate: mode is %#o", st.st_mode);
	expect(st.st_uid == 12 && st.st_gid == 34, "populate: owner is %u:%u", st.st_uid,
	       st.st_gid);
	expect(umount("/tmp/okl4_row") == 0, "umount: %m");
}

static void mount_without_populate(struct row *r)
{
	struct stat st;

	(void)r;
	expect(scratch_mount(NULL) == 0, "mount: %m");
	expect_errno(stat("/tmp/okl4_row/peer_ctl", &st), ENOENT);
	expect(umount("/tmp/okl4_row") == 0, "umount: %m");
}

static void mount_unknown_option(struct row *r)
{
	char message[256] = "";
	int fd;

	(void)r;
	expect_errno(scratch_mount("colour=green"), EINVAL);
	expect_errno(scratch_mount("mode=nine"), EINVAL);
	fd = (int)syscall(SYS_fsopen, "okl4fs", 0);
	expect(fd >= 0, "fsopen: %m");
	/* FSCONFIG_SET_STRING is 1 */
	expect_errno(syscall(SYS_fsconfig, fd, 1, "colour", "green", 0), EINVAL);
	expect(read(fd, message, sizeof(message) - 1) > 0, "no message in the context: %m");
	expect(strstr(message, "colour"), "the message does not name the option: %s", message);
	close(fd);
}

static void umount_busy(struct row *r)
{
	char node[64];
	int fd;

	expect(scratch_mount(NULL) == 0, "mount: %m");
	snprintf(node, sizeof(node), "/tmp/okl4_row/%s", r->name);
	expect(mkfifo(node, 0600) == 0, "mkfifo: %m");
	fd = open(node, O_RDONLY | O_CLOEXEC);
	expect(fd >= 0, "open: %m");
	expect_errno(umount("/tmp/okl4_row"), EBUSY);
	close(fd);
	expect(umount("/tmp/okl4_row") == 0, "umount: %m");
}

static void statfs_answers(struct row *r)
{
	struct statfs st;

	expect(statfs(r->dir, &st) == 0, "statfs: %m");
	expect(st.f_namelen >= 63, "f_namelen is %ld", (long)st.f_namelen);
}

const struct row_entry rows_open[] = {
	{ "open_returns_at_once", open_returns_at_once },
	{ "open_direction", open_direction },
	{ "permissions_checked", permissions_checked },
	{ "cloexec", cloexec },
	{ "exclusive_ebusy", exclusive_ebusy },
	{ "mount_options", mount_options },
	{ "mount_without_populate", mount_without_populate },
	{ "mount_unknown_option", mount_unknown_option },
	{ "umount_busy", umount_busy },
	{ "statfs_answers", statfs_answers },
	{ NULL, NULL },
};
