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

static void open_flags(struct row *r)
{
	int rx = row_open(r, O_RDONLY | O_NOCTTY), tx;

	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "taken");
	tx = row_open(r, O_WRONLY | O_TRUNC | O_APPEND | O_SYNC); /* no truncation, no position */
	read_all(rx, buf, 10);
	expect_pattern(buf, 0, 10);
	send_pattern(tx, 0, 10);
	peer(r, "expect 10");
	expect_errno(open(r->path, O_RDONLY | O_DIRECT), EINVAL);
	expect_errno(open(r->path, O_RDONLY | O_DIRECTORY), ENOTDIR);
	close(row_open(r, O_RDWR | O_CREAT)); /* the node exists already */
	expect_errno(open(r->path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
}

static void open_path(struct row *r)
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

static void truncate_einval(struct row *r)
{
	int fd = row_open(r, O_RDWR);

	expect_errno(ftruncate(fd, 0), EINVAL);
	expect_errno(truncate(r->path, 0), EINVAL);
	expect_errno(fallocate(fd, 0, 0, 4096), ESPIPE);
	expect(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL) == ESPIPE, "posix_fadvise");
	expect_errno(readahead(fd, 0, 4096), EINVAL);
}

/* struct syncer - a thread in fsync(2) */
struct syncer {
	pthread_t thread;
	int fd;
	pid_t tid;
	int error;
};

/* fsync_thread() - fsync(2) of a descriptor, and its errno */
static void *fsync_thread(void *arg)
{
	struct syncer *s = arg;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->error = syscall(SYS_fsync, s->fd) ? errno : 0;
	return NULL;
}

/* fsync_start() - start the thread, and wait until it sleeps */
static void fsync_start(struct syncer *s)
{
	expect(!pthread_create(&s->thread, NULL, fsync_thread, s), "thread");
	while (!thread_sleeps_in(__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE), SYS_fsync))
		sched_yield(); /* ends by alarm(2) */
}

/* fsync waits until the host has taken what was written, beside a writer that waits for room */
static void fsync_waits(struct row *r)
{
	int fd = row_open(r, O_WRONLY), reader = row_open(r, O_RDONLY);
	struct syncer of_writer = { .fd = fd }, of_reader = { .fd = reader };
	struct async writer;
	char byte = 1;

	expect(!fsync(fd) && !fdatasync(fd), "fsync of an empty channel: %m");
	expect(fill_ring(fd) == ROW_RING_BYTES, "the ring has another size");
	fsync_start(&of_writer);
	fsync_start(&of_reader);
	async_start(&writer, true, fd, &byte, 1);
	async_wait_blocked(&writer);
	peer(r, "connect");
	peer(r, "skip %u", ROW_RING_BYTES + 1);
	expect(!pthread_join(of_writer.thread, NULL) && !pthread_join(of_reader.thread, NULL),
	       "join");
	expect(!of_writer.error && !of_reader.error, "fsync: %d, %d", of_writer.error,
	       of_reader.error);
	expect(async_join(&writer) == 1, "write: %m");
	expect(!fsync(fd), "fsync: %m");
}

static void mmap_enodev(struct row *r)
{
	int fd = row_open(r, O_RDWR);

	expect(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == ENODEV,
	       "mmap: %m");
	expect(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
		       errno == ENODEV,
	       "mmap: %m");
}

static void ioctl_enotty(struct row *r)
{
	int fd = row_open(r, O_RDWR), n;

	expect_errno(ioctl(fd, TIOCGWINSZ, buf), ENOTTY);
	expect_errno(ioctl(fd, TIOCOUTQ, &n), ENOTTY);
	expect_errno(ioctl(fd, _IOW('O', 1, int), &n), ENOTTY);
	expect_errno(ioctl(fd, FIONREAD, (int *)8), EFAULT);
	expect(!isatty(fd) && errno == ENOTTY, "isatty: %m");
}

static void execve_eacces(struct row *r)
{
	char *argv[] = { r->path, NULL };

	row_make(r);
	expect(chmod(r->path, 0777) == 0, "chmod: %m");
	expect_errno(execv(r->path, argv), EACCES);
}

/* The host chooses the ring's size, so the guest cannot get or set one */
static void pipe_size_ebadf(struct row *r)
{
	int fd = row_open(r, O_RDWR);

	expect_errno(fcntl(fd, F_GETPIPE_SZ), EBADF);
	expect_errno(fcntl(fd, F_SETPIPE_SZ, 4096), EBADF);
	expect(fpathconf(fd, _PC_PIPE_BUF) == PIPE_BUF, "_PC_PIPE_BUF");
}

