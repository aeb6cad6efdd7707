// SPDX-License-Identifier: BSD-3-Clause
/*
 * help.c - finding a command, the overview of all, and each command's own help
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/result.h"

#define HELP_COLUMN 32

/* Return: how many of @words are @name, which has one or two of them; 0: they are another */
static int match_name(const char *name, char **words)
{
	size_t first = strcspn(name, " ");

	if (strlen(words[0]) != first || strncmp(name, words[0], first) != 0)
		return 0;
	if (!name[first])
		return 1;
	return words[1] && !strcmp(name + first + 1, words[1]) ? 2 : 0;
}

/* The commands of two words that begin with @word; Return: whether there are any */
static bool tell_second_words(const struct ctl_group *groups, const char *word)
{
	size_t bytes = strlen(word);
	char names[256] = "";

	for (const struct ctl_group *g = groups; g->title; g++) {
		for (const struct ctl_command *const *c = g->commands; *c; c++) {
			size_t at = strlen(names);

			if (!strncmp((*c)->name, word, bytes) && (*c)->name[bytes] == ' ')
				snprintf(names + at, sizeof(names) - at, "%s%s", at ? " or " : "",
					 (*c)->name);
		}
	}
	if (*names)
		ctl_error("%s is the first word of a command: %s", word, names);
	return *names;
}

const struct ctl_command *ctl_find_command(const struct ctl_group *groups, char **words,
					   int *n_words)
{
	unsigned int distance = CTL_FAR;
	const char *best = NULL;

	for (const struct ctl_group *g = groups; g->title; g++) {
		for (const struct ctl_command *const *c = g->commands; *c; c++) {
			*n_words = match_name((*c)->name, words);
			if (*n_words)
				return *c;
			ctl_nearest(words[0], (*c)->name, &best, &distance);
		}
	}
	if (tell_second_words(groups, words[0]))
		return NULL;
	if (best)
		ctl_error("there is no command \"%s\"; did you mean %s? See okl4fsctl help",
			  words[0], best);
	else
		ctl_error("there is no command \"%s\"; see okl4fsctl help", words[0]);
	return NULL;
}

void ctl_print_entry(FILE *out, const char *left, const char *help)
{
	int n = fprintf(out, "  %s", left);

	if (n > HELP_COLUMN - 2) {
		fputc('\n', out);
		n = 0;
	}
	while (*help) {
		size_t bytes = strcspn(help, "\n");

		fprintf(out, "%*s%.*s\n", HELP_COLUMN - n, "", (int)bytes, help);
		help += bytes + (help[bytes] == '\n');
		n = 0;
	}
}

static bool has_name(const struct ctl_option *o, const char *name)
{
	for (; o && o->name; o++)
		if (!strcmp(o->name, name))
			return true;
	return false;
}

/* @but: long names that mean something else here; NULL: none */
static void print_options(FILE *out, const struct ctl_option *o, const struct ctl_option *but)
{
	char left[80];

	for (; o && o->name; o++) {
		char letter[8] = "    ";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		if (o->letter && has_name(but, o->name)) {
			snprintf(left, sizeof(left), "-%c %s", o->letter, o->value);
			ctl_print_entry(out, left, o->help);
			continue;
		}
		snprintf(left, sizeof(left), "%s--%s%s%s%s", letter, o->name,
			 !o->value   ? "" :
			 o->optional ? "[=" :
				       " ",
			 o->value ? o->value : "", o->value && o->optional ? "]" : "");
		ctl_print_entry(out, left, o->help);
	}
}

void ctl_print_overview(FILE *out, const struct ctl_group *groups, const struct ctl_option *common)
{
	char left[80];

	fputs("usage: okl4fsctl [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n", out);
	for (const struct ctl_group *g = groups; g->title; g++) {
		fprintf(out, "\n%s:\n", g->title);
		for (const struct ctl_command *const *c = g->commands; *c; c++) {
			snprintf(left, sizeof(left), "%s %s", (*c)->name,
				 (*c)->arguments ? (*c)->arguments : "");
			ctl_print_entry(out, left, (*c)->summary);
		}
	}
	fputs("\nOptions, before or after the command:\n", out);
	print_options(out, common, NULL);
	fputs("\n\"okl4fsctl help COMMAND\" describes a command and its own options.\n"
	      "Exit status: 0 done, 1 refused, 2 usage, 3 no daemon\n",
	      out);
}

static void print_forms(const struct ctl_command *c)
{
	const char *form = c->forms ? c->forms : c->arguments ? c->arguments : "";
	const char *options = c->options ? " [OPTION...]" : "";
	const char *before = "usage:";

	do {
		size_t bytes = strcspn(form, "\n");

		printf("%s okl4fsctl %s%s%.*s%s\n", before, c->name, bytes ? " " : "", (int)bytes,
		       form, options);
		form += bytes + (form[bytes] == '\n');
		before = "      ";
	} while (*form);
}

void ctl_print_help(const struct ctl_command *c, const struct ctl_option *common)
{
	print_forms(c);
	printf("\n%s: %s\n", c->name, c->summary);
	if (c->help)
		printf("\n%s", c->help);
	if (c->options) {
		puts("\nOptions:");
		print_options(stdout, c->options, NULL);
	}
	if (c->more_help)
		c->more_help();
	puts("\nOptions of every command:");
	print_options(stdout, common, c->options);
}
