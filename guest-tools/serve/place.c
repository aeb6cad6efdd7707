// SPDX-License-Identifier: BSD-3-Clause
/*
 * place.c - "unix:PATH" or "HOST:PORT": where a server is, or where to listen
 */
#include "serve/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/address.h"

#define PREFIX     "unix:"
#define CONNECT_S  10
#define BACKLOG    128
#define PORT_BYTES 6

static const char *parse_path(struct place *p, const char *path)
{
	if (!*path)
		return "has no path";
	if (strlen(path) >= sizeof(p->un.sun_path))
		return "has a path that is too long for a socket (107 bytes)";
	p->un.sun_family = AF_UNIX;
	memcpy(p->un.sun_path, path, strlen(path) + 1);
	p->one = (struct addrinfo){ .ai_family = AF_UNIX,
				    .ai_socktype = SOCK_STREAM,
				    .ai_addrlen = sizeof(p->un),
				    .ai_addr = (struct sockaddr *)&p->un };
	p->list = &p->one;
	return NULL;
}

const char *place_parse(struct place *p, const char *text)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char port[PORT_BYTES];
	struct addrinfo *found;
	struct address a;
	const char *wrong;
	int r;

	memset(p, 0, sizeof(*p));
	p->text = text;
	if (!strncmp(text, PREFIX, strlen(PREFIX)))
		return parse_path(p, text + strlen(PREFIX));
	wrong = address_parse(&a, text);
	if (wrong)
		return wrong;
	snprintf(port, sizeof(port), "%u", (unsigned int)a.port);
	r = getaddrinfo(a.host, port, &hints, &found);
	if (r)
		return gai_strerror(r);
	p->list = found;
	return NULL;
}

static int connect_to(const struct addrinfo *a)
{
	struct timeval limit = { .tv_sec = CONNECT_S };
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
	int error;

	if (fd < 0)
		return -errno;
	/* It also bounds connect(2), for both families: socket(7), unix_stream_connect() */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, a->ai_addr, a->ai_addrlen)) {
		error = errno == EINPROGRESS || errno == EAGAIN ? ETIMEDOUT : errno;
		close(fd);
		return -error;
	}
	return fd;
}

int place_connect(const struct place *p)
{
	int fd = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = p->list; a && fd < 0; a = a->ai_next)
		fd = connect_to(a);
	return fd;
}

/* A socket of another type cannot connect, and does not disturb one that listens */
static void remove_stale(const struct place *p)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (connect(fd, p->list->ai_addr, p->list->ai_addrlen) && errno == ECONNREFUSED)
		unlink(p->un.sun_path);
	close(fd);
}

int place_listen(const struct place *p)
{
	const struct addrinfo *a = p->list;
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1, error;

	if (fd < 0)
		return -errno;
	if (a->ai_family == AF_UNIX)
		remove_stale(p);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, BACKLOG)) {
		error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

void place_remove(const struct place *p)
{
	if (p->list->ai_family == AF_UNIX)
		unlink(p->un.sun_path);
}