/* O_NONBLOCK belongs to the open file, and can be changed while it is open */
static void nonblock_toggled(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY), copy = dup(rx), on = 1;
	struct async a;

	set_nonblock(copy, true);
	expect_errno(read(rx, buf, 1), EAGAIN);
	set_nonblock(rx, false);
	async_start(&a, false, copy, buf, 10);
	async_wait_blocked(&a);
	expect(ioctl(tx, FIONBIO, &on) == 0, "FIONBIO: %m");
	expect(write(tx, buf, sizeof(buf)) == (ssize_t)ROW_RING_BYTES, "filling: %m");
	expect_errno(write(tx, buf, 1), EAGAIN);
	on = 0;
	expect(ioctl(tx, FIONBIO, &on) == 0, "FIONBIO: %m");
	expect((fcntl(tx, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == O_WRONLY, "F_GETFL");
	peer(r, "connect");
	peer(r, "send 10");
	expect(async_join(&a) == 10, "read returned %zd: %m", a.result);
	expect_errno(fcntl(rx, F_SETFL, O_DIRECT), EINVAL);
}

static void rwf_nowait(struct row *r)
{
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);
	struct iovec iov = { buf, 1000 }, rest = { buf, sizeof(buf) };

	expect_errno(preadv2(rx, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_errno(preadv2(rx, &iov, 1, 0, RWF_NOWAIT), ESPIPE);
	expect(pwritev2(tx, &iov, 1, -1, RWF_NOWAIT) == 1000, "pwritev2: %m");
	expect(pwritev2(tx, &rest, 1, -1, RWF_NOWAIT) == (ssize_t)ROW_RING_BYTES - 1000,
	       "pwritev2: %m");
	expect_errno(pwritev2(tx, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "taken");
	expect(preadv2(rx, &iov, 1, -1, RWF_NOWAIT) == 10, "preadv2: %m");
	expect_pattern(buf, 0, 10);
	expect_errno(preadv2(rx, &iov, 1, -1, RWF_NOWAIT), EAGAIN);
	peer(r, "close");
	wait_poll(rx, POLLIN);
	expect(preadv2(rx, &iov, 1, -1, RWF_NOWAIT) == 0, "preadv2 at the end: %m");
}

static void locks(struct row *r)
{
	int fd = row_open(r, O_RDWR), other = row_open(r, O_RDWR);
	struct flock region = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	expect(flock(fd, LOCK_EX) == 0, "flock: %m");
	expect_errno(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	expect(flock(fd, LOCK_UN) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0, "flock: %m");
	expect(fcntl(fd, F_OFD_SETLK, &region) == 0, "F_OFD_SETLK: %m");
	expect_errno(fcntl(other, F_OFD_SETLK, &region), EAGAIN);
}

static void statx_fifo(struct row *r)
{
	struct stat before, after;
	struct statx stx;
	int fd = row_open(r, O_RDWR);

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

/* times_move() - as with a fifo, a write sets the modification time, a read the access time */
static void times_move(struct row *r)
{
	struct timespec past[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	int rx = row_open(r, O_RDONLY), tx = row_open(r, O_WRONLY);
	struct stat st;

	peer(r, "connect");
	peer(r, "send 10");
	peer(r, "taken");
	expect(utimensat(AT_FDCWD, r->path, past, 0) == 0, "utimensat: %m");
	read_all(rx, buf, 10);
	expect(stat(r->path, &st) == 0 && st.st_atim.tv_sec > 1000,
	       "a read does not set the access time");
	expect(st.st_mtim.tv_sec == 1000, "a read sets the modification time");
	send_pattern(tx, 0, 10);
	expect(stat(r->path, &st) == 0 && st.st_mtim.tv_sec > 1000,
	       "a write does not set the modification time");
}

/* okl4fs stores no attributes; on a fifo, Linux refuses those of users by itself */
static void xattrs(struct row *r)
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

static void inotify_tells(struct row *r)
{
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), fd;
	uint32_t seen;

	row_make(r);
	expect(in >= 0 && inotify_add_watch(in, r->path, IN_ALL_EVENTS) >= 0, "inotify: %m");
	fd = row_open(r, O_RDWR);
	expect(inotify_seen(in) == IN_OPEN, "open is not reported");
	peer(r, "connect");
	send_pattern(fd, 0, 10);
	expect(inotify_seen(in) == IN_MODIFY, "write is not reported");
	peer(r, "send 10");
	read_all(fd, buf, 10);
	expect(inotify_seen(in) == IN_ACCESS, "read is not reported");
	close(fd);
	expect(inotify_seen(in) == IN_CLOSE_WRITE, "close is not reported");
	expect(chmod(r->path, 0640) == 0 && unlink(r->path) == 0, "unlink: %m");
	seen = inotify_seen(in);
	expect((seen & (IN_ATTRIB | IN_DELETE_SELF)) == (IN_ATTRIB | IN_DELETE_SELF),
	       "unlink is not reported: %#x", seen);
}

const struct row_entry rows_call[] = {
	{ "open_flags", open_flags },
	{ "open_path", open_path },
	{ "truncate_einval", truncate_einval },
	{ "fsync_waits", fsync_waits },
	{ "mmap_enodev", mmap_enodev },
	{ "ioctl_enotty", ioctl_enotty },
	{ "execve_eacces", execve_eacces },
	{ "pipe_size_ebadf", pipe_size_ebadf },
	{ "nonblock_toggled", nonblock_toggled },
	{ "rwf_nowait", rwf_nowait },
	{ "locks", locks },
	{ "statx_fifo", statx_fifo },
	{ "times_move", times_move },
	{ "xattrs", xattrs },
	{ "inotify_tells", inotify_tells },
	{ NULL, NULL },
};
