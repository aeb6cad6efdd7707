/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interleavings.h - runs two threads of libfs calls through every interleaving
 *
 * The threads are coroutines. Each access to shared memory is a step, and before each the search
 * chooses which thread goes on (access_is_step/libfs/platform.h). A store first lies in its thread's store
 * buffer, where only that thread sees it; when it reaches memory is another choice. A release store
 * waits for all earlier stores of its thread. A plain store may overtake those to other places (x86
 * does not do that, other processors do). A fence or a notification waits for the buffer to be
 * empty. Loads are in program order. Every choice is tried, depth first; a state that was met
 * before (memory, buffers, and what each thread has seen so far) is not entered again.
 */
#ifndef TESTS_UNIT_LIBFS_INTERLEAVINGS_H
#define TESTS_UNIT_LIBFS_INTERLEAVINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct scenario - what is tried
 * @setup: puts everything into its first state; its accesses are not steps
 * @thread: the two threads; both must end if no wake-up is lost
 * @shared: all memory that they share
 * @shared_bytes: its size, a multiple of 8
 * @fences: if false, fences do nothing, to see that the search finds what they prevent
 */
struct scenario {
	void (*setup)(void);
	void (*thread[2])(void);
	void *shared;
	size_t shared_bytes;
	bool fences;
};

/**
 * struct outcome - what came out
 * @n_states: different states met
 * @n_runs: ways from the start that were walked
 * @stuck: a thread sleeps for ever
 * @trace: the steps that led there
 */
struct outcome {
	uint64_t n_states;
	uint64_t n_runs;
	bool stuck;
	char trace[4096];
};

/* Try every interleaving, up to the first stuck state */
void try_interleavings(const struct scenario *scenario, struct outcome *outcome);

/* For the threads of a scenario */
void interleaved_notify(void); /* wake the other thread, or let its next sleep return at once */
void interleaved_sleep(void); /* until notified */

#endif /* TESTS_UNIT_LIBFS_INTERLEAVINGS_H */
