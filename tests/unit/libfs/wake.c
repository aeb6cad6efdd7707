// SPDX-License-Identifier: BSD-3-Clause
/*
 * wake.c - no schedule loses a wake-up
 *
 * In each scenario a sleeper and a mover meet, and the search takes them through every
 * interleaving of their accesses to shared memory. Without the fences each scenario must get stuck:
 * that shows that the search finds a wake-up that is lost.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include <libfs/pipe.h>

#include "interleavings.h"

#define SIZE 4096

static uint8_t ring_memory[SIZE] __attribute__((aligned(4096)));
static void *ring_chunk[1] = { ring_memory };
static struct okl4_memsec ring;
static _Alignas(128) struct okl4_pipe_shm shm;
static struct okl4_pipe tx, rx;

/* What a scenario is made of */
static uint64_t first_cursor;
static unsigned int fill_at_start; /* bytes that lie in the ring */
static unsigned int n_moves; /* calls of the mover */
static unsigned int move_bytes; /* bytes of each */
static unsigned int want_bytes; /* room that a writing sleeper asks for */
static unsigned int want_bytes2; /* and a second one that shares its end */

static void must_hold(bool ok, const char *what)
{
	if (!ok)
		cr_assert_fail("%s", what);
}

static void setup(void)
{
	static uint8_t bytes[SIZE];
	bool notify;

	memset(&shm, 0, sizeof(shm));
	shm.producer.head = first_cursor;
	shm.consumer.tail = first_cursor;
	if (first_cursor) {
		shm.producer.space_event = first_cursor - 1;
		shm.consumer.data_event = first_cursor - 1;
	}
	must_hold(!okl4_memsec_init(&ring, ring_chunk, 1, SIZE), "okl4_memsec_init");
	must_hold(!okl4_pipe_producer_init(&tx, &shm, &ring), "producer_init");
	must_hold(!okl4_pipe_consumer_init(&rx, &shm, &ring), "consumer_init");
	okl4_pipe_producer_open(&tx);
	okl4_pipe_consumer_open(&rx);
	if (fill_at_start)
		must_hold(okl4_pipe_write(&tx, bytes, fill_at_start, &notify) == fill_at_start,
			  "first fill");
}

/* Movers: as a bulk writer and a bulk reader that never wait */
static void write_moves(void)
{
	static uint8_t bytes[SIZE];
	unsigned int i;
	bool notify;

	for (i = 0; i < n_moves; i++) {
		must_hold(okl4_pipe_write(&tx, bytes, move_bytes, &notify) == move_bytes,
			  "a write");
		if (notify)
			interleaved_notify();
	}
}

static void read_moves(void)
{
	uint8_t bytes[SIZE];
	unsigned int i;
	bool notify;

	for (i = 0; i < n_moves; i++) {
		must_hold(okl4_pipe_read(&rx, bytes, move_bytes, &notify) == move_bytes, "a read");
		if (notify)
			interleaved_notify();
	}
}

/* Sleepers: end when all has come, or when there is all the room that was asked for */
static void read_all(bool notifies)
{
	unsigned int left = fill_at_start + n_moves * move_bytes;
	uint8_t bytes[SIZE];
	bool notify;

	while (left) {
		int64_t r = okl4_pipe_read(&rx, bytes, sizeof(bytes), &notify);

		must_hold(r > 0 || r == -OKL4_AGAIN, "a read");
		if (r > 0) {
			left -= (unsigned int)r;
			if (notify && notifies)
				interleaved_notify();
		} else if (!okl4_pipe_arm_read(&rx)) {
			interleaved_sleep();
		}
	}
}

static void read_sleeper(void)
{
	read_all(false);
}

/*
 * A thread that may sleep has a wake value ahead of the reader as last seen, so a notification for
 * what was seen may have gone to another thread.
 */
static int arm_write(unsigned int bytes)
{
	int r = okl4_pipe_arm_write(&tx, bytes);

	must_hold(r || tx.event - tx.peer_cursor < tx.cursor - tx.peer_cursor,
		  "sleeps on a wake value that has passed");
	return r;
}

static void write_sleeper(void)
{
	while (okl4_pipe_writable(&tx) < (int64_t)want_bytes) {
		if (!arm_write(want_bytes))
			interleaved_sleep();
	}
}

