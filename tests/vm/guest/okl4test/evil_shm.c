// SPDX-License-Identifier: BSD-3-Clause
/*
 * evil_shm.c - writes over an attached control memsection
 */
#include <string.h>

#include "evil.h"
#include "pattern.h"

/* Bytes that the echo has moved both ways, so that all cursors are past zero */
#define MOVED 5000U

/* attach_and_move() - attach, open both ends and let some bytes through the echo */
static void attach_and_move(struct evil_dev *dev)
{
	struct okl4_pipe_shm *fwd, *bwd;

	evil_attach(dev);
	fwd = evil_pipe(dev, 0);
	bwd = evil_pipe(dev, 1);
	fwd->producer.phase = 3;
	bwd->consumer.phase = 3;
	__atomic_store_n(&fwd->producer.head, MOVED, __ATOMIC_RELEASE);
	evil_ring(dev);
	evil_wait_echo(dev, MOVED);
	__atomic_store_n(&bwd->consumer.tail, MOVED / 2, __ATOMIC_RELEASE);
	/* Once the host has echoed another byte, it has seen this tail, too. */
	__atomic_store_n(&fwd->producer.head, MOVED + 1, __ATOMIC_RELEASE);
	evil_ring(dev);
	evil_wait_echo(dev, MOVED + 1);
}

/* more_to_echo() - write on, so that the host looks at bwd, too */
static void more_to_echo(struct evil_dev *dev)
{
	__atomic_fetch_add(&evil_pipe(dev, 0)->producer.head, 1, __ATOMIC_RELEASE);
}

/* A word of a pipe that an attached guest must not set to this; @way is 0 for fwd, 1 for bwd */
#define EVIL_WORD(name, way, word, value, status)    \
	EVIL(name)                                   \
	{                                            \
		attach_and_move(dev);                \
		evil_pipe(dev, way)->word = (value); \
		if (way)                             \
			more_to_echo(dev);           \
		evil_channel_fails(dev, status);     \
	}

EVIL_WORD(head_past_ring, 0, producer.head, MOVED + 2 + EVIL_RING_BYTES, OKL4_HEAD_PAST_RING)
EVIL_WORD(head_far_away, 0, producer.head, 1ULL << 62, OKL4_HEAD_PAST_RING)
EVIL_WORD(head_back, 0, producer.head, MOVED - 1, OKL4_HEAD_BACK)
EVIL_WORD(tail_past_head, 1, consumer.tail, MOVED + 1000, OKL4_TAIL_PAST_HEAD)
EVIL_WORD(tail_back, 1, consumer.tail, MOVED / 2 - 1, OKL4_TAIL_BACK)
EVIL_WORD(producer_phase_back, 0, producer.phase, 1, OKL4_PHASE_BACK)
EVIL_WORD(consumer_phase_back, 1, consumer.phase, 1, OKL4_PHASE_BACK)

EVIL(failed_instance_is_refused)
{
	head_past_ring(dev);
	evil_attach_request(dev);
	evil_refused(evil_status(dev, ATTACH_BYTES), OKL4_CHANNEL_FAILED);
}

/* The host read the header once; scribbling over it changes nothing */
EVIL(header_after_attach)
{
	attach_and_move(dev);
	memset(evil_ctl(dev), 0xff, sizeof(struct okl4_ctl_shm));
	more_to_echo(dev);
	evil_ring(dev);
	evil_wait_echo(dev, MOVED + 2);
}

/* Random words all over the control memsection and the bell page, many times */
EVIL(random_scribble)
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
