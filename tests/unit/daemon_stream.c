// SPDX-License-Identifier: BSD-3-Clause
/*
 * daemon_stream.c - the endpoint unix-listen: clients of every kind
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_rig.h"
#include "util/fd.h"

#define SPIN_MS 30 /* of 100: more is a loop that does not sleep */

/**
 * struct host - a rig with a unix-listen
 * @rig: rig
 * @dir: where its socket lies
 * @path: of the socket
 */
struct host {
	struct rig rig;
	char dir[32], path[64];
};

/**
 * listening() - a rig with a unix-listen, not attached
 * @h: host
 * @ring_bytes: ring
 */
static void listening(struct host *h, uint64_t ring_bytes)
{
	struct endpoint_config cfg = { .type = ENDPOINT_UNIX_LISTEN, .mode = 0640 };

	strcpy(h->dir, "/tmp/okl4fs-stream-XXXXXX");
	cr_assert_not_null(mkdtemp(h->dir));
	snprintf(h->path, sizeof(h->path), "%s/s", h->dir);
	cfg.path = h->path;
	rig_init(&h->rig, &cfg, ring_bytes);
}

/**
 * attached() - the same, attached, with the guest's ends open
 * @h: host
 * @ring_bytes: ring
 */
static void attached(struct host *h, uint64_t ring_bytes)
{
	listening(h, ring_bytes);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_read(&h->rig);
	guest_open_write(&h->rig);
}

/**
 * finish() - let it go
 * @h: host
 */
static void finish(struct host *h)
{
	rig_deinit(&h->rig);
	cr_assert_neq(access(h->path, F_OK), 0, "the socket is removed");
	cr_assert_eq(rmdir(h->dir), 0);
}

/**
 * client() - connect, and let the daemon see it
 * @h: host
 *
 * Return: a non-blocking connection.
 */
static int client(struct host *h)
{
	int fd = fd_connect_unix(h->path);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	rig_turns(&h->rig, 3);
	return fd;
}

/**
 * leave() - close a connection, and let the daemon see it
 * @h: host
 * @fd: connection
 */
static void leave(struct host *h, int fd)
{
	close(fd);
	rig_turns(&h->rig, 3);
}

/**
 * info() - what the endpoint says of itself
 * @h: host
 *
 * Return: that.
 */
static struct endpoint_info info(struct host *h)
{
	struct endpoint_info i;

	h->rig.ep->ops->info(h->rig.ep, &i);
	return i;
}

/**
 * guest_gets() - the guest must read a part of the stream, and no more
 * @h: host
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
static void guest_gets(struct host *h, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);
	uint64_t done = 0;

	while (done < bytes) {
		int64_t n = guest_read(&h->rig, buf, bytes - done);

		if (n == -FS_AGAIN) {
			rig_turns(&h->rig, 3);
			n = guest_read(&h->rig, buf, bytes - done);
		}
		cr_assert_gt(n, 0, "%s", fs_status_name((int)n));
		pattern_check(buf, *pos, (uint64_t)n);
		*pos += (uint64_t)n;
		done += (uint64_t)n;
	}
	free(buf);
}

/**
 * guest_sees() - a read in the guest must give no byte, but this
 * @h: host
 * @want: 0 (end-of-file) or -FS_AGAIN
 */
static void guest_sees(struct host *h, int64_t want)
{
	uint8_t byte;

	rig_turns(&h->rig, 3);
	cr_assert_eq(guest_read(&h->rig, &byte, 1), want);
}

/**
 * guest_sends() - the guest writes a part of the stream, all of it
 * @h: host
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
static void guest_sends(struct host *h, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, *pos, bytes);
	cr_assert_eq(guest_write(&h->rig, buf, bytes), (int64_t)bytes);
	*pos += bytes;
	free(buf);
	rig_turns(&h->rig, 2);
}

/**
 * client_gets() - a client must read a part of the stream
 * @h: host
 * @fd: client
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
static void client_gets(struct host *h, int fd, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t n = recv(fd, buf, bytes - done, 0);

		if (n < 0 && errno == EAGAIN) {
			rig_turns(&h->rig, 3);
			n = recv(fd, buf, bytes - done, 0);
		}
		cr_assert_gt(n, 0, "%s after %llu bytes", n ? strerror(errno) : "end",
			     (unsigned long long)done);
		pattern_check(buf, *pos, (uint64_t)n);
		*pos += (uint64_t)n;
		done += (uint64_t)n;
	}
	free(buf);
}

/**
 * client_sees() - a read of the client's must give no byte, but this
 * @h: host
 * @fd: client
 * @want: 0 (end-of-file), or an errno
 */
