// SPDX-License-Identifier: BSD-3-Clause
/*
 * evil_shm.c - writes over an attached control memsection, and attaches one that is wrong
 */
#include <string.h>

#include "evil.h"
#include "pattern.h"

/* Bytes that the echo has moved both ways, so that all cursors are past zero */
#define MOVED 5000U

/* attach_and_move() - attach, open both ends and let some bytes through the echo */
static void attach_and_move(struct evil_dev *dev)
{
	uint64_t end = now_ns() + 10000000000ULL;
	struct okl4_pipe_shm *fwd, *bwd;

	evil_attach(dev);
	fwd = evil_pipe(dev, 0);
	bwd = evil_pipe(dev, 1);
	fwd->producer.phase = 3;
	bwd->consumer.phase = 3;
	__atomic_store_n(&fwd->producer.head, MOVED, __ATOMIC_RELEASE);
	evil_ring(dev);
	while (__atomic_load_n(&bwd->producer.head, __ATOMIC_ACQUIRE) != MOVED)
		expect(now_ns() < end, "the echo does not move");
	__atomic_store_n(&bwd->consumer.tail, MOVED / 2, __ATOMIC_RELEASE);
	/* Once the host has echoed another byte, it has seen this tail, too. */
	__atomic_store_n(&fwd->producer.head, MOVED + 1, __ATOMIC_RELEASE);
	evil_ring(dev);
	while (__atomic_load_n(&bwd->producer.head, __ATOMIC_ACQUIRE) != MOVED + 1)
		expect(now_ns() < end, "the echo does not move on");
}

/* more_to_echo() - write on, so that the host looks at bwd, too */
static void more_to_echo(struct evil_dev *dev)
{
	__atomic_fetch_add(&evil_pipe(dev, 0)->producer.head, 1, __ATOMIC_RELEASE);
}

static void head_past_ring(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 0)->producer.head = MOVED + 2 + EVIL_RING_BYTES;
	evil_channel_fails(dev, OKL4_HEAD_PAST_RING);
}

static void head_far_away(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 0)->producer.head = 1ULL << 62;
	evil_channel_fails(dev, OKL4_HEAD_PAST_RING);
}

static void head_back(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 0)->producer.head = MOVED - 1;
	evil_channel_fails(dev, OKL4_HEAD_BACK);
}

static void tail_past_head(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 1)->consumer.tail = MOVED + 1000;
	more_to_echo(dev);
	evil_channel_fails(dev, OKL4_TAIL_PAST_HEAD);
}

static void tail_back(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 1)->consumer.tail = MOVED / 2 - 1;
	more_to_echo(dev);
	evil_channel_fails(dev, OKL4_TAIL_BACK);
}

static void producer_phase_back(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 0)->producer.phase = 1;
	evil_channel_fails(dev, OKL4_PHASE_BACK);
}

static void consumer_phase_back(struct evil_dev *dev)
{
	attach_and_move(dev);
	evil_pipe(dev, 1)->consumer.phase = 1;
	more_to_echo(dev);
	evil_channel_fails(dev, OKL4_PHASE_BACK);
}

static void failed_instance_is_refused(struct evil_dev *dev)
{
	head_past_ring(dev);
	evil_attach_request(dev);
	evil_refused(evil_status(dev, ATTACH_BYTES), OKL4_CHANNEL_FAILED);
}

/* header_after_attach() - the host read the header once; scribbling over it changes nothing */
static void header_after_attach(struct evil_dev *dev)
{
	uint64_t end = now_ns() + 10000000000ULL;

	attach_and_move(dev);
	memset(evil_ctl(dev), 0xff, sizeof(struct okl4_ctl_shm));
	more_to_echo(dev);
	evil_ring(dev);
	while (__atomic_load_n(&evil_pipe(dev, 1)->producer.head, __ATOMIC_ACQUIRE) != MOVED + 2)
		expect(now_ns() < end, "the echo does not move");
}

