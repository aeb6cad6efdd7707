/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * screen.h - `top` on a terminal: the picture, and the keys that change it
 */
#ifndef OKL4FSD_CTL_TOP_SCREEN_H
#define OKL4FSD_CTL_TOP_SCREEN_H

#include "ctl/top/view.h"

/**
 * struct top_screen - what is shown, and how
 * @sort: order of the channels
 * @reverse: the other way round
 * @delay_ms: between two looks
 * @blocks: as in struct top_view
 * @first: the first channel that is shown
 * @page: how many fit
 * @n: how many there are
 * @filter: only channels whose name has this in it, in letters of either case
 * @is_typing: the user types the filter
 * @is_help: the keys are explained
 */
struct top_screen {
	enum top_sort sort;
	bool reverse;
	long delay_ms;
	bool blocks;
	size_t first, page, n;
	char filter[128];
	bool is_typing, is_help;
};

/**
 * top_screen_draw() - draw all of it
 * @s: screen
 * @now: the last look
 * @list: its channels; is sorted, and those that the filter does not let through are overwritten
 * @n: how many
 * @error: why there was no look since; "": there was one
 */
void top_screen_draw(struct top_screen *s, const struct look *now, struct rates *list, size_t n,
		     const char *error);

/** top_screen_key() - obey a key of terminal_wait(); Return: false when the user quits */
bool top_screen_key(struct top_screen *s, int key);

#endif
