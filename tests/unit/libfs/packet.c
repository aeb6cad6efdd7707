// SPDX-License-Identifier: BSD-3-Clause
/*
 * packet.c - messages in a pipe: whole or not at all, whatever the peer does, and whoever is killed
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libfs/checked.h>
#include <libfs/packet.h>

#include "rig.h"

#define SIZE    4096ULL
#define LONGEST OKL4FS_PACKET_MAX(SIZE)
#define START   (UINT64_MAX - 999) /* a multiple of 4; the cursors wrap soon */

static uint8_t buf[1 << 17];

static int put(struct rig_pipe *r, uint64_t bytes, uint64_t n)
{
	bool notify;

	stream_fill(buf, bytes, n);
	return okl4_packet_write(&r->tx, buf, bytes, &notify);
}

static void expect_next(struct rig_pipe *r, uint64_t bytes, uint64_t n)
{
	uint64_t got;
	bool notify;

	memset(buf, 0, bytes);
	require_status(okl4_packet_read(&r->rx, buf, sizeof(buf), &got, &notify), 1);
	require_eq(got, bytes);
	stream_check(buf, bytes, n);
}

static int next_status(struct rig_pipe *r)
{
	uint64_t bytes;

	return okl4_packet_next(&r->rx, &bytes);
}

Test(packet, each_read_is_a_write)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, START);
	require_status(next_status(&r), -OKL4_AGAIN);
	require_eq(okl4_packet_glance(&r.rx), 0);
	for (uint64_t bytes = 0; bytes < 70; bytes++)
		require_status(put(&r, bytes, bytes), 0);
	for (uint64_t bytes = 0; bytes < 70; bytes++) {
		require_eq(okl4_packet_glance(&r.rx), bytes);
		expect_next(&r, bytes, bytes);
	}
	require_status(next_status(&r), -OKL4_AGAIN);
	rig_pipe_deinit(&r);
}

Test(packet, what_does_not_fit_is_dropped)
{
	struct rig_pipe r;
	uint64_t bytes;
	bool notify;

	rig_pipe_plain(&r, 0);
	require_status(put(&r, 1000, 1), 0);
	require_status(put(&r, 7, 2), 0);
	buf[10] = 0xee;
	require_status(okl4_packet_read(&r.rx, buf, 10, &bytes, &notify), 1);
	require_eq(bytes, 1000);
	stream_check(buf, 10, 1);
	require_eq(buf[10], 0xee);
	expect_next(&r, 7, 2);
	rig_pipe_deinit(&r);
}

Test(packet, an_empty_message_is_not_the_end)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	okl4_pipe_producer_open(&r.tx);
	require_status(put(&r, 0, 0), 0);
	okl4_pipe_producer_close(&r.tx);
	require_status(okl4_pipe_arm_read(&r.rx), 1);
	expect_next(&r, 0, 0);
	require_status(next_status(&r), 0);
	rig_pipe_deinit(&r);
}

Test(packet, whole_or_not_at_all)
{
	struct rig_pipe r;
	bool notify;

	rig_pipe_plain(&r, 0);
	require_status(okl4_packet_write(&r.tx, buf, LONGEST + 1, &notify), -OKL4_ARG);
	require_status(okl4_packet_write(&r.tx, buf, UINT64_MAX, &notify), -OKL4_ARG);
	require_status(put(&r, LONGEST, 5), 0);
	require_status(put(&r, 0, 0), -OKL4_AGAIN);
	expect_next(&r, LONGEST, 5);
	require_status(put(&r, 1, 1), 0);
	require_status(put(&r, LONGEST, 0), -OKL4_AGAIN);
	require_status(put(&r, LONGEST - 8, 2), 0);
	expect_next(&r, 1, 1);
	expect_next(&r, LONGEST - 8, 2);
	rig_pipe_deinit(&r);
}

/* A caller's mistake */
Test(packet, a_commit_without_a_message)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	require(!okl4_packet_commit_read(&r.rx, 0));
	require_status(okl4_pipe_error(&r.rx), -OKL4_ARG);
	require(!okl4_packet_commit_write(&r.tx, LONGEST + 1));
	require_status(okl4_pipe_error(&r.tx), -OKL4_ARG);
	rig_pipe_deinit(&r);
}

