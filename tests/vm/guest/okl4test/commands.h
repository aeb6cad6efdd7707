/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.h - the subcommands of okl4test
 */
#ifndef OKL4TEST_COMMANDS_H
#define OKL4TEST_COMMANDS_H

/**
 * struct command - a subcommand
 * @name: what it is called
 * @run: takes the arguments after its name, one at least; Return: exit status
 * @usage: them
 */
struct command {
	const char *name;
	int (*run)(char **argv);
	const char *usage;
};

/* A subcommand, which the linker gathers with those of other files */
#define COMMAND(name_, usage_)                                                         \
	static int cmd_##name_(char **argv);                                           \
	static const struct command command_##name_ = { #name_, cmd_##name_, usage_ }; \
	static const struct command *const command_at_##name_                          \
		__attribute__((used, section("commands"))) = &command_##name_;         \
	static int cmd_##name_(char **argv)

/** argument() - the value of KEY=VALUE among @argv; Return: it, or @fallback */
const char *argument(char **argv, const char *key, const char *fallback);

#endif
