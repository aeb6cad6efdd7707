// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_user.c - permissions: who may open, make, change and remove a node
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"

#define PLAIN_USER 65534

void become_plain(void)
{
	expect(!setgroups(0, NULL) && !setgid(PLAIN_USER) && !setuid(PLAIN_USER), "setuid: %m");
}

/* expect_open() - each way to open succeeds, or fails with EACCES */
static void expect_open(struct row *r, bool rx, bool tx)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const bool allowed[] = { rx, tx, rx && tx };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int fd = open(r->path, flags[i] | O_CLOEXEC);

		if (allowed[i])
			expect(fd >= 0, "open with %d: %m", flags[i]);
		else
			expect(fd < 0 && errno == EACCES, "open with %d: %d, %m", flags[i], fd);
		if (fd >= 0)
			close(fd);
	}
	expect((access(r->path, R_OK) == 0) == rx, "access(R_OK): %m");
	expect((access(r->path, W_OK) == 0) == tx, "access(W_OK): %m");
	expect(access(r->path, F_OK) == 0, "access(F_OK): %m");
	expect_errno(access(r->path, X_OK), EACCES);
}

/* plain_may() - what an ordinary user may do with the node after chmod and chown */
static void plain_may(struct row *r, unsigned int mode, uid_t uid, gid_t gid, bool rx, bool tx)
{
	row_make(r);
	expect(chmod(r->path, mode) == 0 && chown(r->path, uid, gid) == 0, "chown: %m");
	if (in_child()) {
		become_plain();
		expect_open(r, rx, tx);
		_exit(0);
	}
}

ROW(permissions_of_others)
{
	plain_may(r, 0660, 0, 0, false, false);
	plain_may(r, 0604, 0, 0, true, false);
	plain_may(r, 0602, 0, 0, false, true);
	plain_may(r, 0006, 0, 0, true, true);
}

ROW(permissions_of_group_and_owner)
{
	plain_may(r, 0040, 0, PLAIN_USER, true, false);
	plain_may(r, 0200, PLAIN_USER, 0, false, true);
	/* the owner's bits count for the owner, even if others may do more */
	plain_may(r, 0066, PLAIN_USER, 0, false, false);
}

ROW(permissions_of_root)
{
	row_make(r);
	expect(chmod(r->path, 0) == 0, "chmod: %m");
	expect_open(r, true, true); /* CAP_DAC_OVERRIDE */
}

ROW(permissions_to_change)
{
	static const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	row_make(r);
	expect(chmod(r->path, 0666) == 0, "chmod: %m");
	if (in_child()) {
		become_plain();
		expect_errno(unlink(r->path), EACCES); /* the directory is root's */
		expect_errno(chmod(r->path, 0666), EPERM);
		expect_errno(chown(r->path, PLAIN_USER, PLAIN_USER), EPERM);
		expect_errno(utimensat(AT_FDCWD, r->path, times, 0), EPERM);
		_exit(0);
	}
	expect(access(r->path, F_OK) == 0, "the node is gone");
}

ROW(permissions_to_make)
{
	struct stat st, made;

	expect(stat(r->dir, &st) == 0, "stat: %m");
	if (in_child()) {
		become_plain();
		expect_errno(mkfifo(r->path, 0600), EACCES);
		_exit(0);
	}
	expect(chmod(r->dir, 0777) == 0, "chmod: %m");
	if (in_child()) {
		become_plain();
		umask(022);
		expect(mkfifo(r->path, 0666) == 0 && stat(r->path, &made) == 0, "mkfifo: %m");
		expect(made.st_uid == PLAIN_USER && made.st_gid == PLAIN_USER, "owner is %u:%u",
		       made.st_uid, made.st_gid);
		expect((made.st_mode & 07777) == 0644, "the umask does not count: %#o",
		       made.st_mode);
		expect_open(r, true, true);
		expect(chmod(r->path, 0600) == 0 && unlink(r->path) == 0, "its own node: %m");
		_exit(0);
	}
	expect(chmod(r->dir, st.st_mode & 07777) == 0, "chmod: %m");
}
