// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_mount.c - mounting: options, what is shown of them, several mounts, unmounting
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

#define SCRATCH "/tmp/okl4_row"

/* try_mount() - a second mount, with options; removes what an earlier row left there */
static int try_mount(const char *options)
{
	mkdir(SCRATCH, 0755);
	umount2(SCRATCH, MNT_DETACH);
	return mount("okl4fs", SCRATCH, "okl4fs", 0, options);
}

/* scratch_mount() - the same, which must work; the row's steps open its node there from now on */
static void scratch_mount(struct row *r, const char *options)
{
	expect(try_mount(options) == 0, "mount -o %s: %m", options ? options : "(none)");
	snprintf(r->path, sizeof(r->path), SCRATCH "/%s", r->name);
}

/* scratch_umount() - unmount, which must work */
static void scratch_umount(void)
{
	expect(umount(SCRATCH) == 0, "umount: %m");
}

/* expect_node() - owner, permissions and type of a node of the second mount */
static void expect_node(const char *name, uid_t uid, gid_t gid, unsigned int mode)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), SCRATCH "/%s", name);
	expect(stat(path, &st) == 0, "%s: %m", path);
	expect(st.st_uid == uid && st.st_gid == gid && st.st_mode == mode,
	       "%s is %u:%u %#o, not %u:%u %#o", name, st.st_uid, st.st_gid, st.st_mode, uid, gid,
	       mode);
}

ROW(mount_options)
{
	scratch_mount(r, "uid=12,gid=34,mode=751,populate");
	expect_node("", 12, 34, S_IFDIR | 0751);
	expect_node("peer_ctl", 12, 34, S_IFIFO | 0640);
	scratch_umount();
}

ROW(mount_without_populate)
{
	scratch_mount(r, NULL);
	expect_errno(access(SCRATCH "/peer_ctl", F_OK), ENOENT);
	expect_node("", 0, 0, S_IFDIR | 0711);
	scratch_umount();
}

ROW(mount_default_is_closed)
{
	scratch_mount(r, "populate");
	expect_node("peer_ctl", 0, 0, S_IFIFO | 0600);
	expect(unlink(r->path) == 0, "unlink: %m");
	if (in_child()) { /* a plain user cannot read, and so cannot take, what belongs to root */
		become_plain();
		expect_errno(open(SCRATCH "/peer_ctl", O_RDONLY), EACCES);
		expect_errno(open(SCRATCH "/peer_ctl", O_WRONLY), EACCES);
		expect_errno(open(SCRATCH, O_RDONLY | O_DIRECTORY), EACCES);
		expect_errno(mkfifo(r->path, 0600), EACCES);
		expect_errno(unlink(SCRATCH "/peer_ctl"), EACCES);
		_exit(0);
	}
	scratch_umount();
}

/* A group's members may use the nodes but not make any: so they could get at any channel */
ROW(mount_for_a_group)
{
	scratch_mount(r, "populate,gid=34,mode=660");
	expect_node("peer_ctl", 0, 34, S_IFIFO | 0660);
	expect_node("", 0, 34, S_IFDIR | 0751);
	scratch_umount();
}

/* The host's configuration gives this channel to user 65534 and group 7, only for reading */
ROW(mount_host_access)
{
	scratch_mount(r, "populate,uid=12,gid=34,mode=666");
	expect_node(r->name, 65534, 7, S_IFIFO | 0400);
	expect_node("peer_ctl", 12, 34, S_IFIFO | 0666);
	scratch_umount();
	scratch_mount(r, "populate");
	if (in_child()) { /* this channel, and no other one */
		become_plain();
		expect_errno(open(SCRATCH "/peer_ctl", O_RDONLY), EACCES);
		steps(r, "open w EACCES; open r");
		_exit(0);
	}
	expect(unlink(r->path) == 0, "unlink: %m");
	row_make(r);
	expect_node(r->name, 0, 0, S_IFIFO | 0600); /* mknod: what the caller asked for */
	scratch_umount();
}

/* shown_options() - the options that /proc/mounts shows of the second mount, without "rw" */
static const char *shown_options(void)
{
	static char found[256];
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct mntent *entry;

	expect(mounts, "/proc/mounts: %m");
	strcpy(found, "(no mount)");
	while ((entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_dir, SCRATCH) != 0)
			continue;
		expect(strcmp(entry->mnt_type, "okl4fs") == 0, "the type is %s", entry->mnt_type);
		snprintf(found, sizeof(found), "%s", entry->mnt_opts);
	}
	endmntent(mounts);
	return found;
}

