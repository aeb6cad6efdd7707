// SPDX-License-Identifier: BSD-3-Clause
/*
 * view.c - lines of `top`
 */
#include "ctl/top/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/text.h"
#include "util/fd.h"

/* Columns of a line besides the name and the two bars: those of ROW, with the spaces before them */
#define FIXED_COLUMNS 46UL
#define MIN_NAME      8UL
#define MIN_BAR       5UL

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

/* What qsort_r() hands to the comparison */
struct order {
	enum top_sort sort;
	bool reverse;
};

static int compare_in_order(const struct rates *x, const struct rates *y, enum top_sort sort)
{
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

static int compare_channels(const void *a, const void *b, void *arg)
{
	const struct order *order = arg;
	int r = compare_in_order(a, b, order->sort);

	return order->reverse ? -r : r;
}

void top_sort(struct rates *list, size_t n, enum top_sort sort, bool reverse)
{
	qsort_r(list, n, sizeof(*list), compare_channels, &(struct order){ sort, reverse });
}

static struct text_number known_rate(const struct rates *r, double per_s)
{
	return r->known ? text_rate(per_s) : (struct text_number){ "-" };
}

static struct text_number messages_to_host(const struct rates *r)
{
	return known_rate(r, r->to_host.per_s[RATE_MESSAGES]);
}

static struct text_number messages_to_guest(const struct rates *r)
{
	return known_rate(r, r->to_guest.per_s[RATE_MESSAGES]);
}

static struct text_number fill_to_host(const struct rates *r)
{
	return text_size(r->to_host.fill_bytes);
}

static struct text_number fill_to_guest(const struct rates *r)
{
	return text_size(r->to_guest.fill_bytes);
}

static struct text_number ring_size(const struct rates *r)
{
	return text_size(r->ring_bytes);
}

static struct text_number wakes_received(const struct rates *r)
{
	return known_rate(r, r->to_host.per_s[RATE_WAKES_RECEIVED] +
				     r->to_guest.per_s[RATE_WAKES_RECEIVED]);
}

static struct text_number wakes_sent(const struct rates *r)
{
	return known_rate(r,
			  r->to_host.per_s[RATE_WAKES_SENT] + r->to_guest.per_s[RATE_WAKES_SENT]);
}

/**
 * struct further - a column that only a wide terminal has
 * @title: heading
 * @width: columns
 * @text: of a channel
 */
static const struct further {
	const char *title;
	int width;
	struct text_number (*text)(const struct rates *r);
} further[] = {
	{ "MSG>HOST", 8, messages_to_host }, { "MSG>GUEST", 9, messages_to_guest },
	{ "IN>HOST", 9, fill_to_host },      { "IN>GUEST", 9, fill_to_guest },
	{ "RING SIZE", 9, ring_size },       { "WOKEN", 6, wakes_received },
	{ "WAKES", 6, wakes_sent },
};
#define N_FURTHER (sizeof(further) / sizeof(further[0]))

char *top_name(const struct rates *r)
{
	_cleanup_free_ char *both = NULL;

	if (asprintf(&both, "%s/%s", r->guest, r->name) < 0)
		both = NULL;
	return text_safe(both ? both : "");
}

static size_t longest_name(const struct rates *list, size_t n)
{
	size_t longest = MIN_NAME;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *name = top_name(&list[i]);
		size_t columns = text_columns(name);

		longest = columns > longest ? columns : longest;
	}
	return longest;
}

/* Names come first, up to half the width; then further columns; then the bars */
void top_lay_out(struct top_view *view, const struct rates *list, size_t n)
{
	size_t least = FIXED_COLUMNS + MIN_NAME + 2 * MIN_BAR;
	size_t spare = view->columns > least ? view->columns - least : 0;
	size_t longest = longest_name(list, n), half = view->columns / 2, more;

	longest = longest < half || half < MIN_NAME ? longest : half;
	more = longest - MIN_NAME < spare ? longest - MIN_NAME : spare;
	view->name = MIN_NAME + more;
	spare -= more;
	view->more = 0;
	while (view->more < N_FURTHER && spare > (size_t)further[view->more].width)
		spare -= (size_t)further[view->more++].width + 1;
	view->bar = MIN_BAR + spare / 2;
	view->name += spare % 2;
}

