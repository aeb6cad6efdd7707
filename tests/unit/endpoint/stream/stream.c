// SPDX-License-Identifier: BSD-3-Clause
/*
 * stream.c - the endpoint unix-listen: clients that come and go, and the ends of streams
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "util/fd.h"

/* ------------------------------------------------------------------------------------------- */
/* Coming and going                                                                            */

Test(unix_listen, the_socket)
{
	struct host h;
	struct stat st;

	host_listening(&h, 4096);
	cr_assert_eq(stat(h.path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 0777, 0640);
	cr_assert_not(host_info(&h).connected);
	host_finish(&h);
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

	host_attached(&h, 8192);
	fd = host_client(&h);
	cr_assert(host_info(&h).connected);
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(client_sends(&h, fd, &in, 1 + i * 160), 1 + i * 160);
		guest_gets(&h, &seen, 1 + i * 160);
		guest_sends(&h, &out, 1 + i * 160);
		client_gets(&h, fd, &got, 1 + i * 160);
	}
	guest_sees(&h, -FS_AGAIN);
	client_sees(&h, fd, EAGAIN);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_client_that_leaves_without_having_read_makes_way)
{
	uint64_t out = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	guest_close_read(&h.rig); /* bwd takes nothing */
	fd = host_client(&h);
	guest_sends(&h, &out, 100);
	host_leave(&h, fd);
	cr_assert_not(host_info(&h).connected);
	host_finish(&h);
}

Test(unix_listen, before_a_client_comes_the_guest_waits)
{
	struct host h;

	host_attached(&h, 4096);
	guest_sees(&h, -FS_AGAIN);
	cr_assert_eq(pipe_arm_read(&h.rig.guest.rx), 0);
	cr_assert_eq(channel_write_phase(&h.rig.ch), 0);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), 1, "it fills the ring");
	host_finish(&h);
}

Test(unix_listen, a_client_that_comes_before_the_guest_is_held)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	host_listening(&h, 4096);
	fd = host_client(&h);
	cr_assert(host_info(&h).connected);
	cr_assert_eq(client_sends(&h, fd, &in, 1000), 1000);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_open_read(&h.rig);
	guest_open_write(&h.rig);
	guest_gets(&h, &seen, 1000);
	guest_sends(&h, &out, 1000);
	client_gets(&h, fd, &got, 1000);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, one_that_left_before_the_guest_came_is_heard_if_it_spoke)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	host_listening(&h, 4096);
	host_leave(&h, host_client(&h));
	cr_assert_not(host_info(&h).connected, "it had nothing to say");
	fd = host_client(&h);
	client_sends(&h, fd, &in, 1000);
	host_leave(&h, fd);
	cr_assert(host_info(&h).connected);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	cr_assert_eq(rig_attach(&h.rig), 0);
	guest_open_read(&h.rig);
	guest_gets(&h, &seen, 1000);
	guest_sees(&h, 0);
	cr_assert_not(host_info(&h).connected);
	cr_assert_eq(host_info(&h).clients, 2);
	host_finish(&h);
}

Test(unix_listen, a_second_client_is_closed_and_counted)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int first, second;

	host_attached(&h, 4096);
	first = host_client(&h);
	for (int i = 1; i <= 3; i++) {
		second = host_client(&h);
		client_sees(&h, second, 0);
		close(second);
		cr_assert_eq(host_info(&h).refused, (uint64_t)i);
	}
	cr_assert_eq(host_info(&h).clients, 1);
	client_sends(&h, first, &in, 100);
	guest_gets(&h, &seen, 100);
	host_leave(&h, first);
	cr_assert_not(host_info(&h).connected);
	host_leave(&h, host_client(&h));
	cr_assert_eq(host_info(&h).clients, 2);
	host_finish(&h);
}

Test(unix_listen, one_leaves_and_the_next_comes_in_the_same_moment)
{
	struct host h;
	int first, second;

	host_attached(&h, 4096);
	first = host_client(&h);
	for (int i = 0; i < 20; i++) {
		/* Either may be what the daemon sees first. */
		if (i % 2)
			close(first);
		second = fd_connect_unix(h.path);
		cr_assert_geq(second, 0);
		if (!(i % 2))
			close(first);
		rig_turns(&h.rig, 3);
		client_sees(&h, second, EAGAIN);
		first = second;
	}
	cr_assert_eq(host_info(&h).refused, 0);
	cr_assert_eq(host_info(&h).clients, 21);
	close(first);
	host_finish(&h);
}

