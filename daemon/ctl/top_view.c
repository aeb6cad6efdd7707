// SPDX-License-Identifier: BSD-3-Clause
/*
 * top_view.c - lines of `top`
 */
#include "ctl/top_view.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/text.h"
#include "util/fd.h"

/* Columns of a line besides the name and the two bars: those of ROW, with the spaces before them */
#define FIXED_COLUMNS 46UL
#define MIN_NAME      8UL
#define MAX_NAME      48UL
#define MIN_BAR       5UL
#define MAX_BAR       16UL

static const char *const sort_names[] = {
	[SORT_LIST] = "list",       [SORT_NAME] = "name",         [SORT_RATE] = "rate",
	[SORT_TO_HOST] = "to-host", [SORT_TO_GUEST] = "to-guest", [SORT_FILL] = "fill",
	[SORT_STALLS] = "stalls",
};
_Static_assert(sizeof(sort_names) / sizeof(sort_names[0]) == N_TOP_SORTS, "a name for each order");

const char *top_sort_name(enum top_sort sort)
{
	return sort_names[sort];
}

/* The largest value comes first */
static double sort_value(const struct rates *r, enum top_sort sort)
{
	const struct way_rates *a = &r->to_host, *b = &r->to_guest;

	switch (sort) {
	case SORT_RATE:
		return a->per_s[RATE_BYTES] + b->per_s[RATE_BYTES];
	case SORT_TO_HOST:
		return a->per_s[RATE_BYTES];
	case SORT_TO_GUEST:
		return b->per_s[RATE_BYTES];
	case SORT_FILL:
		return (double)(a->fill_bytes > b->fill_bytes ? a->fill_bytes : b->fill_bytes) /
		       (double)(r->ring_bytes ? r->ring_bytes : 1);
	case SORT_STALLS:
		return b->per_s[RATE_FULL_STALLS] + a->per_s[RATE_EMPTY_STALLS];
	default:
		return 0;
	}
}

static int compare_channels(const void *a, const void *b, void *arg)
{
	const struct rates *x = a, *y = b;
	enum top_sort sort = *(enum top_sort *)arg;
	double p = sort_value(x, sort), q = sort_value(y, sort);
	int r = 0;

	if (p != q)
		return p > q ? -1 : 1;
	if (sort == SORT_NAME)
		r = strcmp(x->guest, y->guest);
	if (sort == SORT_NAME && !r)
		r = strcmp(x->name, y->name);
	return r ? r : (x->idx > y->idx) - (x->idx < y->idx);
}

void top_sort(struct rates *list, size_t n, enum top_sort sort)
{
	qsort_r(list, n, sizeof(*list), compare_channels, &sort);
}

/* Return: columns of the name */
static size_t widths(const struct top_view *view, size_t *bar)
{
	size_t spare = view->columns > FIXED_COLUMNS + MIN_NAME + 2 * MIN_BAR ?
			       view->columns - FIXED_COLUMNS - MIN_NAME - 2 * MIN_BAR :
			       0;
	size_t name = MIN_NAME + spare;

	*bar = MIN_BAR;
	/* The name gets the first twelve spare columns; the bars share what is left with it */
	if (spare > 12) {
		*bar += (spare - 12) / 4;
		*bar = *bar < MAX_BAR ? *bar : MAX_BAR;
		name = MIN_NAME + spare - 2 * (*bar - MIN_BAR);
	}
	return name < MAX_NAME ? name : MAX_NAME;
}

/* @text is changed */
static void put_padded(FILE *out, char *text, size_t columns)
{
	text_cut(text, columns);
	fprintf(out, "%s%*s", text, (int)(columns - text_columns(text)), "");
}

/* A byte shows as an eighth of a column at least, and only a full ring as a full bar */
static void draw_bar(FILE *out, const struct top_view *view, size_t columns, double part)
{
	/* U+2591, a light shade, then U+258F to U+2588, blocks of one eighth to eight */
	static const char *const eighths[] = { "\xe2\x96\x91", "\xe2\x96\x8f", "\xe2\x96\x8e",
					       "\xe2\x96\x8d", "\xe2\x96\x8c", "\xe2\x96\x8b",
					       "\xe2\x96\x8a", "\xe2\x96\x89", "\xe2\x96\x88" };
	size_t steps = view->blocks ? 8 : 1;
	size_t all = columns * steps, filled = (size_t)(part * (double)all);

	if (part > 0 && !filled)
		filled = 1;
	for (size_t i = 0; i < columns; i++) {
		size_t left = filled > i * steps ? filled - i * steps : 0;

		if (view->blocks)
			fputs(eighths[left < 8 ? left : 8], out);
		else
			fputc(left ? '#' : '.', out);
	}
}

