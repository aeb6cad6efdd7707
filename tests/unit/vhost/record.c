// SPDX-License-Identifier: BSD-3-Clause
/*
 * record.c - a daemon that is killed before each of its stores into a record
 *
 * vhost/record.c is compiled once more, with every store that publishes something a step
 * (access_is_step/libfs/platform.h). The daemon runs in a process that the test forks, which ends
 * without a word at the step that was chosen. The record's file, its offset and the frontend's
 * socket are shared with it, as they are with a next daemon.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vhost/record.h"

#define KILLED   42
#define MESSAGES 5

static unsigned int steps_left; /* 0: no end */

uint64_t step_load(const void *at, unsigned int bytes)
{
	return bytes == 4 ? *(const uint32_t *)at : *(const uint64_t *)at;
}

void step_store(void *at, unsigned int bytes, uint64_t value, bool release)
{
	if (steps_left && !--steps_left)
		_exit(KILLED);
	cr_assert_eq(bytes, 8);
	__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELEASE);
}

void step_fence(void)
{
}

/* An answer that can be told from others */
static struct vhost_message answer_to(uint32_t n)
{
	return (struct vhost_message){ .request = n,
				       .flags = VHOST_FLAG_VERSION | VHOST_FLAG_REPLY,
				       .bytes = 8,
				       .payload.u64 = 0x1000ULL + n };
}

/* Goes on with the message that led to the record's state */
static void conclude(struct record *r, int socket)
{
	if (record_is_done(r))
		return;
	if (record_answer_is_due(r))
		cr_assert_eq(record_answer(r, socket), 0);
	record_done(r);
}

/* The messages from the record's on, each with an answer; how many were carried out stands in `next` */
static void serve(struct record *r, int socket)
{
	while (r->state.next <= MESSAGES) {
		struct vhost_message answer = answer_to(r->state.next);

		r->state.next++;
		r->state.said.features = r->state.next;
		cr_assert_eq(record_commit(r, 12, &answer, VHOST_REPLY_BYTES), 0);
		conclude(r, socket);
	}
}

static void assert_answered(int socket)
{
	struct vhost_message got, want;

	for (uint32_t n = 1; n <= MESSAGES; n++) {
		want = answer_to(n);
		cr_assert_eq(recv(socket, &got, VHOST_REPLY_BYTES, MSG_DONTWAIT), VHOST_REPLY_BYTES,
			     "answer %u is missing", n);
		cr_assert_arr_eq(&got, &want, VHOST_REPLY_BYTES);
	}
	cr_assert_eq(recv(socket, &got, 1, MSG_DONTWAIT), -1, "an answer came twice");
}

/* Return: whether it was killed */
static bool run_daemon(int fd, int socket, unsigned int kill_at)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct record r;
		const char *wrong;

		steps_left = kill_at;
		wrong = record_open(&r, fd);
		if (wrong || r.state.said.features != (r.state.next > 1 ? r.state.next : 0))
			_exit(1);
		conclude(&r, socket);
		serve(&r, socket);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == KILLED),
		  "status %d", status);
	return WEXITSTATUS(status) == KILLED;
}

