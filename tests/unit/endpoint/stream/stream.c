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

Test(unix_listen, the_socket)
{
	struct host h;
	struct stat st;

	host_listening(&h, 4096);
	cr_assert_eq(stat(h.path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 0777, 0640);
	cr_assert_not(rig_info(&h.rig).connected);
	host_finish(&h);
}

Test(unix_listen, a_socket_that_cannot_be)
{
	rig_refuses(&(struct endpoint_config){ .type = ENDPOINT_UNIX_LISTEN,
					       .path = (char *)"/nonexistent/s" },
		    -ENOENT);
}

HOST_TEST(unix_listen, both_ways, attached, 8192,
	  "client comes; connected; both talk 50; guest sees nothing; client sees nothing")

/* closes read: bwd takes nothing */
HOST_TEST(unix_listen, a_client_that_leaves_without_having_read_makes_way, attached, 4096,
	  "closes read; client comes; guest sends 100; client leaves; disconnected")

Test(unix_listen, before_a_client_comes_the_guest_waits)
{
	struct host h;

	host_attached(&h, 4096);
	host_play(&h, "guest sees nothing");
	cr_assert_eq(okl4_pipe_arm_read(&h.rig.guest.rx), 0);
	host_play(&h, "host has phase 0; guest sends 1"); /* it fills the ring */
	host_finish(&h);
}

HOST_TEST(unix_listen, a_client_that_comes_before_the_guest_is_held, listening, 4096,
	  "client comes; connected; client sends 1000; idles; guest attaches; opens read;"
	  "opens write; guest gets 1000; guest sends 1000; client gets 1000")

/* The first one has nothing to say */
HOST_TEST(unix_listen, one_that_left_before_the_guest_came_is_heard_if_it_spoke, listening, 4096,
	  "client comes; client leaves;"
	  "disconnected; client comes; client sends 1000; client leaves; connected; idles;"
	  "guest attaches; opens read; guest gets 1000; guest sees end; disconnected; clients 2")

HOST_TEST(unix_listen, a_second_client_is_closed_and_counted, attached, 4096,
	  "client comes; second is refused 1; second is refused 2; second is refused 3;"
	  "clients 1; client sends 100; guest gets 100; client leaves; disconnected;"
	  "client comes; client leaves; clients 2")

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
		h.fd = fd_connect_unix(h.path, FD_UNIX_STREAM);
		cr_assert_geq(h.fd, 0);
		if (!(i % 2))
			close(first);
		host_play(&h, "turns; client sees nothing");
	}
	host_play(&h, "refused 0; clients 21");
	host_finish(&h);
}

HOST_TEST(unix_listen, the_clients_half_close_is_the_guests_end_of_file, attached, 4096,
	  "client comes; client sends 3000; client ends; guest gets 3000; guest sees end;"
	  /* The other direction goes on, and when it ends too, the client is done. */
	  "guest sends 4096; client gets 4096; connected; idles; closes write;"
	  "client sees end; disconnected")

HOST_TEST(unix_listen, the_guests_half_close_is_the_clients_end_of_file, attached, 4096,
	  "client comes; guest sends 3000; closes write; client gets 3000;"
	  "client sees end; client sends 4096; guest gets 4096;"
	  /* The host's reading end has closed, until the next client comes. */
	  "opens write; guest has EPIPE; idles; client ends; guest sees end; disconnected;"
	  "client closes; client comes; guest sends 10; client gets 10")

HOST_TEST(unix_listen, a_client_that_goes_is_eof_and_epipe, attached, 4096,
	  "client comes; client sends 4000; client leaves; guest has EPIPE;"
	  "guest gets 4000; guest sees end; closes read;"
	  /* The next one is a new stream. */
	  "opens read; guest sees nothing; client comes; client sends 100; guest gets 100")

/* Its stream has not ended before the guest has all of it. */
HOST_TEST(unix_listen, what_a_client_wrote_before_it_went_is_delivered, attached, 4096,
	  "client comes; client sends 60000; client leaves; connected; idles;"
	  "guest gets 60000; guest sees end; disconnected")

HOST_TEST(unix_listen, what_no_client_took_is_the_next_ones, attached, 4096,
	  "guest sends 3000; closes write; client comes; client gets 3000;"
	  "client sees end; client leaves;"
	  /* That end is taken: the next client waits for the next writer. */
	  "client comes; client sees nothing; opens write; guest sends 10; client gets 10")

/* It may still write. */
HOST_TEST(unix_listen, a_client_that_no_longer_reads, attached, 4096,
	  "client comes; client ends reading; guest sends 1; turns; guest has EPIPE; connected;"
	  "client leaves; disconnected")

/* Its leaving is ECONNRESET, not a plain end. */
HOST_TEST(unix_listen, a_client_that_is_gone_with_unread_bytes, attached, 4096,
	  "client comes; guest sends 4000; client ends; turns; client leaves; disconnected;"
	  "client comes; client leaves; refused 0")
