// SPDX-License-Identifier: BSD-3-Clause
/*
 * screen.c - `top` on a terminal: the picture, and the keys that change it
 *
 * From top to bottom: the daemon, the totals, the heading, the channels, the keys. A terminal that
 * is too low shows the upper lines.
 */
#include "ctl/top/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/result.h"
#include "ctl/terminal.h"
#include "ctl/text.h"
#include "util/fd.h"

#define OTHER_LINES 4 /* besides the channels */

static const char sort_keys[] = { 'l', 'n', 'r', 'h', 'g', 'f', 's' };
_Static_assert(sizeof(sort_keys) == N_TOP_SORTS, "a key for each order");

static const char *const help_lines[] = {
	"Keys; press any key to go back.",
	"",
	"q            quit",
	"up, down     scroll by a line; page up, page down, home, end",
	"/            show only channels with a text in their name; Esc: all again",
	"l            in the daemon's order",
	"n            sort by name",
	"r            sort by rate, both directions",
	"h            sort by rate to the host",
	"g            sort by rate to the guest",
	"f            sort by how full the rings are",
	"s            sort by stalls",
	"R            the other way round",
	"",
	"FULL   how often per second the host waited for room in the ring to the guest",
	"EMPTY  how often per second it waited for bytes from the guest",
	"A wide terminal also shows MSG (pieces per second), IN (bytes in the ring),",
	"WOKEN and WAKES (how often the guest woke the host, and the host the guest).",
};

/**
 * struct picture - a picture that is being drawn
 * @columns: of the terminal
 * @rows: lines that are left
 * @is_first: nothing was drawn yet
 */
struct picture {
	size_t columns, rows;
	bool is_first;
};

/* @line is freed */
static void put_line(struct picture *p, char *line)
{
	if (line && p->rows) {
		text_cut(line, p->columns);
		printf("%s%s\033[K", p->is_first ? "" : "\n", line);
		p->is_first = false;
		p->rows--;
	}
	free(line);
}

static char *summary_line(const struct top_screen *s, const struct look *now, const char *error)
{
	struct json_object *guests = ctl_object(now->status, "guests");
	_cleanup_free_ char *safe = text_safe(error);
	char *line = NULL;

	safe[strcspn(safe, "\\")] = 0; /* the first of several lines */
	if (*safe)
		return asprintf(&line, "%s; trying again", safe) < 0 ? NULL : line;
	if (asprintf(&line,
		     "okl4fsd %s, process %llu, by %s%s, every %g s; %llu of %llu guests ready; "
		     "up %s",
		     ctl_string(now->status, "version"), ctl_number(now->status, "pid"),
		     top_sort_name(s->sort), s->reverse ? " reversed" : "",
		     (double)s->delay_ms / 1000, ctl_number(guests, "ready"),
		     ctl_number(guests, "total"),
		     text_duration(ctl_number(now->status, "uptime_ms")).text) < 0)
		return NULL;
	return line;
}

static char *keys_line(const struct top_screen *s)
{
	_cleanup_free_ char *filter = text_safe(s->filter);
	size_t last = s->first + s->page < s->n ? s->first + s->page : s->n;
	char *line = NULL;
	int r;

	if (s->is_typing)
		r = asprintf(&line, "/%s_   Enter: keep, Esc: all channels", filter);
	else if (*filter)
		r = asprintf(&line, "%zu-%zu of %zu with \"%s\"  / Esc filter  q quit  ? help",
			     s->n ? s->first + 1 : 0, last, s->n, filter);
	else
		r = asprintf(&line,
			     "%zu-%zu of %zu  q quit  ? help  / filter  up down scroll  "
			     "sort: l n r h g f s, R",
			     s->n ? s->first + 1 : 0, last, s->n);
	return r < 0 ? NULL : line;
}

/* Return: how many are left */
static size_t filter_channels(const struct top_screen *s, struct rates *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *name = top_name(&list[i]);

		if (!*s->filter || strcasestr(name, s->filter))
			list[kept++] = list[i];
	}
	return kept;
}