/* Two threads sleep on one end, as in the guest; one that has the room it wants stays awake */
static void two_write_sleepers(void)
{
	bool one = false, two = false;

	for (;;) {
		one = one || okl4_pipe_writable(&tx) >= (int64_t)want_bytes;
		two = two || okl4_pipe_writable(&tx) >= (int64_t)want_bytes2;
		if (one && two)
			return;
		if (!one && arm_write(want_bytes))
			continue;
		if (!two && arm_write(want_bytes2))
			continue;
		if (!okl4_pipe_take_overdue(&tx))
			interleaved_sleep();
	}
}

/*
 * The first sleeps; a second one comes, has its room or sleeps too, and does nothing more. The
 * first must not be lost for it: okl4_pipe_take_overdue() says when its own side must wake it.
 */
static void first_write_sleeper(void)
{
	while (okl4_pipe_writable(&tx) < (int64_t)want_bytes) {
		if (arm_write(want_bytes))
			continue;
		okl4_pipe_take_overdue(&tx);
		arm_write(want_bytes2);
		if (!okl4_pipe_take_overdue(&tx))
			interleaved_sleep();
	}
}

/* The other thread sleeps already when the first one comes */
static void last_write_sleeper(void)
{
	while (okl4_pipe_writable(&tx) < (int64_t)want_bytes) {
		arm_write(want_bytes2);
		if (!arm_write(want_bytes))
			interleaved_sleep();
	}
}

/* Both wait for each other: a stream through a ring that is too small for it */
static void stream_writer(void)
{
	static uint8_t bytes[SIZE];
	unsigned int left = n_moves * move_bytes;
	bool notify;

	while (left) {
		int64_t r =
			okl4_pipe_write(&tx, bytes, left < move_bytes ? left : move_bytes, &notify);

		must_hold(r > 0 || r == -OKL4_AGAIN, "a write");
		if (r > 0) {
			left -= (unsigned int)r;
			if (notify)
				interleaved_notify();
		} else if (!arm_write(want_bytes)) {
			interleaved_sleep();
		}
	}
}

static void stream_reader(void)
{
	read_all(true);
}

/* A change of phase is always notified */
static void write_then_close(void)
{
	write_moves();
	okl4_pipe_producer_close(&tx);
	interleaved_notify();
}

static void read_to_the_end(void)
{
	unsigned int got = 0;
	uint8_t bytes[SIZE];
	bool notify;

	for (;;) {
		int64_t r = okl4_pipe_read(&rx, bytes, sizeof(bytes), &notify);

		must_hold(r >= 0 || r == -OKL4_AGAIN, "a read");
		if (r > 0)
			got += (unsigned int)r;
		else if (!r)
			break;
		else if (!okl4_pipe_arm_read(&rx))
			interleaved_sleep();
	}
	must_hold(got == n_moves * move_bytes, "bytes were lost at the end of the stream");
}

static void close_reading_end(void)
{
	okl4_pipe_consumer_close(&rx);
	interleaved_notify();
}

static void write_until_epipe(void)
{
	bool notify;

	for (;;) {
		int64_t r = okl4_pipe_write(&tx, "x", 1, &notify);

		if (r == -OKL4_PIPE)
			return;
		must_hold(r == -OKL4_AGAIN, "a write into a full ring");
		if (!arm_write(1))
			interleaved_sleep();
	}
}

/* A meeting of two threads: the state that it begins in, and what they do */
struct scene {
	const char *name;
	uint64_t cursor;
	unsigned int fill, moves, bytes, want, want2;
	void (*sleeper)(void);
	void (*mover)(void);
};

static void run_scene(const struct scene *scene, bool needs_fences)
{
	struct scenario s = { .setup = setup,
			      .thread = { scene->sleeper, scene->mover },
			      .shared = &shm,
			      .shared_bytes = sizeof(shm),
			      .fences = true };
	struct outcome *o = malloc(sizeof(*o));

	must_hold(o, "memory");
	first_cursor = scene->cursor;
	fill_at_start = scene->fill;
	n_moves = scene->moves;
	move_bytes = scene->bytes;
	want_bytes = scene->want;
	want_bytes2 = scene->want2;
	try_interleavings(&s, o);
	fprintf(stderr, "%s: %llu states, %llu runs\n", scene->name,
		(unsigned long long)o->n_states, (unsigned long long)o->n_runs);
	cr_assert_not(o->stuck, "%s: a wake-up is lost: %s", scene->name, o->trace);
	if (needs_fences) {
		s.fences = false;
		try_interleavings(&s, o);
		cr_assert(o->stuck, "%s: would not have been seen", scene->name);
	}
	free(o);
}

#define N_SCENES(scenes) (sizeof(scenes) / sizeof((scenes)[0]))