Test(packet, a_writer_is_woken_for_its_message)
{
	struct rig_pipe r;
	uint64_t bytes;

	rig_pipe_plain(&r, 1 << 20); /* not near the wake value of fresh memory */
	for (int i = 0; i < 4; i++)
		require_status(put(&r, SIZE / 4 - 4, 0), 0);
	require_status(okl4_pipe_arm_write(&r.tx, okl4_packet_ring_bytes(SIZE / 2)), 0);
	for (int i = 0; i < 3; i++) {
		require_status(okl4_packet_next(&r.rx, &bytes), 1);
		require_eq(okl4_packet_commit_read(&r.rx, bytes), i == 2);
	}
	require_status(put(&r, SIZE / 2, 0), 0);
	rig_pipe_deinit(&r);
}

Test(packet, a_reader_that_has_closed)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	okl4_pipe_consumer_open(&r.rx);
	okl4_pipe_consumer_close(&r.rx);
	require_status(put(&r, 1, 0), -OKL4_PIPE);
	rig_pipe_deinit(&r);
}

/* Against a list of what was written, at every place of a ring of every shape */
static void random_messages(enum layout layout, struct rng *rng)
{
	uint64_t put_n = 0, got_n = 0, length[1024] = { 0 };
	struct rig_pipe r;

	rig_pipe_init(&r, 16384, 4096, layout, START, rng);
	while (got_n < 3000) {
		uint64_t bytes =
			rng_below(rng, rng_below(rng, 4) ? 50 : OKL4FS_PACKET_MAX(16384) + 1);

		if (rng_below(rng, 2) && put_n - got_n < 1024 && !put(&r, bytes, put_n)) {
			length[put_n++ % 1024] = bytes;
		} else if (got_n < put_n) {
			expect_next(&r, length[got_n % 1024], got_n);
			got_n++;
		}
	}
	rig_pipe_deinit(&r);
}

Test(packet, random_lengths)
{
	struct rng rng;

	rng_init(&rng, "random_lengths");
	for (enum layout layout = 0; layout < N_LAYOUTS; layout++)
		random_messages(layout, &rng);
}

/* One message of 8 bytes lies there; then the peer writes over its words */
static int hostile_next(uint32_t length, int64_t head_moves, uint64_t start)
{
	struct rig_pipe r;
	int status;

	rig_pipe_plain(&r, start);
	require_status(put(&r, 8, 0), 0);
	memcpy(r.ring.memory + (start & (SIZE - 1)), &length, sizeof(length));
	r.shm->producer.head = okl4_cpu_to_le64(start + 12 + (uint64_t)head_moves);
	status = next_status(&r);
	require_status(okl4_pipe_error(&r.rx), status < 0 ? status : 0);
	if (status < 0)
		require_status(next_status(&r), status);
	require(okl4_packet_glance(&r.rx) <= (int64_t)LONGEST);
	rig_pipe_deinit(&r);
	return status;
}

Test(packet, a_lying_writer_fails_the_end)
{
	static const uint32_t lies[] = { 9,        12,         13,         SIZE,
					 SIZE - 3, 0x7fffffff, 0xfffffff8, 0xffffffff };

	require_status(hostile_next(8, 0, START), 1);
	require_status(hostile_next(5, 0, START), 1); /* shorter: the rest is another message */
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		require_status(hostile_next(lies[i], 0, START), -OKL4_PACKET_LENGTH);
	for (int64_t moves = -11; moves < 0; moves++)
		require_status(hostile_next(8, moves, START), -OKL4_PACKET_LENGTH);
	for (int64_t moves = 1; moves < 4; moves++)
		require_status(hostile_next(8, moves, START), -OKL4_PACKET_LENGTH);
	require_status(hostile_next(LONGEST, SIZE - 12, START), 1);
	require_status(hostile_next(LONGEST + 1, SIZE - 12, START), -OKL4_PACKET_LENGTH);
}

/* The head of a message would be split by the end of the ring */
Test(packet, a_cursor_between_two_messages)
{
	for (uint64_t start = SIZE - 3; start < SIZE; start++) {
		struct rig_pipe r;
		bool notify;

		rig_pipe_plain(&r, start);
		require_eq(okl4_pipe_write(&r.tx, "12345678", 8, &notify), 8);
		require_status(next_status(&r), -OKL4_PACKET_LENGTH);
		require_eq(okl4_packet_glance(&r.rx), -OKL4_PACKET_LENGTH);
		require_status(put(&r, 1, 0), -OKL4_PACKET_LENGTH);
		rig_pipe_deinit(&r);
	}
}

/* Two sides of a ring that outlives them; the messages follow from their numbers alone */
struct stage {
	struct okl4_pipe_shm shm;
	uint8_t ring[1 << 15] __attribute__((aligned(4096)));
};

#define STAGE_RING sizeof(((struct stage *)0)->ring)

