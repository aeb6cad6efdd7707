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

#include "rows.h"

static char buf[4096];

/* struct kit - what these scenarios have at hand: an empty file, a pipe with bytes, a free path */
struct kit {
	int file;
	int pipe[2];
	struct iovec vec;
	char other[300];
};

static struct kit kit_make(struct row *r)
{
	struct kit k = { .file = scratch_file(), .vec = { buf, 10 } };

	expect(pipe(k.pipe) == 0, "pipe: %m");
	write_all(k.pipe[1], buf, 100);
	snprintf(k.other, sizeof(k.other), "%s.other", r->path);
	return k;
}

/* A scenario that carries out steps, of which the first opens, and then makes calls on `fd` */
#define CALLS(name, opened, ...)                                                \
	static void calls_##name(struct row *r, int fd, struct kit *k);         \
	SCENARIO(name)                                                          \
	{                                                                       \
		struct kit kit = kit_make(r);                                   \
                                                                                \
		calls_##name(r, row_open(r, opened), &kit);                     \
		unlink(kit.other);                                              \
	}                                                                       \
	static void calls_##name(struct row *r, int fd __attribute__((unused)), \
				 struct kit *k __attribute__((unused)))         \
	{                                                                       \
		__VA_ARGS__;                                                    \
	}

#define SAY(call) say_result(r, call)

CALLS(seek, "b", SAY(lseek(fd, 0, SEEK_CUR)); SAY(lseek(fd, 0, SEEK_SET));
      SAY(lseek(fd, 0, SEEK_END)); SAY(pread(fd, buf, 1, 0)); SAY(pwrite(fd, buf, 1, 0));
      SAY(preadv(fd, &k->vec, 1, 0)); SAY(pwritev(fd, &k->vec, 1, 0));
      SAY(fallocate(fd, 0, 0, 4096)); SAY(readahead(fd, 0, 4096));
      say(r, "%s", strerrorname_np(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL))))
CALLS(truncate, "b", SAY(ftruncate(fd, 0)); SAY(truncate(r->path, 0)))
CALLS(sync, "b", SAY(fsync(fd)); SAY(fdatasync(fd)); SAY(sync_file_range(fd, 0, 0, 0)))
CALLS(mmap, "b", SAY(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
      SAY(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0))
CALLS(ioctl, "b", SAY(ioctl(fd, TIOCGWINSZ, buf)); SAY(ioctl(fd, _IOW('O', 1, int), buf));
      SAY(ioctl(fd, FIONREAD, (int *)8)); SAY(ioctl(fd, TIOCOUTQ, buf)); SAY(isatty(fd) ? 0 : -1))
CALLS(pipe_size, "b", SAY(fcntl(fd, F_GETPIPE_SZ)); SAY(fcntl(fd, F_SETPIPE_SZ, 4096)))
CALLS(packet_mode, "b", SAY(fcntl(fd, F_SETFL, O_DIRECT)))
CALLS(xattr_user, "b", SAY(setxattr(r->path, "user.colour", "green", 5, 0));
      SAY(getxattr(r->path, "user.colour", buf, sizeof(buf))))
CALLS(rename, "b", SAY(rename(r->path, k->other)))
CALLS(link, "b", SAY(link(r->path, k->other)))
CALLS(any_name, "b", SAY(mkfifo(k->other, 0600)))
CALLS(splice_from, "rn; connect", SAY(splice(fd, NULL, k->pipe[1], NULL, 100, 0));
      steps(r, "send 10"); SAY(splice(fd, NULL, k->pipe[1], NULL, 100, 0)); steps(r, "leave");
      SAY(splice(fd, NULL, k->pipe[1], NULL, 100, 0)))
CALLS(splice_to, "w; connect", SAY(splice(k->pipe[0], NULL, fd, NULL, 1000, 0));
      steps(r, "skip 100"))
CALLS(splice_without_pipe, "r; connect; send 10", SAY(splice(fd, NULL, k->file, NULL, 10, 0)))
CALLS(splice_offset, "r; connect", SAY(splice(fd, &(loff_t){ 0 }, k->pipe[1], NULL, 10, 0)))
CALLS(tee, "r; connect; send 10", SAY(tee(fd, k->pipe[1], 10, 0)))
CALLS(vmsplice, "w; connect", SAY(vmsplice(fd, &k->vec, 1, 0)))
CALLS(sendfile_to, "w; connect", write_all(k->file, buf, 4096); lseek(k->file, 0, SEEK_SET);
      SAY(sendfile(fd, k->file, NULL, 10000)); steps(r, "skip 4096"))
CALLS(sendfile_from, "r; connect; send 10", SAY(sendfile(k->file, fd, NULL, 10));
      steps(r, "read r 10"))
CALLS(sendfile_to_pipe, "r; connect; send 10", SAY(sendfile(k->pipe[1], fd, NULL, 10)))
CALLS(copy_file_range, "b", SAY(copy_file_range(fd, NULL, k->file, NULL, 10, 0));
      SAY(copy_file_range(k->file, NULL, fd, NULL, 10, 0)))

SCENARIO(execve)
{
	char *argv[] = { r->path, NULL };

	expect(chmod(r->path, 0777) == 0, "chmod: %m");
	SAY(execv(r->path, argv));
}

SCENARIO(lock)
{
	struct flock region = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = row_open(r, "b"), other = row_open(r, "b2");

	SAY(flock(fd, LOCK_EX));
	SAY(flock(other, LOCK_EX | LOCK_NB));
	SAY(flock(fd, LOCK_UN));
	SAY(flock(other, LOCK_SH | LOCK_NB));
	SAY(fcntl(fd, F_OFD_SETLK, &region));
	SAY(fcntl(other, F_OFD_SETLK, &region));
}

SCENARIO(attributes)
{
	struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st;

	SAY(chmod(r->path, 01751));
	SAY(chown(r->path, 12, 34));
	SAY(utimensat(AT_FDCWD, r->path, times, 0));
	SAY(stat(r->path, &st));
	say(r, "%o %u %u %u %ld %ld %ld %ld %ld", st.st_mode, st.st_uid, st.st_gid,
	    (unsigned int)st.st_nlink, (long)st.st_size, (long)st.st_blocks, (long)st.st_blksize,
	    (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec);
}

SCENARIO(times)
{
	struct timespec past[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct stat st;

	steps(r, "open r; connect; send 10; open w");
	SAY(utimensat(AT_FDCWD, r->path, past, 0));
	steps(r, "read r 10");
	SAY(stat(r->path, &st));
	say(r, "%d %d", st.st_atim.tv_sec > 1000, st.st_mtim.tv_sec > 1000);
	steps(r, "write w 10");
	SAY(stat(r->path, &st));
	say(r, "%d", st.st_mtim.tv_sec > 1000);
}

SCENARIO(inotify)
{
	int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct inotify_event event;

	steps(r, "open w; connect");
	expect(inotify_add_watch(in, r->path, IN_MODIFY | IN_CLOSE) > 0, "inotify: %m");
	steps(r, "write w 10; close w");
	while (read(in, &event, sizeof(event)) == sizeof(event))
		say(r, "%#x", event.mask);
}

SCENARIO(unlinked)
{
	struct stat st;
	int fd = row_open(r, "w; connect");

	SAY(unlink(r->path));
	SAY(fstat(fd, &st));
	say(r, "%u", (unsigned int)st.st_nlink);
	steps(r, "write w 10; skip 10");
}
