// SPDX-License-Identifier: BSD-3-Clause
/*
 * kill.c - a daemon that is killed before each of its stores
 *
 * libfs, channel/io.c and the pair are compiled once more, with every store to memory that
 * outlives the process a step (access_is_step/libfs/platform.h). The daemon runs in a process that the test
 * forks, which ends without a word at the step that was chosen. The guests, their memory and what
 * they have sent and received are shared with it, and so is the file. Then comes the next daemon.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libfs/packet.h>

#include "rig.h"

#define KILLED 42

/* All that outlives a daemon */
struct world {
	struct pair p;
	uint64_t steps; /* stores that the daemon has still to make; 0: no end */
	bool in_daemon; /* a store is the daemon's */
	bool open_write[2], open_read[2]; /* what the guests have open */
	uint64_t closed_at[2][4096]; /* where each stream's writer has closed */
	unsigned int n_closed[2];
	bool packets; /* each piece that is written is a message, never an empty one */
	uint64_t length[2][1024]; /* of each message */
	unsigned int n_sent[2], n_got[2];
};

static struct world *world;

uint64_t step_load(const void *at, unsigned int bytes)
{
	switch (bytes) {
	case 2:
		return __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);
	case 4:
		return __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
	}
}

void step_store(void *at, unsigned int bytes, uint64_t value, bool release)
{
	if (world && world->in_daemon && world->steps && !--world->steps)
		_exit(KILLED);
	if (bytes == 4)
		__atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELEASE);
}

void step_fence(void)
{
	__sync_synchronize();
}

static void world_init(uint64_t ring_bytes)
{
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	cr_assert_neq(world, MAP_FAILED);
	pair_init(&world->p, ring_bytes, true);
	rig_kill(&world->p.rig[0]);
	rig_kill(&world->p.rig[1]);
}

static void world_deinit(void)
{
	struct pair *p = &world->p;

	rig_restart(&p->rig[0]);
	rig_restart(&p->rig[1]);
	pair_deinit(p);
	munmap(world, sizeof(*world));
	world = NULL;
}

static void guest_rings(unsigned int side)
{
	world->in_daemon = true;
	channel_rung(&world->p.rig[side].ch);
	world->in_daemon = false;
}

static void turns(void)
{
	world->in_daemon = true;
	rig_turns(&world->p.rig[0], 2);
	world->in_daemon = false;
}

/* @first: which one does so first */
static void attach_both(unsigned int first)
{
	world->in_daemon = true;
	cr_assert_eq(rig_attach(&world->p.rig[first]), 0);
	cr_assert_eq(rig_attach(&world->p.rig[!first]), 0);
	world->in_daemon = false;
}

/* Return: as okl4_pipe_write() */
static int64_t put_bytes(unsigned int w, const uint8_t *buf, uint64_t bytes, bool *notify)
{
	struct okl4_pipe *tx = &world->p.rig[w].guest.tx;
	int r;

	if (!world->packets)
		return okl4_pipe_write(tx, buf, bytes, notify);
	r = okl4_packet_write(tx, buf, bytes, notify);
	if (r)
		return r;
	cr_assert_lt(world->n_sent[w], 1024);
	world->length[w][world->n_sent[w]++] = bytes;
	return (int64_t)bytes;
}

/* Return: as okl4_pipe_read() */
static int64_t take_bytes(unsigned int w, uint8_t *buf, uint64_t bytes, bool *notify)
{
	struct okl4_pipe *rx = &world->p.rig[!w].guest.rx;
	uint64_t length;
	int r;

	if (!world->packets)
		return okl4_pipe_read(rx, buf, bytes, notify);
	r = okl4_packet_read(rx, buf, 4096, &length, notify);
	if (r <= 0)
		return r;
	cr_assert_lt(world->n_got[w], world->n_sent[w], "a message too many");
	cr_assert_eq(length, world->length[w][world->n_got[w]++]);
	return (int64_t)length;
}

