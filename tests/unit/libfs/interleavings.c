// SPDX-License-Identifier: BSD-3-Clause
/*
 * interleavings.c - every interleaving of two threads, at each access to shared memory
 *
 * A run goes from the start to an end by a list of choices. try_interleavings() runs again and again, each
 * time with the next list in depth-first order, until there is none left. What a coroutine does
 * depends only on what it loaded, so a hash of all that a thread has loaded stands for its local
 * state.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <libfs/platform.h>

#include "interleavings.h"

#define MAX_DEPTH   400
#define MAX_STORES  12
#define STACK_BYTES (64 * 1024)
#define TABLE_SHIFT 24

enum kind { LOAD, STORE, FENCE, NOTIFY, SLEEP, DONE };

/* struct store - a store that has not reached memory */
struct store {
	void *at;
	unsigned int bytes;
	uint64_t value;
	bool release;
};

/* struct thread - one coroutine; @next is the step it stands before */
struct thread {
	ucontext_t context;
	uint8_t *stack;
	enum kind next;
	struct store buffer[MAX_STORES];
	unsigned int n_buffered;
	unsigned int n_notified; /* notifications not slept on yet, at most 1 */
	uint64_t seen;
};

/* struct choice - the next event: thread @who steps, or its buffered store @drain reaches memory */
struct choice {
	unsigned int who;
	int drain;
};

static const struct scenario *now;
static struct thread thread[2];
static unsigned int running;
static ucontext_t scheduler;
static uint64_t *visited;
static struct choice taken[MAX_DEPTH];
static struct {
	unsigned int at;
	unsigned int of;
} branch[MAX_DEPTH];

static uint64_t mix_hash(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ULL;
	return hash ^ hash >> 32;
}

/* Stop before a step, until the scheduler chooses this thread */
static void stop_before(enum kind kind)
{
	struct thread *t = &thread[running];

	t->next = kind;
	if (swapcontext(&t->context, &scheduler))
		abort();
}

uint64_t step_load(const void *at, unsigned int bytes)
{
	struct thread *t = &thread[running];
	uint64_t value = 0;
	unsigned int i;

	if (!now) {
		memcpy(&value, at, bytes);
		return value;
	}
	stop_before(LOAD);
	memcpy(&value, at, bytes);
	for (i = 0; i < t->n_buffered; i++) {
		if (t->buffer[i].at == at)
			value = t->buffer[i].value;
	}
	t->seen = mix_hash(t->seen, value);
	return value;
}

void step_store(void *at, unsigned int bytes, uint64_t value, bool release)
{
	struct thread *t = &thread[running];

	if (!now) {
		memcpy(at, &value, bytes);
		return;
	}
	stop_before(STORE);
	if (t->n_buffered == MAX_STORES)
		cr_assert_fail("a thread makes more than MAX_STORES stores");
	t->buffer[t->n_buffered++] = (struct store){ at, bytes, value, release };
	t->seen = mix_hash(t->seen, 1);
}

void step_fence(void)
{
	if (!now)
		return;
	stop_before(FENCE);
	thread[running].seen = mix_hash(thread[running].seen, 2);
}

void interleaved_notify(void)
{
	stop_before(NOTIFY);
	thread[1 - running].n_notified = 1;
	thread[running].seen = mix_hash(thread[running].seen, 3);
}

void interleaved_sleep(void)
{
	stop_before(SLEEP);
	thread[running].n_notified = 0;
	thread[running].seen = mix_hash(thread[running].seen, 4);
}

static bool can_step(const struct thread *t)
{
	switch (t->next) {
	case LOAD:
	case STORE:
		return true;
	case FENCE:
		return !t->n_buffered || !now->fences;
	case NOTIFY:
		return !t->n_buffered;
	case SLEEP:
		return t->n_notified;
	default:
		return false;
	}
}

/* Whether a buffered store can reach memory before those that were made earlier */
static bool can_drain(const struct thread *t, unsigned int k)
{
	unsigned int i;

	for (i = 0; i < k; i++) {
		if (t->buffer[k].release || t->buffer[i].at == t->buffer[k].at)
			return false;
	}
	return true;
}

static unsigned int list_choices(struct choice *list)
{
	unsigned int n = 0, who, k;

	for (who = 0; who < 2; who++) {
		const struct thread *t = &thread[who];

		if (can_step(t))
			list[n++] = (struct choice){ who, -1 };
		for (k = 0; k < t->n_buffered; k++) {
			if (can_drain(t, k))
				list[n++] = (struct choice){ who, (int)k };
		}
	}
	return n;
}

