/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.h - the lines of `top`, and their order
 */
#ifndef OKL4FSD_CTL_TOP_VIEW_H
#define OKL4FSD_CTL_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/top/rate.h"

/** enum top_sort - the order of the channels */
enum top_sort {
	SORT_LIST,
	SORT_NAME,
	SORT_RATE,
	SORT_TO_HOST,
	SORT_TO_GUEST,
	SORT_FILL,
	SORT_STALLS,
	N_TOP_SORTS
};

/** top_sort_name() - "list", "name", ...; static memory */
const char *top_sort_name(enum top_sort sort);

/**
 * top_sort() - sort channels
 * @list: channels
 * @n: how many
 * @sort: the order: the largest value first; by name, in alphabetical order
 * @reverse: the other way round
 */
void top_sort(struct rates *list, size_t n, enum top_sort sort, bool reverse);

/**
 * struct top_view - how it is shown
 * @columns: of the terminal
 * @blocks: it can show Unicode's block characters, which bars are drawn with
 * @name: columns of the names
 * @bar: columns of a bar
 * @more: how many of the further columns there are, which only a wide terminal has
 */
struct top_view {
	size_t columns;
	bool blocks;
	size_t name, bar, more;
};

/** top_lay_out() - set the columns of a view for these channels; the whole width is used */
void top_lay_out(struct top_view *view, const struct rates *list, size_t n);

/** top_name() - GUEST/CHANNEL as it can be shown, to be freed */
char *top_name(const struct rates *r);

/** top_heading() - the line above the channels, to be freed */
char *top_heading(const struct top_view *view);

/** top_row() - a channel's line, to be freed */
char *top_row(const struct top_view *view, const struct rates *r);

/** top_totals() - a line about all of these channels, to be freed */
char *top_totals(const struct rates *list, size_t n);

/**
 * top_json() - everything as JSON
 * @list: channels
 * @n: how many
 * @before: first look
 * @now: second look
 *
 * Return: a new object.
 */
struct json_object *top_json(const struct rates *list, size_t n, const struct look *before,
			     const struct look *now);

#endif
