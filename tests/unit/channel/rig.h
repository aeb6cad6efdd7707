/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - a channel of the daemon with a guest that is played by the test
 *
 * The guest's memory is the test's own, in single pages that lie in reverse order, so that whatever
 * crosses a page is in two pieces. The guest's end is libfs's, as in a real guest. Everything runs
 * on the test's thread: rig_until() and rig_turns() run the daemon's loop.
 */
#ifndef TESTS_UNIT_CHANNEL_RIG_H
#define TESTS_UNIT_CHANNEL_RIG_H

#include "channel/io.h"
#include "endpoint/types.h"

/**
 * struct rig - all of it
 * @loop: the worker's loop
 * @owns_loop: it is this rig's own, not another one's
 * @guest_name: of the guest, for the daemon
 * @shared: the guest's memory is shared with processes that the test forks
 * @cfg: the channel's configuration
 * @ch: the channel
 * @ep: its endpoint; NULL: none was made
 * @guest: the guest's end; tx is fwd, rx is bwd
 * @page: the guest's memory
 * @chunk: its pages, ctl, fwd and bwd
 * @sec: the guest's memsections
 * @instance: of the memory
 * @budget: for tails; that of a configuration that says nothing
 * @memory_is_lost: the guest's memory has been taken away
 * @rings: times the host rang
 * @tells: times the host told of a failure
 * @told: the last one
 * @out: where the guest is in the stream that it writes
 * @in: and in the one that it reads
 */
struct rig {
	struct loop *loop;
	bool owns_loop;
	const char *guest_name;
	bool shared;
	struct channel_config cfg;
	struct channel ch;
	struct endpoint *ep;
	struct okl4_socketpair guest;
	uint8_t *page;
	void **chunk[OKL4FS_N_SECS];
	struct okl4_memsec sec[OKL4FS_N_SECS];
	uint64_t instance;
	struct tail_budget budget;
	bool memory_is_lost;
	unsigned int rings, tells;
	enum okl4_status told;
	uint64_t out, in;
};

/** rig_init() - a channel with this endpoint, not attached; no endpoint when @endpoint is NULL */
void rig_init(struct rig *rig, const struct endpoint_config *endpoint, uint64_t ring_bytes);

/**
 * struct rig_options - for rig_init_as(); what is 0 is as rig_init() has it
 * @loop: loop of another rig
 * @guest: name of the guest
 * @channel: name of the channel
 * @shared: as in struct rig
 */
struct rig_options {
	struct loop *loop;
	const char *guest, *channel;
	bool shared;
};

/** rig_init_as() - rig_init() with more to say */
void rig_init_as(struct rig *rig, const struct rig_options *options,
		 const struct endpoint_config *endpoint, uint64_t ring_bytes);

/** rig_deinit() - end it as the daemon would, and let the guest's memory go */
void rig_deinit(struct rig *rig);

/** rig_new_memory() - the guest lays out fresh memory; the former stays allocated no longer */
void rig_new_memory(struct rig *rig);

/** rig_attach() - the guest attaches its memory; Return: as channel_attach() */
int rig_attach(struct rig *rig);

/** rig_kill() - the daemon is killed: channel and endpoint vanish, the guest's memory stays */
void rig_kill(struct rig *rig);

/** rig_restart() - a new daemon after rig_kill(): channel and endpoint, not attached */
void rig_restart(struct rig *rig);

/* The guest's actions; each wakes the host as the guest driver would. write and read return as
 * okl4_pipe_write() and okl4_pipe_read() do */
int64_t guest_write(struct rig *rig, const void *buf, uint64_t bytes);
int64_t guest_read(struct rig *rig, void *buf, uint64_t bytes);
void guest_open_write(struct rig *rig);
void guest_close_write(struct rig *rig);
void guest_open_read(struct rig *rig);
void guest_close_read(struct rig *rig);

/** guest_sends() - the guest writes so much of its stream, all of it; the daemon does not run */
void guest_sends(struct rig *rig, uint64_t bytes);

/** guest_writes_some() - one write of at most @most bytes; the ring may be full */
void guest_writes_some(struct rig *rig, uint64_t most);

/** guest_reads_some() - one read; Return: bytes that came, 0 (end-of-file) or -OKL4_AGAIN */
int64_t guest_reads_some(struct rig *rig, uint64_t most);

/** guest_gets() - the guest must read so much of its stream */
void guest_gets(struct rig *rig, uint64_t bytes);

/** guest_sees() - a read must return this, 0 (end-of-file) or -OKL4_AGAIN, and no byte */
void guest_sees(struct rig *rig, int64_t want);

/** rig_info() - what the endpoint says of itself */
struct endpoint_info rig_info(const struct rig *rig);

/** rig_refuses() - an endpoint that cannot be made, for a channel of its own */
void rig_refuses(const struct endpoint_config *endpoint, int error);

/** rig_until() - run the loop until a condition holds; fails the test after 20 s */
void rig_until(struct rig *rig, bool (*cond)(void *arg), void *arg, const char *what);

/** rig_turns() - run the loop for some rounds: all I/O that is ready is looked at in each */
void rig_turns(struct rig *rig, unsigned int turns);

#define SPIN_MS 30 /* of 100: more is a loop that does not sleep */

/** rig_cpu_ms() - run the loop for @ms of time; Return: processor time that it used, in ms */
unsigned int rig_cpu_ms(struct rig *rig, unsigned int ms);

/** pattern() - the byte at a position of a stream that the tests send */
static inline uint8_t pattern(uint64_t pos)
{
	return (uint8_t)((pos * 0x9e3779b97f4a7c15ULL) >> 56);
}

/** pattern_fill() - part of that stream */
void pattern_fill(uint8_t *buf, uint64_t pos, uint64_t bytes);

/** pattern_check() - fail the test unless these bytes are that part of the stream */
void pattern_check(const uint8_t *buf, uint64_t pos, uint64_t bytes);

/** rng_seeded() - a seed, printed: from OKL4FS_TEST_SEED if that is set, else random */
uint64_t rng_seeded(const char *test);

/** rng_below() - the next number of a generator (splitmix64), below @limit */
uint64_t rng_below(uint64_t *state, uint64_t limit);

#endif
