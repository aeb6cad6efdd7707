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
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "util/fd.h"

/* How often TCP asks a silent peer whether it is still there; that takes half of the time */
#define KEEP_COUNT 3
/* A single one that is lost, or just on its way, says nothing */
#define MIN_UNANSWERED 2

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

void tcp_tune(int fd, unsigned int timeout_s)
{
	const int on = 1, count = KEEP_COUNT;
	const int interval = timeout_s < 2 * KEEP_COUNT ? 1 : (int)(timeout_s / (2 * KEEP_COUNT));
	const int idle = (int)timeout_s - KEEP_COUNT * interval;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

int tcp_look(int fd, unsigned int timeout_s)
{
	const unsigned int limit_ms = timeout_s * 1000;
	struct tcp_info info = { 0 };
	socklen_t bytes = sizeof(info);
	int queued;

	if (ioctl(fd, SIOCOUTQ, &queued) || !queued ||
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) || info.tcpi_state == TCP_CLOSE)
		return -1;
	if (info.tcpi_last_ack_recv < limit_ms)
		return (int)(limit_ms - info.tcpi_last_ack_recv);
	/* While the peer's window is closed, it is asked at intervals of up to two minutes */
	if (info.tcpi_retransmits + info.tcpi_probes < MIN_UNANSWERED)
		return (int)(limit_ms / 4 + 1);
	return 0;
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
