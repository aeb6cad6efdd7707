// SPDX-License-Identifier: BSD-3-Clause
/*
 * steps.c - a test as a line of steps
 */
#include "steps.h"

#include <criterion/criterion.h>
#include <stdlib.h>

bool step_next(struct steps *s)
{
	size_t bytes, words;

	s->rest += strspn(s->rest, "; ");
	if (!*s->rest)
		return false;
	bytes = strcspn(s->rest, ";");
	cr_assert_lt(bytes, sizeof(s->step), "a step is too long: %s", s->rest);
	memcpy(s->step, s->rest, bytes);
	s->step[bytes] = 0;
	s->rest += bytes;

	words = bytes;
	while (words && strchr("0123456789", s->step[words - 1]))
		words--;
	s->n = words < bytes ? strtoull(s->step + words, NULL, 10) : 0;
	while (words && s->step[words - 1] == ' ')
		words--;
	memcpy(s->words, s->step, words);
	s->words[words] = 0;
	return true;
}

bool step_of_guest(struct rig *rig, const char *words)
{
	static const struct {
		const char *words;
		void (*take)(struct rig *rig);
	} steps[] = {
		{ "opens read", guest_open_read },
		{ "opens write", guest_open_write },
		{ "closes read", guest_close_read },
		{ "closes write", guest_close_write },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!strcmp(words, steps[i].words)) {
			steps[i].take(rig);
			return true;
		}
	}
	return false;
}
