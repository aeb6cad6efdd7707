// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_open.c - opening, and exclusive channels
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "rows.h"

/* Nobody has ever opened the other end */
ROW_STEPS(open_returns_at_once, "open r; close r; open w; close w; open b; close b; "
				"open rn; close rn; open wn; close wn");
/* The other end of the guest's side is free */
ROW_STEPS(exclusive_ebusy, "open r; open r2 EBUSY; open b EBUSY; open w; open w2 EBUSY; close r; "
			   "open r; close w; close r; open b; close b");

/* Neither for reading nor for writing, which Linux allows for devices */
ROW(open_access_mode_3)
{
	row_make(r);
	expect_errno(open(r->path, 3 | O_CLOEXEC), EINVAL);
	expect_errno(open(r->path, 3 | O_NONBLOCK | O_CLOEXEC), EINVAL);
}

/* Openings are counted, not descriptors */
ROW(exclusive_dup)
{
	int copy = dup(row_open(r, "b"));

	expect(copy >= 0, "dup: %m");
	steps(r, "close b; open r EBUSY; open wn EBUSY; connect");
	send_pattern(copy, 0, 100);
	steps(r, "expect 100");
	close(copy);
	/* One reader and one writer; an open that is refused does not take the reader's place */
	steps(r, "open r; open w; open b EBUSY; close r; open b EBUSY; open r; close w");
}

ROW(statfs_answers)
{
	struct statfs st;

	expect(statfs(r->dir, &st) == 0, "statfs: %m");
	expect(st.f_namelen >= 63, "f_namelen is %ld", (long)st.f_namelen);
}
