// SPDX-License-Identifier: BSD-3-Clause
/*
 * pipe.c - bytes through a ring: every offset, every size, every layout
 */
#include <stdlib.h>

#include <libfs/checked.h>

#include "rig.h"

#define NEAR_WRAP (UINT64_MAX - 5000) /* cursors that pass 2^64 after 5001 bytes */

static uint64_t write_stream(struct okl4_pipe *p, uint64_t bytes, uint64_t n)
{
	uint8_t *buf = malloc(bytes);
	bool notify;
	int64_t r;

	require(buf);
	stream_fill(buf, bytes, n);
	r = okl4_pipe_write(p, buf, bytes, &notify);
	require_eq(r, bytes);
	free(buf);
	return n + bytes;
}

static uint64_t read_stream(struct okl4_pipe *p, uint64_t bytes, uint64_t n)
{
	uint8_t *buf = malloc(bytes + 1);
	bool notify;
	int64_t r;

	require(buf);
	buf[bytes] = 0x5a;
	r = okl4_pipe_read(p, buf, bytes, &notify);
	require_eq(r, bytes);
	require_eq(buf[bytes], 0x5a);
	stream_check(buf, bytes, n);
	free(buf);
	return n + bytes;
}

/* Write or read in place, at most @most bytes of the stream from @n; returns how many */
static uint64_t stream_in_place(struct okl4_pipe *p, bool writes, uint64_t most, uint64_t n)
{
	struct okl4_pipe_seg seg[2];
	int64_t r = writes ? okl4_pipe_peek_write(p, seg) : okl4_pipe_peek_read(p, seg);
	uint64_t k, done = 0;

	require(r > 0 || r == -OKL4_AGAIN);
	if (r == -OKL4_AGAIN)
		return 0;
	require_eq(r, seg[0].bytes + seg[1].bytes);
	for (k = 0; k < 2; k++) {
		uint64_t bytes = okl4_min(seg[k].bytes, most - done);

		require(!seg[k].base == !seg[k].bytes);
		if (writes)
			stream_fill(seg[k].base, bytes, n + done);
		else
			stream_check(seg[k].base, bytes, n + done);
		done += bytes;
	}
	if (writes)
		okl4_pipe_commit_write(p, done);
	else
		okl4_pipe_commit_read(p, done);
	return done;
}

static uint64_t write_stream_in_place(struct okl4_pipe *p, uint64_t most, uint64_t n)
{
	return stream_in_place(p, true, most, n);
}

static uint64_t read_stream_in_place(struct okl4_pipe *p, uint64_t most, uint64_t n)
{
	return stream_in_place(p, false, most, n);
}

Test(libfs_pipe, wraps_at_every_offset, .timeout = 60)
{
	static const uint64_t piece[] = { 1, 2, 100, 2048, 4095, 4096 };
	uint64_t start, i;
	struct rig_pipe r;

	for (start = 0; start < 4096; start++) {
		uint64_t n = start;

		rig_pipe_plain(&r, start);
		for (i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
			write_stream(&r.tx, piece[i], n);
			n = read_stream(&r.rx, piece[i], n);
		}
		for (i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
			require_eq(write_stream_in_place(&r.tx, piece[i], n), piece[i]);
			require_eq(read_stream_in_place(&r.rx, piece[i], n), piece[i]);
			n += piece[i];
		}
		rig_pipe_deinit(&r);
	}
}

Test(libfs_pipe, one_byte_at_a_time_around_the_ring_and_around_2_64)
{
	static const uint64_t start[] = { 0, NEAR_WRAP, UINT64_MAX, 1ULL << 63, (1ULL << 63) - 9 };
	struct rig_pipe r;
	uint64_t i, n;

	for (i = 0; i < sizeof(start) / sizeof(start[0]); i++) {
		rig_pipe_plain(&r, start[i]);
		for (n = 0; n < 10000; n++) {
			write_stream(&r.tx, 1, n);
			require_eq(okl4_pipe_readable(&r.rx), 1);
			require_eq(okl4_pipe_writable(&r.tx), 4095);
			read_stream(&r.rx, 1, n);
		}
		require_eq(okl4_le64_to_cpu(r.shm->producer.head), start[i] + 10000);
		require_eq(okl4_le64_to_cpu(r.shm->consumer.tail), start[i] + 10000);
		rig_pipe_deinit(&r);
	}
}