static void client_sees(struct host *h, int fd, int want)
{
	ssize_t n;
	char c;

	rig_turns(&h->rig, 3);
	n = recv(fd, &c, 1, 0);
	if (want)
		cr_assert(n < 0 && errno == want, "%zd, %s", n, strerror(errno));
	else
		cr_assert_eq(n, 0);
}

/**
 * client_sends() - a client writes a part of the stream
 * @h: host
 * @fd: client
 * @pos: position in the stream; moved on
 * @bytes: how many at most
 *
 * Return: how many its socket took.
 */
static uint64_t client_sends(struct host *h, int fd, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);
	ssize_t n;

	pattern_fill(buf, *pos, bytes);
	n = send(fd, buf, bytes, MSG_NOSIGNAL);
	free(buf);
	rig_turns(&h->rig, 3);
	if (n < 0) {
		cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
		return 0;
	}
	*pos += (uint64_t)n;
	return (uint64_t)n;
}

/* ------------------------------------------------------------------------------------------- */
/* Coming and going                                                                            */

Test(unix_listen, the_socket)
{
	struct host h;
	struct stat st;

	listening(&h, 4096);
	cr_assert_eq(stat(h.path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 0777, 0640);
	cr_assert_not(info(&h).joined);
	finish(&h);
}

Test(unix_listen, a_socket_that_cannot_be)
{
	struct channel_config cfg = {
		.name = (char *)"c",
		.ring_bytes = 4096,
		.endpoint = { .type = ENDPOINT_UNIX_LISTEN, .path = (char *)"/nonexistent/s" },
	};
	struct endpoint *ep;
	struct channel ch;
	struct rig rig;

	rig_init(&rig, NULL, 4096);
	channel_init(&ch, &cfg, "vm1", 0, rig.loop, NULL, NULL);
	cr_assert_eq(endpoint_new(&ep, &ch), -ENOENT);
	cr_assert_null(ep);
	rig_deinit(&rig);
}

Test(unix_listen, both_ways)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 8192);
	fd = client(&h);
	cr_assert(info(&h).joined);
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(client_sends(&h, fd, &in, 1 + i * 160), 1 + i * 160);
		guest_gets(&h, &seen, 1 + i * 160);
		guest_sends(&h, &out, 1 + i * 160);
		client_gets(&h, fd, &got, 1 + i * 160);
	}
	guest_sees(&h, -FS_AGAIN);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	finish(&h);
}

Test(unix_listen, before_a_client_comes_the_guest_waits)
{
	struct host h;

	attached(&h, 4096);
	guest_sees(&h, -FS_AGAIN);
	cr_assert_eq(pipe_arm_read(&h.rig.guest.rx), 0);
	cr_assert_eq(channel_write_phase(&h.rig.ch), 0);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), 1, "it fills the ring");
	finish(&h);
}

Test(unix_listen, a_client_that_comes_before_the_guest_is_held)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	listening(&h, 4096);
	fd = client(&h);
	cr_assert(info(&h).joined);
	cr_assert_eq(client_sends(&h, fd, &in, 1000), 1000);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_open_read(&h.rig);
	guest_open_write(&h.rig);
	guest_gets(&h, &seen, 1000);
	guest_sends(&h, &out, 1000);
	client_gets(&h, fd, &got, 1000);
	close(fd);
	finish(&h);
}

Test(unix_listen, one_that_left_before_the_guest_came_is_heard_if_it_spoke)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	listening(&h, 4096);
	leave(&h, client(&h));
	cr_assert_not(info(&h).joined, "it had nothing to say");
	fd = client(&h);
	client_sends(&h, fd, &in, 1000);
	leave(&h, fd);
	cr_assert(info(&h).joined);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_open_read(&h.rig);
	guest_gets(&h, &seen, 1000);
	guest_sees(&h, 0);
	cr_assert_not(info(&h).joined);
	cr_assert_eq(info(&h).clients, 2);
	finish(&h);
}

