// SPDX-License-Identifier: BSD-3-Clause
/*
 * dial.c - the endpoint unix-connect: when it connects, and when a connection is over
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "util/fd.h"

static void connecting(struct host *h, uint64_t ring_bytes)
{
	struct endpoint_config cfg = { .type = ENDPOINT_UNIX_CONNECT };

	strcpy(h->dir, "okl4fs-dial-XXXXXX");
	cr_assert_not_null(mkdtemp(h->dir));
	snprintf(h->path, sizeof(h->path), "%s/s", h->dir);
	cfg.path = h->path;
	rig_init(&h->rig, &cfg, ring_bytes);
	cr_assert_eq(rig_attach(&h->rig), 0);
}

static void finish_dial(struct host *h, int listener)
{
	rig_deinit(&h->rig);
	if (listener >= 0) {
		close(listener);
		cr_assert_eq(unlink(h->path), 0);
	}
	cr_assert_eq(rmdir(h->dir), 0);
}

static int listen_for_dial(struct host *h)
{
	int fd = fd_listen_unix(h->path, 0600, NULL);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	return fd;
}

/**
 * struct taking - what accept_now() waits for
 * @listener: where
 * @fd: the connection, or -1
 */
struct taking {
	int listener, fd;
};

static bool is_taken(void *arg)
{
	struct taking *t = arg;

	if (t->fd < 0)
		t->fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK);
	return t->fd >= 0;
}

static int accept_now(struct host *h, int listener)
{
	struct taking t = { listener, -1 };

	rig_until(&h->rig, is_taken, &t, "a connection");
	rig_turns(&h->rig, 3);
	cr_assert(host_info(h).connected);
	return t.fd;
}

static void nobody_comes(struct host *h, int listener)
{
	cr_assert_leq(rig_cpu_ms(&h->rig, 100), SPIN_MS);
	cr_assert_eq(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_not(host_info(h).connected);
}

static bool has_dial_failed(void *arg)
{
	return host_info(arg).failed > 0;
}

/* ------------------------------------------------------------------------------------------- */
/* When it connects                                                                            */

Test(unix_connect, follows_the_guests_opening)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	nobody_comes(&h, listener);
	guest_open_read(&h.rig);
	fd = accept_now(&h, listener);
	guest_open_write(&h.rig);
	for (int i = 0; i < 20; i++) {
		client_sends(&h, fd, &in, 1 + i * 160);
		guest_gets(&h, &seen, 1 + i * 160);
		guest_sends(&h, &out, 1 + i * 160);
		client_gets(&h, fd, &got, 1 + i * 160);
	}
	cr_assert_eq(host_info(&h).clients, 1);
	cr_assert_eq(host_info(&h).failed, 0);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, what_is_written_waits_for_a_listener)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 3000);
	rig_until(&h.rig, has_dial_failed, &h, "an attempt");
	cr_assert(strstr(host_info(&h).error, "/s: No such file"), "%s", host_info(&h).error);
	guest_sends(&h, &out, 1096);
	cr_assert_eq(guest_write(&h.rig, "", 1), -FS_AGAIN, "the ring is full");
	guest_close_write(&h.rig);
	listener = listen_for_dial(&h);
	fd = accept_now(&h, listener);
	cr_assert_str_empty(host_info(&h).error);
	client_gets(&h, fd, &got, 4096);
	client_sees(&h, fd, 0);
	close(fd);
	rig_turns(&h.rig, 3);
	nobody_comes(&h, listener);
	finish_dial(&h, listener);
}

Test(unix_connect, a_listener_that_comes_is_noticed_at_once)
{
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	guest_open_read(&h.rig);
	/* By now the timer alone would take a second and more */
	while (host_info(&h).failed < 6)
		rig_cpu_ms(&h.rig, 50);
	listener = listen_for_dial(&h);
	cr_assert_leq(rig_cpu_ms(&h.rig, 200), SPIN_MS);
	fd = accept4(listener, NULL, NULL, 0);
	cr_assert_geq(fd, 0);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, waits_longer_and_longer)
{
	struct host h;

	connecting(&h, 4096);
	guest_open_read(&h.rig);
	cr_assert_leq(rig_cpu_ms(&h.rig, 900), SPIN_MS);
	cr_assert_geq(host_info(&h).failed, 3);
	cr_assert_leq(host_info(&h).failed, 6);
	/* A guest that closes again ends the attempts, and does not make them start again. */
	guest_close_read(&h.rig);
	for (uint64_t before = host_info(&h).failed, i = 0; i < 5; i++) {
		guest_open_read(&h.rig);
		rig_turns(&h.rig, 3);
		guest_close_read(&h.rig);
		cr_assert_leq(host_info(&h).failed, before + 1);
	}
	finish_dial(&h, -1);
}