static void write_some(unsigned int w, uint64_t bytes, bool ring)
{
	struct pair *p = &world->p;
	uint8_t buf[4096];
	bool notify;
	int64_t n;

	pattern_fill(buf, p->rig[w].out, bytes);
	if (!world->open_write[w])
		return;
	n = put_bytes(w, buf, bytes, &notify);
	cr_assert(n > 0 || n == -OKL4_AGAIN || n == -OKL4_PIPE, "write: %s",
		  okl4_status_name((int)n));
	p->rig[w].out += n > 0 ? (uint64_t)n : 0;
	if (notify && ring)
		guest_rings(w);
}

/* Whether the writer of stream @w has closed at a position */
static bool was_closed_at(unsigned int w, uint64_t pos)
{
	for (unsigned int i = world->n_closed[w]; i--;) {
		if (world->closed_at[w][i] == pos)
			return true;
	}
	return false;
}

static int64_t read_some(unsigned int w, uint64_t bytes, bool ring)
{
	struct pair *p = &world->p;
	uint8_t buf[4096];
	bool notify;
	int64_t n = take_bytes(w, buf, bytes, &notify);

	cr_assert(n >= 0 || n == -OKL4_AGAIN, "read: %s", okl4_status_name((int)n));
	if (n > 0)
		pattern_check(buf, p->rig[!w].in, (uint64_t)n);
	else if (!n)
		cr_assert(was_closed_at(w, p->rig[!w].in), "an end after %llu bytes",
			  (unsigned long long)p->rig[!w].in);
	p->rig[!w].in += n > 0 ? (uint64_t)n : 0;
	if (notify && ring)
		guest_rings(!w);
	return n;
}

static void open_write(unsigned int w, bool open, bool ring)
{
	struct okl4_pipe *tx = &world->p.rig[w].guest.tx;

	if (open) {
		okl4_pipe_producer_open(tx);
	} else {
		cr_assert_lt(world->n_closed[w], 4096);
		world->closed_at[w][world->n_closed[w]++] = world->p.rig[w].out;
		okl4_pipe_producer_close(tx);
	}
	world->open_write[w] = open;
	if (ring)
		guest_rings(w);
}

static void open_read(unsigned int w, bool open, bool ring)
{
	struct okl4_pipe *rx = &world->p.rig[!w].guest.rx;

	if (open)
		okl4_pipe_consumer_open(rx);
	else
		okl4_pipe_consumer_close(rx);
	world->open_read[w] = open;
	if (ring)
		guest_rings(!w);
}

/* Killed before store @steps; 0: it ends when @life does. Return: true when it was killed */
static bool run_daemon(uint64_t steps, void (*life)(void))
{
	int status;
	pid_t pid;

	world->steps = steps;
	pid = fork();
	cr_assert_geq(pid, 0);
	if (!pid) {
		struct pair *p = &world->p;

		/*
		 * The loop of before has an epoll set in common with the parent's, and Criterion
		 * takes what a failed assertion says here for a stranger's: it is to end this process.
		 */
		close_range(3, ~0U, 0);
		if (loop_new(&p->loop, "killed"))
			_exit(1);
		p->rig[0].loop = p->rig[1].loop = p->loop;
		world->in_daemon = true;
		rig_restart(&p->rig[0]);
		rig_restart(&p->rig[1]);
		life();
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	world->in_daemon = false;
	world->steps = 0;
	cr_assert(WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == KILLED),
		  "status %#x", (unsigned int)status);
	return WEXITSTATUS(status) == KILLED;
}

/* Is not killed; rig_kill() ends it */
static void last_daemon(struct loop *loop)
{
	struct pair *p = &world->p;

	p->loop = p->rig[0].loop = p->rig[1].loop = loop;
	rig_restart(&p->rig[0]);
	rig_restart(&p->rig[1]);
	attach_both(0);
}

