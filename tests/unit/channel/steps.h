/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steps.h - a test as a line of steps, "guest sends 10; client gets 10"
 *
 * Each rig has the list of its steps, a STEP() each, and calls step_next() until there are no more.
 */
#ifndef TESTS_UNIT_CHANNEL_STEPS_H
#define TESTS_UNIT_CHANNEL_STEPS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "rig.h"

/**
 * struct steps - where a test stands in its steps
 * @rest: what has not been taken; begins as the whole text
 * @words: the step without its number
 * @n: its number, 0 if it has none: bytes, or how many
 */
struct steps {
	const char *rest;
	char words[64];
	uint64_t n;
};

extern char step_text[64]; /* the step that is being taken, for messages */

/** step_next() - read the next step; Return: false when there are no more */
bool step_next(struct steps *s);

/** STEP() - in a function that takes a step: if it has these words, this is it, and the function returns */
#define STEP(words, text, ...)              \
	do {                                \
		if (!strcmp(words, text)) { \
			__VA_ARGS__;        \
			return;             \
		}                           \
	} while (0)

/* The same steps three times; they end with ";" */
#define THRICE(steps) steps steps steps

/** rig_step() - the steps that every rig has; fails the test for any other */
void rig_step(struct rig *rig, const char *words, uint64_t n);

/** rig_play() - take these steps, separated by ";" */
void rig_play(struct rig *rig, const char *steps);

#endif