Test(libfs_pipe, full_and_empty)
{
	static const uint64_t start[] = { 0, 1, 4095, NEAR_WRAP, UINT64_MAX - 4095, UINT64_MAX };
	struct okl4_pipe_seg seg[2];
	struct rig_pipe r;
	uint8_t byte = 7;
	bool notify;
	uint64_t i;

	for (i = 0; i < sizeof(start) / sizeof(start[0]); i++) {
		rig_pipe_plain(&r, start[i]);
		require_eq(okl4_pipe_readable(&r.rx), 0);
		require_eq(okl4_pipe_writable(&r.tx), 4096);
		require_status(okl4_pipe_read(&r.rx, &byte, 1, &notify), -OKL4_AGAIN);
		require_status(okl4_pipe_peek_read(&r.rx, seg), -OKL4_AGAIN);
		require(!seg[0].base && !seg[1].base && !seg[0].bytes && !seg[1].bytes);

		write_stream(&r.tx, 4096, 0);
		require_eq(okl4_pipe_readable(&r.rx), 4096);
		require_eq(okl4_pipe_writable(&r.tx), 0);
		require_status(okl4_pipe_write(&r.tx, &byte, 1, &notify), -OKL4_AGAIN);
		require(!notify);
		require_status(okl4_pipe_peek_write(&r.tx, seg), -OKL4_AGAIN);
		require(!seg[0].base && !seg[1].base && !seg[0].bytes && !seg[1].bytes);

		read_stream(&r.rx, 1, 0);
		require_eq(okl4_pipe_writable(&r.tx), 1);
		write_stream(&r.tx, 1, 4096);
		read_stream(&r.rx, 4096, 1);
		require_eq(okl4_pipe_readable(&r.rx), 0);
		rig_pipe_deinit(&r);
	}
}

Test(libfs_pipe, partial_writes_and_short_reads)
{
	uint8_t buf[10000];
	struct rig_pipe r;
	bool notify;

	rig_pipe_plain(&r, 0);
	stream_fill(buf, sizeof(buf), 0);
	require_eq(okl4_pipe_write(&r.tx, buf, 3000, &notify), 3000);
	require_eq(okl4_pipe_write(&r.tx, buf + 3000, 7000, &notify), 1096);
	memset(buf, 0, sizeof(buf));
	require_eq(okl4_pipe_read(&r.rx, buf, sizeof(buf), &notify), 4096);
	stream_check(buf, 4096, 0);
	require_eq(buf[4096], 0);
	/* A call for no bytes does nothing, whatever the state */
	require_eq(okl4_pipe_write(&r.tx, NULL, 0, &notify), 0);
	require(!notify);
	require_eq(okl4_pipe_read(&r.rx, NULL, 0, &notify), 0);
	require(!notify);
	require_eq(okl4_pipe_write(&r.tx, buf, 10, &notify), 10);
	require_eq(okl4_pipe_read(&r.rx, buf, UINT64_MAX, &notify), 10);
	rig_pipe_deinit(&r);
}

