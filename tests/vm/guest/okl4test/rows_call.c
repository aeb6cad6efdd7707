// SPDX-License-Identifier: BSD-3-Clause
/*
 * rows_call.c - the other system calls: what they do on a fifo, or how they refuse one
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sched.h>
#include <pthread.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rows.h"

static char buf[2 * ROW_RING_BYTES];

ROW(open_flags)
{
	int tx;

	steps(r, "open r; connect; send 10; taken");
	tx = open(r->path, O_WRONLY | O_TRUNC | O_APPEND | O_SYNC); /* no truncation, no position */
	steps(r, "read r 10");
	send_pattern(tx, 0, 10);
	steps(r, "expect 10");
	expect(open(r->path, O_RDONLY | O_NOCTTY) >= 0, "O_NOCTTY: %m");
	expect_errno(open(r->path, O_RDONLY | O_DIRECT), EINVAL);
	expect_errno(open(r->path, O_RDONLY | O_DIRECTORY), ENOTDIR);
	expect(open(r->path, O_RDWR | O_CREAT, 0600) >= 0, "O_CREAT of a node that exists: %m");
	expect_errno(open(r->path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
}

ROW(open_path)
{
	struct stat st;
	int fd;

	row_make(r);
	expect(chmod(r->path, 0) == 0, "chmod: %m");
	fd = open(r->path, O_PATH | O_CLOEXEC);
	expect(fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode), "O_PATH: %m");
	expect_errno(read(fd, buf, 1), EBADF);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	fd = open(buf, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* open again through it */
	expect(fd >= 0, "through /proc/self/fd: %m");
	expect_errno(read(fd, buf, 1), EAGAIN);
}

static long call_fsync(struct async *a)
{
	return fsync(a->fd);
}

/* fsync waits until the host has taken what was written, beside a writer that waits for room */
ROW(fsync_waits)
{
	int fd = row_open(r, "w"), reader = row_open(r, "r");
	struct async syncer[2] = {
		{ .number = SYS_fsync, .call = call_fsync, .fd = fd },
		{ .number = SYS_fsync, .call = call_fsync, .fd = reader },
	};

	expect(!fsync(fd) && !fdatasync(fd), "fsync of an empty channel: %m");
	steps(r, "fill w");
	for (unsigned int i = 0; i < 2; i++) {
		async_run(&syncer[i]);
		async_wait_blocked(&syncer[i]);
	}
	steps(r, "start write w 1; connect; skip 64K+1");
	for (unsigned int i = 0; i < 2; i++)
		expect(!async_join(&syncer[i]), "fsync %u: %m", i);
	steps(r, "joined 1");
	expect(!fsync(fd), "fsync: %m");
}

/* The host chooses the ring's size, so the guest cannot get or set one */
ROW(pipe_size_ebadf)
{
	int fd = row_open(r, "b");

	expect_errno(fcntl(fd, F_GETPIPE_SZ), EBADF);
	expect_errno(fcntl(fd, F_SETPIPE_SZ, 4096), EBADF);
	expect(fpathconf(fd, _PC_PIPE_BUF) == PIPE_BUF, "_PC_PIPE_BUF");
}

/* O_NONBLOCK belongs to the open file, and can be changed while it is open */
ROW(nonblock_toggled)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w"), copy = dup(rx), on = 1;

	set_nonblock(copy, true);
	steps(r, "read r 1 EAGAIN");
	set_nonblock(rx, false);
	steps(r, "start read r 10");
	expect(ioctl(tx, FIONBIO, &on) == 0, "FIONBIO: %m");
	steps(r, "write w 128K 64K; write w 1 EAGAIN");
	on = 0;
	expect(ioctl(tx, FIONBIO, &on) == 0, "FIONBIO: %m");
	expect((fcntl(tx, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == O_WRONLY, "F_GETFL");
	steps(r, "connect; send 10; joined 10");
	expect_errno(fcntl(copy, F_SETFL, O_DIRECT), EINVAL);
}

ROW(rwf_nowait)
{
	int rx = row_open(r, "r"), tx = row_open(r, "w");
	struct iovec iov = { buf, 1000 }, rest = { buf, sizeof(buf) };

	expect_errno(preadv2(rx, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_errno(preadv2(rx, &iov, 1, 0, RWF_NOWAIT), ESPIPE);
	expect(pwritev2(tx, &iov, 1, -1, RWF_NOWAIT) == 1000, "pwritev2: %m");
	expect(pwritev2(tx, &rest, 1, -1, RWF_NOWAIT) == (ssize_t)ROW_RING_BYTES - 1000,
	       "pwritev2: %m");
	expect_errno(pwritev2(tx, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	steps(r, "connect; send 10; taken");
	expect(preadv2(rx, &iov, 1, -1, RWF_NOWAIT) == 10, "preadv2: %m");
	expect_pattern(buf, 0, 10);
	expect_errno(preadv2(rx, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	steps(r, "leave; wait r IN HUP");
	expect(preadv2(rx, &iov, 1, -1, RWF_NOWAIT) == 0, "preadv2 at the end: %m");
}

ROW(statx_fifo)
{
	struct stat before, after;
	struct statx stx;
	int fd = row_open(r, "b");

	expect(statx(AT_FDCWD, r->path, 0, STATX_BASIC_STATS, &stx) == 0, "statx: %m");
	expect((stx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS, "mask %#x", stx.stx_mask);
	expect(S_ISFIFO(stx.stx_mode) && stx.stx_nlink == 1, "mode %#o", stx.stx_mode);
	expect(stx.stx_size == 0 && stx.stx_blocks == 0, "it has a size");
	expect(!stx.stx_rdev_major && !stx.stx_rdev_minor, "it has a device number");
	expect(fstat(fd, &before) == 0, "fstat: %m");
	expect(before.st_ino == stx.stx_ino, "inode numbers differ");
	expect(before.st_dev == makedev(stx.stx_dev_major, stx.stx_dev_minor), "devices differ");
	expect(chmod(r->path, 0640) == 0 && fstat(fd, &after) == 0, "chmod: %m");
	expect(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
		       after.st_ctim.tv_nsec >= before.st_ctim.tv_nsec,
	       "the change time goes back");
}

/* okl4fs stores no attributes; on a fifo, Linux refuses those of users by itself */
ROW(xattrs)
{
	row_make(r);
	expect_errno(setxattr(r->path, "user.colour", "green", 5, 0), EPERM);
	expect_errno(setxattr(r->path, "trusted.colour", "green", 5, 0), EOPNOTSUPP);
	expect(listxattr(r->path, buf, sizeof(buf)) == 0, "listxattr: %m");
}

/* inotify_seen() - the events of one watch until now, or'ed */
static uint32_t inotify_seen(int fd)
{
	uint32_t seen = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *event = (const struct inotify_event *)p;

			seen |= event->mask;
			p += sizeof(*event) + event->len;
		}
	}
	expect(n < 0 && errno == EAGAIN, "inotify: %m");
	return seen;
}

ROW(inotify_tells)
{
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	uint32_t seen;

	row_make(r);
	expect(in >= 0 && inotify_add_watch(in, r->path, IN_ALL_EVENTS) >= 0, "inotify: %m");
	steps(r, "open b");
	expect(inotify_seen(in) == IN_OPEN, "open is not reported");
	steps(r, "connect; write b 10");
	expect(inotify_seen(in) == IN_MODIFY, "write is not reported");
	steps(r, "send 10; read b 10");
	expect(inotify_seen(in) == IN_ACCESS, "read is not reported");
	steps(r, "close b");
	expect(inotify_seen(in) == IN_CLOSE_WRITE, "close is not reported");
	expect(chmod(r->path, 0640) == 0 && unlink(r->path) == 0, "unlink: %m");
	seen = inotify_seen(in);
	expect((seen & (IN_ATTRIB | IN_DELETE_SELF)) == (IN_ATTRIB | IN_DELETE_SELF),
	       "unlink is not reported: %#x", seen);
}
