/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * argument.h - arguments and options that several commands read in the same way
 */
#ifndef OKL4FSD_CTL_ARGUMENT_H
#define OKL4FSD_CTL_ARGUMENT_H

#include "ctl/ctl.h"

struct json_object;

/**
 * ctl_split() - take GUEST/CHANNEL apart
 * @command: for the error
 * @name: the text
 * @guest: out: to be freed
 *
 * Return: the channel's name, in @name; NULL, with a line on stderr, when @name has another form.
 */
const char *ctl_split(const char *command, const char *name, char **guest);

/**
 * ctl_read_count() - the value of --count
 * @text: the value; NULL: it was not given
 * @command: for the error
 * @count: out: unchanged when the option was not given
 *
 * Return: CTL_DONE, or CTL_USAGE with a line on stderr.
 */
enum ctl_exit ctl_read_count(const char *text, const char *command, unsigned long *count);

/**
 * ctl_read_size() - a number with a unit: "65536", "64K", "64KiB", "2G"
 * @text: the number
 * @unit: what a number without a unit counts, in bytes
 * @bytes: out
 *
 * Return: whether it is one.
 */
bool ctl_read_size(const char *text, unsigned long long unit, unsigned long long *bytes);

/** ctl_guest_param() - GUEST as the parameters of a call; Return: NULL when @guest is NULL */
struct json_object *ctl_guest_param(const char *guest);

#endif