Test(unix_connect, who_hangs_up_on_what_is_to_be_sent_is_not_called_at_once)
{
	int listener, fd;
	struct host h;

	connecting(&h, 1 << 20);
	listener = listen_for_dial(&h);
	guest_open_write(&h.rig);
	for (uint64_t out = 0; out < 1 << 20;)
		guest_sends(&h, &out, 1 << 16);
	guest_close_write(&h.rig);
	for (int i = 0; i < 3; i++) {
		fd = accept_now(&h, listener);
		host_leave(&h, fd);
		cr_assert_not(host_info(&h).connected);
		cr_assert_eq(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
	}
	finish_dial(&h, listener);
}

/* ------------------------------------------------------------------------------------------- */
/* When it is over                                                                             */

Test(unix_connect, each_writer_has_a_connection)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	for (int i = 0; i < 5; i++) {
		guest_open_write(&h.rig);
		guest_sends(&h, &out, 100);
		guest_close_write(&h.rig);
		fd = accept_now(&h, listener);
		client_gets(&h, fd, &got, 100);
		client_sees(&h, fd, 0);
		if (i % 2) /* else the next one finds it half closed */
			host_leave(&h, fd);
	}
	cr_assert_eq(host_info(&h).clients, 5);
	cr_assert_eq(host_info(&h).failed, 0);
	host_leave(&h, fd);
	/* Nothing came, so no end is left for a reader that comes now */
	guest_open_read(&h.rig);
	guest_sees(&h, -FS_AGAIN);
	close(accept_now(&h, listener));
	finish_dial(&h, listener);
}

Test(unix_connect, a_writer_that_brings_nothing_ends_no_later_connection)
{
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	guest_open_write(&h.rig);
	guest_close_write(&h.rig);
	listener = listen_for_dial(&h);
	nobody_comes(&h, listener);
	guest_open_read(&h.rig);
	fd = accept_now(&h, listener);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, the_end_is_seen_before_the_next_connection_comes)
{
	uint64_t in = 0, seen = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	guest_open_read(&h.rig);
	for (int i = 0; i < 3; i++) {
		fd = accept_now(&h, listener);
		client_sends(&h, fd, &in, 100);
		host_leave(&h, fd);
		nobody_comes(&h, listener);
		guest_gets(&h, &seen, 100);
		guest_sees(&h, 0);
		nobody_comes(&h, listener);
		guest_close_read(&h.rig);
		nobody_comes(&h, listener);
		guest_open_read(&h.rig);
		guest_sees(&h, -FS_AGAIN);
	}
	finish_dial(&h, listener);
}

Test(unix_connect, a_writer_that_lost_its_connection_gets_epipe_until_it_closes)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	guest_open_write(&h.rig);
	fd = accept_now(&h, listener);
	guest_sends(&h, &out, 100);
	client_gets(&h, fd, &got, 100);
	host_leave(&h, fd);
	cr_assert_eq(guest_write(&h.rig, "", 1), -FS_PIPE);
	nobody_comes(&h, listener);
	guest_close_write(&h.rig);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 100);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 100);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, an_answer_waits_for_its_reader)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 10);
	guest_close_write(&h.rig);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 10);
	client_sees(&h, fd, 0);
	client_sends(&h, fd, &in, 1000);
	host_leave(&h, fd);
	guest_open_read(&h.rig);
	nobody_comes(&h, listener);
	guest_gets(&h, &seen, 1000);
	guest_sees(&h, 0);
	nobody_comes(&h, listener);
	guest_close_read(&h.rig);
	guest_open_read(&h.rig);
	fd = accept_now(&h, listener);
	/* The same when the reader left before the end: what is there is the next one's. */
	client_sends(&h, fd, &in, 1000);
	guest_gets(&h, &seen, 10);
	guest_close_read(&h.rig);
	client_sees(&h, fd, 0);
	close(fd);
	guest_open_read(&h.rig);
	nobody_comes(&h, listener);
	guest_gets(&h, &seen, 990);
	guest_sees(&h, 0);
	guest_close_read(&h.rig);
	guest_open_read(&h.rig);
	close(accept_now(&h, listener));
	finish_dial(&h, listener);
}