/* expect_shown() - mounting with @options shows @shown */
static void expect_shown(struct row *r, const char *options, const char *shown)
{
	scratch_mount(r, options);
	expect(strcmp(shown_options(), shown) == 0, "-o %s shows %s, not %s", options,
	       shown_options(), shown);
	scratch_umount();
}

ROW(mount_shows_options)
{
	expect_shown(r, "", "rw,relatime");
	expect_shown(r, "uid=0,gid=0,mode=600", "rw,relatime");
	expect_shown(r, "mode=644,gid=34,uid=12,populate",
		     "rw,relatime,populate,uid=12,gid=34,mode=644");
	expect_shown(r, "mode=0", "rw,relatime,mode=000");
}

/* refused() - the message of the kernel for an option that it must refuse; static memory */
static const char *refused(const char *key, const char *value)
{
	static char message[256];
	int fd = (int)syscall(SYS_fsopen, "okl4fs", FSOPEN_CLOEXEC);
	ssize_t n;

	expect(fd >= 0, "fsopen: %m");
	if (value)
		expect_errno(syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, key, value, 0), EINVAL);
	else
		expect_errno(syscall(SYS_fsconfig, fd, FSCONFIG_SET_FLAG, key, NULL, 0), EINVAL);
	n = read(fd, message, sizeof(message) - 1);
	expect(n > 0, "%s: no message in the context: %m", key);
	message[n] = '\0';
	close(fd);
	expect(message[0] == 'e' && message[1] == ' ', "%s: no error: %s", key, message);
	return message;
}

ROW(mount_unknown_option)
{
	expect_errno(try_mount("colour=green"), EINVAL);
	expect_errno(try_mount("mode=nine"), EINVAL);
	expect(strstr(refused("colour", "green"), "colour"), "it does not name the option");
	expect(strstr(refused("loud", NULL), "loud"), "it does not name the option");
}

