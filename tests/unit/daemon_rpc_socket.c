// SPDX-License-Identifier: BSD-3-Clause
/*
 * daemon_rpc_socket.c - the control socket itself, and clients that misbehave
 *
 * The daemon's loop runs in a thread of its own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon_rpc_rig.h"
#include "rpc.h"
#include "util/fd.h"

static char dir[32];
static struct loop *loop;
static struct rpc *rpc;

static void start(void)
{
	strcpy(dir, "okl4fs-rpc-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(rpc_path, sizeof(rpc_path), "%s/c", dir);
	cr_assert_eq(loop_new(&loop, "main"), 0);
	cr_assert_eq(rpc_new(&rpc, loop, NULL), 0);
	cr_assert_eq(loop_start(loop), 0);
}

static void stop(void)
{
	loop_stop(loop);
	rpc = rpc_free(rpc);
	loop = loop_free(loop);
	cr_assert_eq(access(rpc_path, F_OK), -1);
	cr_assert_eq(rmdir(dir), 0);
}

TestSuite(rpc_socket, .init = start, .fini = stop, .timeout = 60);

/**
 * connection() - connect
 *
 * Return: a blocking connection with a limit.
 */
static int connection(void)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = fd_connect_unix(rpc_path);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/**
 * client() - connect, for reading lines and writing them
 *
 * Return: a blocking connection with a limit; its descriptor is there to be written to.
 */
static FILE *client(void)
{
	FILE *f = fdopen(connection(), "r");

	cr_assert_not_null(f);
	return f;
}

/**
 * say() - send all of a text
 * @fd: connection
 * @text: text
 */
static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/**
 * hear() - the next line must be this
 * @f: connection
 * @want: the line; NULL: the end
 */
static void hear(FILE *f, const char *want)
{
	char *line = NULL;
	size_t size;
	ssize_t n = getline(&line, &size, f);

	if (want)
		cr_assert(n > 0 && !strncmp(line, want, strlen(want)), "%zd: %s", n, line);
	else
		cr_assert_eq(n, -1, "%s", line);
	free(line);
}

/**
 * is_served() - a question must be answered
 * @fd: connection
 */
static void is_served(int fd)
{
	say(fd, CALL("version", "") "\n");
	cr_assert_gt(recv(fd, (char[1024]){ 0 }, 1024, 0), 0);
}

#define REPLY RESULT("1", VERSION) "\n"

Test(rpc_socket, mode)
{
	struct stat st;

	cr_assert_eq(stat(rpc_path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0620);
}

Test(rpc_socket, lines_in_any_pieces)
{
	const char *text = CALL("version", "") "\n";
	FILE *f = client();
	int fd = fileno(f);

	for (size_t i = 0; text[i]; i++)
		cr_assert_eq(send(fd, text + i, 1, 0), 1);
	hear(f, REPLY);
	say(fd, "\n  \r\n" CALL("version", "") "\r\n" CALL("version", "") "\n" CALL("x", ""));
	hear(f, REPLY);
	hear(f, REPLY);
	shutdown(fd, SHUT_WR); /* the last line has no newline */
	hear(f, ERROR("1", -32601, "there is no such method"));
	hear(f, NULL);
	fclose(f);
}

Test(rpc_socket, a_line_may_be_long_but_not_longer)
{
	char *text = malloc(65536 + 3);
	FILE *f = client();

	snprintf(text, 65536, "%-65535s", CALL("version", ""));
	text[65535] = ' ';
	strcpy(text + 65536, "\n");
	say(fileno(f), text);
	hear(f, REPLY);
	strcpy(text + 65536, " \n");
	say(fileno(f), text);
	hear(f, ERROR("null", -32600, "a line has at most 65536 bytes"));
	hear(f, NULL);
	fclose(f);
	free(text);
}

Test(rpc_socket, a_client_that_asks_and_asks_and_does_not_listen)
{
	const char *text = CALL("channel.list", "") "\n";
	const size_t length = strlen(text);
	struct timespec pause = { .tv_nsec = 20000000 };
	size_t sent = 0, heard = 0, size = 0;
	int fd = connection(), idle = 0;
	char *line = NULL;
	FILE *f;

	/* Until the daemon takes no more: it holds one reply, not thousands. */
	while (idle < 10) {
		ssize_t n = send(fd, text + sent % length, length - sent % length,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			cr_assert_eq(errno, EAGAIN);
			idle++;
			nanosleep(&pause, NULL);
		} else {
			sent += (size_t)n;
			idle = 0;
		}
	}
	cr_assert_lt(sent, 4 << 20);
	shutdown(fd, SHUT_WR);
	/* Then all of them are answered, in order. */
	f = fdopen(fd, "r");
	while (getline(&line, &size, f) > 0) {
		bool whole = heard < sent / length;

		cr_assert_eq(strncmp(line,
				     whole ? "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\"" :
					     "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\"",
				     30),
			     0);
		heard++;
	}
	cr_assert_eq(heard, (sent + length - 1) / length);
	free(line);
	fclose(f);
}

Test(rpc_socket, a_client_that_does_not_listen_is_dropped)
{
	const char *text = CALL("channel.list", "") "\n";
	struct timespec pause = { .tv_nsec = 50000000 };
	int fd = connection(), tries = 0;

	while (tries++ < 1000) {
		if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			continue;
		if (errno == EPIPE || errno == ECONNRESET)
			break;
		nanosleep(&pause, NULL);
	}
	cr_assert_leq(tries, 1000, "it is still there");
	close(fd);
	fd = connection(); /* nobody else suffers */
	is_served(fd);
	close(fd);
}

Test(rpc_socket, sixty_four_clients)
{
	int fd[64];
	FILE *f;

	for (int i = 0; i < 64; i++) {
		fd[i] = connection();
		is_served(fd[i]);
	}
	f = client();
	hear(f, ERROR("null", -32000, "there are 64 clients already"));
	hear(f, NULL);
	fclose(f);
	is_served(fd[63]);
	/* One leaves: there is room again. */
	shutdown(fd[0], SHUT_WR);
	cr_assert_eq(recv(fd[0], (char[1]){ 0 }, 1, 0), 0);
	f = client();
	say(fileno(f), CALL("version", "") "\n");
	hear(f, REPLY);
	fclose(f);
	for (int i = 0; i < 64; i++)
		close(fd[i]);
}

Test(rpc_socket, a_socket_that_is_in_use)
{
	struct loop *other_loop;
	struct rpc *other;

	cr_assert_eq(loop_new(&other_loop, "other"), 0);
	cr_assert_eq(rpc_new(&other, other_loop, NULL), -EADDRINUSE);
	cr_assert_null(other);
	loop_free(other_loop);
}
