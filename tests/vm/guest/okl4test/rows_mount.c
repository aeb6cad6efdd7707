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

/* scratch_mount() - a second mount, with options; removes what an earlier row left there */
static int scratch_mount(const char *options)
{
	mkdir(SCRATCH, 0755);
	umount2(SCRATCH, MNT_DETACH);
	return mount("okl4fs", SCRATCH, "okl4fs", 0, options);
}

/* scratch_node() - the node of the row's channel in the second mount, made if need be */
static const char *scratch_node(struct row *r)
{
	static char path[128];

	snprintf(path, sizeof(path), SCRATCH "/%s", r->name);
	expect(mkfifo(path, 0600) == 0 || errno == EEXIST, "mkfifo %s: %m", path);
	return path;
}

/* scratch_umount() - unmount, which must work */
static void scratch_umount(void)
{
	expect(umount(SCRATCH) == 0, "umount: %m");
}

static void mount_options(struct row *r)
{
	struct stat st;

	(void)r;
	expect(scratch_mount("uid=12,gid=34,mode=751,populate") == 0, "mount: %m");
	expect(stat(SCRATCH, &st) == 0, "stat: %m");
	expect(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0751, "mode is %#o", st.st_mode);
	expect(st.st_uid == 12 && st.st_gid == 34, "owner is %u:%u", st.st_uid, st.st_gid);
	expect(stat(SCRATCH "/peer_ctl", &st) == 0, "populate: %m");
	expect(S_ISFIFO(st.st_mode), "populate: mode is %#o", st.st_mode);
	expect((st.st_mode & 07777) == 0640, "populate: permissions are %#o", st.st_mode & 07777);
	expect(st.st_uid == 12 && st.st_gid == 34, "populate: owner is %u:%u", st.st_uid,
	       st.st_gid);
	scratch_umount();
}

static void mount_without_populate(struct row *r)
{
	struct stat st;

	(void)r;
	expect(scratch_mount(NULL) == 0, "mount: %m");
	expect_errno(stat(SCRATCH "/peer_ctl", &st), ENOENT);
	expect(stat(SCRATCH, &st) == 0, "stat: %m");
	expect((st.st_mode & 07777) == 0711 && !st.st_uid && !st.st_gid, "the root is not root's");
	scratch_umount();
}

/* expect_node() - owner and permissions of a node of the second mount */
static void expect_node(const char *name, uid_t uid, gid_t gid, unsigned int mode)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), SCRATCH "/%s", name);
	expect(stat(path, &st) == 0, "%s: %m", path);
	expect(st.st_uid == uid && st.st_gid == gid && (st.st_mode & 07777) == mode,
	       "%s is %u:%u %#o, not %u:%u %#o", name, st.st_uid, st.st_gid, st.st_mode & 07777,
	       uid, gid, mode);
}

/* plain_takes_nothing() - a plain user cannot read, and so cannot take, what belongs to root */
static void plain_takes_nothing(struct row *r)
{
	(void)r;
	become_plain();
	expect_errno(open(SCRATCH "/peer_ctl", O_RDONLY), EACCES);
	expect_errno(open(SCRATCH "/peer_ctl", O_WRONLY), EACCES);
	expect_errno(open(SCRATCH, O_RDONLY | O_DIRECTORY), EACCES);
	expect_errno(mkfifo(SCRATCH "/mount_default_is_closed", 0600), EACCES);
	expect_errno(unlink(SCRATCH "/peer_ctl"), EACCES);
}

static void mount_default_is_closed(struct row *r)
{
	expect(scratch_mount("populate") == 0, "mount: %m");
	expect_node("peer_ctl", 0, 0, 0600);
	expect(unlink(scratch_node(r)) == 0, "unlink: %m");
	expect(in_child(plain_takes_nothing, r) == 0, "as a plain user");
	scratch_umount();
}

/* A group's members may use the nodes but not make any: so they could get at any channel */
static void mount_for_a_group(struct row *r)
{
	struct stat st;

	(void)r;
	expect(scratch_mount("populate,gid=34,mode=660") == 0, "mount: %m");
	expect_node("peer_ctl", 0, 34, 0660);
	expect(stat(SCRATCH, &st) == 0 && (st.st_mode & 07777) == 0751 && st.st_gid == 34,
	       "the root is %#o, group %u", st.st_mode, st.st_gid);
	scratch_umount();
}

/* plain_has_one() - a user may open the channel that the host gives it, and no other one */
static void plain_has_one(struct row *r)
{
	int fd;

	become_plain();
	expect_errno(open(SCRATCH "/peer_ctl", O_RDONLY), EACCES);
	expect_errno(open(scratch_node(r), O_WRONLY), EACCES);
	fd = open(scratch_node(r), O_RDONLY | O_CLOEXEC);
	expect(fd >= 0, "open: %m");
	close(fd);
}

