/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.h - commands of okl4fsctl, their options and what `help` says of them
 *
 * A command is a struct beside its code, with the table of its options; main.c lists all commands.
 * The overview, each command's help and the errors of the command line are made from them.
 */
#ifndef OKL4FSD_CTL_COMMAND_H
#define OKL4FSD_CTL_COMMAND_H

#include <stdio.h>

#include "ctl/ctl.h"

/** CTL_MAX_OPTIONS - the most options that a command has, with those that every command has */
#define CTL_MAX_OPTIONS 24

/**
 * struct ctl_option - an option; a table of them ends with one that has no name
 * @name: long name, without "--"
 * @letter: short name; 0: none
 * @value: what its value is called, in capitals; NULL: it takes no value
 * @optional: (with @value) --name without =VALUE is allowed, and sets ""
 * @help: what it does, in lines of at most 48 columns
 * @text: (with @value) is set to the value
 * @flag: (without @value) is set to true
 */
struct ctl_option {
	const char *name;
	char letter;
	const char *value;
	bool optional;
	const char *help;
	const char **text;
	bool *flag;
};

/**
 * struct ctl_command - a command
 * @name: one word, or two with a space between them
 * @arguments: what follows the name in the overview; NULL: nothing
 * @forms: (optional) in its own help, in place of @arguments: one form per line
 * @summary: one line that fits beside its name
 * @help: (optional) paragraphs for its own help, in lines of at most 80 columns
 * @options: its own options; NULL: none; a long name of all commands means its own here
 * @min: arguments at least
 * @max: and at most
 * @run: carries it out; @args ends with NULL
 * @more_help: (optional) prints what else its help has
 */
struct ctl_command {
	const char *name, *arguments, *forms, *summary, *help;
	const struct ctl_option *options;
	int min, max;
	enum ctl_exit (*run)(const struct ctl *ctl, char **args);
	void (*more_help)(void);
};

/**
 * struct ctl_group - commands under one heading
 * @title: heading
 * @commands: ends with NULL
 */
struct ctl_group {
	const char *title;
	const struct ctl_command *const *commands;
};

/**
 * ctl_find_command() - the command that words name
 * @groups: all commands; ends with a group that has no title
 * @words: ends with NULL, and has at least one
 * @n_words: out: how many of them are the name
 *
 * Return: NULL, with a line on stderr that names the nearest command, when there is none.
 */
const struct ctl_command *ctl_find_command(const struct ctl_group *groups, char **words,
					   int *n_words);

/**
 * ctl_read_options() - set options from a command line
 * @command: whose they are; NULL: those before the command, where reading ends
 * @common: options that are allowed besides those of @command
 * @argc: words
 * @argv: words; the first is skipped; arguments are moved behind the options
 *
 * Return: how many words are options, with the first; -1, with a line on stderr.
 */
int ctl_read_options(const struct ctl_command *command, const struct ctl_option *common, int argc,
		     char **argv);

/** ctl_print_overview() - all commands, and options of all commands, from @common */
void ctl_print_overview(FILE *out, const struct ctl_group *groups, const struct ctl_option *common);

/** ctl_print_help() - a command's own help; @common: options of every command */
void ctl_print_help(const struct ctl_command *command, const struct ctl_option *common);

/** ctl_print_entry() - a line of a list in a help text: @left, then @help in a column of its own */
void ctl_print_entry(FILE *out, const char *left, const char *help);

/**
 * ctl_nearest() - offer a word; the one that is nearest to what was typed is kept
 * @typed: what was typed
 * @offered: a word that exists
 * @best: in, out: the nearest so far; NULL: none
 * @distance: in, out: how far it is; at first CTL_FAR
 */
void ctl_nearest(const char *typed, const char *offered, const char **best, unsigned int *distance);
#define CTL_FAR 1000U

#endif
