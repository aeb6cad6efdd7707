// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_write.c - writing
 *
 * A client that does not read takes what fits its socket, so only a channel without a client has a
 * ring that stays full.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rows.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* linux/fs.h, Linux 6.18 */
#endif

ROW_STEPS(write_before_first_open, "open w; write w 64K 64K; start write w 1000; connect; "
				   "joined 1000; expect 64K+1000");
/* Four rings at once */
ROW_STEPS(write_blocks_until_all, "open w; start write w 256K; connect; expect 256K; joined 256K");
/* The peer gets just what the call returned, whole */
ROW_STEPS(write_nonblock_partial, "open wn; write wn 256K 64K; write wn 1 EAGAIN; "
				  "write wn 256K EAGAIN; connect; expect 64K");
/* All or nothing of PIPE_BUF bytes */
ROW_STEPS(write_nonblock_atomic, "open wn; write wn 64K-4095 64K-4095; write wn 4096 EAGAIN; "
				 "write wn 4095 4095; connect; expect 64K");
ROW_STEPS(write_nonblock_more_than_pipe_buf,
	  "open wn; write wn 64K-100 64K-100; write wn 4097 100; connect; expect 64K");
ROW_STEPS(write_nothing, "open wn; fill wn; write wn 0 0");
/* Interrupted after a part, then with nothing written */
ROW_STEPS(write_eintr, "open w; catch USR1; start write w 256K; signal; joined 64K; "
		       "start write w 10; signal; joined EINTR; caught 2; connect; expect 64K");
/* When the peer is back, writing goes on */
ROW_STEPS(write_epipe, "open w; connect; leave; wait w ERR; write w 1 EPIPE; write w 256K EPIPE; "
		       "open wn; write wn 1 EPIPE; connect; wait w OUT; write w 100; expect 100");

ROW(write_sigpipe)
{
	int fd =
		row_open(r, "w; connect; leave; wait w ERR; catch PIPE; write w 1 EPIPE; caught 1");
	struct iovec iov = { (char[]){ 'x' }, 1 };

	/* Linux 6.18: without the signal; an older one does not know the flag */
	expect(pwritev2(fd, &iov, 1, -1, RWF_NOSIGNAL) == -1 &&
		       (errno == EPIPE || errno == EOPNOTSUPP),
	       "pwritev2: %m");
	steps(r, "caught 1");
}

ROW(write_epipe_wakes_sleeper)
{
	/* The peer does not read: its socket fills up, then the ring */
	int fd = row_open(r, "w; connect; pause");
	struct async a;
	ssize_t n;

	async_start(&a, true, fd, calloc(1, 8U << 20), 8U << 20);
	async_wait_blocked(&a);
	steps(r, "leave");
	n = async_join(&a);
	/* A write that moved something says how much; the next one says why it stopped. */
	expect(n > 0 || (n == -1 && errno == EPIPE), "write returned %zd: %m", n);
	expect(n < (ssize_t)(8U << 20), "everything was written although nobody reads");
	steps(r, "write w 1 EPIPE");
}
