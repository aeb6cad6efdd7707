// SPDX-License-Identifier: BSD-3-Clause
/*
 * tcp.c - the endpoints tcp-listen and tcp-connect on loopback, and looking names up
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

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

static void make_tcp(struct host *h, enum endpoint_type type, const char *host, uint16_t port)
{
	struct endpoint_config cfg = { .type = type };

	snprintf(h->path, sizeof(h->path), "%s:%u", host, port);
	cfg.address = h->path;
	rig_init(&h->rig, &cfg, 16384);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_read(&h->rig);
	guest_open_write(&h->rig);
}

/**
 * struct meeting - a connection that comes about
 * @h: host
 * @listener: where, or -1
 * @port: likewise, for one that connects
 * @fd: the connection, or -1
 */
struct meeting {
	struct host *h;
	int listener;
	uint16_t port;
	int fd;
};

static bool has_met(void *arg)
{
	struct meeting *m = arg;
	struct sockaddr_in at = loopback_address(m->port);

	if (m->fd < 0 && m->listener >= 0) {
		m->fd = accept4(m->listener, NULL, NULL, SOCK_NONBLOCK);
	} else if (m->fd < 0) {
		m->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(m->fd, (struct sockaddr *)&at, sizeof(at))) {
			close(m->fd); /* its name is being looked up */
			m->fd = -1;
		} else {
			fcntl(m->fd, F_SETFL, O_NONBLOCK);
		}
	}
	return m->fd >= 0 && host_info(m->h).connected;
}

static int meet(struct host *h, int listener, uint16_t port)
{
	struct meeting m = { h, listener, port, -1 };

	rig_until(&h->rig, has_met, &m, "a connection");
	return m.fd;
}

static void talk(struct host *h, int fd)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;

	for (int i = 0; i < 20; i++) {
		client_sends(h, fd, &in, 1000);
		guest_gets(h, &seen, 1000);
		guest_sends(h, &out, 1000);
		client_gets(h, fd, &got, 1000);
	}
	shutdown(fd, SHUT_WR);
	guest_sees(h, 0);
	guest_sends(h, &out, 100);
	client_gets(h, fd, &got, 100);
	guest_close_write(&h->rig);
	client_sees(h, fd, 0);
	cr_assert_not(host_info(h).connected);
	close(fd);
}

Test(tcp, listen_and_connect_by_number_and_by_name)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost" };

	for (int i = 0; i < 2; i++) {
		uint16_t port = 0;
		int listener = listening(&port);
		struct host h;

		make_tcp(&h, ENDPOINT_TCP_CONNECT, hosts[i], port);
		talk(&h, meet(&h, listener, 0));
		rig_deinit(&h.rig);
		close(listener);
		/* The port is free now, and the other way round */
		make_tcp(&h, ENDPOINT_TCP_LISTEN, hosts[i], port);
		talk(&h, meet(&h, -1, port));
		rig_deinit(&h.rig);
	}
}

Test(tcp, a_reader_sees_the_end_of_a_connection_that_brought_nothing)
{
	uint16_t port = 0;
	int listener = listening(&port), fd = -1;
	uint64_t out = 0, got = 0;
	struct host h;

	make_tcp(&h, ENDPOINT_TCP_CONNECT, "127.0.0.1", port);
	for (int i = 0; i < 1000 && fd < 0; i++) {
		rig_turns(&h.rig, 0);
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	}
	cr_assert_geq(fd, 0);
	cr_assert_not(host_info(&h).connected, "it knows already");
	shutdown(fd, SHUT_WR);
	guest_sees(&h, 0);
	guest_sends(&h, &out, 100);
	client_gets(&h, fd, &got, 100);
	close(fd);
	rig_deinit(&h.rig);
	close(listener);
}

Test(tcp, a_client_that_has_ended_makes_way)
{
	uint64_t in = 0, seen = 0;
	uint16_t port = 0;
	struct host h;
	int first, second;

	close(listening(&port));
	make_tcp(&h, ENDPOINT_TCP_LISTEN, "127.0.0.1", port);
	first = meet(&h, -1, port);
	/* While it may still write, another one is refused */
	second = meet(&h, -1, port);
	client_sees(&h, second, 0);
	cr_assert_eq(host_info(&h).refused, 1);
	close(second);
	client_sends(&h, first, &in, 100);
	guest_gets(&h, &seen, 100);
	host_leave(&h, first);
	cr_assert(host_info(&h).connected, "it looks as if it had only half closed");
	second = meet(&h, -1, port);
	client_sends(&h, second, &in, 100);
	guest_gets(&h, &seen, 100);
	cr_assert_eq(host_info(&h).refused, 1);
	cr_assert_eq(host_info(&h).clients, 2);
	close(second);
	rig_deinit(&h.rig);
}

Test(tcp, an_address_that_is_taken)
{
	struct channel_config cfg = { .name = (char *)"c",
				      .ring_bytes = 4096,
				      .endpoint = { .type = ENDPOINT_TCP_LISTEN } };
	uint16_t port = 0;
	int listener = listening(&port);
	struct endpoint *ep;
	struct channel ch;
	struct rig rig;
	char address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	cfg.endpoint.address = address;
	rig_init(&rig, NULL, 4096);
	channel_init(&ch, &cfg, "vm1", 0, rig.loop, NULL, NULL);
	cr_assert_eq(endpoint_new(&ep, &ch), -EADDRINUSE);
	cr_assert_null(ep);
	rig_deinit(&rig);
	close(listener);
}

static bool has_tcp_failed(void *arg)
{
	return host_info(arg).failed > 0;
}

Test(tcp, a_name_that_is_not_known)
{
	struct host h;

	make_tcp(&h, ENDPOINT_TCP_CONNECT, "nobody.invalid", 9);
	rig_until(&h.rig, has_tcp_failed, &h, "an attempt");
	cr_assert(strstr(host_info(&h).error, "nobody.invalid: "), "%s", host_info(&h).error);
	cr_assert_eq(guest_write(&h.rig, "", 1), 1, "it waits");
	rig_deinit(&h.rig);
}

Test(tcp, ended_while_a_name_is_looked_up)
{
	struct host h;

	for (int i = 0; i < 20; i++) {
		make_tcp(&h, ENDPOINT_TCP_CONNECT, "localhost", 9);
		rig_turns(&h.rig, (unsigned int)i);
		guest_close_read(&h.rig);
		guest_close_write(&h.rig);
		rig_turns(&h.rig, 1);
		guest_open_write(&h.rig);
		rig_turns(&h.rig, (unsigned int)i);
		rig_deinit(&h.rig);
	}
}