ROW(mount_bad_values)
{
	static const char *const bad[][2] = {
		{ "mode", "1777" },      { "mode", "8" },         { "mode", "" },
		{ "uid", "-1" },         { "uid", "root" },       { "uid", "4294967295" },
		{ "gid", "1e3" },        { "gid", "4294967295" }, { "gid", "-5" },
		{ "uid", "4294967296" }, { "mode", "-644" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *said = refused(bad[i][0], bad[i][1]);

		expect(strstr(said, bad[i][0]), "%s=%s: the message is %s", bad[i][0], bad[i][1],
		       said);
	}
	expect(strstr(refused("populate", "maybe"), "populate"), "it does not name the option");
	expect(strstr(refused("uid", NULL), "uid"), "it does not name the option");
}

/* remount() - as mount -o remount does */
static int remount(unsigned long flags, const char *options)
{
	return mount(NULL, SCRATCH, NULL, MS_REMOUNT | flags, options);
}

ROW(mount_remount)
{
	struct stat st;

	scratch_mount(r, "mode=640,uid=12");
	expect(remount(0, NULL) == 0, "remount with nothing: %m");
	expect(remount(0, "mode=640,uid=12,gid=0") == 0, "remount with the same: %m");
	expect_errno(remount(0, "mode=600"), EINVAL);
	expect_errno(remount(0, "uid=13"), EINVAL);
	expect_errno(remount(0, "gid=13"), EINVAL);
	expect_errno(remount(0, "populate"), EINVAL);
	expect(stat(SCRATCH, &st) == 0 && st.st_uid == 12, "the owner has changed: %u", st.st_uid);
	expect(remount(MS_RDONLY, NULL) == 0, "remount read-only: %m");
	expect_errno(mkfifo(SCRATCH "/peer_ctl", 0600), EROFS);
	expect(remount(0, NULL) == 0, "remount for writing: %m");
	steps(r, "open b; close b");
	scratch_umount();
}

ROW(mount_read_only)
{
	row_make(r);
	scratch_mount(r, "populate");
	expect(remount(MS_RDONLY, "populate") == 0, "remount: %m");
	expect_errno(unlink(r->path), EROFS);
	expect_errno(chmod(r->path, 0644), EROFS);
	/* as with any fifo, whose bytes are not on the disk */
	steps(r, "open w; connect; write w 100; expect 100; close w");
	scratch_umount();
}

ROW(mount_plain_user)
{
	mkdir(SCRATCH, 0755);
	if (in_child()) {
		become_plain();
		expect_errno(mount("okl4fs", SCRATCH, "okl4fs", 0, NULL), EPERM);
		_exit(0);
	}
}

/* Each mount has nodes of its own, and all of them are the same channel */
ROW(mount_twice)
{
	int rx = row_open(r, "r"), other;
	struct stat first, second;

	scratch_mount(r, NULL);
	other = row_open(r, "r2; open w; connect");
	expect(!fstat(rx, &first) && !fstat(other, &second), "fstat: %m");
	expect(first.st_dev != second.st_dev, "the mounts have one device number");
	/* It is one stream for all readers, and `r` is not the last of them */
	steps(r, "write w 100; expect 100; send 200; taken; read r 100; close r; read r2 100; "
		 "close w; eof; close r2");
	scratch_umount();
}

ROW(exclusive_across_mounts)
{
	struct row first = *r;

	steps(&first, "open r");
	scratch_mount(r, NULL);
	steps(r, "open r EBUSY; open b EBUSY");
	steps(&first, "close r");
	steps(r, "open b");
	steps(&first, "open w EBUSY");
	steps(r, "close b");
	scratch_umount();
}

ROW(umount_busy)
{
	scratch_mount(r, NULL);
	steps(r, "open r");
	expect_errno(umount(SCRATCH), EBUSY);
	steps(r, "close r");
	scratch_umount();
	expect_errno(umount(SCRATCH), EINVAL);
}

/* Open files go on, in both directions, until they are closed */
ROW(umount_lazy)
{
	scratch_mount(r, NULL);
	steps(r, "open b; connect");
	expect(umount2(SCRATCH, MNT_DETACH) == 0, "lazy umount: %m");
	expect_errno(access(SCRATCH "/peer_ctl", F_OK), ENOENT);
	for (unsigned int i = 0; i < 5; i++)
		steps(r, "send 1000; read b 1000; write b 1000; expect 1000");
	steps(r, "close b; eof");
	scratch_mount(r, NULL);
	steps(r, "open b; close b");
	scratch_umount();
}

/* As with unlink, what was written is delivered after a channel's only mount has gone */
ROW(umount_delivers)
{
	scratch_mount(r, NULL);
	steps(r, "open w; write w 1000; close w");
	scratch_umount();
	steps(r, "connect; expect 1000; eof");
}

/* The owner is shown in the reader's user namespace */
ROW(mount_shows_owner_to_reader)
{
	scratch_mount(r, "uid=12,gid=34,mode=640");
	if (in_child()) { /* its user namespace knows neither 12 nor 34 */
		expect(unshare(CLONE_NEWUSER) == 0, "unshare: %m");
		expect(!strcmp(shown_options(), "rw,relatime,uid=65534,gid=65534,mode=640"),
		       "shows %s", shown_options());
		_exit(0);
	}
	scratch_umount();
}

/* write_text() - write a file of /proc in one call */
static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	expect(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %m", path);
	close(fd);
}

/* mapped_user_ns() - a user namespace whose root is user 1000 outside; Return: descriptor */
static int mapped_user_ns(void)
{
	char path[64], byte;
	int up[2], fd;
	pid_t pid;

	expect(pipe(up) == 0, "pipe: %m");
	pid = start_child();
	if (pid == 0) {
		expect(unshare(CLONE_NEWUSER) == 0, "unshare: %m");
		write_all(up[1], "", 1);
		pause();
		_exit(0);
	}
	read_all(up[0], &byte, 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_text(path, "0 1000 1");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_text(path, "0 1000 1");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	expect(fd >= 0, "%s: %m", path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(up[0]);
	close(up[1]);
	return fd;
}

/* An id-mapped mount, as containers use them: root's nodes on the file system are user 1000's */
ROW(mount_idmapped)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	struct stat st;
	int tree;

	scratch_mount(r, "mode=755");
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, SCRATCH, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	expect(tree >= 0, "open_tree: %m");
	attr.userns_fd = (uint64_t)mapped_user_ns();
	expect(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0,
	       "mount_setattr: %m");
	close((int)attr.userns_fd);
	scratch_umount();
	expect(syscall(SYS_move_mount, tree, "", AT_FDCWD, SCRATCH, MOVE_MOUNT_F_EMPTY_PATH) == 0,
	       "move_mount: %m");
	close(tree);
	expect(stat(SCRATCH, &st) == 0 && st.st_uid == 1000, "the root is %u's", st.st_uid);
	if (in_child()) { /* the user who is root in this mount makes a node there */
		expect(!setgroups(0, NULL) && !setgid(1000) && !setuid(1000), "setuid: %m");
		row_make(r);
		_exit(0);
	}
	expect(stat(r->path, &st) == 0 && st.st_uid == 1000, "the node is %u's", st.st_uid);
	scratch_umount();
}
