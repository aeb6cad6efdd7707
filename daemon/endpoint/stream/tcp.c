// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp.c - what tcp-listen and tcp-connect have in common
 */
#include "endpoint/stream/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "util/fd.h"

/* When TCP asks a silent peer whether it is still there, and how often before it gives up */
#define KEEP_IDLE_S     30
#define KEEP_INTERVAL_S 10
#define KEEP_COUNT      3

void tcp_name(const struct sockaddr *addr, socklen_t bytes, char name[TCP_NAME_BYTES])
{
	char host[48], port[8];

	if (getnameinfo(addr, bytes, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(name, TCP_NAME_BYTES, "unknown");
	else
		snprintf(name, TCP_NAME_BYTES, addr->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
			 host, port);
}

void tcp_peer_name(int fd, char name[TCP_NAME_BYTES])
{
	struct sockaddr_storage addr = { 0 };
	socklen_t bytes = sizeof(addr);

	if (getpeername(fd, (struct sockaddr *)&addr, &bytes))
		snprintf(name, TCP_NAME_BYTES, "unknown"); /* it has gone already */
	else
		tcp_name((struct sockaddr *)&addr, bytes, name);
}

bool tcp_is_loopback(const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr) >> 24 == 127;
	return addr->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)addr)->sin6_addr);
}

void tcp_tune(int fd)
{
	const int on = 1, idle = KEEP_IDLE_S, interval = KEEP_INTERVAL_S, count = KEEP_COUNT;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

int tcp_listen_at(const struct addrinfo *at)
{
	const int on = 1;
	int r;
	_cleanup_fd_ int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* A restart need not wait until the last connections are forgotten. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, SOMAXCONN))
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

int tcp_connect_to(const struct addrinfo *to)
{
	int r;
	_cleanup_fd_ int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, to->ai_addr, to->ai_addrlen) && errno != EINPROGRESS)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}