static void run_scenes(const struct scene *scenes, size_t n, bool needs_fences)
{
	for (size_t i = 0; i < n; i++)
		run_scene(&scenes[i], needs_fences);
}

/*
 * The cursors do not begin at 0, except for "fresh memory": the wake values there are 0 and ask for
 * the first wake-up, which would hide that it can be lost. Elsewhere setup() puts them behind.
 */
Test(libfs_wake, a_reader_sleeps, .timeout = 120)
{
	static const struct scene scenes[] = {
		{ "one byte", 77, 0, 1, 1, 0, 0, read_sleeper, write_moves },
		{ "three bytes", 77, 0, 3, 1, 0, 0, read_sleeper, write_moves },
		{ "three writes over 2^64", UINT64_MAX - 1, 0, 3, 2, 0, 0, read_sleeper,
		  write_moves },
		{ "bytes there at first", 77, 100, 2, 1900, 0, 0, read_sleeper, write_moves },
		{ "fresh memory", 0, 0, 2, 1, 0, 0, read_sleeper, write_moves },
	};

	run_scenes(scenes, N_SCENES(scenes), true);
}

Test(libfs_wake, a_writer_sleeps, .timeout = 120)
{
	static const struct scene scenes[] = {
		{ "all at once", 77, SIZE, 1, SIZE, SIZE, 0, write_sleeper, read_moves },
		{ "half of the ring", 77, SIZE, 4, 1024, 2048, 0, write_sleeper, read_moves },
		{ "over 2^64", UINT64_MAX - 2000, SIZE, 3, 1000, 2500, 0, write_sleeper,
		  read_moves },
		{ "one byte", 77, SIZE, 1, 1, 1, 0, write_sleeper, read_moves },
	};

	run_scenes(scenes, N_SCENES(scenes), true);
}

Test(libfs_wake, two_writers_sleep, .timeout = 120)
{
	static const struct scene scenes[] = {
		{ "small, large", 77, SIZE, 4, 1000, 1000, 3000, two_write_sleepers, read_moves },
		{ "large, small", 77, SIZE, 4, 1000, 3000, 1000, two_write_sleepers, read_moves },
		{ "over 2^64", UINT64_MAX - 1500, SIZE, 4, 1000, 500, 4000, two_write_sleepers,
		  read_moves },
		{ "modest, then greedy", 77, SIZE, 2, 1000, 1500, 4000, first_write_sleeper,
		  read_moves },
		{ "greedy, then modest", 77, SIZE, 2, 1000, 1500, 4000, last_write_sleeper,
		  read_moves },
		{ "greedy, then modest and gone", 77, SIZE, 3, 1000, 2500, 500, first_write_sleeper,
		  read_moves },
		{ "modest and gone, then greedy", 77, SIZE, 3, 1000, 2500, 500, last_write_sleeper,
		  read_moves },
		{ "by one byte, over 2^64", UINT64_MAX - 1200, SIZE, 3, 500, 1500, 1501,
		  first_write_sleeper, read_moves },
		{ "the other way round", UINT64_MAX - 1200, SIZE, 3, 500, 1500, 1501,
		  last_write_sleeper, read_moves },
		{ "by one byte less", 77, SIZE, 3, 500, 1500, 1499, first_write_sleeper,
		  read_moves },
	};

	run_scenes(scenes, N_SCENES(scenes), true);
}

Test(libfs_wake, both_sleep, .timeout = 240)
{
	static const struct scene scenes[] = {
		{ "a ring and a ring", 77, 0, 2, SIZE, 1, 0, stream_writer, stream_reader },
		{ "half rings", 77, SIZE / 2, 2, SIZE / 2, SIZE / 2, 0, stream_writer,
		  stream_reader },
		{ "pieces that do not fit", UINT64_MAX - SIZE, SIZE, 2, 3000, 2000, 0,
		  stream_writer, stream_reader },
	};

	run_scenes(scenes, N_SCENES(scenes), true);
}

Test(libfs_wake, an_end_closes, .timeout = 120)
{
	static const struct scene scenes[] = {
		{ "close only", 77, 0, 0, 1, 0, 0, read_to_the_end, write_then_close },
		{ "write, close", 77, 0, 2, 100, 0, 0, read_to_the_end, write_then_close },
		{ "the reader goes", 77, SIZE, 0, 1, 1, 0, write_until_epipe, close_reading_end },
	};

	run_scenes(scenes, N_SCENES(scenes), false);
}