/* The host's configuration gives this channel to user 65534 and group 7, only for reading */
static void mount_host_access(struct row *r)
{
	expect(scratch_mount("populate,uid=12,gid=34,mode=666") == 0, "mount: %m");
	expect_node(r->name, 65534, 7, 0400);
	expect_node("peer_ctl", 12, 34, 0666);
	scratch_umount();
	expect(scratch_mount("populate") == 0, "mount: %m");
	expect(in_child(plain_has_one, r) == 0, "as a plain user");
	expect(unlink(scratch_node(r)) == 0, "unlink: %m");
	scratch_node(r);
	expect_node(r->name, 0, 0, 0600); /* mknod: what the caller asked for */
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
static void expect_shown(const char *options, const char *shown)
{
	expect(scratch_mount(options) == 0, "mount -o %s: %m", options);
	expect(strcmp(shown_options(), shown) == 0, "-o %s shows %s, not %s", options,
	       shown_options(), shown);
	scratch_umount();
}

static void mount_shows_options(struct row *r)
{
	(void)r;
	expect_shown("", "rw,relatime");
	expect_shown("uid=0,gid=0,mode=600", "rw,relatime");
	expect_shown("mode=644,gid=34,uid=12,populate",
		     "rw,relatime,populate,uid=12,gid=34,mode=644");
	expect_shown("mode=0", "rw,relatime,mode=000");
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

static void mount_unknown_option(struct row *r)
{
	(void)r;
	expect_errno(scratch_mount("colour=green"), EINVAL);
	expect_errno(scratch_mount("mode=nine"), EINVAL);
	expect(strstr(refused("colour", "green"), "colour"), "it does not name the option");
	expect(strstr(refused("loud", NULL), "loud"), "it does not name the option");
}

static void mount_bad_values(struct row *r)
{
	static const char *const bad[][2] = {
		{ "mode", "1777" },      { "mode", "8" },         { "mode", "" },
		{ "uid", "-1" },         { "uid", "root" },       { "uid", "4294967295" },
		{ "gid", "1e3" },        { "gid", "4294967295" }, { "gid", "-5" },
		{ "uid", "4294967296" }, { "mode", "-644" },
	};

	(void)r;
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

static void mount_remount(struct row *r)
{
	struct stat st;

	expect(scratch_mount("mode=640,uid=12") == 0, "mount: %m");
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
	close(open(scratch_node(r), O_RDWR | O_CLOEXEC));
	scratch_umount();
}

static void mount_read_only(struct row *r)
{
	int tx;

	row_make(r);
	expect(scratch_mount("populate") == 0, "mount: %m");
	expect(remount(MS_RDONLY, "populate") == 0, "remount: %m");
	expect_errno(unlink(scratch_node(r)), EROFS);
	expect_errno(chmod(scratch_node(r), 0644), EROFS);
	tx = open(scratch_node(r),
		  O_WRONLY | O_CLOEXEC); /* as with any fifo, whose bytes are not on the disk */
	expect(tx >= 0, "open: %m");
	peer(r, "connect");
	send_pattern(tx, 0, 100);
	peer(r, "expect 100");
	close(tx);
	scratch_umount();
}

/* mount_as_plain() - a plain user's mount must be refused */
static void mount_as_plain(struct row *r)
{
	(void)r;
	become_plain();
	expect_errno(mount("okl4fs", SCRATCH, "okl4fs", 0, NULL), EPERM);
}

static void mount_plain_user(struct row *r)
{
	mkdir(SCRATCH, 0755);
	expect(in_child(mount_as_plain, r) == 0, "as a plain user");
}

/* Each mount has nodes of its own, and all of them are the same channel */
static void mount_twice(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx, other;
	char buf[100];
	struct stat first, second;

	expect(scratch_mount(NULL) == 0, "mount: %m");
	tx = open(scratch_node(r), O_WRONLY | O_CLOEXEC);
	other = open(scratch_node(r), O_RDONLY | O_CLOEXEC);
	expect(tx >= 0 && other >= 0, "open: %m");
	expect(!fstat(rx, &first) && !fstat(other, &second), "fstat: %m");
	expect(first.st_dev != second.st_dev, "the mounts have one device number");
	peer(r, "connect");
	send_pattern(tx, 0, 100);
	peer(r, "expect 100");
	peer(r, "send 200");
	peer(r, "taken");
	read_all(rx, buf, 100); /* it is one stream for all readers */
	expect_pattern(buf, 0, 100);
	close(rx); /* not the last reader */
	read_all(other, buf, 100);
	expect_pattern(buf, 100, 100);
	close(tx);
	peer(r, "eof");
	close(other);
	scratch_umount();
}

static void exclusive_across_mounts(struct row *r)
{
	int rx = row_open(r, O_RDONLY);

	expect(scratch_mount(NULL) == 0, "mount: %m");
	expect_errno(open(scratch_node(r), O_RDONLY), EBUSY);
	expect_errno(open(scratch_node(r), O_RDWR), EBUSY);
	close(rx);
	rx = open(scratch_node(r), O_RDWR | O_CLOEXEC);
	expect(rx >= 0, "open after close: %m");
	expect_errno(open(r->path, O_WRONLY), EBUSY);
	close(rx);
	scratch_umount();
}

static void umount_busy(struct row *r)
{
	int fd;

	expect(scratch_mount(NULL) == 0, "mount: %m");
	fd = open(scratch_node(r), O_RDONLY | O_CLOEXEC);
	expect(fd >= 0, "open: %m");
	expect_errno(umount(SCRATCH), EBUSY);
	close(fd);
	scratch_umount();
	expect_errno(umount(SCRATCH), EINVAL);
}

/* umount_lazy() - open files go on, in both directions, until they are closed */
static void umount_lazy(struct row *r)
{
	char buf[1000];
	struct stat st;
	int fd;

	expect(scratch_mount(NULL) == 0, "mount: %m");
	fd = open(scratch_node(r), O_RDWR | O_CLOEXEC);
	expect(fd >= 0, "open: %m");
	peer(r, "connect");
	expect(umount2(SCRATCH, MNT_DETACH) == 0, "lazy umount: %m");
	expect_errno(stat(SCRATCH "/peer_ctl", &st), ENOENT);
	for (unsigned int i = 0; i < 5; i++) {
		peer(r, "send %zu", sizeof(buf));
		read_all(fd, buf, sizeof(buf));
		expect_pattern(buf, i * sizeof(buf), sizeof(buf));
		send_pattern(fd, i * sizeof(buf), sizeof(buf));
		peer(r, "expect %zu", sizeof(buf));
	}
	close(fd);
	peer(r, "eof");
	expect(scratch_mount(NULL) == 0, "mounting again: %m");
	close(open(scratch_node(r), O_RDWR | O_CLOEXEC));
	scratch_umount();
}

/* As with unlink, what was written is delivered after a channel's only mount has gone */
static void umount_delivers(struct row *r)
{
	int fd;

	expect(scratch_mount(NULL) == 0, "mount: %m");
	fd = open(scratch_node(r), O_WRONLY | O_CLOEXEC);
	expect(fd >= 0, "open: %m");
	send_pattern(fd, 0, 1000);
	close(fd);
	scratch_umount();
	peer(r, "connect");
	peer(r, "expect 1000");
	peer(r, "eof");
}

/* shown_in_user_ns() - the reader's user namespace knows neither 12 nor 34 */
static void shown_in_user_ns(struct row *r)
{
	const char *shown;

	(void)r;
	expect(unshare(CLONE_NEWUSER) == 0, "unshare: %m");
	shown = shown_options();
	expect(!strcmp(shown, "rw,relatime,uid=65534,gid=65534,mode=640"), "shows %s", shown);
}

/* The owner is shown in the reader's user namespace */
static void mount_shows_owner_to_reader(struct row *r)
{
	expect(scratch_mount("uid=12,gid=34,mode=640") == 0, "mount: %m");
	expect(in_child(shown_in_user_ns, r) == 0, "in a user namespace");
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
	pid = fork();
	expect(pid >= 0, "fork: %m");
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

/* become_1000() - the user who is root in an id-mapped mount makes a node there */
static void become_1000(struct row *r)
{
	expect(!setgroups(0, NULL) && !setgid(1000) && !setuid(1000), "setuid: %m");
	scratch_node(r);
}

/* An id-mapped mount, as containers use them: root's nodes on the file system are user 1000's */
static void mount_idmapped(struct row *r)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	struct stat st;
	int tree;

	expect(scratch_mount("mode=755") == 0, "mount: %m");
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
	expect(in_child(become_1000, r) == 0, "as user 1000");
	expect(stat(scratch_node(r), &st) == 0 && st.st_uid == 1000, "the node is %u's", st.st_uid);
	scratch_umount();
}

const struct row_entry rows_mount[] = {
	{ "mount_options", mount_options },
	{ "mount_without_populate", mount_without_populate },
	{ "mount_default_is_closed", mount_default_is_closed },
	{ "mount_for_a_group", mount_for_a_group },
	{ "mount_host_access", mount_host_access },
	{ "mount_shows_options", mount_shows_options },
	{ "mount_unknown_option", mount_unknown_option },
	{ "mount_bad_values", mount_bad_values },
	{ "mount_remount", mount_remount },
	{ "mount_read_only", mount_read_only },
	{ "mount_plain_user", mount_plain_user },
	{ "mount_twice", mount_twice },
	{ "exclusive_across_mounts", exclusive_across_mounts },
	{ "umount_busy", umount_busy },
	{ "umount_delivers", umount_delivers },
	{ "umount_lazy", umount_lazy },
	{ "mount_shows_owner_to_reader", mount_shows_owner_to_reader },
	{ "mount_idmapped", mount_idmapped },
	{ NULL, NULL },
};