/* Any mix of calls and sizes moves the stream unchanged; fill and room always add up */
static void random_stream(struct rig_pipe *r, uint64_t total, struct rng *rng)
{
	uint64_t size = r->ring.sec.bytes, sent = 0, got = 0;
	uint8_t *buf = malloc(size);
	bool notify;

	require(buf);
	while (got < total) {
		uint64_t most = 1 + rng_below(rng, rng_below(rng, 4) ? size / 8 : size);
		int64_t n;

		require_eq(okl4_pipe_readable(&r->rx), sent - got);
		require_eq(okl4_pipe_writable(&r->tx), size - (sent - got));
		switch (rng_below(rng, 4)) {
		case 0:
			stream_fill(buf, most, sent);
			n = okl4_pipe_write(&r->tx, buf, most, &notify);
			require_status(n, sent - got == size ?
						  -OKL4_AGAIN :
						  (int64_t)okl4_min(most, size - (sent - got)));
			sent += n > 0 ? (uint64_t)n : 0;
			break;
		case 1:
			n = okl4_pipe_read(&r->rx, buf, most, &notify);
			require_status(n, sent == got ? -OKL4_AGAIN :
							(int64_t)okl4_min(most, sent - got));
			stream_check(buf, n > 0 ? (uint64_t)n : 0, got);
			got += n > 0 ? (uint64_t)n : 0;
			break;
		case 2:
			sent += write_stream_in_place(&r->tx, most, sent);
			break;
		default:
			got += read_stream_in_place(&r->rx, most, got);
			break;
		}
	}
	free(buf);
}

Test(libfs_pipe, random_stream_through_every_layout, .timeout = 120)
{
	static const struct {
		uint64_t bytes, chunk_bytes;
	} shape[] = {
		{ 4096, 4096 }, { 8192, 4096 }, { 65536, 4096 }, { 65536, 32768 }, { 1 << 20, 4096 }
	};
	enum layout layout;
	struct rig_pipe r;
	struct rng rng;
	size_t i;

	rng_init(&rng, "libfs_pipe/random_stream_through_every_layout");
	for (layout = 0; layout < N_LAYOUTS; layout++) {
		for (i = 0; i < sizeof(shape) / sizeof(shape[0]); i++) {
			rig_pipe_init(&r, shape[i].bytes, shape[i].chunk_bytes, layout,
				      rng_below(&rng, 2) ? NEAR_WRAP : rng_next(&rng), &rng);
			random_stream(&r, 6 * shape[i].bytes, &rng);
			rig_pipe_deinit(&r);
		}
	}
}

Test(libfs_pipe, every_size_from_4_KiB_to_64_MiB, .timeout = 120)
{
	struct rng rng;
	uint64_t bytes;

	rng_init(&rng, "libfs_pipe/every_size_from_4_KiB_to_64_MiB");
	for (bytes = OKL4FS_RING_BYTES_MIN; bytes <= OKL4FS_RING_BYTES_MAX; bytes *= 2) {
		uint64_t chunk_bytes = 4096ULL << rng_below(&rng, 4), n;
		struct rig_pipe r;

		if (chunk_bytes > bytes)
			chunk_bytes = bytes;
		rig_pipe_init(&r, bytes, chunk_bytes, (enum layout)rng_below(&rng, N_LAYOUTS),
			      0ULL - bytes / 2, &rng);
		n = write_stream(&r.tx, bytes, 0);
		require_eq(okl4_pipe_writable(&r.tx), 0);
		read_stream(&r.rx, bytes - 1, 0);
		write_stream(&r.tx, 5, n);
		read_stream(&r.rx, 6, n - 1);
		require_eq(okl4_pipe_readable(&r.rx), 0);
		rig_pipe_deinit(&r);
	}
}

Test(libfs_pipe, refuses_rings_of_other_sizes)
{
	struct okl4_pipe_shm shm;
	struct rng rng = { 1 };
	struct rig_sec s;
	struct okl4_pipe p;

	memset(&shm, 0, sizeof(shm));
	rig_sec_plain(&s, 3 * 4096);
	require_status(okl4_pipe_producer_init(&p, &shm, &s.sec), -OKL4_ARG);
	require_status(okl4_pipe_consumer_init(&p, &shm, &s.sec), -OKL4_ARG);
	rig_sec_deinit(&s);
	rig_sec_init(&s, 2 * OKL4FS_RING_BYTES_MAX, OKL4FS_RING_BYTES_MAX, LAYOUT_ADJACENT, &rng);
	require_status(okl4_pipe_producer_init(&p, &shm, &s.sec), -OKL4_ARG);
	require_status(okl4_pipe_consumer_init(&p, &shm, &s.sec), -OKL4_ARG);
	rig_sec_deinit(&s);
}

