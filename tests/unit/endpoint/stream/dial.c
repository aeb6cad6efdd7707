// SPDX-License-Identifier: BSD-3-Clause
/*
 * dial.c - the endpoint unix-connect: when it connects, and when a connection is over
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

HOST_TEST(unix_connect, follows_the_guests_opening, connecting, 4096,
	  "server listens; nobody comes; opens read; client comes; opens write; both talk 20;"
	  "clients 1; failed 0")

Test(unix_connect, what_is_written_waits_for_a_listener)
{
	struct host h;

	host_connecting(&h, 4096);
	host_play(&h, "opens write; guest sends 3000; attempt fails");
	cr_assert(strstr(rig_info(&h.rig).error, "/s: No such file"), "%s", rig_info(&h.rig).error);
	host_play(&h, "guest sends 1096; is held up; closes write; server listens; client comes");
	cr_assert_str_empty(rig_info(&h.rig).error);
	host_play(&h, "client gets 4096; client sees end; client leaves; nobody comes");
	host_finish(&h);
}

Test(unix_connect, a_listener_that_comes_is_noticed_at_once)
{
	struct host h;

	host_connecting(&h, 4096);
	guest_open_read(&h.rig);
	/* By now the timer alone would take a second and more */
	while (rig_info(&h.rig).failed < 6)
		rig_cpu_ms(&h.rig, 50);
	host_play(&h, "server listens");
	cr_assert_leq(rig_cpu_ms(&h.rig, 200), SPIN_MS);
	h.fd = accept4(h.listener, NULL, NULL, 0);
	cr_assert_geq(h.fd, 0);
	host_finish(&h);
}

Test(unix_connect, waits_longer_and_longer)
{
	struct host h;

	host_connecting(&h, 4096);
	guest_open_read(&h.rig);
	cr_assert_leq(rig_cpu_ms(&h.rig, 900), SPIN_MS);
	cr_assert_geq(rig_info(&h.rig).failed, 3);
	cr_assert_leq(rig_info(&h.rig).failed, 6);
	/* After the guest has closed there is no attempt any longer, and to open again begins no new
	 * series of them. */
	guest_close_read(&h.rig);
	for (uint64_t before = rig_info(&h.rig).failed, i = 0; i < 5; i++) {
		host_play(&h, "opens read; turns; closes read");
		cr_assert_leq(rig_info(&h.rig).failed, before + 1);
	}
	host_finish(&h);
}

HOST_TEST(unix_connect, a_server_that_hangs_up_on_what_is_to_be_sent_is_not_called_at_once,
	  connecting, 1 << 20,
	  "server listens; opens write; guest sends 1048576; closes write;" THRICE(
		  "client comes; client leaves; disconnected; nobody waits;"))

#define WRITER \
	"opens write; guest sends 100; closes write; client comes; client gets 100; client sees end;"

/* Two of them find the former connection half closed */
HOST_TEST(unix_connect, each_writer_has_a_connection, connecting, 4096,
	  "server listens;" WRITER WRITER "client leaves;" WRITER WRITER "client leaves;" WRITER
	  /* Nothing came, so no end is left for a reader that comes now */
	  "clients 5; failed 0; client leaves; opens read; guest sees nothing; client comes;"
	  "client closes")

HOST_TEST(unix_connect, a_writer_that_brings_nothing_ends_no_later_connection, connecting, 4096,
	  "opens write; closes write; server listens; nobody comes; opens read; client comes;"
	  "client sees nothing")

HOST_TEST(unix_connect, the_end_is_seen_before_the_next_connection_comes, connecting, 4096,
	  "server listens; opens read;" THRICE(
		  "client comes; client sends 100; client leaves; nobody comes; guest gets 100;"
		  "guest sees end; nobody comes; closes read; nobody comes; opens read;"
		  "guest sees nothing;"))

HOST_TEST(unix_connect, a_writer_that_lost_its_connection_gets_epipe_until_it_closes, connecting,
	  4096,
	  "server listens; opens write; client comes; guest sends 100; client gets 100;"
	  "client leaves; guest has EPIPE; nobody comes; closes write; opens write;"
	  "guest sends 100; client comes; client gets 100")

HOST_TEST(unix_connect, an_answer_waits_for_its_reader, connecting, 4096,
	  "server listens; opens write; guest sends 10; closes write; client comes;"
	  "client gets 10; client sees end; client sends 1000; client leaves; opens read;"
	  "nobody comes; guest gets 1000; guest sees end; nobody comes; closes read;"
	  "opens read; client comes;"
	  /* The same when the reader left before the end: what is there is the next one's. */
	  "client sends 1000; guest gets 10; closes read; client sees end; client closes;"
	  "opens read; nobody comes; guest gets 990; guest sees end; closes read;"
	  "opens read; client comes; client closes")

