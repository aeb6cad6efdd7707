// SPDX-License-Identifier: BSD-3-Clause
/*
 * pump.c - the pump of a virtio-serial port: the test is QEMU at its socket, and the host's end
 */
#include "guest/serial/pump.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel/rig.h"

#define RING (1U << 16)

static struct rig rig;
static struct serial_pump pump;
static int qemu;

static void ready(void *arg)
{
}

static void begin(enum endpoint_type type, uint64_t ring_bytes)
{
	int fd[2];

	rig_init(&rig, NULL, ring_bytes);
	rig.cfg.endpoint.type = type;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	qemu = fd[0];
	cr_assert_eq(serial_pump_start(&pump, &rig.ch, fd[1], ready, NULL), 0);
	cr_assert_eq(rig.ch.state, CHANNEL_ATTACHED);
	rig.instance = rig.ch.instance;
}

static void end(void)
{
	serial_pump_stop(&pump);
	cr_assert_neq(rig.ch.state, CHANNEL_ATTACHED);
	close(qemu);
	rig_deinit(&rig);
}

static void qemu_sends(const char *text)
{
	cr_assert_eq(send(qemu, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void qemu_gets(const char *text)
{
	char buf[64] = "";

	cr_assert_eq(recv(qemu, buf, sizeof(buf), 0), (ssize_t)strlen(text));
	cr_assert_str_eq(buf, text);
}

static void host_gets(const char *text)
{
	struct okl4_pipe_seg seg[2];

	cr_assert_eq(channel_peek_read(&rig.ch, seg), (int64_t)strlen(text));
	cr_assert_eq(memcmp(seg[0].base, text, strlen(text)), 0);
	channel_commit_read(&rig.ch, strlen(text));
}

static void host_sends(const char *text)
{
	struct okl4_pipe_seg seg[2];

	cr_assert_geq(channel_peek_write(&rig.ch, seg), (int64_t)strlen(text));
	memcpy(seg[0].base, text, strlen(text));
	channel_commit_write(&rig.ch, strlen(text));
}

static struct channel_peer reader(void)
{
	struct channel_peer peer;

	cr_assert_eq(channel_guest_reader(&rig.ch, &peer), 0);
	return peer;
}

static struct channel_peer writer(void)
{
	struct channel_peer peer;

	cr_assert_eq(channel_guest_writer(&rig.ch, &peer), 0);
	return peer;
}

static void sleeps(void)
{
	cr_assert_eq(serial_pump_turn(&pump), SERIAL_PUMP_SLEEPS);
}

Test(serial_pump, bytes_go_both_ways)
{
	begin(ENDPOINT_ECHO, RING);
	channel_set_open(&rig.ch, true, true);
	cr_assert_eq(reader().state, OKL4_PIPE_OPEN);
	cr_assert_eq(writer().state, OKL4_PIPE_OPEN);
	qemu_sends("to host");
	host_sends("to guest");
	sleeps();
	host_gets("to host");
	qemu_gets("to guest");
	end();
}

/* A sleeping pump is rung by the host's next bytes, and by the room that it gives back. */
Test(serial_pump, is_rung)
{
	char piece[RING];
	unsigned int rings;

	begin(ENDPOINT_ECHO, RING);
	channel_set_open(&rig.ch, true, true);
	sleeps();
	rings = rig.rings;
	host_sends("x");
	cr_assert_eq(rig.rings, rings + 1);
	sleeps();
	memset(piece, 'x', sizeof(piece));
	cr_assert_eq(send(qemu, piece, sizeof(piece), 0), (ssize_t)sizeof(piece));
	cr_assert_eq(send(qemu, piece, 1, 0), 1);
	sleeps();
	cr_assert_eq(channel_readable(&rig.ch), RING, "the ring is the only buffer");
	rings = rig.rings;
	channel_commit_read(&rig.ch, RING);
	cr_assert_eq(rig.rings, rings + 1);
	sleeps();
	host_gets("x");
	end();
}

Test(serial_pump, reads_on_after_an_end)
{
	uint64_t phase;

	begin(ENDPOINT_UNIX_LISTEN, RING);
	channel_set_open(&rig.ch, true, true);
	phase = reader().phase;
	host_sends("one");
	channel_set_open(&rig.ch, true, false);
	sleeps();
	cr_assert(channel_eof_taken(&rig.ch));
	cr_assert_eq(reader().phase, phase + 2);
	channel_set_open(&rig.ch, true, true);
	host_sends("two");
	sleeps();
	qemu_gets("onetwo");
	end();
}

Test(serial_pump, writes_again_when_somebody_reads)
{
	uint64_t phase;

	begin(ENDPOINT_UNIX_LISTEN, RING);
	channel_set_open(&rig.ch, true, true);
	sleeps();
	phase = writer().phase;
	channel_set_open(&rig.ch, false, true);
	sleeps();
	cr_assert_eq(writer().phase, phase, "nothing was written yet");
	qemu_sends("later");
	sleeps();
	cr_assert_eq(writer().phase, phase + 2);
	sleeps();
	cr_assert_eq(writer().phase, phase + 2, "once for each reader that has closed");
	channel_set_open(&rig.ch, true, true);
	sleeps();
	host_gets("later");
	end();
}

Test(serial_pump, opens_on_demand_where_the_host_connects)
{
	begin(ENDPOINT_UNIX_CONNECT, RING);
	sleeps();
	cr_assert_eq(writer().state, OKL4_PIPE_NEVER_OPENED);
	cr_assert_eq(reader().state, OKL4_PIPE_NEVER_OPENED);
	qemu_sends("1");
	sleeps();
	cr_assert_eq(writer().state, OKL4_PIPE_OPEN);
	cr_assert_eq(reader().state, OKL4_PIPE_OPEN);
	channel_set_open(&rig.ch, true, true);
	host_gets("1");
	channel_set_open(&rig.ch, false, false);
	sleeps();
	cr_assert_eq(reader().state, OKL4_PIPE_CLOSED, "it does not ask for another connection");
	qemu_sends("2");
	sleeps();
	cr_assert_eq(reader().state, OKL4_PIPE_OPEN);
	cr_assert_eq(writer().phase, 3);
	end();
}

Test(serial_pump, ends_when_all_was_taken)
{
	static char piece[RING];

	begin(ENDPOINT_ECHO, RING);
	channel_set_open(&rig.ch, true, true);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(send(qemu, piece, sizeof(piece), 0), (ssize_t)sizeof(piece));
	close(qemu);
	sleeps();
	cr_assert_eq(serial_pump_left(&pump), RING);
	cr_assert(serial_pump_is_read(&pump));
	cr_assert_eq(channel_readable(&rig.ch), RING);
	channel_commit_read(&rig.ch, RING);
	sleeps();
	cr_assert_eq(channel_readable(&rig.ch), RING);
	channel_commit_read(&rig.ch, RING);
	cr_assert_eq(serial_pump_turn(&pump), SERIAL_PUMP_ENDED);
	channel_set_open(&rig.ch, false, false);
	cr_assert_not(serial_pump_is_read(&pump));
	qemu = open("/dev/null", O_RDONLY | O_CLOEXEC);
	end();
}

Test(serial_pump, new_memory_after_a_failure)
{
	uint64_t instance;

	begin(ENDPOINT_UNIX_LISTEN, RING);
	qemu_sends("dropped");
	sleeps();
	instance = rig.ch.instance;
	channel_reset(&rig.ch);
	cr_assert_eq(rig.tells, 1);
	sleeps();
	cr_assert_eq(serial_pump_restart(&pump), 0);
	cr_assert_eq(rig.ch.state, CHANNEL_ATTACHED);
	cr_assert_neq(rig.ch.instance, instance);
	channel_set_open(&rig.ch, true, true);
	qemu_sends("new");
	sleeps();
	host_gets("new");
	end();
}
