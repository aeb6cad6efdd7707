// SPDX-License-Identifier: BSD-3-Clause
/*
 * relay.c - what would connect two unix sockets if there were no endpoint `channel`
 *
 * relay rw|splice SOCKET SOCKET
 *
 * It connects to both and passes on what comes until both have ended, with one thread per
 * direction, which sleeps in read() or splice(). The buffers of pipes and sockets are as large as
 * okl4fs's ring, if this user may make them so large.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_BYTES (1U << 20)
#define PIECE_BYTES  65536U

/* One direction */
struct way {
	int from, to;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = BUFFER_BYTES;

	if (fd < 0)
		die("socket");
	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)))
		die("SO_SNDBUF");
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		die(path);
	return fd;
}

/* pass_rw() - through a buffer of ours; Return: NULL when @arg, a way, has ended */
static void *pass_rw(void *arg)
{
	const struct way *way = arg;
	uint8_t *buf = malloc(PIECE_BYTES);
	ssize_t got, put, n;

	if (!buf)
		die("malloc");
	while ((got = read(way->from, buf, PIECE_BYTES)) > 0) {
		for (put = 0; put < got; put += n) {
			n = write(way->to, buf + put, (size_t)(got - put));
			if (n <= 0)
				die("write");
		}
	}
	if (got < 0)
		die("read");
	shutdown(way->to, SHUT_WR);
	free(buf);
	return NULL;
}

/* pass_splice() - through a pipe, without a copy if the kernel can; Return: as pass_rw() */
static void *pass_splice(void *arg)
{
	const struct way *way = arg;
	ssize_t left, n;
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) || fcntl(fd[1], F_SETPIPE_SZ, BUFFER_BYTES) < 0)
		die("pipe");
	while ((left = splice(way->from, NULL, fd[1], NULL, BUFFER_BYTES, SPLICE_F_MOVE)) > 0) {
		for (; left > 0; left -= n) {
			n = splice(fd[0], NULL, way->to, NULL, (size_t)left, SPLICE_F_MOVE);
			if (n <= 0)
				die("splice to a socket");
		}
	}
	if (left < 0)
		die("splice from a socket");
	shutdown(way->to, SHUT_WR);
	close(fd[0]);
	close(fd[1]);
	return NULL;
}

int main(int argc, char **argv)
{
	void *(*pass)(void *) = NULL;
	struct way there, back;
	pthread_t thread;

	if (argc == 4 && strcmp(argv[1], "rw") == 0)
		pass = pass_rw;
	else if (argc == 4 && strcmp(argv[1], "splice") == 0)
		pass = pass_splice;
	if (!pass) {
		fprintf(stderr, "usage: relay rw|splice SOCKET SOCKET\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	there = (struct way){ connect_to(argv[2]), connect_to(argv[3]) };
	back = (struct way){ there.to, there.from };
	errno = pthread_create(&thread, NULL, pass, &back);
	if (errno)
		die("pthread_create");
	pass(&there);
	pthread_join(thread, NULL);
	return 0;
}