/* random_scribble() - random words all over the control memsection and the bell page, many times */
static void random_scribble(struct evil_dev *dev)
{
	for (unsigned int i = 0; i < 40; i++) {
		attach_and_move(dev);
		for (unsigned int k = 0; k < 200; k++) {
			uint64_t *word = (uint64_t *)(dev->arena + ARENA_CTL) +
					 random_next(&dev->random) % (EVIL_CTL_BYTES / 8);
			uint64_t *bell = (uint64_t *)(dev->arena + ARENA_BELL) +
					 random_next(&dev->random) % 512;

			*word = random_next(&dev->random);
			*bell = random_next(&dev->random);
			if (k % 20 == 0)
				evil_ring(dev);
		}
		evil_reset(dev);
	}
}

const struct evil_entry evil_shm[] = {
	{ "head_past_ring", head_past_ring },
	{ "head_far_away", head_far_away },
	{ "head_back", head_back },
	{ "tail_past_head", tail_past_head },
	{ "tail_back", tail_back },
	{ "producer_phase_back", producer_phase_back },
	{ "consumer_phase_back", consumer_phase_back },
	{ "failed_instance_is_refused", failed_instance_is_refused },
	{ "header_after_attach", header_after_attach },
	{ "random_scribble", random_scribble },
	{ NULL, NULL },
};

/* attach_is_refused() - ATTACH the memsection as it is now */
static void attach_is_refused(struct evil_dev *dev, enum okl4_status wanted)
{
	evil_attach_request(dev);
	evil_refused(evil_status(dev, ATTACH_BYTES), wanted);
}

static void every_header_field(struct evil_dev *dev)
{
	static const struct {
		size_t offset;
		size_t bytes;
		uint64_t value;
		enum okl4_status status;
	} field[] = {
#define FIELD(name, value, status)                                                              \
	{ offsetof(struct okl4_ctl_shm, name), sizeof(((struct okl4_ctl_shm *)0)->name), value, \
	  status }
		FIELD(magic, 0x11111111, OKL4_CTL_MAGIC),
		FIELD(version, 2, OKL4_CTL_VERSION),
		FIELD(header_bytes, 64, OKL4_CTL_HEADER_BYTES),
		FIELD(ctl_bytes, 8192, OKL4_CTL_BYTES),
		FIELD(ring_bytes, 131072, OKL4_CTL_RING_BYTES),
		FIELD(instance, 12345, OKL4_CTL_INSTANCE),
		FIELD(heap_offset, 64, OKL4_CTL_HEAP),
		FIELD(heap_bytes, 4096, OKL4_CTL_HEAP),
		FIELD(heap_bytes, 0xffffffff, OKL4_CTL_HEAP),
		FIELD(pipe_offset[0], 0, OKL4_CTL_PIPE_OFFSET),
		FIELD(pipe_offset[0], 513, OKL4_CTL_PIPE_OFFSET),
		FIELD(pipe_offset[1], 0xffffff80, OKL4_CTL_PIPE_OFFSET),
		FIELD(pipe_offset[1], 512, OKL4_CTL_PIPE_OVERLAP),
#undef FIELD
	};

	evil_hello(dev);
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		evil_lay_out(dev);
		memcpy(dev->arena + ARENA_CTL + field[i].offset, &field[i].value, field[i].bytes);
		attach_is_refused(dev, field[i].status);
	}
}

static void cursors_at_attach(struct evil_dev *dev)
{
	evil_hello(dev);
	evil_lay_out(dev);
	evil_pipe(dev, 0)->producer.head = EVIL_RING_BYTES + 1;
	attach_is_refused(dev, OKL4_RESUME_CURSORS);
	evil_lay_out(dev);
	evil_pipe(dev, 1)->consumer.tail = 1;
	attach_is_refused(dev, OKL4_RESUME_CURSORS);
}

const struct evil_entry evil_header_fields[] = {
	{ "every_header_field", every_header_field },
	{ "cursors_at_attach", cursors_at_attach },
	{ NULL, NULL },
};