Test(libfs_pipe, a_commit_of_more_than_was_given_fails_the_end)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	write_stream(&r.tx, 100, 0);
	require(!okl4_pipe_commit_write(&r.tx, 3997));
	require_status(okl4_pipe_error(&r.tx), -OKL4_ARG);
	require_eq(okl4_le64_to_cpu(r.shm->producer.head), 100);
	require_eq(okl4_pipe_readable(&r.rx), 100);
	require(!okl4_pipe_commit_read(&r.rx, 101));
	require_status(okl4_pipe_error(&r.rx), -OKL4_ARG);
	require_eq(okl4_le64_to_cpu(r.shm->consumer.tail), 0);
	require(!okl4_pipe_commit_read(&r.rx, 1));
	require_eq(okl4_le64_to_cpu(r.shm->consumer.tail), 0);
	rig_pipe_deinit(&r);
}

static bool write_notifies(struct rig_pipe *r, uint64_t bytes)
{
	static const uint8_t buf[4096];
	bool notify;

	require_eq(okl4_pipe_write(&r->tx, buf, bytes, &notify), bytes);
	return notify;
}

static bool read_notifies(struct rig_pipe *r, uint64_t bytes)
{
	uint8_t buf[4096];
	bool notify;

	require_eq(okl4_pipe_read(&r->rx, buf, bytes, &notify), bytes);
	return notify;
}

/* A notification for the value that was asked for, and for no other */
Test(libfs_pipe, notifies_exactly_when_a_wake_value_is_crossed)
{
	static const uint64_t start[] = { 1, 4096, NEAR_WRAP, UINT64_MAX - 1, 1ULL << 63 };
	struct rig_pipe r;
	uint64_t i;

	for (i = 0; i < sizeof(start) / sizeof(start[0]); i++) {
		rig_pipe_plain(&r, start[i]);
		/* Nobody waits yet: the wake values lie in the past */
		r.shm->producer.space_event = okl4_cpu_to_le64(start[i] - 1);
		r.shm->consumer.data_event = okl4_cpu_to_le64(start[i] - 1);
		require_status(okl4_pipe_producer_init(&r.tx, r.shm, &r.ring.sec), 0);
		require_status(okl4_pipe_consumer_init(&r.rx, r.shm, &r.ring.sec), 0);
		require(!write_notifies(&r, 1) && !read_notifies(&r, 1));

		require_eq(okl4_pipe_arm_read(&r.rx), 0);
		require(write_notifies(&r, 1));
		require(!write_notifies(&r, 1));
		require_eq(okl4_pipe_arm_read(&r.rx), 1);
		require(!write_notifies(&r, 98) && !read_notifies(&r, 100));
		require_eq(okl4_pipe_arm_read(&r.rx), 0);
		require(write_notifies(&r, 4096));

		/* 1500 bytes of room: none at 1499, one at the next byte, and then none */
		require_eq(okl4_pipe_arm_write(&r.tx, 1500), 0);
		require(!read_notifies(&r, 700));
		require(!read_notifies(&r, 799));
		require(read_notifies(&r, 1));
		require(!read_notifies(&r, 1000));
		require_eq(okl4_pipe_arm_write(&r.tx, 2500), 1);
		require_eq(okl4_pipe_arm_write(&r.tx, 2501), 0);
		require(read_notifies(&r, 1596));
		/* Any byte of room, and all of it */
		require(!write_notifies(&r, 4096));
		require_eq(okl4_pipe_arm_write(&r.tx, 1), 0);
		require(read_notifies(&r, 1));
		require_eq(okl4_pipe_arm_write(&r.tx, 4096), 0);
		require(!read_notifies(&r, 4094));
		require(read_notifies(&r, 1));
		rig_pipe_deinit(&r);
	}
}

