/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * terminal.h - a terminal that is drawn on, and given back as it was
 */
#ifndef OKL4FSD_CTL_TERMINAL_H
#define OKL4FSD_CTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/** enum terminal_event - what ended terminal_wait() */
enum terminal_event { TERMINAL_TIME, TERMINAL_KEY, TERMINAL_DRAW };

/** terminal_is_one() - whether stdout is a terminal that can be drawn on */
bool terminal_is_one(void);

/**
 * terminal_open() - take stdout's terminal: another screen, no echo, no cursor
 *
 * It is given back by terminal_close(), at exit(3), and when a signal ends or stops the program.
 */
void terminal_open(void);

/** terminal_close() - give it back; as often as wanted */
void terminal_close(void);

/** terminal_size() - how large it is now; 80 by 24 when it does not tell */
void terminal_size(size_t *columns, size_t *rows);

/**
 * terminal_wait() - wait for a key
 * @timeout_ms: for so long; the rest is left in it
 * @key: out, for TERMINAL_KEY
 *
 * Also waits without a terminal. Signals that end a program end it, after the terminal was given back.
 *
 * Return: TERMINAL_TIME: the time is over; TERMINAL_KEY; TERMINAL_DRAW: the size has changed, or the
 * program was stopped and goes on.
 */
enum terminal_event terminal_wait(long *timeout_ms, char *key);

#endif