struct side {
	struct stage *stage;
	struct okl4_memsec sec;
	void *chunk;
	struct okl4_pipe pipe;
	uint64_t n, n_all; /* the next message, and how many there are */
	int wake_me, wake_peer;
};

static uint64_t length_of(uint64_t n)
{
	return stream_byte(n) % 8 ? stream_byte(n + 7) : stream_byte(n + 3) * 128ULL;
}

static void side_init(struct side *s, struct stage *stage, const int fd[2], bool writes,
		      uint64_t n_all)
{
	*s = (struct side){ .stage = stage,
			    .chunk = stage->ring,
			    .n_all = n_all,
			    .wake_me = fd[writes],
			    .wake_peer = fd[!writes] };
	require_status(okl4_memsec_init(&s->sec, &s->chunk, 1, STAGE_RING), 0);
}

static void wake(const struct side *s)
{
	require_eq(eventfd_write(s->wake_peer, 1), 0);
}

static void sleep_until_woken(const struct side *s)
{
	eventfd_t count;

	require_eq(eventfd_read(s->wake_me, &count), 0);
}

/* A writer that takes up where a former one was killed: the cursor says after which message */
static void side_write(struct side *s)
{
	static uint8_t message[1 << 15];
	uint64_t head = 0, bytes;
	bool notify;
	int r;

	require_status(okl4_pipe_producer_init(&s->pipe, &s->stage->shm, &s->sec), 0);
	for (s->n = 0; head != okl4_pipe_written(&s->pipe); s->n++) {
		require(s->n < s->n_all, "the cursor is not behind a message");
		head += okl4_packet_ring_bytes(length_of(s->n));
	}
	wake(s);
	while (s->n < s->n_all) {
		bytes = length_of(s->n);
		stream_fill(message, bytes, s->n);
		r = okl4_packet_write(&s->pipe, message, bytes, &notify);
		if (r == -OKL4_AGAIN) {
			if (!okl4_pipe_arm_write(&s->pipe, okl4_packet_ring_bytes(bytes)))
				sleep_until_woken(s);
			continue;
		}
		require_status(r, 0);
		s->n++;
		if (notify)
			wake(s);
	}
}

static void *writer_thread(void *side)
{
	side_write(side);
	return NULL;
}

/* Read until message number @until */
static void side_read(struct side *s, uint64_t until)
{
	static uint8_t message[1 << 15];
	uint64_t bytes;
	bool notify;

	while (s->n < until) {
		int r = okl4_packet_read(&s->pipe, message, sizeof(message), &bytes, &notify);

		if (r == -OKL4_AGAIN) {
			if (!okl4_pipe_arm_read(&s->pipe))
				sleep_until_woken(s);
			continue;
		}
		require_status(r, 1);
		require_eq(bytes, length_of(s->n));
		stream_check(message, bytes, s->n);
		s->n++;
		if (notify)
			wake(s);
	}
}

static struct stage *new_stage(void)
{
	void *memory = mmap(NULL, sizeof(struct stage), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	require(memory != MAP_FAILED);
	return memory;
}

Test(packet, two_threads)
{
	const int fd[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	struct stage *stage = new_stage();
	struct side reader, writer;
	pthread_t thread;

	side_init(&reader, stage, fd, false, 100000);
	side_init(&writer, stage, fd, true, 100000);
	require_status(okl4_pipe_consumer_init(&reader.pipe, &stage->shm, &reader.sec), 0);
	require_eq(pthread_create(&thread, NULL, writer_thread, &writer), 0);
	side_read(&reader, reader.n_all);
	pthread_join(thread, NULL);
	munmap(stage, sizeof(*stage));
}

/* SIGKILL in the middle of whatever the writer does; another one goes on */
Test(packet, killed_writers)
{
	const int fd[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	struct stage *stage = new_stage();
	struct side reader, writer;
	struct rng rng;
	int status;

	rng_init(&rng, "killed_writers");
	side_init(&reader, stage, fd, false, UINT64_MAX);
	side_init(&writer, stage, fd, true, 200 * 200);
	require_status(okl4_pipe_consumer_init(&reader.pipe, &stage->shm, &reader.sec), 0);
	for (int round = 0; round < 200; round++) {
		pid_t pid = fork();

		if (!pid) {
			side_write(&writer);
			_exit(0);
		}
		side_read(&reader, reader.n + rng_below(&rng, 200));
		kill(pid, SIGKILL);
		require_eq(waitpid(pid, &status, 0), pid);
		require(WIFSIGNALED(status) || !WEXITSTATUS(status));
	}
	munmap(stage, sizeof(*stage));
}
