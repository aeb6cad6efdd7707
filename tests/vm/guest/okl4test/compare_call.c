// SPDX-License-Identifier: BSD-3-Clause
/*
 * compare_call.c - scenarios: the other system calls
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare.h"

static char buf[4096];

static void seek(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	say_result(s, lseek(fd, 0, SEEK_CUR));
	say_result(s, pread(fd, buf, 1, 0));
	say_result(s, pwrite(fd, buf, 1, 0));
	say_result(s, fallocate(fd, 0, 0, 4096));
	say(s, "%s", strerrorname_np(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL)));
}

static void truncating(struct side *s)
{
	say_result(s, ftruncate(node_open(s, O_RDWR), 0));
	say_result(s, truncate(s->row.path, 0));
}

static void syncing(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	say_result(s, fsync(fd));
	say_result(s, fdatasync(fd));
	say_result(s, sync_file_range(fd, 0, 0, 0));
}

static void mapping(struct side *s)
{
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, node_open(s, O_RDWR), 0);

	say_result(s, at == MAP_FAILED ? -1 : 0);
}

static void unknown_ioctl(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	say_result(s, ioctl(fd, TIOCGWINSZ, buf));
	say_result(s, ioctl(fd, _IOW('O', 1, int), buf));
	say_result(s, ioctl(fd, FIONREAD, (int *)8));
}

static void executing(struct side *s)
{
	char *argv[] = { s->row.path, NULL };

	expect(chmod(s->row.path, 0777) == 0, "chmod: %m");
	say_result(s, execv(s->row.path, argv));
}

static void pipe_size(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	say_result(s, fcntl(fd, F_GETPIPE_SZ));
	say_result(s, fcntl(fd, F_SETPIPE_SZ, 4096));
}

static void packet_mode(struct side *s)
{
	say_result(s, fcntl(node_open(s, O_RDWR), F_SETFL, O_DIRECT));
}

static void locking(struct side *s)
{
	struct flock region = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = node_open(s, O_RDWR), other = node_open(s, O_RDWR);

	say_result(s, flock(fd, LOCK_EX));
	say_result(s, flock(other, LOCK_EX | LOCK_NB));
	say_result(s, fcntl(fd, F_OFD_SETLK, &region));
	say_result(s, fcntl(other, F_OFD_SETLK, &region));
}

static void attributes(struct side *s)
{
	struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st;

	say_result(s, chmod(s->row.path, 01751));
	say_result(s, chown(s->row.path, 12, 34));
	say_result(s, utimensat(AT_FDCWD, s->row.path, times, 0));
	say_result(s, stat(s->row.path, &st));
	say(s, "%o %u %u %u %ld %ld %ld %ld %ld", st.st_mode, st.st_uid, st.st_gid,
	    (unsigned int)st.st_nlink, (long)st.st_size, (long)st.st_blocks, (long)st.st_blksize,
	    (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec);
}

static void times_move(struct side *s)
{
	struct timespec past[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	int rx = node_open(s, O_RDONLY), tx;
	struct stat st;

	peer_join(s);
	peer_send(s, 10);
	tx = node_open(s, O_WRONLY);
	say_result(s, utimensat(AT_FDCWD, s->row.path, past, 0));
	say_result(s, read(rx, buf, 10));
	say_result(s, stat(s->row.path, &st));
	say(s, "%d %d", st.st_atim.tv_sec > 1000, st.st_mtim.tv_sec > 1000);
	say_result(s, write(tx, buf, 10));
	say_result(s, stat(s->row.path, &st));
	say(s, "%d", st.st_mtim.tv_sec > 1000);
}

static void xattr_user(struct side *s)
{
	say_result(s, setxattr(s->row.path, "user.colour", "green", 5, 0));
	say_result(s, getxattr(s->row.path, "user.colour", buf, sizeof(buf)));
}

static void notified(struct side *s)
{
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), tx;
	struct inotify_event event;

	tx = node_open(s, O_WRONLY);
	peer_join(s);
	expect(inotify_add_watch(in, s->row.path, IN_MODIFY | IN_CLOSE) > 0, "inotify: %m");
	say_result(s, write(tx, buf, 10));
	close(tx);
	while (read(in, &event, sizeof(event)) == sizeof(event))
		say(s, "%#x", event.mask);
}

static void renaming(struct side *s)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.other", s->row.path);
	say_result(s, rename(s->row.path, other));
	unlink(other);
}

static void linking(struct side *s)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.other", s->row.path);
	say_result(s, link(s->row.path, other));
	unlink(other);
}

static void any_name(struct side *s)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.other", s->row.path);
	say_result(s, mkfifo(other, 0600));
	unlink(other);
}

static void unlinked(struct side *s)
{
	int fd = node_open(s, O_WRONLY);
	struct stat st;

	peer_join(s);
	say_result(s, unlink(s->row.path));
	say_result(s, fstat(fd, &st));
	say(s, "%u", (unsigned int)st.st_nlink);
	say_result(s, write(fd, buf, 10));
	peer_take(s, 10);
}

static void splice_from(struct side *s)
{
	int fd = node_open(s, O_RDONLY | O_NONBLOCK), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	peer_join(s);
	say_result(s, splice(fd, NULL, ends[1], NULL, 100, 0));
	peer_send(s, 10);
	say_result(s, splice(fd, NULL, ends[1], NULL, 100, 0));
	peer_leave(s);
	say_result(s, splice(fd, NULL, ends[1], NULL, 100, 0));
}

static void splice_to(struct side *s)
{
	int fd = node_open(s, O_WRONLY), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	peer_join(s);
	write_all(ends[1], buf, 100);
	say_result(s, splice(ends[0], NULL, fd, NULL, 1000, 0));
	peer_take(s, 100);
}

static void splice_without_pipe(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_send(s, 10);
	say_result(s, splice(fd, NULL, scratch_file(), NULL, 10, 0));
}

static void splice_offset(struct side *s)
{
	int fd = node_open(s, O_RDONLY), ends[2];
	loff_t offset = 0;

	expect(pipe(ends) == 0, "pipe: %m");
	peer_join(s);
	say_result(s, splice(fd, &offset, ends[1], NULL, 10, 0));
}

static void teeing(struct side *s)
{
	int fd = node_open(s, O_RDONLY), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	peer_join(s);
	peer_send(s, 10);
	say_result(s, tee(fd, ends[1], 10, 0));
}

static void vmsplicing(struct side *s)
{
	struct iovec iov = { buf, 10 };
	int fd = node_open(s, O_WRONLY);

	peer_join(s);
	say_result(s, vmsplice(fd, &iov, 1, 0));
}

static void sendfile_to(struct side *s)
{
	int fd = node_open(s, O_WRONLY), file = scratch_file();

	peer_join(s);
	write_all(file, buf, 4096);
	expect(lseek(file, 0, SEEK_SET) == 0, "lseek: %m");
	say_result(s, sendfile(fd, file, NULL, 10000));
	peer_take(s, 4096);
}

static void sendfile_from(struct side *s)
{
	int fd = node_open(s, O_RDONLY);

	peer_join(s);
	peer_send(s, 10);
	say_result(s, sendfile(scratch_file(), fd, NULL, 10));
}

static void sendfile_to_pipe(struct side *s)
{
	int fd = node_open(s, O_RDONLY), ends[2];

	expect(pipe(ends) == 0, "pipe: %m");
	peer_join(s);
	peer_send(s, 10);
	say_result(s, sendfile(ends[1], fd, NULL, 10));
}

static void copying_range(struct side *s)
{
	int fd = node_open(s, O_RDWR);

	say_result(s, copy_file_range(fd, NULL, scratch_file(), NULL, 10, 0));
	say_result(s, copy_file_range(scratch_file(), NULL, fd, NULL, 10, 0));
}

const struct scenario scenarios_call[] = {
	{ "seek", seek },
	{ "truncate", truncating },
	{ "sync", syncing },
	{ "mmap", mapping },
	{ "ioctl", unknown_ioctl },
	{ "execve", executing },
	{ "pipe_size", pipe_size },
	{ "packet_mode", packet_mode },
	{ "lock", locking },
	{ "attributes", attributes },
	{ "times", times_move },
	{ "xattr_user", xattr_user },
	{ "inotify", notified },
	{ "rename", renaming },
	{ "link", linking },
	{ "any_name", any_name },
	{ "unlinked", unlinked },
	{ "splice_from", splice_from },
	{ "splice_to", splice_to },
	{ "splice_without_pipe", splice_without_pipe },
	{ "splice_offset", splice_offset },
	{ "tee", teeing },
	{ "vmsplice", vmsplicing },
	{ "sendfile_to", sendfile_to },
	{ "sendfile_from", sendfile_from },
	{ "sendfile_to_pipe", sendfile_to_pipe },
	{ "copy_file_range", copying_range },
	{ NULL, NULL },
};
