// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_open.c - opening, and exclusive channels
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "rows.h"

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

/* Neither for reading nor for writing, which Linux allows for devices */
static void open_access_mode_3(struct row *r)
{
	row_make(r);
	expect_errno(open(r->path, 3 | O_CLOEXEC), EINVAL);
	expect_errno(open(r->path, 3 | O_NONBLOCK | O_CLOEXEC), EINVAL);
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

/* Openings are counted, not descriptors */
static void exclusive_dup(struct row *r)
{
	int rx = row_open(r, O_RDWR), copy = dup(rx), tx;

	expect(copy >= 0, "dup: %m");
	close(rx);
	expect_errno(open(r->path, O_RDONLY), EBUSY);
	expect_errno(open(r->path, O_WRONLY | O_NONBLOCK), EBUSY);
	peer(r, "connect");
	send_pattern(copy, 0, 100);
	peer(r, "expect 100");
	close(copy);
	rx = row_open(r, O_RDONLY);
	tx = row_open(r, O_WRONLY); /* one reader and one writer */
	expect_errno(open(r->path, O_RDWR), EBUSY);
	close(rx);
	expect_errno(open(r->path, O_RDWR), EBUSY); /* and that did not take the reader's place */
	rx = row_open(r, O_RDONLY);
	close(tx);
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
	{ "open_access_mode_3", open_access_mode_3 },
	{ "exclusive_ebusy", exclusive_ebusy },
	{ "exclusive_dup", exclusive_dup },
	{ "statfs_answers", statfs_answers },
	{ NULL, NULL },
};