/* ------------------------------------------------------------------------------------------- */
/* Ends                                                                                        */

Test(unix_listen, the_clients_half_close_is_the_guests_end_of_file)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	client_sends(&h, fd, &in, 3000);
	shutdown(fd, SHUT_WR);
	guest_gets(&h, &seen, 3000);
	guest_sees(&h, 0);
	/* The other direction goes on, */
	guest_sends(&h, &out, 4096);
	client_gets(&h, fd, &got, 4096);
	cr_assert(host_info(&h).connected);
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	/* and when it ends too, the client is done. */
	guest_close_write(&h.rig);
	client_sees(&h, fd, 0);
	cr_assert_not(host_info(&h).connected);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, the_guests_half_close_is_the_clients_end_of_file)
{
	uint64_t in = 0, out = 0, seen = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
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
	cr_assert_not(host_info(&h).connected);
	close(fd);
	/* Until the next client. */
	fd = host_client(&h);
	out = got = 0;
	guest_sends(&h, &out, 10);
	client_gets(&h, fd, &got, 10);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_client_that_goes_is_eof_and_epipe)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	client_sends(&h, fd, &in, 4000);
	host_leave(&h, fd);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	guest_gets(&h, &seen, 4000);
	guest_sees(&h, 0);
	guest_close_read(&h.rig);
	/* The next one is a new stream. */
	guest_open_read(&h.rig);
	guest_sees(&h, -FS_AGAIN);
	fd = host_client(&h);
	client_sends(&h, fd, &in, 100);
	guest_gets(&h, &seen, 100);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, what_a_client_wrote_before_it_went_is_delivered)
{
	uint64_t in = 0, seen = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	cr_assert_eq(client_sends(&h, fd, &in, 60000), 60000);
	host_leave(&h, fd);
	cr_assert(host_info(&h).connected, "its stream has not ended");
	cr_assert_leq(rig_cpu_ms(&h.rig, 100), SPIN_MS);
	guest_gets(&h, &seen, 60000);
	guest_sees(&h, 0);
	cr_assert_not(host_info(&h).connected);
	host_finish(&h);
}

Test(unix_listen, what_no_client_took_is_the_next_ones)
{
	uint64_t out = 0, got = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	guest_sends(&h, &out, 3000);
	guest_close_write(&h.rig);
	fd = host_client(&h);
	client_gets(&h, fd, &got, 3000);
	client_sees(&h, fd, 0);
	host_leave(&h, fd);
	/* That end is taken: the next client waits for the next writer. */
	fd = host_client(&h);
	client_sees(&h, fd, EAGAIN);
	guest_open_write(&h.rig);
	guest_sends(&h, &out, 10);
	client_gets(&h, fd, &got, 10);
	close(fd);
	host_finish(&h);
}

Test(unix_listen, a_client_that_does_not_read_any_more)
{
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	shutdown(fd, SHUT_RD);
	guest_write(&h.rig, h.path, 1);
	rig_turns(&h.rig, 3);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), -FS_PIPE);
	cr_assert(host_info(&h).connected, "it may still write");
	host_leave(&h, fd);
	cr_assert_not(host_info(&h).connected);
	host_finish(&h);
}

Test(unix_listen, a_client_that_is_gone_with_unread_bytes)
{
	uint64_t out = 0;
	struct host h;
	int fd;

	host_attached(&h, 4096);
	fd = host_client(&h);
	guest_sends(&h, &out, 4000);
	shutdown(fd, SHUT_WR);
	rig_turns(&h.rig, 3);
	host_leave(&h, fd); /* ECONNRESET, not a plain end */
	cr_assert_not(host_info(&h).connected);
	host_leave(&h, host_client(&h));
	cr_assert_eq(host_info(&h).refused, 0);
	host_finish(&h);
}