/* All that was written must come, and then the end; afterwards neither a byte nor another end */
static void finish_pair(struct loop *loop)
{
	struct pair *p = &world->p;

	last_daemon(loop);
	for (unsigned int w = 0; w < 2; w++) {
		bool was_open = world->open_write[w];
		int64_t n;

		if (!world->open_read[w])
			open_read(w, true, true);
		if (was_open)
			open_write(w, false, true);
		while (p->rig[!w].in < p->rig[w].out) {
			n = read_some(w, 4096, true);
			if (n == -OKL4_AGAIN) {
				turns();
				n = read_some(w, 4096, true);
			}
			cr_assert_gt(n, 0, "stream %u: %llu of %llu bytes", w,
				     (unsigned long long)p->rig[!w].in,
				     (unsigned long long)p->rig[w].out);
		}
		turns();
		n = read_some(w, 1, true);
		cr_assert(!n || (!was_open && n == -OKL4_AGAIN), "%lld", (long long)n);
		/* That end was the last: the next opening waits for the next writer. */
		open_read(w, false, true);
		turns();
		open_read(w, true, true);
		turns();
		cr_assert_eq(read_some(w, 1, true), -OKL4_AGAIN);
		open_write(w, true, true);
		turns();
		cr_assert_eq(read_some(w, 1, true), -OKL4_AGAIN);
		write_some(w, 1, true);
		turns();
		cr_assert_eq(read_some(w, 1, true), 1);
		/* And without a reader: EPIPE */
		open_read(w, false, true);
		turns();
		cr_assert_eq(okl4_pipe_write(&p->rig[w].guest.tx, "x", 1, &(bool){ false }),
			     -OKL4_PIPE);
	}
	rig_kill(&p->rig[0]);
	rig_kill(&p->rig[1]);
}

/* What the guests do between two daemons */
enum meanwhile { NOTHING, READ_SOME, READ_ALL_AND_COME_BACK, ALL_COME_BACK, N_MEANWHILES };

/* The guests see what was published: libfs refuses a cursor or a phase that moves back later */
static void meanwhile(enum meanwhile what)
{
	for (unsigned int w = 0; w < 2 && what != NOTHING; w++) {
		write_some(w, 50, false); /* looks at the reader's phase */
		if (what == ALL_COME_BACK && !world->open_write[w])
			open_write(w, true, false);
		if (!world->open_read[w])
			continue;
		if (what == READ_SOME) {
			read_some(w, 100, false);
			continue;
		}
		while (read_some(w, 4096, false) > 0)
			;
		open_read(w, false, false);
		open_read(w, true, false);
	}
}

/* In pieces that go around the ring */
static void life_of_bytes(void)
{
	attach_both(0);
	for (int i = 0; i < 3; i++) {
		for (unsigned int w = 0; w < 2; w++) {
			write_some(w, 3000, true);
			turns();
			write_some(w, 3000, false);
			turns();
			read_some(w, 4000, true);
			turns();
		}
	}
}

/* With bytes and without, seen by the daemon or not */
static void life_of_ends(void)
{
	attach_both(1);
	for (int i = 0; i < 2; i++) {
		for (unsigned int w = 0; w < 2; w++) {
			write_some(w, 100, false);
			open_write(w, false, true);
			turns();
			read_some(w, 4096, true);
			read_some(w, 1, true);
			open_write(w, true, i);
			turns();
			open_write(w, false, i);
			turns();
			open_read(w, false, true);
			turns();
			open_write(w, true, true);
			write_some(w, 10, true);
			turns();
			open_read(w, true, true);
			turns();
		}
	}
}

/* Only what happens when both come back */
static void life_of_resuming(void)
{
	attach_both(0);
	turns();
}

static bool with_messages;

/* All ends are open, and something has gone over */
static void life_begins(void)
{
	world_init(4096);
	world->packets = with_messages;
	for (unsigned int i = 0; i < 2; i++)
		world->p.rig[i].cfg.packets = with_messages;
	for (unsigned int w = 0; w < 2; w++) {
		open_write(w, true, false);
		open_read(w, true, false);
		write_some(w, 1234, false);
	}
}