static double fill_part(const struct way_rates *way, unsigned long long ring_bytes)
{
	double part = ring_bytes ? (double)way->fill_bytes / (double)ring_bytes : 0;

	return part < 1 ? part : 1;
}

static char *cut_line(const struct top_view *view, char *line)
{
	if (line)
		text_cut(line, view->columns);
	return line;
}

char *top_heading(const struct top_view *view)
{
	char *line = NULL;
	size_t bytes, bar, name = widths(view, &bar);
	FILE *out = open_memstream(&line, &bytes);

	if (!out)
		return NULL;
	fprintf(out, "%-*s %-9s %10s %-*s %10s %-*s %5s %5s", (int)name, "CHANNEL", "STATE",
		"TO HOST", (int)bar, "RING", "TO GUEST", (int)bar, "RING", "FULL", "EMPTY");
	fclose(out);
	return cut_line(view, line);
}

char *top_row(const struct top_view *view, const struct rates *r)
{
	_cleanup_free_ char *state = text_safe(r->state);
	_cleanup_free_ char *both = NULL;
	char *line = NULL, *safe;
	size_t bytes, bar, name = widths(view, &bar);
	FILE *out = open_memstream(&line, &bytes);

	if (!out)
		return NULL;
	if (asprintf(&both, "%s/%s", r->guest, r->name) < 0)
		both = NULL;
	safe = text_safe(both ? both : "");
	put_padded(out, safe, name);
	free(safe);
	fputc(' ', out);
	if (r->tail_bytes)
		fprintf(out, "+%-8s", text_size(r->tail_bytes).text);
	else
		put_padded(out, state, 9);
	fprintf(out, " %10s ", r->known ? text_byte_rate(r->to_host.per_s[RATE_BYTES]).text : "-");
	draw_bar(out, view, bar, fill_part(&r->to_host, r->ring_bytes));
	fprintf(out, " %10s ", r->known ? text_byte_rate(r->to_guest.per_s[RATE_BYTES]).text : "-");
	draw_bar(out, view, bar, fill_part(&r->to_guest, r->ring_bytes));
	/* The host writes to the guest and waits for room, reads from it and waits for bytes */
	fprintf(out, " %5s %5s",
		r->known ? text_rate(r->to_guest.per_s[RATE_FULL_STALLS]).text : "-",
		r->known ? text_rate(r->to_host.per_s[RATE_EMPTY_STALLS]).text : "-");
	fclose(out);
	return cut_line(view, line);
}

static struct json_object *way_json(const struct way_rates *way, bool known)
{
	struct json_object *object = json_object_new_object();
	char key[40];

	for (int i = 0; i < N_RATE_COUNTERS; i++) {
		snprintf(key, sizeof(key), "%s_per_s", rate_counter_name((enum rate_counter)i));
		json_object_object_add(object, key,
				       known ? json_object_new_double(way->per_s[i]) : NULL);
	}
	json_object_object_add(object, "fill_bytes", json_object_new_uint64(way->fill_bytes));
	return object;
}

struct json_object *top_json(const struct rates *list, size_t n, const struct look *before,
			     const struct look *now)
{
	struct json_object *object = json_object_new_object();
	struct json_object *channels = json_object_new_array();

	json_object_object_add(object, "interval_ms",
			       json_object_new_uint64((now->at_us - before->at_us) / 1000));
	json_object_object_add(object, "same_daemon",
			       json_object_new_boolean(rates_same_daemon(before, now)));
	for (size_t i = 0; i < n; i++) {
		const struct rates *r = &list[i];
		struct json_object *c = json_object_new_object();

		json_object_object_add(c, "guest", json_object_new_string(r->guest));
		json_object_object_add(c, "name", json_object_new_string(r->name));
		json_object_object_add(c, "state", json_object_new_string(r->state));
		json_object_object_add(c, "ring_bytes", json_object_new_uint64(r->ring_bytes));
		json_object_object_add(c, "tail_bytes", json_object_new_uint64(r->tail_bytes));
		json_object_object_add(c, "lost_bytes", json_object_new_uint64(r->lost_bytes));
		json_object_object_add(c, "fwd", way_json(&r->to_host, r->known));
		json_object_object_add(c, "bwd", way_json(&r->to_guest, r->known));
		json_object_array_add(channels, c);
	}
	json_object_object_add(object, "channels", channels);
	return object;
}