Test(unix_connect, a_reader_that_leaves_hangs_up)
{
	uint64_t in = 0, seen = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	guest_open_read(&h.rig);
	fd = accept_now(&h, listener);
	client_sends(&h, fd, &in, 3000);
	guest_gets(&h, &seen, 10);
	guest_close_read(&h.rig);
	client_sees(&h, fd, 0);
	nobody_comes(&h, listener);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, both_ends_closed_hang_up_when_all_is_sent)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 1 << 20);
	listener = listen_for_dial(&h);
	guest_open_read(&h.rig);
	guest_open_write(&h.rig);
	fd = accept_now(&h, listener);
	while (out < 1 << 20)
		guest_sends(&h, &out, 1 << 16);
	guest_close_read(&h.rig);
	guest_close_write(&h.rig);
	cr_assert(host_info(&h).connected, "it is not all sent");
	client_gets(&h, fd, &got, 1 << 20);
	client_sees(&h, fd, 0);
	cr_assert_eq(send(fd, "", 1, MSG_NOSIGNAL), -1);
	nobody_comes(&h, listener);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, half_closes)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	guest_open_read(&h.rig);
	guest_open_write(&h.rig);
	fd = accept_now(&h, listener);
	client_sends(&h, fd, &in, 100);
	shutdown(fd, SHUT_WR);
	guest_gets(&h, &seen, 100);
	guest_sees(&h, 0);
	guest_sends(&h, &out, 3000);
	client_gets(&h, fd, &got, 3000);
	guest_close_write(&h.rig);
	client_sees(&h, fd, 0);
	cr_assert_not(host_info(&h).connected);
	close(fd);
	/* The other half first */
	guest_close_read(&h.rig);
	guest_open_write(&h.rig);
	guest_open_read(&h.rig);
	fd = accept_now(&h, listener);
	guest_close_write(&h.rig);
	client_sees(&h, fd, 0);
	client_sends(&h, fd, &in, 4000);
	guest_gets(&h, &seen, 4000);
	/* A writer that comes now waits: the reader is still at it. */
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 100);
	client_sends(&h, fd, &in, 100);
	guest_gets(&h, &seen, 100);
	host_leave(&h, fd);
	guest_sees(&h, 0);
	guest_close_read(&h.rig);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 100);
	close(fd);
	finish_dial(&h, listener);
}

/* ------------------------------------------------------------------------------------------- */
/* A writer that comes and goes while the daemon looks                                         */

/* The daemon's looks at the guest come here (ld's --wrap): what is armed happens before one */
int64_t __real_channel_readable(struct channel *ch);
int64_t __wrap_channel_readable(struct channel *ch);
int __real_channel_guest_writer(struct channel *ch, struct channel_peer *peer);
int __wrap_channel_guest_writer(struct channel *ch, struct channel_peer *peer);

static void (*before_readable)(struct channel *ch), (*before_writer)(struct channel *ch);

int64_t __wrap_channel_readable(struct channel *ch)
{
	void (*happens)(struct channel * ch) = before_readable;

	before_readable = NULL;
	if (happens)
		happens(ch);
	return __real_channel_readable(ch);
}

int __wrap_channel_guest_writer(struct channel *ch, struct channel_peer *peer)
{
	void (*happens)(struct channel * ch) = before_writer;

	before_writer = NULL;
	if (happens)
		happens(ch);
	return __real_channel_guest_writer(ch, peer);
}

static struct host *racing; /* its guest acts in the middle of a look */
static uint64_t raced_bytes; /* written by it */

/* The bells come later */
static void write_100_and_close(struct channel *ch)
{
	struct pipe *tx = &racing->rig.guest.tx;
	uint8_t bytes[100];
	bool notify;

	pattern_fill(bytes, raced_bytes, sizeof(bytes));
	pipe_producer_open(tx);
	cr_assert_eq(pipe_write(tx, bytes, sizeof(bytes), &notify), sizeof(bytes));
	pipe_producer_close(tx);
	raced_bytes += sizeof(bytes);
}

