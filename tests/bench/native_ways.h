/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_ways.h - the ways between two processes that ring_native compares
 *
 * A way is made before fork(); then side 0 (the parent) and side 1 (the child) use it. A failure
 * ends the program.
 */
#ifndef TESTS_BENCH_NATIVE_WAYS_H
#define TESTS_BENCH_NATIVE_WAYS_H

#include <stddef.h>
#include <stdint.h>

#define WAY_BUFFER_BYTES (1U << 20) /* the socket's, the pipe's and the small ring's */

/**
 * struct way - one way
 * @name: short name, also in the JSON
 * @text: what it is
 * @init: make it
 * @send: send all of it, blocking
 * @recv: receive some, blocking; Return: bytes, at most @bytes
 * @deinit: give it back; in both processes
 */
struct way {
	const char *name;
	const char *text;
	void (*init)(void);
	void (*send)(int side, const uint8_t *buf, size_t bytes);
	size_t (*recv)(int side, uint8_t *buf, size_t bytes);
	void (*deinit)(void);
};

/* The rings come first: each is compared with the socket and the pipe */
enum way_idx { WAY_RING, WAY_RING_SPIN, WAY_RING_SMALL, WAY_UNIX, WAY_PIPE, N_WAYS };

extern const struct way ways[N_WAYS];

_Noreturn void bench_die(const char *what);

#endif /* TESTS_BENCH_NATIVE_WAYS_H */