/* @text is changed */
static void put_padded(FILE *out, char *text, size_t columns)
{
	text_cut_middle(text, columns);
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

static double fill_part(const struct rates *r, const struct way_rates *way)
{
	double bytes = (double)r->ring_bytes * (double)(r->sessions > 1 ? r->sessions : 1);
	double part = bytes > 0 ? (double)way->fill_bytes / bytes : 0;

	return part < 1 ? part : 1;
}

static struct text_number sessions_text(const struct rates *r)
{
	struct text_number t;

	snprintf(t.text, sizeof(t.text), "%llu/%llu", r->sessions, r->max_sessions);
	return t;
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
	size_t bytes;
	FILE *out = open_memstream(&line, &bytes);

	if (!out)
		return NULL;
	fprintf(out, "%-*s %-9s %10s %-*s %10s %-*s %5s %5s", (int)view->name, "CHANNEL", "STATE",
		"TO HOST", (int)view->bar, "RING", "TO GUEST", (int)view->bar, "RING", "FULL",
		"EMPTY");
	for (size_t i = 0; i < view->more; i++)
		fprintf(out, " %*s", further[i].width, further[i].title);
	fclose(out);
	return cut_line(view, line);
}

char *top_row(const struct top_view *view, const struct rates *r)
{
	_cleanup_free_ char *state = text_safe(r->state), *name = top_name(r);
	char *line = NULL;
	size_t bytes;
	FILE *out = open_memstream(&line, &bytes);

	if (!out)
		return NULL;
	put_padded(out, name, view->name);
	fputc(' ', out);
	if (r->tail_bytes)
		fprintf(out, "+%-8s", text_size(r->tail_bytes).text);
	else if (r->max_sessions)
		fprintf(out, "%-9s", sessions_text(r).text);
	else
		put_padded(out, state, 9);
	fprintf(out, " %10s ", r->known ? text_byte_rate(r->to_host.per_s[RATE_BYTES]).text : "-");
	draw_bar(out, view, view->bar, fill_part(r, &r->to_host));
	fprintf(out, " %10s ", r->known ? text_byte_rate(r->to_guest.per_s[RATE_BYTES]).text : "-");
	draw_bar(out, view, view->bar, fill_part(r, &r->to_guest));
	/* The host writes to the guest and waits for room, reads from it and waits for bytes */
	fprintf(out, " %5s %5s",
		r->known ? text_rate(r->to_guest.per_s[RATE_FULL_STALLS]).text : "-",
		r->known ? text_rate(r->to_host.per_s[RATE_EMPTY_STALLS]).text : "-");
	for (size_t i = 0; i < view->more; i++)
		fprintf(out, " %*s", further[i].width, further[i].text(r).text);
	fclose(out);
	return cut_line(view, line);
}

char *top_totals(const struct rates *list, size_t n)
{
	double to_host = 0, to_guest = 0, full = 0, empty = 0;
	unsigned long long fill = 0, lost = 0;
	size_t attached = 0;
	char *line;

	for (size_t i = 0; i < n; i++) {
		const struct rates *r = &list[i];

		attached += !strcmp(r->state, "attached");
		to_host += r->to_host.per_s[RATE_BYTES];
		to_guest += r->to_guest.per_s[RATE_BYTES];
		full += r->to_guest.per_s[RATE_FULL_STALLS];
		empty += r->to_host.per_s[RATE_EMPTY_STALLS];
		fill += r->to_host.fill_bytes + r->to_guest.fill_bytes;
		lost += r->lost_bytes;
	}
	if (asprintf(&line,
		     "total: %zu of %zu attached; to host %s, to guest %s; full %s, empty %s; "
		     "in rings %s, lost %s",
		     attached, n, text_byte_rate(to_host).text, text_byte_rate(to_guest).text,
		     text_rate(full).text, text_rate(empty).text, text_size(fill).text,
		     text_size(lost).text) < 0)
		return NULL;
	return line;
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
		json_object_object_add(c, "max_sessions", json_object_new_uint64(r->max_sessions));
		json_object_object_add(c, "sessions", json_object_new_uint64(r->sessions));
		json_object_object_add(c, "fwd", way_json(&r->to_host, r->known));
		json_object_object_add(c, "bwd", way_json(&r->to_guest, r->known));
		json_object_array_add(channels, c);
	}
	json_object_object_add(object, "channels", channels);
	return object;
}
