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
	struct host h;

	host_attached(&h, 8192);
	host_play(&h, "client comes; connected");
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(client_sends(&h, h.fd, &h.in, 1 + i * 160), 1 + i * 160);
		guest_gets(&h, &h.seen, 1 + i * 160);
		guest_sends(&h, &h.out, 1 + i * 160);
		client_gets(&h, h.fd, &h.got, 1 + i * 160);
	}
	host_play(&h, "guest sees nothing; client sees nothing");
	host_finish(&h);
}

Test(unix_listen, a_client_that_leaves_without_having_read_makes_way)
{
	/* closes read: bwd takes nothing */
	attached_plays(4096,
		       "closes read; client comes; guest sends 100; client leaves; disconnected");
}

Test(unix_listen, before_a_client_comes_the_guest_waits)
{
	struct host h;

	host_attached(&h, 4096);
	guest_sees(&h, -OKL4_AGAIN);
	cr_assert_eq(okl4_pipe_arm_read(&h.rig.guest.rx), 0);
	cr_assert_eq(channel_write_phase(&h.rig.ch), 0);
	cr_assert_eq(guest_write(&h.rig, h.path, 1), 1, "it fills the ring");
	host_finish(&h);
}

Test(unix_listen, a_client_that_comes_before_the_guest_is_held)
{
	listening_plays(
		4096, "client comes; connected; client sends 1000; idle; memory comes; opens read; "
		      "opens write; guest gets 1000; guest sends 1000; client gets 1000");
}

Test(unix_listen, one_that_left_before_the_guest_came_is_heard_if_it_spoke)
{
	struct host h;

	host_listening(&h, 4096);
	host_leave(&h, host_client(&h)); /* it had nothing to say */
	host_play(&h,
		  "disconnected; client comes; client sends 1000; client leaves; connected; idle; "
		  "memory comes; opens read; guest gets 1000; guest sees end; disconnected; "
		  "clients 2");
	host_finish(&h);
}

Test(unix_listen, a_second_client_is_closed_and_counted)
{
	struct host h;
	int second;

	host_attached(&h, 4096);
	host_play(&h, "client comes");
	for (int i = 1; i <= 3; i++) {
		second = host_client(&h);
		client_sees(&h, second, 0);
		close(second);
		cr_assert_eq(host_info(&h).refused, (uint64_t)i);
	}
	host_play(&h, "clients 1; client sends 100; guest gets 100; client leaves; disconnected; "
		      "client comes; client leaves; clients 2");
	host_finish(&h);
}

Test(unix_listen, one_leaves_and_the_next_comes_in_the_same_moment)
{
	struct host h;
	int first;

	host_attached(&h, 4096);
	host_play(&h, "client comes");
	for (int i = 0; i < 20; i++) {
		first = h.fd;
		/* Either may be what the daemon sees first. */
		if (i % 2)
			close(first);
		h.fd = fd_connect_unix(h.path, false);
		cr_assert_geq(h.fd, 0);
		if (!(i % 2))
			close(first);
		host_play(&h, "turns; client sees nothing");
	}
	host_play(&h, "refused 0; clients 21");
	host_finish(&h);
}

/* ------------------------------------------------------------------------------------------- */
/* Ends                                                                                        */

Test(unix_listen, the_clients_half_close_is_the_guests_end_of_file)
{
	attached_plays(
		4096,
		"client comes; client sends 3000; client ends; guest gets 3000; guest sees end; "
		/* The other direction goes on, and when it ends too, the client is done. */
		"guest sends 4096; client gets 4096; connected; idle; closes write; "
		"client sees end; disconnected");
}

Test(unix_listen, the_guests_half_close_is_the_clients_end_of_file)
{
	attached_plays(
		4096,
		"client comes; guest sends 3000; closes write; client gets 3000; "
		"client sees end; client sends 4096; guest gets 4096; "
		/* The host's reading end has closed, until the next client comes. */
		"opens write; guest has EPIPE; idle; client ends; guest sees end; disconnected; "
		"client closes; client comes; guest sends 10; client gets 10");
}

Test(unix_listen, a_client_that_goes_is_eof_and_epipe)
{
	attached_plays(
		4096,
		"client comes; client sends 4000; client leaves; guest has EPIPE; "
		"guest gets 4000; guest sees end; closes read; "
		/* The next one is a new stream. */
		"opens read; guest sees nothing; client comes; client sends 100; guest gets 100");
}

Test(unix_listen, what_a_client_wrote_before_it_went_is_delivered)
{
	/* Its stream has not ended before the guest has all of it. */
	attached_plays(4096, "client comes; client sends 60000; client leaves; connected; idle; "
			     "guest gets 60000; guest sees end; disconnected");
}

Test(unix_listen, what_no_client_took_is_the_next_ones)
{
	attached_plays(
		4096,
		"guest sends 3000; closes write; client comes; client gets 3000; "
		"client sees end; client leaves; "
		/* That end is taken: the next client waits for the next writer. */
		"client comes; client sees nothing; opens write; guest sends 10; client gets 10");
}

Test(unix_listen, a_client_that_no_longer_reads)
{
	struct host h;

	host_attached(&h, 4096);
	host_play(&h, "client comes");
	shutdown(h.fd, SHUT_RD);
	/* It may still write. */
	host_play(&h,
		  "guest sends 1; turns; guest has EPIPE; connected; client leaves; disconnected");
	host_finish(&h);
}

Test(unix_listen, a_client_that_is_gone_with_unread_bytes)
{
	/* Its leaving is ECONNRESET, not a plain end. */
	attached_plays(
		4096,
		"client comes; guest sends 4000; client ends; turns; client leaves; disconnected; "
		"client comes; client leaves; refused 0");
}