static void take_choice(struct choice c)
{
	struct thread *t = &thread[c.who];

	if (c.drain < 0) {
		running = c.who;
		if (swapcontext(&scheduler, &t->context))
			abort();
		return;
	}
	memcpy(t->buffer[c.drain].at, &t->buffer[c.drain].value, t->buffer[c.drain].bytes);
	t->n_buffered--;
	memmove(&t->buffer[c.drain], &t->buffer[c.drain + 1],
		(t->n_buffered - (unsigned int)c.drain) * sizeof(t->buffer[0]));
}

/* Whether the state was met before; it is noted */
static bool was_here(struct outcome *outcome)
{
	const uint64_t *word = now->shared;
	uint64_t hash = 1, slot;
	unsigned int who, k;
	size_t i;

	for (i = 0; i < now->shared_bytes / 8; i++)
		hash = mix_hash(hash, word[i]);
	for (who = 0; who < 2; who++) {
		const struct thread *t = &thread[who];

		hash = mix_hash(mix_hash(mix_hash(hash, t->seen), t->next), t->n_notified);
		for (k = 0; k < t->n_buffered; k++)
			hash = mix_hash(mix_hash(hash, (uint64_t)(uintptr_t)t->buffer[k].at),
					t->buffer[k].value);
		hash = mix_hash(hash, k);
	}
	hash += !hash;
	for (slot = hash >> (64 - TABLE_SHIFT); visited[slot] != hash;
	     slot = (slot + 1) & ((1ULL << TABLE_SHIFT) - 1)) {
		if (visited[slot])
			continue;
		visited[slot] = hash;
		if (++outcome->n_states > 1ULL << (TABLE_SHIFT - 1))
			cr_assert_fail("the scenario has too many states");
		return false;
	}
	return true;
}

static void body(void)
{
	unsigned int self = running;

	now->thread[self]();
	stop_before(DONE);
}

static void start_run(const struct scenario *scenario)
{
	unsigned int who;

	now = NULL;
	scenario->setup();
	now = scenario;
	for (who = 0; who < 2; who++) {
		struct thread *t = &thread[who];

		t->n_buffered = 0;
		t->n_notified = 0;
		t->seen = who;
		getcontext(&t->context);
		t->context.uc_stack.ss_sp = t->stack;
		t->context.uc_stack.ss_size = STACK_BYTES;
		t->context.uc_link = NULL;
		makecontext(&t->context, body, 0);
		take_choice((struct choice){ who, -1 });
	}
}

static void describe_stuck(struct outcome *outcome, unsigned int depth)
{
	static const char *const name[] = { "load", "store", "fence", "notify", "sleep", "done" };
	size_t used = 0;
	unsigned int i;

	for (i = 0; i < depth && used < sizeof(outcome->trace) - 32; i++)
		used += (size_t)sprintf(outcome->trace + used, "%s%u%s", i ? " " : "", taken[i].who,
					taken[i].drain < 0 ? "" : "!");
	snprintf(outcome->trace + used, sizeof(outcome->trace) - used, ": %s, %s",
		 name[thread[0].next], name[thread[1].next]);
}

/* From the start to an end: the known choices, then the first of each state; returns how many */
static unsigned int run_once(unsigned int known, struct outcome *outcome)
{
	struct choice list[2 * (MAX_STORES + 1)];
	unsigned int depth, n;

	start_run(now);
	for (depth = 0;; depth++) {
		if (depth >= known && was_here(outcome))
			return depth;
		n = list_choices(list);
		if (!n)
			break;
		if (depth == MAX_DEPTH)
			cr_assert_fail("a thread does not come to an end");
		if (depth >= known) {
			branch[depth].at = 0;
			branch[depth].of = n;
		}
		taken[depth] = list[branch[depth].at];
		take_choice(taken[depth]);
	}
	if (thread[0].next != DONE || thread[1].next != DONE) {
		outcome->stuck = true;
		describe_stuck(outcome, depth);
	}
	return depth;
}

void try_interleavings(const struct scenario *scenario, struct outcome *outcome)
{
	unsigned int depth = 0, who;

	memset(outcome, 0, sizeof(*outcome));
	visited = calloc(1ULL << TABLE_SHIFT, sizeof(*visited));
	for (who = 0; who < 2; who++)
		thread[who].stack = malloc(STACK_BYTES);
	if (!visited || !thread[0].stack || !thread[1].stack)
		cr_assert_fail("out of memory");

	now = scenario;
	do {
		depth = run_once(depth, outcome);
		now = scenario;
		outcome->n_runs++;
		while (depth && branch[depth - 1].at + 1 == branch[depth - 1].of)
			depth--;
		if (depth)
			branch[depth - 1].at++;
	} while (depth && !outcome->stuck);

	now = NULL;
	for (who = 0; who < 2; who++)
		free(thread[who].stack);
	free(visited);
}
