/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * terminal.h - drawing on a terminal, and restoring it afterwards
 */
#ifndef OKL4FSD_CTL_TERMINAL_H
#define OKL4FSD_CTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/** enum terminal_event - what ended terminal_wait() */
enum terminal_event { TERMINAL_TIME, TERMINAL_KEY, TERMINAL_DRAW };

/** enum terminal_key - keys that are not a byte of text */
enum terminal_key {
	TERMINAL_ESCAPE = 256,
	TERMINAL_UP,
	TERMINAL_DOWN,
	TERMINAL_PAGE_UP,
	TERMINAL_PAGE_DOWN,
	TERMINAL_HOME,
	TERMINAL_END,
};

/** terminal_is_one() - whether stdout is a terminal that can be drawn on */
bool terminal_is_one(void);

/**
 * terminal_open() - take stdout's terminal: another screen, no echo, no cursor
 *
 * It is restored by terminal_close(), at exit(3), and when a signal ends or stops the program.
 */
void terminal_open(void);

/** terminal_close() - restore it; does nothing when it was not taken */
void terminal_close(void);

/** terminal_size() - how large it is now; 80 by 24 when the terminal does not say */
void terminal_size(size_t *columns, size_t *rows);

/**
 * terminal_wait() - wait for a key
 * @timeout_ms: in: for how long; out: how much of it is left
 * @key: out, for TERMINAL_KEY: a byte, or an enum terminal_key
 *
 * Also waits without a terminal. A signal that ends the program first restores the terminal.
 *
 * Return: TERMINAL_TIME: the time is over; TERMINAL_KEY; TERMINAL_DRAW: the size has changed, or
 * the program continues after a stop.
 */
enum terminal_event terminal_wait(long *timeout_ms, int *key);

#endif