/* Fresh memory asks for a wake-up at the first byte, so that nobody has to arm before it */
Test(libfs_pipe, the_first_byte_in_fresh_memory_notifies)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	require(write_notifies(&r, 10));
	require(!write_notifies(&r, 10));
	require(read_notifies(&r, 20));
	rig_pipe_deinit(&r);
}

/* Both ends are dropped and taken up again in mid-stream: no byte is lost, none comes twice */
Test(libfs_pipe, taken_up_again_in_mid_stream)
{
	struct rig_pipe r;
	struct rng rng;
	uint64_t sent = 0, got = 0;

	rng_init(&rng, "libfs_pipe/taken_up_again_in_mid_stream");
	rig_pipe_init(&r, 8192, 4096, LAYOUT_SCATTERED, NEAR_WRAP, &rng);
	while (got < 400000) {
		sent += write_stream_in_place(&r.tx, 1 + rng_below(&rng, 5000), sent);
		if (!rng_below(&rng, 3))
			require_status(okl4_pipe_producer_init(&r.tx, r.shm, &r.ring.sec), 0);
		got += read_stream_in_place(&r.rx, 1 + rng_below(&rng, 5000), got);
		if (!rng_below(&rng, 3))
			require_status(okl4_pipe_consumer_init(&r.rx, r.shm, &r.ring.sec), 0);
	}
	rig_pipe_deinit(&r);
}

static const struct okl4_opener first = { 1000, 100, 4242, "cat" };
static const struct okl4_opener second = { 0, 0, 0xffffffff, "a name of 16 by" };

/* Both ends: the words are there as soon as the end is open, and stay while it is */
Test(libfs_pipe, an_end_says_which_program_opened_it)
{
	struct okl4_opener got;
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	cr_assert_not(okl4_pipe_consumer_opener(&r.rx, &got));
	cr_assert_not(okl4_pipe_producer_opener(&r.tx, &got));

	okl4_pipe_producer_name(&r.tx, &first);
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_producer_name(&r.tx, &second);
	okl4_pipe_consumer_name(&r.rx, &second);
	okl4_pipe_consumer_open(&r.rx);
	okl4_pipe_consumer_name(&r.rx, &first);
	cr_assert(okl4_pipe_consumer_opener(&r.rx, &got));
	cr_assert_arr_eq(&got, &first, sizeof(got));
	cr_assert(okl4_pipe_producer_opener(&r.tx, &got));
	cr_assert_arr_eq(&got, &second, sizeof(got));

	okl4_pipe_producer_close(&r.tx);
	cr_assert(okl4_pipe_consumer_opener(&r.rx, &got), "it stays: its bytes may not be read");
	okl4_pipe_producer_name(&r.tx, &second);
	okl4_pipe_consumer_opener(&r.rx, &got);
	cr_assert_arr_eq(&got, &second, sizeof(got));
	rig_pipe_deinit(&r);
}

Test(libfs_pipe, the_words_of_an_opener_lie_where_the_abi_has_them)
{
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	okl4_pipe_producer_name(&r.tx, &first);
	okl4_pipe_consumer_name(&r.rx, &second);
	cr_assert_arr_eq((uint8_t *)r.shm + 24,
			 "\xe8\x03\0\0\x64\0\0\0\x92\x10\0\0\0\0\0\0cat\0\0\0\0\0\0\0\0\0\0\0\0\0",
			 32);
	cr_assert_arr_eq((uint8_t *)r.shm + 160 + 8, "\xff\xff\xff\xff\0\0\0\0a name of 16 by", 24);
	rig_pipe_deinit(&r);
}
