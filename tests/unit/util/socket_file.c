/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which process owns a socket file: the lock beside it, files that were left behind, files that
 * another process has removed or replaced. A listener never sees a connection that only asks
 * whether it is there.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/socket_file.h"

static char dir[32], path[64], lock[64];
static struct socket_file file;
static int fd = -1;

static void make_dir(void)
{
	strcpy(dir, "okl4fs-socket-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(lock, sizeof(lock), "%s/s.lock", dir);
}

static void remove_dir(void)
{
	fd_close(fd);
	socket_file_release(&file);
	unlink(path);
	unlink(lock);
	cr_assert_eq(rmdir(dir), 0, "%s is not empty", dir);
}

static void must_listen(void)
{
	fd = socket_file_listen(&file, path, 0600, NULL, FD_UNIX_STREAM);
	cr_assert_geq(fd, 0, "%s", strerror(-fd));
}

/* The first listener must not notice the attempt */
static void must_be_refused(const char *at, int listener, int error)
{
	struct socket_file second = { 0 };
	struct stat before, after;

	cr_assert_eq(lstat(path, &before), 0);
	cr_assert_eq(socket_file_listen(&second, at, 0600, NULL, FD_UNIX_STREAM), error);
	cr_assert_null(second.path);
	cr_assert_eq(lstat(path, &after), 0);
	cr_assert_eq(after.st_ino, before.st_ino);
	cr_assert_eq(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
	cr_assert_eq(errno, EAGAIN, "nobody has connected");
}

static bool is_reached(void)
{
	int client = fd_connect_unix(path, FD_UNIX_STREAM), taken;

	if (client < 0)
		return false;
	taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	close(client);
	if (taken < 0)
		return false;
	close(taken);
	return true;
}

TestSuite(daemon_socket_file, .init = make_dir, .fini = remove_dir);

Test(daemon_socket_file, nothing_is_left)
{
	must_listen();
	cr_assert(is_reached());
	cr_assert_eq(access(lock, F_OK), 0);
	socket_file_release(&file);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_neq(access(lock, F_OK), 0);
}

Test(daemon_socket_file, a_second_one_is_refused)
{
	must_listen();
	must_be_refused(path, fd, -EADDRINUSE);
	cr_assert(!socket_file_is_lost(&file));
	cr_assert(is_reached());
}

Test(daemon_socket_file, two_paths_to_one_folder)
{
	char link[64], other[80];

	must_listen();
	snprintf(link, sizeof(link), "%s-l", dir);
	cr_assert_eq(symlink(dir, link), 0);
	snprintf(other, sizeof(other), "%s/./s", link);
	must_be_refused(other, fd, -EADDRINUSE);
	unlink(link);
}

Test(daemon_socket_file, a_listener_without_a_lock)
{
	fd = fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM);
	cr_assert_geq(fd, 0);
	must_be_refused(path, fd, -EADDRINUSE);
	cr_assert_neq(access(lock, F_OK), 0, "nothing is left of the attempt");
}

Test(daemon_socket_file, a_listener_of_another_type)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_DGRAM };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct socket_file second = { 0 };

	strcpy(un.sun_path, path);
	for (int i = 0; i < 2; i++) {
		int other = socket(AF_UNIX, types[i], 0);

		cr_assert_eq(bind(other, (struct sockaddr *)&un, sizeof(un)), 0);
		cr_assert_eq(socket_file_listen(&second, path, 0600, NULL, FD_UNIX_STREAM),
			     -EADDRINUSE);
		close(other);
		unlink(path);
	}
}

Test(daemon_socket_file, one_that_was_killed)
{
	fd = fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM);
	fd = fd_close(fd);
	close(open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	must_listen();
	cr_assert(is_reached());
}

Test(daemon_socket_file, what_is_no_socket_stays)
{
	struct socket_file second = { 0 };

	close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	cr_assert_eq(socket_file_listen(&second, path, 0600, NULL, FD_UNIX_STREAM), -ENOTSOCK);
	cr_assert_eq(access(path, F_OK), 0);
	cr_assert_neq(access(lock, F_OK), 0);
}