/* @next: step of the next daemon's start, 0: none. Return: true when the first was killed */
static bool kill_at(void (*life)(void), uint64_t step, uint64_t next, enum meanwhile what)
{
	struct loop *loop;
	bool killed;

	life_begins();
	loop = world->p.loop;
	run_daemon(0, life_of_resuming);
	killed = run_daemon(step, life);
	meanwhile(what);
	if (next) {
		run_daemon(next, life_of_resuming);
		meanwhile(what);
	}
	finish_pair(loop);
	world_deinit();
	return killed;
}

/* Kill at each step of a life, then at @again steps of the next start. Return: steps of the life */
static uint64_t every_step(void (*life)(void), uint64_t again)
{
	for (uint64_t step = 1;; step++) {
		bool killed = true;

		for (uint64_t next = again ? 1 : 0; next <= again; next++) {
			for (enum meanwhile what = 0; what < N_MEANWHILES; what++)
				killed = kill_at(life, step, next, what);
		}
		if (!killed)
			return step;
	}
}

Test(joined_kill, at_every_step_of_bytes, .timeout = 120)
{
	uint64_t steps = every_step(life_of_bytes, 0);

	cr_assert_gt(steps, 50, "%llu", (unsigned long long)steps);
}

Test(joined_kill, at_every_step_of_messages, .timeout = 120)
{
	uint64_t steps;

	with_messages = true;
	steps = every_step(life_of_bytes, 0);
	cr_assert_gt(steps, 30, "%llu", (unsigned long long)steps);
}

Test(joined_kill, at_every_step_of_ends_that_open_and_close, .timeout = 120)
{
	uint64_t steps = every_step(life_of_ends, 0);

	cr_assert_gt(steps, 80, "%llu", (unsigned long long)steps);
}

Test(joined_kill, again_while_it_takes_up_what_was_left, .timeout = 240)
{
	cr_assert_gt(every_step(life_of_resuming, 12), 8);
}

static uint64_t rng;

static void act_at_random(void)
{
	unsigned int w = (unsigned int)rng_below(&rng, 2);
	bool ring = rng_below(&rng, 3);

	switch (rng_below(&rng, 12)) {
	case 0:
		open_write(w, !world->open_write[w], ring);
		return;
	case 1:
		open_read(w, !world->open_read[w], ring);
		return;
	case 2:
		world->in_daemon = true;
		channel_suspend(&world->p.rig[w].ch);
		cr_assert_eq(rig_attach(&world->p.rig[w]), 0);
		world->in_daemon = false;
		return;
	case 3:
	case 4:
		turns();
		return;
	case 5:
	case 6:
	case 7:
		if (world->open_write[w])
			write_some(w, 1 + rng_below(&rng, 4096), ring);
		return;
	default:
		if (world->open_read[w])
			read_some(w, 1 + rng_below(&rng, 4096), ring);
		return;
	}
}

static void life_of_anything(void)
{
	attach_both((unsigned int)rng_below(&rng, 2));
	for (int i = 0; i < 200; i++)
		act_at_random();
}

Test(joined_kill, anything_in_any_order, .timeout = 240)
{
	unsigned int killed = 0;

	rng = rng_seeded("joined_kill/anything_in_any_order");
	for (int run = 0; run < 40; run++) {
		struct loop *loop;

		world_init(run % 2 ? 4096 : 8192);
		loop = world->p.loop;
		for (int life = 0; life < 25; life++) {
			killed += run_daemon(1 + rng_below(&rng, 300), life_of_anything);
			/* And this keeps the next one's numbers from being the same. */
			meanwhile((enum meanwhile)rng_below(&rng, N_MEANWHILES));
		}
		finish_pair(loop);
		world_deinit();
	}
	cr_assert_gt(killed, 100, "%u of 1000", killed);
}