Test(daemon_record, killed_at_every_store)
{
	unsigned int kill_at = 1;
	bool killed = true;

	for (; killed; kill_at++) {
		struct record r;
		int end[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
		cr_assert_eq(record_new(&r), 0);
		killed = run_daemon(r.fd, end[0], kill_at);
		if (killed)
			cr_assert(!run_daemon(r.fd, end[0], 0));
		assert_answered(end[1]);
		record_close(&r);
		close(end[0]);
		close(end[1]);
	}
	cr_assert_eq(kill_at - 2, 2 * MESSAGES, "%u stores", kill_at - 2);
}

Test(daemon_record, killed_again_and_again)
{
	struct record r;
	int end[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
	cr_assert_eq(record_new(&r), 0);
	/* The second store: each daemon gets as far as one message. */
	while (run_daemon(r.fd, end[0], 2))
		record_taken_up(&r);
	assert_answered(end[1]);
	record_close(&r);
}

Test(daemon_record, answers_take_turns)
{
	struct vhost_message got, answer;
	struct record r;
	int end[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
	cr_assert_eq(record_new(&r), 0);
	for (uint32_t n = 0; n < 3 * RECORD_ANSWER_BYTES / VHOST_REPLY_BYTES; n++) {
		answer = answer_to(n);
		cr_assert_eq(record_commit(&r, 12, &answer, VHOST_REPLY_BYTES), 0);
		cr_assert(record_answer_is_due(&r));
		conclude(&r, end[0]);
		cr_assert(!record_answer_is_due(&r));
		cr_assert_eq(recv(end[1], &got, VHOST_REPLY_BYTES, 0), VHOST_REPLY_BYTES);
		cr_assert_arr_eq(&got, &answer, VHOST_REPLY_BYTES);
		cr_assert_eq(record_commit(&r, 12, NULL, 0), 0);
		cr_assert(!record_answer_is_due(&r));
	}
	record_close(&r);
}

/* Changes one byte of a record, and opens it. */
static const char *open_changed(off_t at)
{
	struct record r, next;
	const char *wrong;
	uint8_t byte;
	int fd;

	cr_assert_eq(record_new(&r), 0);
	cr_assert_eq(pread(r.fd, &byte, 1, at), 1);
	byte ^= 0x40;
	cr_assert_eq(pwrite(r.fd, &byte, 1, at), 1);
	fd = dup(r.fd);
	wrong = record_open(&next, fd);
	if (wrong)
		close(fd);
	else
		record_close(&next);
	record_close(&r);
	return wrong;
}

Test(daemon_record, misfits)
{
	int fd = memfd_create("short", MFD_ALLOW_SEALING);
	struct record r, next;
	const char *wrong;

	cr_assert_str_eq(open_changed(0), "it is not a record");
	cr_assert_str_eq(open_changed(8), "its version is not supported");
	cr_assert_str_eq(open_changed(12), "its version is not supported");
	cr_assert_str_eq(open_changed(100), "it is damaged");
	cr_assert_eq(open_changed(8192), NULL, "an answer is not part of the state");
	cr_assert_eq(ftruncate(fd, 4096), 0);
	cr_assert_str_eq(record_open(&r, fd), "it is not a record of this version");
	cr_assert_str_eq(record_open(&r, STDIN_FILENO), "it is not a record of this version");
	cr_assert_eq(record_new(&r), 0);
	for (int i = 0; !(wrong = record_open(&next, dup(r.fd))); i++) {
		cr_assert_lt(i, 100);
		record_close(&next);
	}
	cr_assert_str_eq(wrong, "daemons have ended again and again while they took it up");
	record_taken_up(&r);
	cr_assert_eq(record_open(&next, dup(r.fd)), NULL);
}

/* What was said is the same when it is said again. */
static void assert_repeats(const struct vhost_said *said)
{
	struct vhost_message msg, answer = { .payload.u64 = 0 };
	struct vhost_said again = { 0 };

	for (unsigned int step = 0; step < VHOST_REPEAT_STEPS; step++) {
		if (vhost_repeat(said, step, &msg))
			vhost_said_more(&again, &msg, &answer);
	}
	cr_assert_arr_eq(&again, said, sizeof(again));
}

static void say(struct vhost_said *said, uint32_t request, uint32_t queue, uint32_t num)
{
	struct vhost_message msg = { .request = request }, answer = { .request = request };

	msg.payload.state.index = queue;
	msg.payload.state.num = num;
	answer.payload.state.num = 77;
	vhost_said_more(said, &msg, &answer);
	assert_repeats(said);
}

Test(daemon_record, said_again)
{
	struct vhost_message memory = { .request = VHOST_REQ_SET_MEM_TABLE };
	struct vhost_message features = { .request = VHOST_REQ_SET_FEATURES,
					  .payload.u64 = VHOST_FEATURES };
	struct vhost_said said = { 0 };

	assert_repeats(&said);
	vhost_said_more(&said, &features, NULL);
	features.request = VHOST_REQ_SET_PROTOCOL_FEATURES;
	features.payload.u64 = VHOST_PROTOCOL_FEATURES;
	vhost_said_more(&said, &features, NULL);
	memory.payload.memory.n_regions = 2;
	memory.payload.memory.region[1].mmap_offset = 1 << 20;
	memory.payload.memory.region[1].bytes = 4096;
	vhost_said_more(&said, &memory, NULL);
	assert_repeats(&said);
	for (uint32_t q = 0; q < VHOST_MAX_QUEUES; q += VHOST_MAX_QUEUES - 1) {
		say(&said, VHOST_REQ_SET_VRING_NUM, q, 128);
		say(&said, VHOST_REQ_SET_VRING_BASE, q, 5);
		say(&said, VHOST_REQ_SET_VRING_ADDR, q, 0);
		say(&said, VHOST_REQ_SET_VRING_CALL, q, 0);
		say(&said, VHOST_REQ_SET_VRING_KICK, q, 0);
		say(&said, VHOST_REQ_SET_VRING_ENABLE, q, 1);
		cr_assert(vhost_ring_is_ready(&said, q));
		say(&said, VHOST_REQ_SET_VRING_ENABLE, q, 0);
		say(&said, VHOST_REQ_GET_VRING_BASE, q, 0);
		cr_assert_eq(said.ring[q].base, 77);
		cr_assert(!said.ring[q].kicked && !said.ring[q].called);
	}
	say(&said, VHOST_REQ_RESET_OWNER, 0, 0);
	cr_assert(!said.chose && !said.n_regions);
}
