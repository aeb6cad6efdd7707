// SPDX-License-Identifier: BSD-3-Clause
/*
 * top.c - `top`: a live view of what the channels move
 *
 * It asks the daemon at intervals, and shows the differences between two answers ("looks"). On a
 * terminal each replaces the one before, and the user can press keys; elsewhere they are printed
 * one after the other. When the daemon goes away, a terminal waits for it; elsewhere the program
 * ends.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/argument.h"
#include "ctl/command.h"
#include "ctl/connection.h"
#include "ctl/result.h"
#include "ctl/terminal.h"
#include "ctl/top/screen.h"
#include "util/fd.h"

#define MIN_DELAY_MS 100
#define MAX_DELAY_MS 86400000

/**
 * struct top - what runs
 * @ctl: how to reach the daemon
 * @guest: only its channels; NULL: those of all
 * @count: how many updates to show; 0: no limit
 * @live: draws on a terminal
 * @screen: how it is shown
 * @before: the look before the last one
 * @now: the last look
 * @error: why there is no look now
 */
struct top {
	const struct ctl *ctl;
	const char *guest;
	unsigned long count;
	bool live;
	struct top_screen screen;
	struct look before, now;
	char error[1024];
};

static const char *delay_text, *count_text, *sort_text;
static bool is_reverse;

static const struct ctl_option of_top[] = {
	{ .name = "delay",
	  .letter = 'd',
	  .value = "SECONDS",
	  .text = &delay_text,
	  .help = "time between two updates; 1 by default" },
	{ .name = "count",
	  .letter = 'n',
	  .value = "COUNT",
	  .text = &count_text,
	  .help = "end after COUNT updates; 0: never" },
	{ .name = "sort",
	  .letter = 'k',
	  .value = "KEY",
	  .text = &sort_text,
	  .help = "list, name, rate, to-host, to-guest, fill\n"
		  "or stalls" },
	{ .name = "reverse", .letter = 'r', .flag = &is_reverse, .help = "the other way round" },
	{ .name = NULL },
};

static enum ctl_exit read_delay(struct top *t, const char *text)
{
	double seconds;
	char *end;

	t->screen.delay_ms = 1000;
	if (!text)
		return CTL_DONE;
	seconds = strtod(text, &end);
	if (end != text && !*end && isfinite(seconds) && seconds * 1000 >= MIN_DELAY_MS &&
	    seconds * 1000 <= MAX_DELAY_MS) {
		t->screen.delay_ms = (long)(seconds * 1000 + 0.5);
		return CTL_DONE;
	}
	ctl_error("top: --delay must be 0.1 to 86400 seconds, not \"%s\"", text);
	return CTL_USAGE;
}

static enum ctl_exit read_sort(struct top *t, const char *text)
{
	char names[128] = "";

	for (int i = 0; i < N_TOP_SORTS; i++) {
		if (text && !strcmp(text, top_sort_name((enum top_sort)i))) {
			t->screen.sort = (enum top_sort)i;
			return CTL_DONE;
		}
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i ? ", " : "", top_sort_name((enum top_sort)i));
	}
	if (!text)
		return CTL_DONE;
	ctl_error("top: --sort must be one of %s, not \"%s\"", names, text);
	return CTL_USAGE;
}

static enum ctl_exit take_look(struct top *t)
{
	struct look fresh = { .status = NULL };
	struct connection c;
	enum ctl_exit r = connection_open(&c, t->ctl);

	if (!r)
		r = look_take(&fresh, &c, t->guest);
	snprintf(t->error, sizeof(t->error), "%s", r ? c.error : "");
	connection_close(&c);
	if (r) {
		look_drop(&fresh);
		return r;
	}
	look_drop(&t->before);
	t->before = t->now;
	t->now = fresh;
	return CTL_DONE;
}

static void print_table(const struct rates *list, size_t n, bool blocks)
{
	struct top_view view = { .columns = 80, .blocks = blocks };
	char *line;

	top_lay_out(&view, list, n);
	line = top_heading(&view);
	puts(line ? line : "");
	free(line);
	for (size_t i = 0; i < n; i++) {
		line = top_row(&view, &list[i]);
		puts(line ? line : "");
		free(line);
	}
}

static void show_looks(struct top *t)
{
	struct json_object *object;
	struct rates *list;
	size_t n = rates_between(&t->before, &t->now, &list);

	top_sort(list, n, t->screen.sort, t->screen.reverse);
	if (t->ctl->json) {
		object = top_json(list, n, &t->before, &t->now);
		puts(json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(object);
	} else if (t->live) {
		top_screen_draw(&t->screen, &t->now, list, n, t->error);
	} else {
		print_table(list, n, t->screen.blocks);
	}
	fflush(stdout);
	free(list);
}

/* Return: false when the user quits */
static bool wait_turn(struct top *t)
{
	long left = t->screen.delay_ms;
	int key;

	for (;;) {
		switch (terminal_wait(&left, &key)) {
		case TERMINAL_TIME:
			return true;
		case TERMINAL_KEY:
			if (!top_screen_key(&t->screen, key))
				return false;
			break;
		case TERMINAL_DRAW:
			break;
		}
		if (t->live)
			show_looks(t);
	}
}

static enum ctl_exit run_top(struct top *t)
{
	enum ctl_exit r = take_look(t);
	unsigned long n = 0;

	if (r)
		return r;
	if (t->live) {
		terminal_open();
		show_looks(t);
	}
	while (!ferror(stdout) && (!t->count || n < t->count) && wait_turn(t)) {
		r = take_look(t);
		if (r && (!t->live || r == CTL_REFUSED))
			return r;
		n++;
		show_looks(t);
	}
	t->error[0] = 0;
	return CTL_DONE;
}

/* Asks for the user's locale; that of main() is always C.UTF-8 */
static bool draws_blocks(void)
{
	locale_t user = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8 = user && !strcmp(nl_langinfo_l(CODESET, user), "UTF-8");

	if (user)
		freelocale(user);
	return utf8;
}

static enum ctl_exit run_command(const struct ctl *ctl, char **args)
{
	struct top t = { .ctl = ctl,
			 .guest = args[0],
			 .live = !ctl->json && terminal_is_one(),
			 .screen = { .reverse = is_reverse, .blocks = draws_blocks() } };
	enum ctl_exit r = read_delay(&t, delay_text);

	t.count = t.live ? 0 : 1;
	if (!r)
		r = read_sort(&t, sort_text);
	if (!r)
		r = ctl_read_count(count_text, "top", &t.count);
	if (r)
		return r;
	r = run_top(&t);
	terminal_close();
	look_drop(&t.before);
	look_drop(&t.now);
	for (char *rest = t.error, *line; r && (line = strsep(&rest, "\n"));)
		ctl_error("%s", line);
	return r;
}

const struct ctl_command ctl_top = {
	.name = "top",
	.arguments = "[GUEST]",
	.summary = "live view of what the channels move",
	.help = "On a terminal it runs until q is pressed, and ? explains the other keys.\n"
		"Elsewhere it prints one table and ends, unless --count says otherwise.\n",
	.options = of_top,
	.max = 1,
	.run = run_command,
};
