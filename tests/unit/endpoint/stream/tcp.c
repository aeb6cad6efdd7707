// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp.c - the endpoints tcp-listen and tcp-connect on loopback, and looking names up
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint/stream/tcp.h"
#include "rig.h"
#include "util/fd.h"

static struct sockaddr_in loopback_address(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int listening(uint16_t *port)
{
	struct sockaddr_in at = loopback_address(*port);
	socklen_t bytes = sizeof(at);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(fd, 4), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

/* An attached rig with both of the guest's ends open */
static void tcp_init(struct host *h, enum endpoint_type type, const char *host, uint16_t port)
{
	struct endpoint_config cfg = { .type = type, .address = h->path };

	*h = (struct host){ .fd = -1, .listener = -1 };
	snprintf(h->path, sizeof(h->path), "%s:%u", host, port);
	rig_init(&h->rig, &cfg, 16384);
	host_play(h, "guest attaches; opens read; opens write");
}

static void tcp_deinit(struct host *h)
{
	if (h->fd >= 0)
		close(h->fd);
	rig_deinit(&h->rig);
}

static bool has_met(void *arg)
{
	struct host *h = arg;
	struct sockaddr_in at =
		loopback_address((uint16_t)strtoul(strrchr(h->path, ':') + 1, NULL, 10));

	if (h->fd < 0 && h->listener >= 0) {
		h->fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK);
	} else if (h->fd < 0) {
		h->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(h->fd, (struct sockaddr *)&at, sizeof(at)))
			h->fd = fd_close(h->fd); /* its name is being looked up */
		else
			fcntl(h->fd, F_SETFL, O_NONBLOCK);
	}
	return h->fd >= 0 && rig_info(&h->rig).connected;
}

static void meet(struct host *h)
{
	h->fd = -1;
	rig_until(&h->rig, has_met, h, "a connection");
}

/* Bytes both ways, then one end after the other; frees the host */
static void meet_and_talk(struct host *h)
{
	meet(h);
	host_play(h, "both talk 20; client ends; guest sees end; guest sends 100; client gets 100;"
		     "closes write; client sees end; disconnected");
	tcp_deinit(h);
}

Test(tcp, listen_and_connect_by_number_and_by_name)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost" };

	for (int i = 0; i < 2; i++) {
		uint16_t port = 0;
		int listener = listening(&port);
		struct host h;

		tcp_init(&h, ENDPOINT_TCP_CONNECT, hosts[i], port);
		h.listener = listener;
		meet_and_talk(&h);
		close(listener);
		/* The port is free now, and the other way round */
		tcp_init(&h, ENDPOINT_TCP_LISTEN, hosts[i], port);
		meet_and_talk(&h);
	}
}

Test(tcp, a_reader_sees_the_end_of_a_connection_that_brought_nothing)
{
	uint16_t port = 0;
	int listener = listening(&port);
	struct host h;

	tcp_init(&h, ENDPOINT_TCP_CONNECT, "127.0.0.1", port);
	for (int i = 0; i < 1000 && h.fd < 0; i++) {
		rig_turns(&h.rig, 0);
		h.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	}
	cr_assert_geq(h.fd, 0);
	host_play(&h, "disconnected;" /* it does not know yet */
		      "client ends; guest sees end; guest sends 100; client gets 100");
	tcp_deinit(&h);
	close(listener);
}

Test(tcp, a_client_that_has_ended_makes_way)
{
	uint16_t port = 0;
	struct host h;
	int first, second;

	close(listening(&port));
	tcp_init(&h, ENDPOINT_TCP_LISTEN, "127.0.0.1", port);
	meet(&h);
	/* While it may still write, another one is refused */
	first = h.fd;
	meet(&h);
	second = h.fd;
	client_sees(&h, second, 0);
	close(second);
	h.fd = first;
	host_play(&h, "refused 1; client sends 100; guest gets 100; client leaves;"
		      "connected"); /* it looks as if it had only half closed */
	meet(&h);
	host_play(&h, "client sends 100; guest gets 100; refused 1; clients 2");
	tcp_deinit(&h);
}

Test(tcp, an_address_that_is_taken)
{
	uint16_t port = 0;
	int listener = listening(&port);
	char address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	rig_refuses(&(struct endpoint_config){ .type = ENDPOINT_TCP_LISTEN, .address = address },
		    -EADDRINUSE);
	close(listener);
}

/* The limit 0 makes it silent for too long at once: then what counts is whether it answers when asked */
Test(tcp, a_peer_that_only_reads_nothing_has_not_gone)
{
	uint16_t port = 0;
	const char piece[4096] = { 0 };
	struct pollfd room = { .events = POLLOUT };
	int listener = listening(&port);
	struct sockaddr_in at = loopback_address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert(!connect(fd, (struct sockaddr *)&at, sizeof(at)) || errno == EINPROGRESS);
	room.fd = fd;
	cr_assert_eq(poll(&room, 1, 5000), 1);
	cr_assert_eq(tcp_look(fd, 0), -1); /* nothing is to be sent */
	while (poll(&room, 1, 100) > 0)
		cr_assert_gt(send(fd, piece, sizeof(piece), MSG_NOSIGNAL), 0);
	cr_assert_gt(tcp_look(fd, 0), 0);
	cr_assert_gt(tcp_look(fd, 60), 1000);
	close(listener);
	close(fd);
}

Test(tcp, a_name_that_is_not_known)
{
	struct host h;

	tcp_init(&h, ENDPOINT_TCP_CONNECT, "nobody.invalid", 9);
	host_play(&h, "attempt fails; guest sends 1"); /* which waits */
	cr_assert(strstr(rig_info(&h.rig).error, "nobody.invalid: "), "%s", rig_info(&h.rig).error);
	tcp_deinit(&h);
}

Test(tcp, ended_while_a_name_is_looked_up)
{
	struct host h;

	for (unsigned int i = 0; i < 20; i++) {
		tcp_init(&h, ENDPOINT_TCP_CONNECT, "localhost", 9);
		rig_turns(&h.rig, i);
		host_play(&h, "closes read; closes write");
		rig_turns(&h.rig, 1);
		guest_open_write(&h.rig);
		rig_turns(&h.rig, i);
		tcp_deinit(&h);
	}
}
