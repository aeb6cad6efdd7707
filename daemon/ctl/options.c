// SPDX-License-Identifier: BSD-3-Clause
/*
 * options.c - options of the command line, by getopt_long(3)
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/result.h"

/* What getopt_long() returns for the option at an index; options have letters or not */
#define VALUE_OF(idx) (256 + (idx))

/**
 * struct parser - options that are allowed now, as getopt_long() wants them
 * @command: whose they are, or NULL
 * @option: their descriptions
 * @n: how many
 * @names: long names
 * @letters: letters
 */
struct parser {
	const struct ctl_command *command;
	const struct ctl_option *option[CTL_MAX_OPTIONS];
	int n;
	struct option names[CTL_MAX_OPTIONS + 1];
	char letters[3 * CTL_MAX_OPTIONS + 3];
};

/* The first one of a name counts; a second one keeps its letter */
static void allow_options(struct parser *p, const struct ctl_option *o)
{
	size_t at = strlen(p->letters);

	for (; o && o->name && p->n < CTL_MAX_OPTIONS; o++) {
		p->names[p->n] = (struct option){
			.name = o->name,
			.has_arg = !o->value   ? no_argument :
				   o->optional ? optional_argument :
						 required_argument,
			.val = VALUE_OF(p->n),
		};
		p->option[p->n++] = o;
		if (!o->letter)
			continue;
		p->letters[at++] = o->letter;
		if (o->value)
			p->letters[at++] = ':';
	}
}

/* @found: what getopt_long() returned, or optopt */
static const struct ctl_option *option_of(const struct parser *p, int found)
{
	for (int i = 0; i < p->n; i++)
		if (found == VALUE_OF(i) || (found && found == p->option[i]->letter))
			return p->option[i];
	return NULL;
}

static void refuse(const struct parser *p, const char *what, const char *option, const char *more)
{
	const char *name = p->command ? p->command->name : NULL;

	ctl_error("%s%s%s %s%s; see okl4fsctl help%s%s", name ? name : "", name ? ": " : "", what,
		  option, more, name ? " " : "", name ? name : "");
}

static void refuse_name(const struct parser *p, const char *word)
{
	char name[64], more[64] = "";
	unsigned int distance = CTL_FAR;
	const char *best = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	for (int i = 0; i < p->n; i++)
		ctl_nearest(strncmp(name, "--", 2) != 0 ? name : name + 2, p->option[i]->name,
			    &best, &distance);
	if (best)
		snprintf(more, sizeof(more), " (did you mean --%s?)", best);
	refuse(p, "there is no option", name, more);
}

/* @word: the one that getopt_long() stopped behind */
static void refuse_option(const struct parser *p, bool no_value, const char *word)
{
	const struct ctl_option *o = option_of(p, optopt);
	char name[64];

	/* A letter stands somewhere in a cluster, so its word does not tell which it is */
	if (optopt && optopt < 256)
		snprintf(name, sizeof(name), "-%c", optopt);
	else if (o)
		snprintf(name, sizeof(name), "--%s", o->name);
	if (no_value)
		refuse(p, "option", name, " needs a value");
	else if (o)
		refuse(p, "option", name, " takes no value");
	else if (optopt)
		refuse(p, "there is no option", name, "");
	else
		refuse_name(p, word);
}

int ctl_read_options(const struct ctl_command *command, const struct ctl_option *common, int argc,
		     char **argv)
{
	struct parser p = { .command = command, .letters = "+:" };
	int found;

	if (command)
		p.letters[0] = ':', p.letters[1] = 0;
	allow_options(&p, command ? command->options : NULL);
	allow_options(&p, common);
	opterr = 0;
	optind = 0; /* another command line than the one before */
	while ((found = getopt_long(argc, argv, p.letters, p.names, NULL)) != -1) {
		const struct ctl_option *o = option_of(&p, found);

		if (found == '?' || found == ':' || !o) {
			refuse_option(&p, found == ':', argv[optind - 1]);
			return -1;
		}
		if (o->flag)
			*o->flag = true;
		if (o->text)
			*o->text = optarg ? optarg : "";
	}
	return optind;
}