Test(unix_listen, a_second_client_is_closed_and_counted)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int first, second;

	attached(&h, 4096);
	first = client(&h);
	for (int i = 1; i <= 3; i++) {
		second = client(&h);
		client_sees(&h, second, 0);
		close(second);
		cr_assert_eq(info(&h).refused, (uint64_t)i);
	}
	cr_assert_eq(info(&h).clients, 1);
	client_sends(&h, first, &in, 100);
	guest_gets(&h, &seen, 100);
	leave(&h, first);
	cr_assert_not(info(&h).joined);
	leave(&h, client(&h));
	cr_assert_eq(info(&h).clients, 2);
	finish(&h);
}

Test(unix_listen, one_leaves_and_the_next_comes_in_the_same_moment)
{
	struct host h;
	int first, second;

	attached(&h, 4096);
	first = client(&h);
	for (int i = 0; i < 20; i++) {
		close(first);
		second = fd_connect_unix(h.path);
		cr_assert_geq(second, 0);
		rig_turns(&h.rig, 3);
		client_sees(&h, second, EAGAIN);
		first = second;
	}
	cr_assert_eq(info(&h).refused, 0);
	cr_assert_eq(info(&h).clients, 21);
	close(first);
	finish(&h);
}

/* ------------------------------------------------------------------------------------------- */
/* Ends                                                                                        */

Test(unix_listen, the_clients_half_close_is_the_guests_end_of_file)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	client_sends(&h, fd, &in, 3000);
	shutdown(fd, SHUT_WR);
	guest_gets(&h, &seen, 3000);
	guest_sees(&h, 0);
	/* The other direction goes on, */
	guest_sends(&h, &out, 4096);
	client_gets(&h, fd, &got, 4096);
	cr_assert(info(&h).joined);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	/* and when it ends too, the client is done. */
	guest_close_write(&h.rig);
	client_sees(&h, fd, 0);
	cr_assert_not(info(&h).joined);
	close(fd);
	finish(&h);
}

Test(unix_listen, the_guests_half_close_is_the_clients_end_of_file)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	guest_sends(&h, &out, 3000);
	guest_close_write(&h.rig);
	client_gets(&h, fd, &got, 3000);
	client_sees(&h, fd, 0);
	client_sends(&h, fd, &in, 4096);
	guest_gets(&h, &seen, 4096);
	/* The host's reading end has closed. */
	guest_open_write(&h.rig);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	shutdown(fd, SHUT_WR);
	guest_sees(&h, 0);
	cr_assert_not(info(&h).joined);
	close(fd);
	/* Until the next client. */
	fd = client(&h);
	out = got = 0;
	guest_sends(&h, &out, 10);
	client_gets(&h, fd, &got, 10);
	close(fd);
	finish(&h);
}

Test(unix_listen, a_client_that_goes_is_eof_and_epipe)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	client_sends(&h, fd, &in, 4000);
	leave(&h, fd);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	guest_gets(&h, &seen, 4000);
	guest_sees(&h, 0);
	guest_close_read(&h.rig);
	/* The next one is a new stream. */
	guest_open_read(&h.rig);
	guest_sees(&h, -FS_AGAIN);
	fd = client(&h);
	client_sends(&h, fd, &in, 100);
	guest_gets(&h, &seen, 100);
	close(fd);
	finish(&h);
}

Test(unix_listen, what_a_client_wrote_before_it_went_is_delivered)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	cr_assert_eq(client_sends(&h, fd, &in, 60000), 60000);
	leave(&h, fd);
	cr_assert(info(&h).joined, "its stream has not ended");
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	guest_gets(&h, &seen, 60000);
	guest_sees(&h, 0);
	cr_assert_not(info(&h).joined);
	finish(&h);
}

Test(unix_listen, what_no_client_took_is_the_next_ones)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	guest_sends(&h, &out, 3000);
	guest_close_write(&h.rig);
	fd = client(&h);
	client_gets(&h, fd, &got, 3000);
	client_sees(&h, fd, 0);
	leave(&h, fd);
	/* That end is taken: the next client waits for the next writer. */
	fd = client(&h);
	client_sees(&h, fd, EAGAIN);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 10);
	client_gets(&h, fd, &got, 10);
	close(fd);
	finish(&h);
}

