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

static void plain_none(struct row *r)
{
	become_plain();
	expect_open(r, false, false);
}

static void plain_reads(struct row *r)
{
	become_plain();
	expect_open(r, true, false);
}

static void plain_writes(struct row *r)
{
	become_plain();
	expect_open(r, false, true);
}

static void plain_both(struct row *r)
{
	become_plain();
	expect_open(r, true, true);
}

static void permissions_of_others(struct row *r)
{
	row_make(r);
	expect(chmod(r->path, 0660) == 0, "chmod: %m");
	expect(in_child(plain_none, r) == 0, "mode 0660");
	expect(chmod(r->path, 0604) == 0, "chmod: %m");
	expect(in_child(plain_reads, r) == 0, "mode 0604");
	expect(chmod(r->path, 0602) == 0, "chmod: %m");
	expect(in_child(plain_writes, r) == 0, "mode 0602");
	expect(chmod(r->path, 0006) == 0, "chmod: %m");
	expect(in_child(plain_both, r) == 0, "mode 0006");
}

static void permissions_of_group_and_owner(struct row *r)
{
	row_make(r);
	expect(chmod(r->path, 0040) == 0 && chown(r->path, 0, PLAIN_USER) == 0, "chown: %m");
	expect(in_child(plain_reads, r) == 0, "the group, mode 0040");
	expect(chmod(r->path, 0200) == 0 && chown(r->path, PLAIN_USER, 0) == 0, "chown: %m");
	expect(in_child(plain_writes, r) == 0, "the owner, mode 0200");
	/* the owner's bits count for the owner, even if others may do more */
	expect(chmod(r->path, 0066) == 0, "chmod: %m");
	expect(in_child(plain_none, r) == 0, "the owner, mode 0066");
}

static void permissions_of_root(struct row *r)
{
	row_make(r);
	expect(chmod(r->path, 0) == 0, "chmod: %m");
	expect_open(r, true, true); /* CAP_DAC_OVERRIDE */
}

static void plain_changes(struct row *r)
{
	become_plain();
	expect_errno(unlink(r->path), EACCES); /* the directory is root's */
	expect_errno(chmod(r->path, 0666), EPERM);
	expect_errno(chown(r->path, PLAIN_USER, PLAIN_USER), EPERM);
	expect_errno(utimensat(AT_FDCWD, r->path,
			       (struct timespec[2]){ { .tv_sec = 1 }, { .tv_sec = 1 } }, 0),
		     EPERM);
}

static void permissions_to_change(struct row *r)
{
	row_make(r);
	expect(chmod(r->path, 0666) == 0, "chmod: %m");
	expect(in_child(plain_changes, r) == 0, "as a plain user");
	expect(access(r->path, F_OK) == 0, "the node is gone");
}

static void plain_makes(struct row *r)
{
	become_plain();
	expect_errno(mkfifo(r->path, 0600), EACCES);
}

static void plain_makes_its_own(struct row *r)
{
	struct stat st;

	become_plain();
	umask(022);
	expect(mkfifo(r->path, 0666) == 0, "mkfifo: %m");
	expect(stat(r->path, &st) == 0, "stat: %m");
	expect(st.st_uid == PLAIN_USER && st.st_gid == PLAIN_USER, "owner is %u:%u", st.st_uid,
	       st.st_gid);
	expect((st.st_mode & 07777) == 0644, "the umask does not count: %#o", st.st_mode);
	expect_open(r, true, true);
	expect(chmod(r->path, 0600) == 0, "chmod: %m");
	expect(unlink(r->path) == 0, "unlink: %m");
}

static void permissions_to_make(struct row *r)
{
	struct stat st;

	expect(stat(r->dir, &st) == 0, "stat: %m");
	expect(in_child(plain_makes, r) == 0, "in root's directory");
	expect(chmod(r->dir, 0777) == 0, "chmod: %m");
	expect(in_child(plain_makes_its_own, r) == 0, "in a directory for all");
	expect(chmod(r->dir, st.st_mode & 07777) == 0, "chmod: %m");
}

const struct row_entry rows_user[] = {
	{ "permissions_of_others", permissions_of_others },
	{ "permissions_of_group_and_owner", permissions_of_group_and_owner },
	{ "permissions_of_root", permissions_of_root },
	{ "permissions_to_change", permissions_to_change },
	{ "permissions_to_make", permissions_to_make },
	{ NULL, NULL },
};