static void keep_in_range(struct top_screen *s)
{
	size_t last = s->n > s->page ? s->n - s->page : 0;

	s->first = s->first < last ? s->first : last;
}

static void draw_channels(struct top_screen *s, struct picture *p, const struct top_view *view,
			  const struct rates *list)
{
	put_line(p, top_totals(list, s->n));
	put_line(p, top_heading(view));
	for (size_t i = s->first; i < s->n && i < s->first + s->page; i++)
		put_line(p, top_row(view, &list[i]));
	put_line(p, keys_line(s));
}

void top_screen_draw(struct top_screen *s, const struct look *now, struct rates *list, size_t n,
		     const char *error)
{
	struct top_view view = { .blocks = s->blocks };
	struct picture p = { .is_first = true };

	terminal_size(&p.columns, &p.rows);
	view.columns = p.columns;
	top_lay_out(&view, list, n); /* the columns stay where they are while a filter is typed */
	s->n = filter_channels(s, list, n);
	s->page = p.rows > OTHER_LINES ? p.rows - OTHER_LINES : 0;
	keep_in_range(s);
	top_sort(list, s->n, s->sort, s->reverse);
	fputs("\033[H", stdout);
	put_line(&p, summary_line(s, now, error));
	if (s->is_help)
		for (size_t i = 0; i < sizeof(help_lines) / sizeof(help_lines[0]); i++)
			put_line(&p, strdup(help_lines[i]));
	else
		draw_channels(s, &p, &view, list);
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* Takes the last character away, which may have several bytes */
static void erase(char *text)
{
	size_t bytes = strlen(text);

	while (bytes && ((unsigned char)text[bytes - 1] & 0xc0) == 0x80)
		bytes--;
	text[bytes ? bytes - 1 : 0] = 0;
}

static void type_key(struct top_screen *s, int key)
{
	size_t bytes = strlen(s->filter);

	if (key == '\n' || key == '\r') {
		s->is_typing = false;
	} else if (key == TERMINAL_ESCAPE) {
		s->is_typing = false;
		s->filter[0] = 0;
	} else if (key == 0x7f || key == '\b') {
		erase(s->filter);
	} else if (key == 'U' - '@') {
		s->filter[0] = 0;
	} else if (key >= ' ' && key < 256 && bytes + 1 < sizeof(s->filter)) {
		s->filter[bytes] = (char)key;
		s->filter[bytes + 1] = 0;
	}
}

/* Return: whether it is a key that scrolls */
static bool scroll(struct top_screen *s, int key)
{
	size_t page = s->page ? s->page : 1, step = 0;

	switch (key) {
	case TERMINAL_UP:
	case TERMINAL_PAGE_UP:
		step = key == TERMINAL_UP ? 1 : page;
		s->first = s->first > step ? s->first - step : 0;
		break;
	case TERMINAL_DOWN:
	case TERMINAL_PAGE_DOWN:
		s->first += key == TERMINAL_DOWN ? 1 : page;
		break;
	case TERMINAL_HOME:
		s->first = 0;
		break;
	case TERMINAL_END:
		s->first = s->n;
		break;
	default:
		return false;
	}
	keep_in_range(s);
	return true;
}

bool top_screen_key(struct top_screen *s, int key)
{
	if (s->is_help) {
		s->is_help = false;
		return key != 'q' && key != 'Q';
	}
	if (scroll(s, key))
		return true;
	if (s->is_typing) {
		type_key(s, key);
		return true;
	}
	if (key == 'q' || key == 'Q')
		return false;
	if (key == 'R')
		s->reverse = !s->reverse;
	s->is_help = key == '?';
	s->is_typing = key == '/';
	if (key == TERMINAL_ESCAPE)
		s->filter[0] = 0;
	for (int i = 0; i < N_TOP_SORTS; i++)
		if (key == sort_keys[i])
			s->sort = (enum top_sort)i;
	return true;
}