Test(unix_listen, a_client_that_does_not_read_any_more)
{
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	shutdown(fd, SHUT_RD);
	guest_write(&h.rig, h.path, 1);
	rig_turns(&h.rig, 3);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	cr_assert(info(&h).joined, "it may still write");
	leave(&h, fd);
	cr_assert_not(info(&h).joined);
	finish(&h);
}

Test(unix_listen, a_client_that_is_gone_with_unread_bytes)
{
	uint64_t out = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	guest_sends(&h, &out, 4000);
	shutdown(fd, SHUT_WR);
	rig_turns(&h.rig, 3);
	leave(&h, fd); /* ECONNRESET, not a plain end */
	cr_assert_not(info(&h).joined);
	leave(&h, client(&h));
	cr_assert_eq(info(&h).refused, 0);
	finish(&h);
}

/* ------------------------------------------------------------------------------------------- */
/* Back-pressure                                                                               */

Test(unix_listen, a_client_that_does_not_take_fills_the_ring_and_no_more)
{
	uint64_t out = 0, got = 0, stalled;
	uint8_t buf[4096];
	struct host h;
	int fd, idle;

	attached(&h, 16384);
	fd = client(&h);
	for (idle = 0; idle < 3;) {
		int64_t n;

		pattern_fill(buf, out, sizeof(buf));
		n = guest_write(&h.rig, buf, sizeof(buf));
		out += n > 0 ? (uint64_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		rig_turns(&h.rig, 2);
	}
	cr_assert_eq(guest_write(&h.rig, buf, 1), -FS_AGAIN);
	stalled = h.rig.ch.fwd.bytes;
	cr_assert_eq(out - stalled, 16384);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	cr_assert_eq(h.rig.ch.fwd.bytes, stalled);
	client_gets(&h, fd, &got, out);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	finish(&h);
}

Test(unix_listen, a_guest_that_does_not_take_holds_up_the_client)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	attached(&h, 16384);
	fd = client(&h);
	while (client_sends(&h, fd, &in, 65536))
		;
	cr_assert_eq(h.rig.ch.bwd.bytes, 16384);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	guest_gets(&h, &seen, in);
	guest_sees(&h, -FS_AGAIN);
	close(fd);
	finish(&h);
}

Test(unix_listen, a_guest_without_reader_holds_up_the_client)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	guest_close_read(&h.rig);
	client_sends(&h, fd, &in, 1000);
	cr_assert_eq(h.rig.ch.bwd.bytes, 0);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	guest_open_read(&h.rig);
	guest_gets(&h, &seen, 1000);
	/* A client that goes meanwhile is noticed, though nothing of it is read. */
	guest_close_read(&h.rig);
	leave(&h, fd);
	cr_assert_not(info(&h).joined);
	finish(&h);
}

Test(unix_listen, a_stalled_client_that_goes_makes_room_for_the_next)
{
	uint8_t buf[4096] = { 0 };
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	while (guest_write(&h.rig, buf, sizeof(buf)) > 0)
		rig_turns(&h.rig, 2);
	leave(&h, fd);
	cr_assert_not(info(&h).joined);
	cr_assert_eq(guest_write(&h.rig, buf, 1), -FS_PIPE);
	fd = client(&h);
	cr_assert_eq(info(&h).refused, 0);
	cr_assert_gt(recv(fd, buf, sizeof(buf), 0), 0, "what was left in the ring");
	close(fd);
	finish(&h);
}

/* ------------------------------------------------------------------------------------------- */
/* Memory that comes and goes                                                                  */

Test(unix_listen, memory_away_for_a_while)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	client_sends(&h, fd, &in, 1000);
	channel_suspend(&h.rig.ch);
	client_sends(&h, fd, &in, 1000);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_gets(&h, &seen, 2000);
	guest_sends(&h, &out, 1000);
	client_gets(&h, fd, &got, 1000);
	cr_assert_eq(channel_write_phase(&h.rig.ch), 1, "nobody saw it close");
	/* A client that goes meanwhile is noticed when the memory is back. */
	channel_suspend(&h.rig.ch);
	leave(&h, fd);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	cr_assert_not(info(&h).joined);
	finish(&h);
}

Test(unix_listen, half_closed_over_a_suspension)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	shutdown(fd, SHUT_WR);
	guest_sees(&h, 0);
	channel_suspend(&h.rig.ch);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	guest_sends(&h, &out, 10);
	client_gets(&h, fd, &got, 10);
	close(fd);
	finish(&h);
}