Test(daemon_socket_file, a_lock_that_is_no_file)
{
	struct socket_file second = { 0 };

	cr_assert_eq(symlink("/dev/null", lock), 0);
	cr_assert_eq(socket_file_listen(&second, path, 0600, NULL, FD_UNIX_STREAM), -ELOOP);
	unlink(lock);
	cr_assert_eq(mkdir(lock, 0700), 0);
	cr_assert_eq(socket_file_listen(&second, path, 0600, NULL, FD_UNIX_STREAM), -EISDIR);
	cr_assert_eq(rmdir(lock), 0);
}

Test(daemon_socket_file, the_lock_is_for_its_owner_only)
{
	struct stat st;

	umask(0);
	must_listen();
	cr_assert_eq(stat(lock, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(daemon_socket_file, removed)
{
	int old;

	must_listen();
	unlink(path);
	cr_assert(socket_file_is_lost(&file));
	old = fd;
	must_listen();
	cr_assert(!socket_file_is_lost(&file));
	cr_assert(is_reached());
	close(old);
}

Test(daemon_socket_file, removed_with_its_lock)
{
	struct socket_file second = { 0 };
	int other;

	must_listen();
	unlink(path);
	unlink(lock);
	other = socket_file_listen(&second, path, 0600, NULL, FD_UNIX_STREAM);
	cr_assert_geq(other, 0, "another process may listen there");
	cr_assert(socket_file_is_lost(&file));
	must_be_refused(path, other, -EADDRINUSE);
	cr_assert_eq(socket_file_listen(&file, path, 0600, NULL, FD_UNIX_STREAM), -EADDRINUSE);
	cr_assert_not_null(file.path, "so that it can be tried again");
	/* What is not ours is not removed. */
	socket_file_release(&file);
	cr_assert(!socket_file_is_lost(&second));
	cr_assert_eq(access(lock, F_OK), 0);
	close(other);
	socket_file_release(&second);
}

Test(daemon_socket_file, replaced)
{
	int other;

	must_listen();
	unlink(path);
	other = fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM);
	cr_assert(socket_file_is_lost(&file));
	cr_assert_eq(socket_file_listen(&file, path, 0600, NULL, FD_UNIX_STREAM), -EADDRINUSE);
	cr_assert_eq(accept4(other, NULL, NULL, SOCK_NONBLOCK), -1);
	close(other);
	fd = fd_close(fd);
	must_listen();
	cr_assert(is_reached());
}

Test(daemon_socket_file, borrowed)
{
	int given = fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM);

	cr_assert_geq(given, 0);
	cr_assert_eq(socket_file_borrow(&file, path), 0);
	cr_assert(!socket_file_is_lost(&file));
	must_be_refused(path, given, -EADDRINUSE);
	socket_file_release(&file);
	cr_assert_eq(access(path, F_OK), 0, "it belongs to another process");
	cr_assert_neq(access(lock, F_OK), 0);

	unlink(path);
	cr_assert_eq(socket_file_borrow(&file, path), 0);
	cr_assert(socket_file_is_lost(&file));
	must_listen();
	cr_assert(is_reached());
	socket_file_release(&file);
	cr_assert_neq(access(path, F_OK), 0);
	close(given);
}

/* Nothing listens at @at; what is logged ends with this advice */
static void must_advise(const char *at, int error, const char *advice)
{
	cr_assert_eq(socket_file_listen(&file, at, 0600, NULL, FD_UNIX_STREAM), -error, "%s", at);
	cr_assert_not_null(strstr(socket_file_way_out(error, at), advice), "%s: %s", at,
			   socket_file_way_out(error, at));
}

Test(daemon_socket_file, way_out)
{
	char at[200];

	snprintf(at, sizeof(at), "%s/missing/s", dir);
	must_advise(at, ENOENT, "make its folder first");
	snprintf(at, sizeof(at), "%s/%0120d", dir, 0);
	must_advise(at, ENAMETOOLONG, "at most 107 bytes");
	close(open(path, O_CREAT | O_WRONLY, 0600));
	must_advise(path, ENOTSOCK, "remove it");
	unlink(path);
	cr_assert_str_empty(socket_file_way_out(EIO, "/x"));
}