HOST_TEST(unix_connect, a_reader_that_leaves_hangs_up, connecting, 4096,
	  "server listens; opens read; client comes; client sends 3000; guest gets 10;"
	  "closes read; client sees end; nobody comes")

HOST_TEST(unix_connect, both_ends_closed_hang_up_when_all_is_sent, connecting, 1 << 20,
	  "server listens; opens read; opens write; client comes; guest sends 1048576;"
	  "closes read; closes write; connected; client gets 1048576; client sees end;"
	  "client cannot send; nobody comes")

HOST_TEST(unix_connect, half_closes, connecting, 4096,
	  "server listens; opens read; opens write; client comes; client sends 100;"
	  "client ends; guest gets 100; guest sees end; guest sends 3000;"
	  "client gets 3000; closes write; client sees end; disconnected; client closes;"
	  /* The other half first */
	  "closes read; opens write; opens read; client comes; closes write;"
	  "client sees end; client sends 4000; guest gets 4000;"
	  /* A writer that comes now waits: the reader is still at it. */
	  "opens write; guest sends 100; client sends 100; guest gets 100; client leaves;"
	  "guest sees end; closes read; client comes; client gets 100")

/* A writer that comes and goes while the daemon looks: its looks at the guest come here (ld's --wrap): what is armed happens before one */
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

/* The guest opens, if it has not, writes and closes; its bells come later. */
static void write_100_and_close(struct channel *ch)
{
	struct okl4_pipe *tx = &racing->rig.guest.tx;
	uint8_t bytes[100];
	bool notify;

	pattern_fill(bytes, racing->rig.out, sizeof(bytes));
	okl4_pipe_producer_open(tx);
	cr_assert_eq(okl4_pipe_write(tx, bytes, sizeof(bytes), &notify), sizeof(bytes));
	okl4_pipe_producer_close(tx);
	racing->rig.out += sizeof(bytes);
}

/* The next connection must see its end, whichever look of the daemon's the writer comes before. */
static void a_writer_while_a_connection_ends(void (**when)(struct channel *ch))
{
	struct host h;

	host_connecting(&h, 4096);
	racing = &h;
	host_play(&h, "server listens; opens write; guest sends 100; closes write; client comes; "
		      "client gets 100; client sees end");
	*when = write_100_and_close;
	host_play(&h, "client leaves");
	cr_assert_null(*when);
	host_play(&h, "guest rings; client comes; client gets 100; client sees end");
	host_finish(&h);
}

Test(unix_connect, a_writer_comes_and_goes_as_a_connection_ends)
{
	a_writer_while_a_connection_ends(&before_writer);
}

Test(unix_connect, a_writer_comes_and_goes_as_a_connection_ends_and_its_bytes_are_looked_for)
{
	a_writer_while_a_connection_ends(&before_readable);
}

/* What a writer that closes meanwhile wrote last is the same connection's. */
static void a_writer_that_closes_meanwhile(void (**when)(struct channel *ch))
{
	struct host h;

	host_connecting(&h, 4096);
	racing = &h;
	host_play(&h, "server listens; opens read; opens write; client comes; guest sends 100; "
		      "client gets 100; closes read");
	*when = write_100_and_close;
	h.rig.ch.endpoint_ops->woken(h.rig.ch.endpoint);
	cr_assert_null(*when);
	host_play(&h, "guest rings; client gets 100; client sees end");
	host_finish(&h);
}

Test(unix_connect, a_writer_closes_as_the_daemon_looks)
{
	a_writer_that_closes_meanwhile(&before_writer);
}

Test(unix_connect, a_writer_closes_as_the_daemon_looks_for_its_bytes)
{
	a_writer_that_closes_meanwhile(&before_readable);
}

HOST_TEST(unix_connect, memory_away_for_a_while, connecting, 4096,
	  "opens write; guest sends 100; attempt fails; guest loses memory; server listens;"
	  "nobody comes; guest attaches; client comes; client gets 100; guest loses memory;"
	  "guest attaches; guest sends 100; client gets 100; clients 1; guest is gone;"
	  "client sees end; nobody comes")

HOST_TEST(unix_connect, a_restart_is_a_connection_that_ended, connecting, 4096,
	  "server listens; opens read; opens write; client comes; daemon dies;"
	  "client closes; guest sends 100; daemon starts; guest attaches; guest sees end;"
	  "guest has EPIPE; nobody comes;"
	  /* What was written and not taken is there, once. */
	  "closes read; closes write; client comes; client gets 100; client sees end")

HOST_TEST(unix_connect, a_restart_before_a_connection_changes_nothing, connecting, 4096,
	  "opens write; guest sends 100; attempt fails; daemon dies; guest sends 100;"
	  "closes write; daemon starts; guest attaches; server listens; client comes;"
	  "client gets 200; client sees end")