/* The next connection must see its end */
static void a_writer_while_a_connection_ends(void (**when)(struct channel *ch))
{
	uint64_t got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	racing = &h;
	listener = listen_for_dial(&h);
	guest_open_write(&h.rig);
	guest_sends(&h, &raced_bytes, 100);
	guest_close_write(&h.rig);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 100);
	client_sees(&h, fd, 0);
	*when = write_100_and_close;
	host_leave(&h, fd);
	cr_assert_null(*when);
	channel_rung(&h.rig.ch);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 100);
	client_sees(&h, fd, 0);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, a_writer_comes_and_goes_as_a_connection_ends)
{
	a_writer_while_a_connection_ends(&before_writer);
}

Test(unix_connect, a_writer_comes_and_goes_as_a_connection_ends_and_its_bytes_are_looked_for)
{
	a_writer_while_a_connection_ends(&before_readable);
}

/* What it wrote last is the same connection's */
static void a_writer_that_closes_meanwhile(void (**when)(struct channel *ch))
{
	uint64_t got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	racing = &h;
	listener = listen_for_dial(&h);
	guest_open_read(&h.rig);
	guest_open_write(&h.rig);
	fd = accept_now(&h, listener);
	guest_sends(&h, &raced_bytes, 100);
	client_gets(&h, fd, &got, 100);
	guest_close_read(&h.rig);
	*when = write_100_and_close;
	h.rig.ch.endpoint_ops->woken(h.rig.ch.endpoint);
	cr_assert_null(*when);
	channel_rung(&h.rig.ch);
	client_gets(&h, fd, &got, 100);
	client_sees(&h, fd, 0);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, a_writer_closes_as_the_daemon_looks)
{
	a_writer_that_closes_meanwhile(&before_writer);
}

Test(unix_connect, a_writer_closes_as_the_daemon_looks_for_its_bytes)
{
	a_writer_that_closes_meanwhile(&before_readable);
}

/* ------------------------------------------------------------------------------------------- */
/* Memory that comes and goes                                                                  */

Test(unix_connect, memory_away_for_a_while)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 100);
	rig_until(&h.rig, has_dial_failed, &h, "an attempt");
	channel_suspend(&h.rig.ch);
	listener = listen_for_dial(&h);
	nobody_comes(&h, listener);
	cr_assert_eq(rig_attach(&h.rig), 0);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 100);
	channel_suspend(&h.rig.ch);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sends(&h, &out, 100);
	client_gets(&h, fd, &got, 100);
	cr_assert_eq(host_info(&h).clients, 1);
	channel_guest_gone(&h.rig.ch);
	client_sees(&h, fd, 0);
	nobody_comes(&h, listener);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, a_restart_is_a_connection_that_ended)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	listener = listen_for_dial(&h);
	guest_open_read(&h.rig);
	guest_open_write(&h.rig);
	fd = accept_now(&h, listener);
	rig_kill(&h.rig);
	close(fd);
	guest_sends(&h, &out, 100);
	rig_restart(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	cr_assert_eq(guest_write(&h.rig, "", 1), -FS_PIPE);
	nobody_comes(&h, listener);
	/* What was written and not taken is there, once. */
	guest_close_read(&h.rig);
	guest_close_write(&h.rig);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 100);
	client_sees(&h, fd, 0);
	close(fd);
	finish_dial(&h, listener);
}

Test(unix_connect, a_restart_before_a_connection_changes_nothing)
{
	uint64_t out = 0, got = 0;
	int listener, fd;
	struct host h;

	connecting(&h, 4096);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 100);
	rig_until(&h.rig, has_dial_failed, &h, "an attempt");
	rig_kill(&h.rig);
	guest_sends(&h, &out, 100);
	guest_close_write(&h.rig);
	rig_restart(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0);
	listener = listen_for_dial(&h);
	fd = accept_now(&h, listener);
	client_gets(&h, fd, &got, 200);
	client_sees(&h, fd, 0);
	close(fd);
	finish_dial(&h, listener);
}