Test(unix_listen, memory_gone_for_good_ends_the_client)
{
	void (*const ways[])(struct channel *) = { channel_detach, channel_guest_gone };
	struct host h;
	int fd;

	for (int i = 0; i < 3; i++) {
		attached(&h, 4096);
		fd = client(&h);
		channel_suspend(&h.rig.ch);
		if (i < 2) {
			ways[i](&h.rig.ch);
		} else {
			rig_new_memory(&h.rig);
			cr_assert_eq(rig_attach(&h.rig), 0);
		}
		client_sees(&h, fd, 0);
		cr_assert_not(info(&h).joined);
		close(fd);
		finish(&h);
	}
}

Test(unix_listen, what_the_guest_wrote_before_it_detached_is_delivered)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 16384);
	fd = client(&h);
	pipe_producer_open(&h.rig.guest.tx);
	channel_suspend(&h.rig.ch);
	guest_sends(&h, &out, 16384);
	cr_assert_eq(rig_attach(&h.rig), 0);
	channel_detach(&h.rig.ch);
	client_gets(&h, fd, &got, 16384);
	client_sees(&h, fd, 0);
	close(fd);
	finish(&h);
}

Test(unix_listen, a_violation_ends_the_client)
{
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	h.rig.guest.tx.shm->producer.head = 1 << 20;
	channel_rung(&h.rig.ch);
	cr_assert_eq(h.rig.ch.state, CHANNEL_FAILED);
	cr_assert_eq(h.rig.told, FS_HEAD_PAST_RING);
	client_sees(&h, fd, 0);
	close(fd);
	/* The next one is held until there is good memory. */
	fd = client(&h);
	client_sees(&h, fd, EAGAIN);
	rig_new_memory(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_open_write(&h.rig);
	cr_assert_eq(guest_write(&h.rig, "\0", 1), 1);
	client_gets(&h, fd, &(uint64_t){ 0 }, 1);
	close(fd);
	finish(&h);
}

Test(unix_listen, a_restart_is_a_client_that_went)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	attached(&h, 4096);
	fd = client(&h);
	rig_kill(&h.rig);
	close(fd);
	guest_sees(&h, -FS_AGAIN);
	guest_sends(&h, &out, 100);
	rig_restart(&h.rig);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_sees(&h, 0);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	/* What was written and not taken is there, once. */
	fd = client(&h);
	client_gets(&h, fd, &got, 100);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	finish(&h);
}

Test(unix_listen, both_ways_at_once_with_interruptions)
{
	const uint64_t total = 8 << 20;
	uint64_t rng = rng_seeded("both_ways_at_once_with_interruptions");
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	static uint8_t buf[65536];
	struct host h;
	int fd;

	attached(&h, 16384);
	fd = client(&h);
	while (seen < total || got < total) {
		uint64_t want = 1 + rng_below(&rng, sizeof(buf));
		int64_t n;

		if (in < total)
			client_sends(&h, fd, &in, want < total - in ? want : total - in);
		if (out < total) {
			want = want < total - out ? want : total - out;
			pattern_fill(buf, out, want);
			n = guest_write(&h.rig, buf, want);
			out += n > 0 ? (uint64_t)n : 0;
		}
		if (!rng_below(&rng, 50)) {
			channel_suspend(&h.rig.ch);
			cr_assert_eq(rig_attach(&h.rig), 0);
		}
		n = guest_read(&h.rig, buf, 1 + rng_below(&rng, sizeof(buf)));
		if (n > 0)
			pattern_check(buf, seen, (uint64_t)n);
		seen += n > 0 ? (uint64_t)n : 0;
		n = recv(fd, buf, 1 + rng_below(&rng, sizeof(buf)), 0);
		if (n > 0)
			pattern_check(buf, got, (uint64_t)n);
		got += n > 0 ? (uint64_t)n : 0;
		rig_turns(&h.rig, 1);
	}
	guest_sees(&h, -FS_AGAIN);
	client_sees(&h, fd, EAGAIN);
	cr_assert_eq(h.rig.ch.fwd.bytes, total);
	cr_assert_eq(h.rig.ch.bwd.bytes, total);
	close(fd);
	finish(&h);
}
